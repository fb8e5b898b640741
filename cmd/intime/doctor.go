package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/doctor"
	"github.com/intime-solutions/intime/internal/platform/config"
)

type doctorCmd struct{ config.Config }

var errUnwell = errors.New("not all is well")

func (c doctorCmd) Run(ctx context.Context) error {
	settings, err := c.withRunningDev()
	if err != nil {
		return err
	}
	api, worker, err := loginURLs(settings.Database, true, true)
	if err != nil {
		return errors.Join(err, errors.New("or run this beside `intime dev`"))
	}
	bus, err := app.NewBus(app.Config{Version: version, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	well := doctor.Run(ctx, doctor.Config{APIURL: api, WorkerURL: worker, Bus: bus}, func(f doctor.Finding) {
		mark := "✓"
		if !f.OK() {
			mark = "✗"
		}
		sayf("%s %-22s %s", mark, f.Check, f.Detail)
		if !f.OK() {
			sayf("  → %s", f.Advice)
		}
	})
	if !well {
		return errUnwell
	}
	return nil
}

// withRunningDev fills in the database of an `intime dev` that runs on the same data folder.
func (c doctorCmd) withRunningDev() (config.Config, error) {
	settings := c.Config
	if settings.Database.AdminURL() != "" || settings.Database.APIURL != "" {
		return settings, nil
	}
	dir, err := dataDir(settings)
	if err != nil {
		return settings, err
	}
	settings.Database.URL, err = readDatabaseURL(dir)
	return settings, err
}

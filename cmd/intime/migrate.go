package main

import (
	"context"
	"errors"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the schema to the newest version."`
	Down   migrateDownCmd   `cmd:"" help:"Take the newest migration back."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and which of them were applied."`
}

var errNoAdmin = errors.New("no database: set DATABASE_URL (or PGHOST) to the administrator's connection string")

type migrateUpCmd struct{ config.Config }

func (c migrateUpCmd) Run(ctx context.Context) error {
	if _, err := newLogger(c.Log, telemetry.FormatText); err != nil {
		return err
	}
	if c.Database.AdminURL() == "" {
		return errNoAdmin
	}
	_, worker, err := loginURLs(c.Database, false, true)
	if err != nil {
		return err
	}
	bus, err := app.NewBus(app.Config{Version: version})
	if err != nil {
		return err
	}
	results, err := app.Migrate(ctx, c.Database.AdminURL(), worker, bus)
	for _, r := range results {
		sayf("%-34s %s", nameOf(r.Source), r.Duration.Round(time.Millisecond))
	}
	if err == nil {
		sayf("The database is at the newest version.")
	}
	return err
}

type migrateDownCmd struct{ config.Config }

func (c migrateDownCmd) Run(ctx context.Context) error {
	if c.Database.AdminURL() == "" {
		return errNoAdmin
	}
	migrator, err := app.NewMigrator(ctx, c.Database.AdminURL())
	if err != nil {
		return err
	}
	defer func() { _ = migrator.Close() }()
	result, err := migrator.Down(ctx)
	if err != nil {
		return err
	}
	if result == nil {
		sayf("There is nothing to take back.")
		return nil
	}
	sayf("took %s back", nameOf(result.Source))
	return nil
}

type migrateStatusCmd struct{ config.Config }

func (c migrateStatusCmd) Run(ctx context.Context) error {
	if c.Database.AdminURL() == "" {
		return errNoAdmin
	}
	migrator, err := app.NewMigrator(ctx, c.Database.AdminURL())
	if err != nil {
		return err
	}
	defer func() { _ = migrator.Close() }()
	all, err := migrator.Status(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		when := ""
		if !m.AppliedAt.IsZero() {
			when = m.AppliedAt.UTC().Format("2006-01-02 15:04:05")
		}
		sayf("%5d  %-8s  %-19s  %s", m.Source.Version, m.State, when, nameOf(m.Source))
	}
	return nil
}

// nameOf is the migration's file; River's tables come from its library.
func nameOf(source *goose.Source) string {
	if source.Path == "" {
		return "River's own tables"
	}
	return source.Path
}

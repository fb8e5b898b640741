package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// database is the one that dev and demo run on: an existing one, or one of their own.
type database struct {
	config.Database

	server  *embedded.Server // nil for an existing one
	urlFile string           // says how to reach the server, as long as it runs
}

// openDatabase starts a Postgres where the settings name none.
func openDatabase(ctx context.Context, settings config.Database, dir string) (*database, error) {
	if settings.AdminURL() != "" {
		return &database{Database: settings}, nil
	}
	if settings.APIURL != "" || settings.WorkerURL != "" {
		return nil, errors.New("INTIME_API_DATABASE_URL and INTIME_WORKER_DATABASE_URL need DATABASE_URL here, for the migrations")
	}
	server, err := embedded.Start(ctx, embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: settings.PostgresBin,
		Progress: func(line string) { sayf("  %s", line) },
	})
	if err != nil {
		return nil, err
	}
	settings.URL = server.URL("postgres")
	d := &database{Database: settings, server: server, urlFile: filepath.Join(dir, urlFile)}
	if err := os.WriteFile(d.urlFile, []byte(settings.URL), 0o600); err != nil {
		d.close(ctx)
		return nil, err
	}
	return d, nil
}

// urlFile is where a running dev says how to reach its Postgres, readable for its own user.
const urlFile = "database-url"

// readDatabaseURL returns the administrator's connection string of the dev that runs on the data folder; empty where
// none does.
func readDatabaseURL(dir string) (string, error) {
	url, err := os.ReadFile(filepath.Join(dir, urlFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(url)), err
}

// prepare migrates the database and fills it with the demo's people.
func (d *database) prepare(ctx context.Context, what *app.Config) (err error) {
	if what.APIURL, what.WorkerURL, err = loginURLs(d.Database, true, true); err != nil {
		return err
	}
	bus, err := app.NewBus(*what)
	if err != nil {
		return err
	}
	results, err := app.Migrate(ctx, d.AdminURL(), what.WorkerURL, bus)
	if err != nil {
		return err
	}
	if len(results) > 0 {
		sayf("  migrated the database (%d steps)", len(results))
	}
	return demo.Seed(ctx, d.AdminURL())
}

// crashed is closed when the Postgres of our own ended by itself; it never is for an existing one.
func (d *database) crashed() <-chan struct{} {
	if d.server == nil {
		return nil
	}
	return d.server.Done()
}

func (d *database) close(ctx context.Context) {
	if d.server == nil {
		return
	}
	if d.urlFile != "" {
		_ = os.Remove(d.urlFile)
	}
	if err := d.server.Stop(context.WithoutCancel(ctx)); err != nil {
		sayf("  %s", err)
	}
}

// sayf prints a line for the person at the keyboard.
func sayf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

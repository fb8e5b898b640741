package main

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

// newLogger makes the program's logger and the default of everything that has none. Logs go to standard error; what a
// command has to say goes to standard output.
func newLogger(settings config.Log, format telemetry.Format) (*slog.Logger, error) {
	if settings.Format != "" {
		format = telemetry.Format(settings.Format)
	}
	logger, err := telemetry.NewLogger(os.Stderr, telemetry.Config{Level: settings.Level, Format: format})
	if err != nil {
		return nil, err
	}
	slog.SetDefault(logger)
	return logger, nil
}

// dataDir is where the program keeps its own files.
func dataDir(settings config.Config) (string, error) {
	if settings.DataDir != "" {
		return settings.DataDir, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.Dir(embedded.DefaultDir(here)), nil
}

// loginURLs are the connection strings of the logins that a part of the program needs; empty for one it does not.
func loginURLs(database config.Database, serve, work bool) (api, worker string, err error) {
	if serve {
		if api, err = database.LoginURL(postgres.LoginAPI); err != nil {
			return "", "", err
		}
	}
	if work {
		worker, err = database.LoginURL(postgres.LoginWorker)
	}
	return api, worker, err
}

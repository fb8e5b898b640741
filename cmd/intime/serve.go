package main

import (
	"context"
	"log/slog"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

type serveCmd struct {
	config.Config
	config.Server
	config.Worker

	Metrics config.Metrics `embed:""`

	NoWorkers   bool   `env:"INTIME_NO_WORKERS" help:"Serve alone; intime work runs elsewhere."`
	Environment string `env:"INTIME_ENVIRONMENT" default:"production" help:"What the dashboard calls this installation."`
}

func (c serveCmd) Run(ctx context.Context) error {
	return runApp(ctx, c.Config, app.Config{
		Server: c.Server, Worker: c.Worker, Serve: true, Work: !c.NoWorkers, Environment: c.Environment,
		MetricsAddress: c.Metrics.Address,
	})
}

type workCmd struct {
	config.Config
	config.Worker

	Metrics config.Metrics `embed:""`
}

func (c workCmd) Run(ctx context.Context) error {
	return runApp(ctx, c.Config, app.Config{Worker: c.Worker, Work: true, MetricsAddress: c.Metrics.Address})
}

// runApp runs a part of the program on an existing database until the context ends.
func runApp(ctx context.Context, settings config.Config, what app.Config) (err error) {
	if what.Logger, err = newLogger(settings.Log, telemetry.FormatJSON); err != nil {
		return err
	}
	if what.APIURL, what.WorkerURL, err = loginURLs(settings.Database, what.Serve, what.Work); err != nil {
		return err
	}
	if what.DataDir, err = dataDir(settings); err != nil {
		return err
	}
	what.Version, what.GracePeriod = version, settings.GracePeriod
	program, err := app.New(ctx, what)
	if err != nil {
		return err
	}
	defer program.Close()
	if what.Serve {
		if err := program.Listen(ctx); err != nil {
			return err
		}
		what.Logger.InfoContext(ctx, "serving", slog.String("url", program.URL()), slog.String("version", version))
	}
	if program.Outbox() != "" && what.Work {
		what.Logger.InfoContext(ctx, "mail goes into a folder: INTIME_SMTP_URL is not set", slog.String("folder", program.Outbox()))
	}
	return program.Run(ctx)
}

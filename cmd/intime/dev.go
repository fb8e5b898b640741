package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

type devCmd struct {
	config.Config
	config.Server
	config.Worker

	Metrics config.Metrics `embed:""`

	NoFaults bool `env:"INTIME_NO_FAULTS" help:"Refuse system.probe events that misbehave, as a server in production does."`
}

func (c devCmd) Run(ctx context.Context) (err error) {
	logger, err := newLogger(c.Log, telemetry.FormatText)
	if err != nil {
		return err
	}
	// Before the rest, which takes longer.
	if err := requireFree(ctx, c.Addr); err != nil {
		return err
	}
	dir, err := dataDir(c.Config)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, c.Database, dir)
	if err != nil {
		return err
	}
	defer db.close(ctx)

	c.Reflection, c.Auth.LocalIssuer = true, true
	c.AllowFaults = !c.NoFaults
	what := app.Config{
		Server: c.Server, Worker: c.Worker, GracePeriod: c.GracePeriod, DataDir: dir, Serve: true, Work: true,
		Environment: "dev", DemoPeople: demo.SignIns(), LocalOnly: true, Version: version, Logger: logger,
		MetricsAddress: c.Metrics.Address,
	}
	if err := db.prepare(ctx, &what); err != nil {
		return err
	}
	program, err := app.New(ctx, what)
	if err != nil {
		return err
	}
	defer program.Close()
	if err := program.Listen(ctx); err != nil {
		return err
	}
	c.welcome(program, db, dir)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-db.crashed():
			stop(errors.New("the embedded Postgres ended by itself"))
		case <-ctx.Done():
		}
	}()
	if err := program.Run(ctx); err != nil {
		return err
	}
	if db.server != nil && db.server.Err() != nil {
		return db.server.Err()
	}
	sayf("\nInTime has stopped.")
	return nil
}

// requireFree returns an error where the address is taken.
func requireFree(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: stop what does, or choose another address with INTIME_ADDR: %w", address, err)
	}
	return listener.Close()
}

// welcome prints where to go and what to try.
func (c devCmd) welcome(program *app.App, db *database, dir string) {
	url := program.URL()
	sayf("\nInTime is running at %s", url)
	if db.server != nil {
		sayf("  Postgres %s of its own, in %s", db.server.Version(), dir)
	}
	sayf("  Mail goes to %s", orElse(program.Outbox(), "the mail server"))
	sayf("\nSign in as")
	for _, p := range demo.People() {
		sayf("  %-15s %-16s %s/sign-in/?as=%s", p.Role, p.FullName+",", url, p.Email)
	}
	flags := ""
	if c.DataDir != "" {
		flags = " --data-dir " + c.DataDir
	}
	sayf(`
Try
  TOKEN=$(bin/intime token%[1]s rita@acme.example)
  curl -s %[2]s/intime.user.v1.UserService/GetMe -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{}'
  curl -s %[2]s/intime.job.v1.JobService/CreateJob -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{"title":"Go developer","description":"Build an event bus on Postgres.","requiredSkills":["Go"],"location":"Lisbon"}'
  and see what became of it at %[2]s/admin/events/

Ctrl-C stops everything.
`, flags, url)
}

func orElse(text, other string) string {
	if strings.TrimSpace(text) == "" {
		return other
	}
	return text
}

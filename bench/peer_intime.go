package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

// mailFrom is the sender of mail that nobody sends.
const mailFrom = "InTime <no-reply@bench.invalid>"

// intimePeer is the program's own workers, and publishing as a request does it: in a tenant's transaction, as a person,
// under row level security, with the event's audit row and its place in the outbox. Its settings are the defaults.
type intimePeer struct {
	program *app.App
	api     *postgres.DB
	stop    context.CancelFunc
	done    chan error
}

func openInTime(ctx context.Context, d *database, rec *recorder) (peer, error) {
	api, worker, err := loginURLs(d.adminURL())
	if err != nil {
		return nil, err
	}
	logger, err := discardedLog()
	if err != nil {
		return nil, err
	}
	p := &intimePeer{}
	p.program, err = app.New(ctx, app.Config{
		Worker: config.Worker{Concurrency: 10, MailFrom: mailFrom}, WorkerURL: worker, DataDir: d.cluster.dir, GracePeriod: 5 * time.Second,
		Work: true, Version: "bench", Logger: logger, OnProbe: rec.started,
	})
	if err != nil {
		return nil, err
	}
	p.api, err = postgres.Open(ctx, postgres.Config{URL: api, ApplicationName: "intime api", MaxConns: publishers})
	if err != nil {
		p.program.Close()
		return nil, err
	}
	return p, nil
}

func (p *intimePeer) publish(ctx context.Context, seq int64) error {
	return p.publishMany(ctx, seq, 1)
}

func (p *intimePeer) publishMany(ctx context.Context, from int64, n int) error {
	ctx = principal.With(ctx, person(int(from)%organizations))
	return p.api.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for seq := from; seq < from+int64(n); seq++ {
			if _, err := p.program.Bus().Publish(ctx, tx, probe(seq), eventbus.PublishOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *intimePeer) work(ctx context.Context) error {
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.done = make(chan error, 1)
	go func() { p.done <- p.program.Run(ctx) }()
	return nil
}

func (p *intimePeer) pendingSQL() string {
	return `SELECT EXISTS (SELECT FROM public.event_outbox) OR EXISTS (SELECT FROM river.river_job
		WHERE kind = 'event_delivery' AND state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))`
}

func (p *intimePeer) checks(published int, handled bool) []check {
	all := []check{
		count("events", published, `SELECT count(*) FROM public.events WHERE type = 'system.probe'`),
		count("audit rows", published, `SELECT count(*) FROM public.audit_logs WHERE action = 'event.published'`),
	}
	if !handled {
		return append(all, count("events in the outbox", published, `SELECT count(*) FROM public.event_outbox`))
	}
	return append(all,
		count("events processed", published, `SELECT count(*) FROM public.events WHERE status = 'processed' AND processed_at IS NOT NULL`),
		count("deliveries that succeeded at the first attempt", published,
			`SELECT count(*) FROM public.event_deliveries WHERE status = 'succeeded' AND attempt_count = 1 AND run_count = 1`),
		count("deliveries", published, `SELECT count(*) FROM public.event_deliveries`),
		count("attempts that failed", 0, `SELECT count(*) FROM public.event_attempts`),
		count("events in the outbox", 0, `SELECT count(*) FROM public.event_outbox`),
		count("River jobs that did not complete at once", 0,
			`SELECT count(*) FROM river.river_job WHERE kind = 'event_delivery' AND (state <> 'completed' OR attempt <> 1)`),
	)
}

func (p *intimePeer) close(context.Context) (err error) {
	if p.stop != nil {
		p.stop()
		err = <-p.done
	}
	p.api.Close()
	p.program.Close()
	return err
}

func loginURLs(admin adminURL) (api, worker string, err error) {
	api, apiErr := postgres.LoginURL(string(admin), postgres.LoginAPI)
	worker, workerErr := postgres.LoginURL(string(admin), postgres.LoginWorker)
	if err := errors.Join(apiErr, workerErr); err != nil {
		return "", "", fmt.Errorf("derive the logins: %w", err)
	}
	return api, worker, nil
}

// discardedLog is the log of a production server, written nowhere: what a line costs is part of the measurement.
func discardedLog() (*slog.Logger, error) {
	return telemetry.NewLogger(io.Discard, telemetry.Config{Level: "info", Format: telemetry.FormatJSON})
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"                    //nolint:depguard // the peer is River on a plain pool
	"github.com/riverqueue/river"                        //nolint:depguard // as above
	"github.com/riverqueue/river/riverdriver/riverpgxv5" //nolint:depguard // as above
	"github.com/riverqueue/river/rivermigrate"           //nolint:depguard // as above
)

// riverPeer is River as an application would use it, with the settings of River's own benchmark: begin, InsertTx, commit.
// With events it also writes an event's row, which is the least that a bus on River does besides.
type riverPeer struct {
	events            bool
	rec               *recorder
	pubPool, workPool *pgxpool.Pool
	pub, workers      *river.Client[pgx.Tx]
}

// riverArgs are a job's.
type riverArgs struct{ plainProbe }

// Kind is the job's name in River.
func (riverArgs) Kind() string { return "bench" }

const (
	riverCooldown = time.Millisecond
	riverPoll     = 20 * time.Millisecond
	riverWorkers  = 2000
	riverPoolSize = 10
	plainEvents   = `CREATE TABLE events (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, payload jsonb NOT NULL,
		created_at timestamptz NOT NULL DEFAULT now())`
	insertPlainEvent = `INSERT INTO events (topic, payload) VALUES ($1, $2)`
)

func openRiver(events bool) openPeer {
	return func(ctx context.Context, d *database, rec *recorder) (peer, error) {
		p := &riverPeer{events: events, rec: rec}
		if err := p.open(ctx, d); err != nil {
			_ = p.close(ctx)
			return nil, err
		}
		return p, nil
	}
}

func (p *riverPeer) open(ctx context.Context, d *database) (err error) {
	if p.pubPool, err = openPool(ctx, string(d.adminURL()), publishers); err != nil {
		return err
	}
	if p.workPool, err = openPool(ctx, string(d.adminURL()), riverPoolSize); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	migrator, err := rivermigrate.New(riverpgxv5.New(p.pubPool), &rivermigrate.Config{Logger: logger})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate River: %w", err)
	}
	if _, err := p.pubPool.Exec(ctx, plainEvents); err != nil {
		return err
	}
	// The cooldown also bounds how often an inserting client notifies.
	p.pub, err = river.NewClient(riverpgxv5.New(p.pubPool), &river.Config{
		Logger: logger, FetchCooldown: riverCooldown, FetchPollInterval: riverPoll,
	})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[riverArgs]) error {
		p.rec.started(job.Args.Seq)
		return nil
	}))
	p.workers, err = river.NewClient(riverpgxv5.New(p.workPool), &river.Config{
		Logger: logger, FetchCooldown: riverCooldown, FetchPollInterval: riverPoll, Workers: workers,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
	})
	return err
}

func (p *riverPeer) publish(ctx context.Context, seq int64) error {
	return pgx.BeginFunc(ctx, p.pubPool, func(tx pgx.Tx) error {
		args := newPlainProbe(seq)
		if err := p.insertEvent(ctx, tx, args); err != nil {
			return err
		}
		_, err := p.pub.InsertTx(ctx, tx, riverArgs{args}, nil)
		return err
	})
}

func (p *riverPeer) publishMany(ctx context.Context, from int64, n int) error {
	return pgx.BeginFunc(ctx, p.pubPool, func(tx pgx.Tx) error {
		params := make([]river.InsertManyParams, n)
		for i := range params {
			args := newPlainProbe(from + int64(i))
			if err := p.insertEvent(ctx, tx, args); err != nil {
				return err
			}
			params[i].Args = riverArgs{args}
		}
		_, err := p.pub.InsertManyFastTx(ctx, tx, params)
		return err
	})
}

func (p *riverPeer) insertEvent(ctx context.Context, tx pgx.Tx, probe plainProbe) error {
	if !p.events {
		return nil
	}
	payload, err := json.Marshal(probe)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertPlainEvent, "bench", payload)
	return err
}

func (p *riverPeer) work(ctx context.Context) error {
	return p.workers.Start(context.WithoutCancel(ctx))
}

func (p *riverPeer) pendingSQL() string {
	return `SELECT EXISTS (SELECT FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))`
}

func (p *riverPeer) checks(published int, handled bool) []check {
	all := []check{count("jobs", published, `SELECT count(*) FROM river_job`)}
	if p.events {
		all = append(all, count("events", published, `SELECT count(*) FROM events`))
	}
	if handled {
		all = append(all, count("jobs completed at the first attempt", published,
			`SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`))
	}
	return all
}

func (p *riverPeer) close(ctx context.Context) (err error) {
	if p.workers != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = p.workers.Stop(ctx)
	}
	for _, pool := range []*pgxpool.Pool{p.pubPool, p.workPool} {
		if pool != nil {
			pool.Close()
		}
	}
	return err
}

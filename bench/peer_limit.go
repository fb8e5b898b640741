package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool" //nolint:depguard // the limit is a plain pool
)

// limitPeer is no competitor but the floor: one prepared INSERT per event, each a transaction of its own, in one round trip.
// Nothing is handled.
type limitPeer struct{ pool *pgxpool.Pool }

var errNothingHandled = errors.New("the limit handles nothing")

func openLimit(ctx context.Context, d *database, _ *recorder) (peer, error) {
	pool, err := openPool(ctx, string(d.adminURL()), publishers)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, plainEvents); err != nil {
		pool.Close()
		return nil, err
	}
	return &limitPeer{pool: pool}, nil
}

func (p *limitPeer) publish(ctx context.Context, seq int64) error {
	payload, err := json.Marshal(newPlainProbe(seq))
	if err != nil {
		return err
	}
	_, err = p.pool.Exec(ctx, insertPlainEvent, "bench", payload)
	return err
}

func (p *limitPeer) publishMany(context.Context, int64, int) error { return errNothingHandled }
func (p *limitPeer) work(context.Context) error                    { return errNothingHandled }
func (p *limitPeer) pendingSQL() string                            { return `SELECT false` }

func (p *limitPeer) checks(published int, _ bool) []check {
	return []check{count("events", published, `SELECT count(*) FROM events`)}
}

func (p *limitPeer) close(context.Context) error {
	p.pool.Close()
	return nil
}

// openPool opens a pool whose connections are there before anything is measured.
func openPool(ctx context.Context, url string, size int32) (*pgxpool.Pool, error) {
	settings, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	settings.MaxConns, settings.MinConns = size, size
	return pgxpool.NewWithConfig(ctx, settings)
}

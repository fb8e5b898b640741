package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// peer is a bus under test. A publish returns when the event is durable.
type peer interface {
	publish(ctx context.Context, seq int64) error
	// publishMany publishes [from, from+n) in one transaction, to make a backlog.
	publishMany(ctx context.Context, from int64, n int) error
	// work starts the workers, whose handler tells the recorder and does nothing else.
	work(ctx context.Context) error
	// pendingSQL asks whether the store still holds a delivery that is not done; the libraries' own counters are not trusted.
	pendingSQL() string
	// checks are counts of rows: after a run every one has to be the number it says.
	checks(published int, handled bool) []check
	close(ctx context.Context) error
}

// openPeer prepares a peer on a database of its own.
type openPeer func(ctx context.Context, d *database, rec *recorder) (peer, error)

// check is a count that has to be right.
type check struct {
	Name string `json:"name"`
	Got  int64  `json:"got"`
	Want int64  `json:"want"`
	sql  string
}

func (c check) ok() bool { return c.Got == c.Want }

func count(name string, want int, sql string) check {
	return check{Name: name, Want: int64(want), sql: sql}
}

// verify counts, as the superuser.
func verify(ctx context.Context, d *database, checks []check) ([]check, error) {
	err := d.adminURL().as(ctx, func(conn *pgx.Conn) error {
		for i := range checks {
			if checks[i].sql == "" {
				continue
			}
			if err := conn.QueryRow(ctx, checks[i].sql).Scan(&checks[i].Got); err != nil {
				return fmt.Errorf("count %s: %w", checks[i].Name, err)
			}
		}
		return nil
	})
	return checks, err
}

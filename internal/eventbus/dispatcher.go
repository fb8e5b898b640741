package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// dispatchBatch is how many events one transaction of the dispatcher takes at most.
	dispatchBatch = 500
	// dispatchShare is how many of them may be one organisation's.
	dispatchShare = 250
)

// dispatcher gives committed events their deliveries and jobs. Every worker process has one; they share the work.
type dispatcher struct {
	bus   *Bus
	db    *postgres.DB
	river *river.Client[pgx.Tx]
	after *uuid.UUID // the organisation after which the next batch begins; nil: the first
}

// run dispatches whenever it is woken, and at least once per interval, which is the sweep for what nobody told it of.
func (d *dispatcher) run(ctx context.Context) {
	tick := time.NewTicker(d.bus.config.DispatchInterval)
	defer tick.Stop()
	for {
		more, err := d.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.bus.config.Logger.WarnContext(ctx, "dispatch failed", slog.Any("error", err))
		case more:
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-d.bus.wake.rung:
		case <-tick.C:
		}
	}
}

// runOnce dispatches one batch and says whether there may be more.
func (d *dispatcher) runOnce(ctx context.Context) (more bool, err error) {
	from := d.after
	// Should the server lose this commit in a crash, the events are in the outbox again.
	err = d.db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var (
			taken int
			due   due
		)
		err := tx.QueryRow(ctx, `
			SELECT taken, next_after, org_ids, event_ids, handler_names, event_types FROM app.dispatch_events($1, $2, $3)`,
			dispatchBatch, dispatchShare, d.after).
			Scan(&taken, &d.after, &due.orgIDs, &due.eventIDs, &due.handlers, &due.types)
		if err != nil {
			return fmt.Errorf("take events from the outbox: %w", err)
		}
		if taken > 0 {
			tx.AfterCommit(d.bus.wake.changed)
		}
		more = taken >= dispatchShare || from != nil
		return insertJobs(ctx, tx, d.river, due.jobs(d.bus.slots.busy))
	})
	return more, err
}

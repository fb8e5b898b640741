package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// dispatchBatch is how many events one transaction of the dispatcher takes at most.
const dispatchBatch = 500

// dispatcher gives committed events their deliveries and jobs. Every worker process has one; they share the work.
type dispatcher struct {
	bus   *Bus
	db    *postgres.DB
	river *river.Client[pgx.Tx]
}

// run dispatches whenever it is woken, and at least once per interval, which is the sweep for what nobody told it of.
func (d *dispatcher) run(ctx context.Context) {
	tick := time.NewTicker(d.bus.config.DispatchInterval)
	defer tick.Stop()
	for {
		taken, err := d.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.bus.config.Logger.WarnContext(ctx, "dispatch failed", slog.Any("error", err))
		case taken == dispatchBatch:
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

// runOnce dispatches one batch and returns how many events that were.
func (d *dispatcher) runOnce(ctx context.Context) (taken int, err error) {
	// Should the server lose this commit in a crash, the events are in the outbox again.
	err = d.db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var due jobs
		err := tx.QueryRow(ctx, `SELECT taken, event_ids, handler_names, event_types FROM app.dispatch_events($1)`,
			dispatchBatch).Scan(&taken, &due.eventIDs, &due.handlers, &due.types)
		if err != nil {
			return fmt.Errorf("take events from the outbox: %w", err)
		}
		if taken > 0 {
			tx.AfterCommit(d.bus.wake.changed)
		}
		return due.insert(ctx, tx, d.river)
	})
	return taken, err
}

// jobs are deliveries that need a job; the slices run in parallel.
type jobs struct {
	eventIDs        []uuid.UUID
	handlers, types []string
}

func (j jobs) insert(ctx context.Context, tx *postgres.Tx, client *river.Client[pgx.Tx]) error {
	if len(j.eventIDs) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(j.eventIDs))
	for i := range params {
		params[i] = river.InsertManyParams{
			Args:       deliveryArgs{EventID: j.eventIDs[i], Handler: j.handlers[i]},
			InsertOpts: &river.InsertOpts{Queue: queueOf(j.types[i])},
		}
	}
	if _, err := client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

// queueOf is the River queue of an event type: each type has its own, so that one that hangs does not hold up others.
func queueOf(eventType string) string { return strings.ReplaceAll(eventType, ".", "-") }

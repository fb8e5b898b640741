package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

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
	db    *postgres.DB // of its own: what it asks is planned once, and its commits do not wait for the disk
	after *uuid.UUID   // the organisation after which the next batch begins; nil: the first
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

// runAll dispatches all there is.
func (d *dispatcher) runAll(ctx context.Context) error {
	for {
		if more, err := d.runOnce(ctx); err != nil || !more {
			return err
		}
	}
}

// runOnce dispatches one batch and says whether there may be more. Should the server lose this commit in a crash, the events
// are in the outbox again.
func (d *dispatcher) runOnce(ctx context.Context) (more bool, err error) {
	var (
		from  = d.after
		taken int
	)
	err = d.db.LoginRow(ctx, `SELECT taken, next_after FROM app.dispatch_events($1, $2, $3, $4)`,
		[]any{dispatchBatch, dispatchShare, from, d.bus.slots.busy()}, &taken, &d.after)
	if err != nil {
		return false, fmt.Errorf("dispatch events: %w", err)
	}
	if taken > 0 {
		d.bus.wake.changed()
	}
	return taken >= dispatchShare || from != nil, nil
}

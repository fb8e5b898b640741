package eventbus

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Attempted is an attempt that RunDue made.
type Attempted struct {
	EventID uuid.UUID
	Handler string
	// Attempt counts from 1.
	Attempt int
	// Err is why the attempt did not end well; nil where it did. What became of the delivery is in its row.
	Err error
}

// RunDue dispatches what was published and makes one attempt at each delivery that is due, one after the other and on the
// calling goroutine; so it does with what those publish, until nothing is left that it has not attempted. The attempts
// are those of Run, each in transactions of its own as the event's publisher. It is for tests that try a handler: no
// workers have to run.
func (b *Bus) RunDue(ctx context.Context, db *postgres.DB) ([]Attempted, error) {
	var (
		dispatch = &dispatcher{bus: b, db: db}
		worker   = &deliveryWorker{bus: b, db: db}
		seen     = map[dueDelivery]bool{}
		made     []Attempted
	)
	for {
		if err := dispatch.runAll(ctx); err != nil {
			return made, err
		}
		due, err := b.dueDeliveries(ctx, db)
		if err != nil {
			return made, err
		}
		before := len(seen)
		for _, d := range due {
			if seen[d] {
				continue
			}
			seen[d] = true
			attempted, err := worker.attemptNow(ctx, d)
			if err != nil {
				return made, err
			}
			if attempted != nil {
				made = append(made, *attempted)
			}
		}
		if len(seen) == before {
			return made, nil
		}
	}
}

// dueDelivery names a delivery.
type dueDelivery struct {
	deliveryRef

	Handler string
}

// attemptNow makes an attempt for nobody's job; nil where the delivery was not to be run after all.
func (w *deliveryWorker) attemptNow(ctx context.Context, d dueDelivery) (*Attempted, error) {
	a, err := startAttempt(ctx, w.db, d.Handler, d.deliveryRef, lost{}, w.bus.config)
	if err != nil || a.Verdict != "run" {
		return nil, err
	}
	r := w.bus.handlers[d.Handler]
	failed := w.attempt(ctx, nil, r, a)
	if failed != nil {
		// It answers a job's queue when to come back; the delivery's row says so too.
		_ = w.failed(ctx, nil, r, a, failed, a.fail)
	}
	return &Attempted{EventID: d.EventID, Handler: d.Handler, Attempt: a.Attempt, Err: failed}, nil
}

// dueDeliveries are those of this bus's handlers whose time has come, oldest first.
func (b *Bus) dueDeliveries(ctx context.Context, db *postgres.DB) (due []dueDelivery, err error) {
	names := make([]string, 0, len(b.handlers))
	for name := range b.handlers {
		names = append(names, name)
	}
	err = db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT d.org_id, d.event_id, d.handler_name FROM public.event_deliveries d
			WHERE d.handler_name = ANY ($1)
			  AND CASE d.status WHEN 'running' THEN d.lease_expires_at <= clock_timestamp()
			                    WHEN 'pending' THEN coalesce(d.next_attempt_at, '-infinity') <= clock_timestamp()
			                    WHEN 'failed' THEN d.next_attempt_at <= clock_timestamp()
			                    ELSE false END
			ORDER BY d.event_id, d.handler_name`, names)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d dueDelivery, err error) {
			err = row.Scan(&d.OrgID, &d.EventID, &d.Handler)
			return d, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find due deliveries: %w", err)
	}
	return due, nil
}

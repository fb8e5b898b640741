package eventbus

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// errNotTaken says that a delivery has to be attempted under a lease.
var errNotTaken = errors.New("the delivery could not be taken")

// workQuickly makes the first attempt at a job's only delivery in the transaction that takes the delivery and ends it.
// It returns errNotTaken for a delivery that is somebody else's or that waits for something.
func (w *deliveryWorker) workQuickly(work context.Context, job *river.Job[deliveryArgs], r *registration) error {
	ref := job.Args.Deliveries[0]
	release, ok := w.bus.slots.take(r.eventType.Name, ref.OrgID)
	if !ok {
		return noSlot()
	}
	defer release()
	ctx, cancel := context.WithTimeout(work, w.bus.config.HandlerTimeout)
	defer cancel()
	var e ending
	err := w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		began := time.Now()
		taken, err := takeAttempts(ctx, tx, r.name, ref)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			return errNotTaken
		}
		e.attempt, e.began = taken[0], time.Since(began)
		err = tx.As(ctx, e.publisher(), func(ctx context.Context) error { return w.run(ctx, tx, r, e.attempt) })
		e.ended = time.Since(began)
		w.timed(ctx, r, e.EventID, e.ended-e.began)
		if err != nil {
			return err
		}
		// A handler that ignores its context does not get to commit after its time.
		if err := ctx.Err(); err != nil {
			return err
		}
		tx.AfterCommit(w.bus.wake.changed)
		return succeedTaken(ctx, tx, w.bus.config, r.name, &job.ID, e)
	})
	switch {
	case err == nil:
		w.bus.counters.ended(r.name, outcomeSucceeded)
		return nil
	case errors.Is(err, errNotTaken):
		return err
	case work.Err() != nil:
		// Nothing has happened.
		return river.JobSnooze(time.Millisecond)
	case e.EventID != ref.EventID:
		return w.notStarted(work, err)
	}
	gone := false
	err = w.failed(work, job, r, e.attempt, err, func(ctx context.Context, tx *postgres.Tx, f failure) (standing, error) {
		// The transaction is gone, and the delivery with it.
		taken, err := takeAttempts(ctx, tx, r.name, ref)
		if gone = err == nil && len(taken) == 0; err != nil || gone {
			return standing{}, err
		}
		if err := e.noteRefusal(ctx, tx, f.refused); err != nil {
			return standing{}, err
		}
		return e.fail(ctx, tx, w.bus.config, f)
	})
	if gone {
		// Somebody else has it, or the handler was disabled meanwhile.
		return errNotTaken
	}
	return err
}

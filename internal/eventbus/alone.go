package eventbus

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// workAlone makes one attempt at a job's only delivery, under a lease.
func (w *deliveryWorker) workAlone(work context.Context, job *river.Job[deliveryArgs], r *registration) error {
	ref := job.Args.Deliveries[0]
	release, ok := w.bus.slots.take(r.eventType.Name, ref.OrgID)
	if !ok {
		return noSlot()
	}
	defer release()
	a, err := startAttempt(work, w.db, r.name, ref, lostBefore(job), w.bus.config)
	if err != nil {
		return w.notStarted(work, err)
	}
	switch a.Verdict {
	case "done":
		// It may be that this very call ended it.
		w.bus.wake.changed()
		return nil
	case "wait":
		return river.JobSnooze(max(a.Wait, time.Millisecond))
	}
	started := time.Now()
	err = w.attempt(work, job, r, a)
	w.timed(work, r, a.EventID, time.Since(started))
	if err == nil {
		w.bus.counters.ended(r.name, outcomeSucceeded)
		return nil
	}
	if errors.Is(err, errAbandoned) {
		// The job is the other attempt's now. Ending it from here, well or badly, would take it away from there.
		return river.JobSnooze(w.bus.config.lease())
	}
	return w.failed(work, job, r, a, err, a.fail)
}

// attempt runs the handler. Its effects, the delivery's success and the job's end are one transaction.
func (w *deliveryWorker) attempt(ctx context.Context, job *river.Job[deliveryArgs], r *registration, a attempt) error {
	if !a.ActorActive {
		return givenUp(giveUpActorRevoked, errors.New("who published the event may not act in the organisation any more"))
	}
	ctx, cancel := context.WithTimeout(ctx, w.bus.config.HandlerTimeout)
	defer cancel()
	return w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if held, err := a.hold(ctx, tx); err != nil || !held {
			return errors.Join(err, abandonedUnless(held || err != nil))
		}
		err := tx.As(ctx, a.publisher(), func(ctx context.Context) error { return w.run(ctx, tx, r, a) })
		if err != nil {
			return err
		}
		// A handler that ignores its context does not get to commit after its time.
		if err := ctx.Err(); err != nil {
			return err
		}
		if held, err := a.succeed(ctx, tx); err != nil || !held {
			return errors.Join(err, abandonedUnless(held || err != nil))
		}
		tx.AfterCommit(w.bus.wake.changed)
		return completeJob(ctx, tx, job)
	})
}

func abandonedUnless(held bool) error {
	if held {
		return nil
	}
	return errAbandoned
}

// noSlot has the job come back when the organisation may have a place again.
func noSlot() error {
	const wait = time.Second
	return river.JobSnooze(wait/2 + rand.N(wait/2)) //nolint:gosec // jitter, no secret
}

// lost is a run of a job whose process ended without a word.
type lost struct {
	At     *time.Time
	Worker *string
}

// lostBefore says when River found the job lost, if it did.
func lostBefore(job *river.Job[deliveryArgs]) lost {
	if job.Attempt == 1 || len(job.Errors) == 0 {
		return lost{}
	}
	l := lost{At: &job.Errors[len(job.Errors)-1].At}
	if n := len(job.AttemptedBy); n > 1 {
		l.Worker = &job.AttemptedBy[n-2]
	}
	return l
}

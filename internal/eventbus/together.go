package eventbus

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// togetherBudget is from when on a transaction of neighbours takes no further one in.
	togetherBudget = 50 * time.Millisecond
	// togetherLimit is how long it may take before all it did is undone and everybody runs by himself.
	togetherLimit = time.Second
	// abandonAfter is how long a handler then has to notice.
	abandonAfter = time.Second
)

var errIgnoresContext = errors.New("a handler ignores its context")

// workTogether makes the first attempts at a job's deliveries in one transaction. What a handler did that failed is undone
// by itself; one that takes too long undoes everything, and the deliveries get jobs of their own.
func (w *deliveryWorker) workTogether(work context.Context, job *river.Job[deliveryArgs], r *registration) error {
	if org, one := oneOrganization(job.Args.Deliveries); one {
		release, ok := w.bus.slots.take(r.eventType.Name, org)
		if !ok {
			return noSlot()
		}
		defer release()
	}
	ctx, cancel := context.WithTimeout(work, togetherLimit)
	defer cancel()
	n := &neighbours{worker: w, job: job, handler: r}
	pid, done := make(chan uint32, 1), make(chan error, 1)
	go func() {
		done <- w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			pid <- tx.Conn().PgConn().PID()
			return n.run(ctx, tx)
		})
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(togetherLimit + abandonAfter):
		// It goes on, with nothing in its hands.
		err = errors.Join(errIgnoresContext, w.terminate(work, <-pid))
	}
	switch {
	case err == nil:
		n.count(work)
		return nil
	case work.Err() != nil:
		// Nothing has happened.
		return river.JobSnooze(time.Millisecond)
	}
	w.bus.config.Logger.WarnContext(work, "deliveries run apart", slog.String("handler", r.name),
		slog.Int("count", len(job.Args.Deliveries)), slog.Any("error", err))
	return w.workApart(work, job)
}

// terminate ends a connection of the worker's from outside.
func (w *deliveryWorker) terminate(ctx context.Context, pid uint32) error {
	var ended bool
	return w.db.LoginRow(ctx, `SELECT pg_terminate_backend($1)`, []any{pid}, &ended)
}

// neighbours are deliveries that share a transaction.
type neighbours struct {
	worker  *deliveryWorker
	job     *river.Job[deliveryArgs]
	handler *registration
	began   time.Time
	ended   []ending
	skipped map[uuid.UUID]bool
}

// run takes the deliveries, runs the handler for each on behalf of its event's publisher, and ends deliveries and job. What
// is left gets jobs of its own.
func (n *neighbours) run(ctx context.Context, tx *postgres.Tx) error {
	n.began = time.Now()
	taken, err := takeAttempts(ctx, tx, n.handler.name, n.job.Args.Deliveries...)
	if err != nil {
		return err
	}
	if len(taken) < len(n.job.Args.Deliveries) {
		if n.skipped, err = skipDisabled(ctx, tx, n.handler.name, n.job.Args.Deliveries...); err != nil {
			return err
		}
	}
	slices.SortStableFunc(taken, func(a, b attempt) int { return cmp.Compare(a.onBehalfOf(), b.onBehalfOf()) })
	for same := range chunkBy(taken, attempt.onBehalfOf) {
		err := tx.As(ctx, same[0].publisher(), func(ctx context.Context) error { return n.runAll(ctx, tx, same) })
		if err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx.AfterCommit(n.worker.bus.wake.changed)
	return n.finish(ctx, tx)
}

// runAll returns an error where the transaction cannot go on.
func (n *neighbours) runAll(ctx context.Context, tx *postgres.Tx, attempts []attempt) error {
	for _, a := range attempts {
		if time.Since(n.began) >= togetherBudget {
			return nil
		}
		e := ending{attempt: a, began: time.Since(n.began)}
		e.cause = tx.Nested(ctx, func(ctx context.Context) error { return n.worker.run(ctx, tx, n.handler, a) })
		e.ended = time.Since(n.began)
		n.worker.timed(ctx, n.handler, a.EventID, e.ended-e.began)
		if _, unusable := errors.AsType[*postgres.UnusableError](e.cause); unusable || ctx.Err() != nil {
			return errors.Join(e.cause, ctx.Err())
		}
		n.ended = append(n.ended, e)
	}
	return nil
}

func (n *neighbours) finish(ctx context.Context, tx *postgres.Tx) error {
	config := n.worker.bus.config
	slices.SortFunc(n.ended, func(a, b ending) int { return bytes.Compare(a.EventID[:], b.EventID[:]) })
	if len(n.ended) == len(n.job.Args.Deliveries) && !slices.ContainsFunc(n.ended, func(e ending) bool { return e.cause != nil }) {
		return succeedTaken(ctx, tx, config, n.handler.name, &n.job.ID, n.ended...)
	}
	for i := range n.ended {
		if e := &n.ended[i]; e.cause != nil {
			e.failure = classify(ctx, config.HandlerTimeout, n.handler, e.attempt, e.cause)
			if err := e.noteRefusal(ctx, tx, e.failure.refused); err != nil {
				return err
			}
		}
	}
	if err := succeedTaken(ctx, tx, config, n.handler.name, nil, n.ended...); err != nil {
		return err
	}
	settled := map[deliveryRef]bool{}
	for i := range n.ended {
		e := &n.ended[i]
		if e.cause != nil {
			var err error
			if e.now, err = e.fail(ctx, tx, config, e.failure); err != nil {
				return err
			}
		}
		settled[e.ref()] = e.now.NextAttemptAt == nil
	}
	left := slices.DeleteFunc(slices.Clone(n.job.Args.Deliveries), func(ref deliveryRef) bool {
		return settled[ref] || n.skipped[ref.EventID]
	})
	return split(ctx, tx, n.job, left)
}

// count tells log and metrics how it ended.
func (n *neighbours) count(ctx context.Context) {
	for _, e := range n.ended {
		if e.cause == nil {
			n.worker.bus.counters.ended(n.handler.name, outcomeSucceeded)
			continue
		}
		n.worker.logFailed(ctx, n.handler, e.attempt, e.failure, value(e.now.Status), e.cause)
	}
}

func oneOrganization(refs []deliveryRef) (uuid.UUID, bool) {
	return refs[0].OrgID, !slices.ContainsFunc(refs, func(ref deliveryRef) bool { return ref.OrgID != refs[0].OrgID })
}

// chunkBy yields the runs of neighbouring elements that have the same key.
func chunkBy[E any, K comparable](all []E, key func(E) K) iter.Seq[[]E] {
	return func(yield func([]E) bool) {
		for len(all) > 0 {
			n := slices.IndexFunc(all, func(e E) bool { return key(e) != key(all[0]) })
			if n < 0 {
				n = len(all)
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

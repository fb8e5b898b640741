package eventbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// booksTimeout is how long a failed attempt tries to write down that it failed.
const booksTimeout = 15 * time.Second

// deliveryWorker attempts deliveries, in one of three ways. The first attempt of a handler that is known to be quick runs in
// the transaction that takes the delivery and ends it (quick.go), and shares it with its neighbours in the job where the
// handler is very quick (together.go): while the transaction lasts, its locks keep everybody else away; should the process
// end, nothing has happened. Any other attempt has a lease that all can see (alone.go).
type deliveryWorker struct {
	river.WorkerDefaults[deliveryArgs]

	bus *Bus
	db  *postgres.DB
}

// Timeout is River's own; the handler's is shorter, so that there is time to write down how it ended.
func (w *deliveryWorker) Timeout(*river.Job[deliveryArgs]) time.Duration { return w.bus.config.lease() }

// Work attempts the job's deliveries. It never returns a handler's error: retries are the deliveries', not the job's.
func (w *deliveryWorker) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	r, ok := w.bus.handlers[job.Args.Handler]
	if !ok {
		// Another version of the program knows it.
		return river.JobSnooze(time.Minute)
	}
	// A job that comes back was lost with its process: what is in it may be what ended the process.
	first, single := job.Attempt == 1, len(job.Args.Deliveries) == 1
	switch {
	case first && single && r.pace.isQuick():
		if err := w.workQuickly(ctx, job, r); !errors.Is(err, errNotTaken) {
			return err
		}
	case first && !single && r.pace.isVeryQuick():
		return w.workTogether(ctx, job, r)
	case !single:
		return w.workApart(ctx, job)
	}
	return w.workAlone(ctx, job, r)
}

// workApart gives the job's deliveries jobs of their own.
func (w *deliveryWorker) workApart(ctx context.Context, job *river.Job[deliveryArgs]) error {
	err := w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return split(ctx, tx, job, job.Args.Deliveries)
	})
	if err != nil {
		return w.notStarted(ctx, err)
	}
	return nil
}

// notStarted answers River when the books could not even be opened: the job is to come back soon.
func (w *deliveryWorker) notStarted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		w.bus.config.Logger.ErrorContext(ctx, "attempt not started", slog.Any("error", err))
	}
	return river.JobSnooze(time.Second)
}

// run runs the handler. A panic is an error.
func (w *deliveryWorker) run(ctx context.Context, tx *postgres.Tx, r *registration, a attempt) (err error) {
	payload, err := decodePayload(r.eventType, a.Payload)
	if err != nil {
		return givenUp(giveUpPayloadInvalid, err)
	}
	defer func() {
		if v := recover(); v != nil {
			w.bus.config.Logger.ErrorContext(ctx, "handler panicked", slog.String("handler", r.name), slog.Any("panic", v),
				slog.String("stack", string(debug.Stack())))
			err = panicError{value: v}
		}
	}()
	ctx = withRun(ctx, &run{
		eventID: a.EventID, handler: a.HandlerName, eventType: a.EventType, correlationID: a.CorrelationID, depth: a.Depth,
	})
	if err := tx.Claim(ctx); err != nil {
		return err
	}
	return r.handle(ctx, tx, a, payload)
}

// timed notes how long a run took.
func (w *deliveryWorker) timed(ctx context.Context, r *registration, eventID uuid.UUID, took time.Duration) {
	r.pace.note(took)
	w.bus.counters.ran(r.name, took)
	if took > SlowHandler {
		w.bus.config.Logger.WarnContext(ctx, "slow handler", slog.String("handler", r.name),
			slog.String("event_id", eventID.String()), slog.Int64("duration_ms", took.Milliseconds()))
	}
}

// failed writes down how the attempt ended, in a transaction of its own, and says when the job is to come back. It goes
// on trying for a while: what made the handler fail may be the database itself.
func (w *deliveryWorker) failed(
	work context.Context, job *river.Job[deliveryArgs], r *registration, a attempt, cause error,
	fail func(context.Context, *postgres.Tx, failure) (standing, error),
) error {
	f := classify(work, w.bus.config.HandlerTimeout, r, a, cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), booksTimeout)
	defer cancel()
	var now standing
	for {
		err := w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			tx.AfterCommit(w.bus.wake.changed)
			var err error
			if now, err = fail(ctx, tx, f); err != nil {
				return fmt.Errorf("mark the delivery failed: %w", err)
			}
			if value(now.Status) == "dead_letter" {
				return completeJob(ctx, tx, job)
			}
			return nil
		})
		if err == nil {
			break
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			// The lease runs out and the next attempt finds this one crashed.
			w.bus.config.Logger.ErrorContext(ctx, "failed attempt not written down", slog.Any("error", err))
			return river.JobSnooze(w.bus.config.lease())
		}
	}
	w.logFailed(ctx, r, a, f, value(now.Status), cause)
	switch {
	case now.Status == nil:
		return river.JobSnooze(w.bus.config.lease())
	case now.NextAttemptAt == nil:
		return nil
	default:
		return river.JobSnooze(max(f.retryIn, time.Millisecond))
	}
}

func (w *deliveryWorker) logFailed(ctx context.Context, r *registration, a attempt, f failure, status string, cause error) {
	w.bus.counters.ended(r.name, f.outcome)
	w.bus.config.Logger.WarnContext(ctx, "attempt failed", slog.String("handler", r.name),
		slog.String("event_id", a.EventID.String()), slog.String("event_type", a.EventType), slog.Int("attempt", a.Attempt),
		slog.String("outcome", f.outcome), slog.String("status", status), slog.Any("error", cause))
}

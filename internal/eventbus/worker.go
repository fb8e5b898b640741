package eventbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"google.golang.org/protobuf/proto"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// deliveryArgs are a job's: the delivery to attempt. The delivery's row is the truth; a job too many does no harm.
type deliveryArgs struct {
	EventID uuid.UUID `json:"event_id"`
	Handler string    `json:"handler"`
}

// Kind is the job's name in River.
func (deliveryArgs) Kind() string { return "event_delivery" }

// booksTimeout is how long a failed attempt tries to write down that it failed.
const booksTimeout = 15 * time.Second

// deliveryWorker attempts deliveries.
type deliveryWorker struct {
	river.WorkerDefaults[deliveryArgs]

	bus *Bus
	db  *postgres.DB
}

// Timeout is River's own; the handler's is shorter, so that there is time to write down how it ended.
func (w *deliveryWorker) Timeout(*river.Job[deliveryArgs]) time.Duration { return w.bus.config.lease() }

// Work makes one attempt. It never returns a handler's error: retries are the delivery's, not the job's.
func (w *deliveryWorker) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	registered, ok := w.bus.handlers[job.Args.Handler]
	if !ok {
		// Another version of the program knows it.
		return river.JobSnooze(time.Minute)
	}
	a, err := startAttempt(ctx, w.db, job.Args, w.bus.config)
	if err != nil {
		return w.startFailed(ctx, err)
	}
	switch a.Verdict {
	case "done":
		return nil
	case "wait":
		return river.JobSnooze(max(a.Wait, time.Millisecond))
	}
	started := time.Now()
	err = w.attempt(ctx, job, registered, a)
	if took := time.Since(started); took > SlowHandler {
		w.bus.config.Logger.WarnContext(ctx, "slow handler", slog.String("handler", registered.name),
			slog.String("event_id", a.EventID.String()), slog.Int64("duration_ms", took.Milliseconds()))
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, errAbandoned) {
		// The job is the other attempt's now. Ending it from here, well or badly, would take it away from there.
		return river.JobSnooze(w.bus.config.lease())
	}
	return w.failed(ctx, job, registered, a, err)
}

// startFailed answers River when the books could not even be opened: the job is to come back soon.
func (w *deliveryWorker) startFailed(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		w.bus.config.Logger.ErrorContext(ctx, "attempt not started", slog.Any("error", err))
	}
	return river.JobSnooze(time.Second)
}

// attempt runs the handler. Its effects, the delivery's success and the job's end are one transaction.
func (w *deliveryWorker) attempt(ctx context.Context, job *river.Job[deliveryArgs], r *registration, a attempt) error {
	if !a.ActorActive {
		return givenUp(giveUpActorRevoked, errors.New("who published the event may not act in the organisation any more"))
	}
	payload, err := decodePayload(r.eventType, a.Payload)
	if err != nil {
		return givenUp(giveUpPayloadInvalid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.bus.config.HandlerTimeout)
	defer cancel()
	return w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if held, err := a.hold(ctx, tx); err != nil || !held {
			return errors.Join(err, abandonedUnless(held || err != nil))
		}
		err := tx.As(ctx, a.publisher(), func(ctx context.Context) error { return w.handleSafely(ctx, tx, r, a, payload) })
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
		return completeJob(ctx, tx, job)
	})
}

// failed writes down how the attempt ended, in a transaction of its own, and says when the job is to come back. It goes
// on trying for a while: what made the handler fail may be the database itself.
func (w *deliveryWorker) failed(work context.Context, job *river.Job[deliveryArgs], r *registration, a attempt, cause error) error {
	f := classify(work, w.bus.config.HandlerTimeout, r, a, cause)
	if reason, ok := errors.AsType[givenUpError](cause); ok {
		f.giveUp = reason.reason
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), booksTimeout)
	defer cancel()
	var now standing
	for {
		err := w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			var err error
			if now, err = a.fail(ctx, tx, f); err != nil {
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
	w.bus.config.Logger.WarnContext(ctx, "attempt failed", slog.String("handler", r.name),
		slog.String("event_id", a.EventID.String()), slog.String("event_type", a.EventType), slog.Int("attempt", a.Attempt),
		slog.String("outcome", f.outcome), slog.String("status", value(now.Status)), slog.Any("error", cause))
	switch {
	case now.Status == nil:
		return river.JobSnooze(w.bus.config.lease())
	case now.NextAttemptAt == nil:
		return nil
	default:
		return river.JobSnooze(max(f.retryIn, time.Millisecond))
	}
}

// handleSafely turns a panic into an error.
func (w *deliveryWorker) handleSafely(
	ctx context.Context, tx *postgres.Tx, r *registration, a attempt, payload proto.Message,
) (err error) {
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

// completeJob ends the job in the same transaction. Where the job is not running any more, because River gave it to
// somebody else, the delivery's own state is what counts, and whoever has the job will find it done.
func completeJob(ctx context.Context, tx *postgres.Tx, job *river.Job[deliveryArgs]) error {
	_, err := river.JobCompleteTx[*riverpgxv5.Driver, pgx.Tx](ctx, tx, job)
	if err != nil && !errors.Is(err, rivertype.ErrNotFound) {
		return fmt.Errorf("complete the job: %w", err)
	}
	return nil
}

func abandonedUnless(held bool) error {
	if held {
		return nil
	}
	return errAbandoned
}

// givenUpError is an attempt that ended before its handler ran, for good.
type givenUpError struct {
	error

	reason string
}

func (e givenUpError) Unwrap() error { return e.error }

func givenUp(reason string, err error) error { return givenUpError{error: err, reason: reason} }

package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// attempt is one run of a handler for a delivery. It holds the delivery by a lease, or by the lock of the transaction that
// took it.
type attempt struct {
	OrgID         uuid.UUID
	EventID       uuid.UUID
	HandlerName   string
	LeaseToken    uuid.UUID     // for one with a lease
	Verdict       string        // what app.start_delivery says
	Wait          time.Duration // for the verdict 'wait'
	DeliveryID    uuid.UUID
	Attempt       int
	EventType     string
	SchemaVersion int32
	Payload       json.RawMessage
	Metadata      json.RawMessage
	PublishedAt   time.Time
	CreatedBy     *uuid.UUID
	CorrelationID uuid.UUID
	Depth         int32
	ActorActive   bool
}

// publisher is on whose behalf the handler runs.
func (a attempt) publisher() principal.Principal {
	if a.CreatedBy == nil {
		return principal.System(a.OrgID)
	}
	return principal.Principal{UserID: *a.CreatedBy, OrgID: a.OrgID}
}

// onBehalfOf tells publishers apart.
func (a attempt) onBehalfOf() string { return a.OrgID.String() + text(a.CreatedBy) }

func (a attempt) ref() deliveryRef { return deliveryRef{OrgID: a.OrgID, EventID: a.EventID} }

// startAttempt begins an attempt under a lease.
func startAttempt(ctx context.Context, db *postgres.DB, handler string, ref deliveryRef, lost lost, config Config) (attempt, error) {
	a := attempt{OrgID: ref.OrgID, EventID: ref.EventID, HandlerName: handler, LeaseToken: uuid.New()}
	// Should the server lose this commit in a crash, the attempt was not counted, and that is all.
	err := db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var (
			wait                    *time.Duration
			deliveryID, correlation *uuid.UUID
			number                  *int
			active                  *bool
			eventType               *string
			schema, depth           *int32
			published               *time.Time
		)
		err := tx.QueryRow(ctx, `
			SELECT verdict, wait, delivery_id, attempt, event_type, schema_version, payload, metadata,
				published_at, created_by, correlation_id, depth, actor_active
			FROM app.start_delivery($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			a.OrgID, a.EventID, a.HandlerName, a.LeaseToken, config.lease(), config.Worker, config.Version, lost.At, lost.Worker).
			Scan(&a.Verdict, &wait, &deliveryID, &number, &eventType, &schema, &a.Payload, &a.Metadata,
				&published, &a.CreatedBy, &correlation, &depth, &active)
		if err != nil {
			return err
		}
		a.Wait = value(wait)
		a.DeliveryID, a.CorrelationID = value(deliveryID), value(correlation)
		a.Attempt, a.ActorActive = value(number), value(active)
		a.EventType, a.SchemaVersion, a.Depth, a.PublishedAt = value(eventType), value(schema), value(depth), value(published)
		return nil
	})
	if err != nil {
		return attempt{}, fmt.Errorf("start the attempt: %w", err)
	}
	return a, nil
}

// hold locks the delivery; false for an attempt that lost its lease meanwhile.
func (a attempt) hold(ctx context.Context, tx *postgres.Tx) (bool, error) {
	return oneBool(ctx, tx, `SELECT app.hold_delivery($1, $2, $3, $4)`, a.OrgID, a.EventID, a.HandlerName, a.LeaseToken)
}

// succeed ends the attempt well; false for one that lost its lease.
func (a attempt) succeed(ctx context.Context, tx *postgres.Tx) (bool, error) {
	return oneBool(ctx, tx, `SELECT public.mark_event_processed($1, $2, $3, $4)`, a.OrgID, a.EventID, a.HandlerName, a.LeaseToken)
}

// standing is where a delivery stands after a failed attempt.
type standing struct {
	Status        *string // "failed", "pending", "dead_letter"; nil for an attempt that lost its lease
	NextAttemptAt *time.Time
}

// fail ends the attempt badly.
func (a attempt) fail(ctx context.Context, tx *postgres.Tx, f failure) (standing, error) {
	if err := a.noteRefusal(ctx, tx, f.refused); err != nil {
		return standing{}, err
	}
	rows, err := tx.Query(ctx, `SELECT status, next_attempt_at FROM public.mark_event_failed($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.OrgID, a.EventID, a.HandlerName, a.LeaseToken, f.outcome, f.message, f.retryIn, f.giveUp)
	if err != nil {
		return standing{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[standing])
}

func oneBool(ctx context.Context, tx *postgres.Tx, sql string, args ...any) (bool, error) {
	var ok bool
	err := tx.QueryRow(ctx, sql, args...).Scan(&ok)
	return ok, err
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

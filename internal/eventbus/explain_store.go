package eventbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// facts are what an explanation is made of.
type facts struct {
	now          time.Time
	event        *storedEvent
	handler      string
	handlerType  string             // what the handler handles; empty for one that was never registered
	delivery     *explainedDelivery // nil where there is none
	dispatched   bool
	attempts     []*storedAttempt // that ended badly, oldest first
	subscription *explainedSubscription
	workers      int32 // programs that run now and have the handler
	suspensions  []suspension
	disabledFor  string // why the handler was disabled when the event was dispatched
}

// explainedDelivery is a row of the table event_deliveries, with what lists leave out.
type explainedDelivery struct {
	Status         string
	AttemptCount   int32
	MaxAttempts    int32
	RunCount       int32
	AsSystem       bool
	LeaseExpiresAt *time.Time
	Worker         *string
	StartedAt      *time.Time
	NextAttemptAt  *time.Time
	FinishedAt     *time.Time
	ErrorMessage   *string
	Reason         *string
	DiscardReason  *string
	CreatedAt      time.Time
}

// explainedSubscription is a row of the table event_subscriptions.
type explainedSubscription struct {
	ID             uuid.UUID
	IsActive       bool
	CreatedAt      time.Time
	DisabledAt     *time.Time
	DisabledReason *string
}

// suspension is a stretch of time in which the organisation was not active; without an end it is not over.
type suspension struct {
	From  time.Time
	Until *time.Time
}

// findFacts reads what an explanation needs, as far as the caller may know it.
func findFacts(ctx context.Context, tx *postgres.Tx, eventID, handler string) (*facts, error) {
	event, err := findEvent(ctx, tx, eventID)
	if err != nil {
		return nil, err
	}
	f := &facts{event: event, handler: handler}
	var handlerType *string
	err = tx.QueryRow(ctx, `
		SELECT now(), (SELECT event_type FROM app.event_handlers WHERE name = $2),
			$3 <> 'pending' OR EXISTS (SELECT FROM public.event_deliveries WHERE event_id = $1)`, event.ID, handler, event.Status).
		Scan(&f.now, &handlerType, &f.dispatched)
	if err != nil {
		return nil, fmt.Errorf("find the handler: %w", err)
	}
	f.handlerType = value(handlerType)
	f.delivery, err = optional[explainedDelivery](ctx, tx, `
		SELECT status, attempt_count, max_attempts, run_count, as_system, lease_expires_at, worker, started_at, next_attempt_at,
			finished_at, error_message, reason, discard_reason, created_at
		FROM public.event_deliveries WHERE event_id = $1 AND handler_name = $2`, event.ID, handler)
	if err != nil {
		return nil, fmt.Errorf("find the delivery: %w", err)
	}
	if f.handlerType == "" && f.delivery == nil {
		return nil, apierr.NotFound(ReasonHandlerNotFound, "event handler")
	}
	f.subscription, err = optional[explainedSubscription](ctx, tx, `
		SELECT id, is_active, created_at, disabled_at, disabled_reason
		FROM public.event_subscriptions WHERE event_type = $1 AND handler_name = $2`, event.Type, handler)
	if err != nil {
		return nil, fmt.Errorf("find the subscription: %w", err)
	}
	return f, f.findHistory(ctx, tx)
}

// findHistory reads what happened to the event and around it.
func (f *facts) findHistory(ctx context.Context, tx *postgres.Tx) error {
	all, err := listAttempts(ctx, tx, f.event.ID)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.HandlerName == f.handler && a.Outcome != "succeeded" {
			f.attempts = append(f.attempts, a)
		}
	}
	if f.workers, err = handlerWorkers(ctx, tx, f.handler); err != nil {
		return err
	}
	if f.suspensions, err = listSuspensions(ctx, tx, f.event.PublishedAt); err != nil {
		return err
	}
	if f.delivery == nil || f.delivery.Status != "skipped" || f.subscription == nil {
		return nil
	}
	reason, err := optional[struct{ Reason *string }](ctx, tx, `
		SELECT new_values ->> 'disabled_reason' AS reason FROM public.audit_logs
		WHERE table_name = 'event_subscriptions' AND record_id = $1 AND id <= app.uuid_v7_floor($2::timestamptz + interval '1 second')
			AND 'is_active' = ANY (changed_fields) AND new_values ->> 'is_active' = 'false'
		ORDER BY id DESC LIMIT 1`, f.subscription.ID.String(), f.delivery.FinishedAt)
	if err != nil {
		return fmt.Errorf("find why the handler was disabled: %w", err)
	}
	if reason != nil {
		f.disabledFor = value(reason.Reason)
	}
	return nil
}

// listSuspensions returns when the caller's organisation was not active since a time, from its audit log: while it is not,
// nobody of it can ask.
func listSuspensions(ctx context.Context, tx *postgres.Tx, since time.Time) ([]suspension, error) {
	rows, err := tx.Query(ctx, `
		SELECT created_at, new_values ->> 'status' = 'active' AND new_values ->> 'deleted_at' IS NULL AS active
		FROM public.audit_logs
		WHERE table_name = 'organizations' AND record_id = app.org_id()::text AND changed_fields && ARRAY['status', 'deleted_at']
			AND created_at >= $1 AND id >= app.uuid_v7_floor($1)
		ORDER BY id`, since)
	if err != nil {
		return nil, fmt.Errorf("list suspensions: %w", err)
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		CreatedAt time.Time
		Active    bool
	}])
	if err != nil {
		return nil, fmt.Errorf("list suspensions: %w", err)
	}
	var found []suspension
	for _, c := range changes {
		open := len(found) > 0 && found[len(found)-1].Until == nil
		switch {
		case !c.Active && !open:
			found = append(found, suspension{From: c.CreatedAt})
		case c.Active && open:
			found[len(found)-1].Until = &c.CreatedAt
		}
	}
	return found, nil
}

// optional returns the row that the query finds, nil where it finds none.
func optional[T any](ctx context.Context, tx *postgres.Tx, sql string, args ...any) (*T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // no row is no error
	}
	return found, err
}

package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// ReasonHandlerNotFound is the reason for a handler that does not exist.
const ReasonHandlerNotFound = "EVENT_HANDLER_NOT_FOUND"

// warnAfter is how many different events fail in a row before a handler's state is a warning; app.disable_after() says
// when it is disabled.
const warnAfter = 3

// subscription is a row of the table event_subscriptions: a handler in one organisation.
type subscription struct {
	HandlerName         string
	EventType           string
	IsActive            bool
	FailureCount        int64
	ConsecutiveFailures int32
	LastFailureAt       *time.Time
	LastFailureMessage  *string
	LastSuccessAt       *time.Time
	DisabledAt          *time.Time
	AutoDisabledAt      *time.Time
	DisabledBy          *uuid.UUID
	DisabledByName      *string
	DisabledReason      *string
}

const selectSubscriptions = `
	SELECT s.handler_name, s.event_type, s.is_active, s.failure_count, s.consecutive_failures, s.last_failure_at,
		s.last_failure_message, s.last_success_at, s.disabled_at, s.auto_disabled_at, s.disabled_by,
		p.full_name AS disabled_by_name, s.disabled_reason
	FROM public.event_subscriptions s LEFT JOIN public.user_profiles p ON p.id = s.disabled_by`

func listSubscriptions(ctx context.Context, tx *postgres.Tx) ([]*subscription, error) {
	rows, err := tx.Query(ctx, selectSubscriptions+` ORDER BY s.handler_name`)
	if err != nil {
		return nil, fmt.Errorf("list event handlers: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[subscription])
	if err != nil {
		return nil, fmt.Errorf("list event handlers: %w", err)
	}
	return found, nil
}

func findSubscription(ctx context.Context, tx *postgres.Tx, name string) (*subscription, error) {
	rows, err := tx.Query(ctx, selectSubscriptions+` WHERE s.handler_name = $1`, name)
	if err != nil {
		return nil, fmt.Errorf("find event handler: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[subscription])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, apierr.NotFound(ReasonHandlerNotFound, "event handler")
	}
	if err != nil {
		return nil, fmt.Errorf("find event handler: %w", err)
	}
	return found, nil
}

// disableSubscription leaves one that is disabled already as it is: the first reason is the one that counts.
func disableSubscription(ctx context.Context, tx *postgres.Tx, name, reason string) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	_, err := tx.Exec(ctx, `
		UPDATE public.event_subscriptions
		SET is_active = false, disabled_at = now(), disabled_by = $2, disabled_reason = $3
		WHERE handler_name = $1 AND is_active`, name, p.UserID, strings.TrimSpace(reason))
	if err != nil {
		return fmt.Errorf("disable event handler: %w", err)
	}
	return nil
}

func enableSubscription(ctx context.Context, tx *postgres.Tx, name string) error {
	_, err := tx.Exec(ctx, `
		UPDATE public.event_subscriptions
		SET is_active = true, failing_events = '{}', disabled_at = NULL, auto_disabled_at = NULL, disabled_by = NULL,
			disabled_reason = NULL
		WHERE handler_name = $1`, name)
	if err != nil {
		return fmt.Errorf("enable event handler: %w", err)
	}
	return nil
}

func (s *subscription) state(bus *Bus) eventv1.EventHandlerState {
	switch {
	case bus.handlers[s.HandlerName] == nil:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_NOT_REGISTERED
	case s.AutoDisabledAt != nil:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_DISABLED_AUTOMATICALLY
	case !s.IsActive:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_DISABLED
	case s.ConsecutiveFailures >= warnAfter:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_WARNING
	case s.FailureCount > 0:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_HEALTHY_WITH_ERRORS
	default:
		return eventv1.EventHandlerState_EVENT_HANDLER_STATE_HEALTHY
	}
}

func (s *subscription) proto(bus *Bus) *eventv1.EventHandler {
	return &eventv1.EventHandler{
		Name: s.HandlerName, EventType: s.EventType, State: s.state(bus), FailureCount: s.FailureCount,
		ConsecutiveFailures: s.ConsecutiveFailures, LastFailureAt: timestamp(s.LastFailureAt),
		LastFailureMessage: value(s.LastFailureMessage), LastSuccessAt: timestamp(s.LastSuccessAt),
		DisabledAt: timestamp(s.DisabledAt), DisabledBy: text(s.DisabledBy), DisabledByName: value(s.DisabledByName),
		DisabledReason: value(s.DisabledReason),
	}
}

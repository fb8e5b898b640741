package eventbus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// errorsFor is how far back a handler's errors are grouped.
	errorsFor = 7 * day
	// errorsAtMost is how many of them, the newest.
	errorsAtMost = 1000
)

// GetEventHandler returns a handler, how it fared in the last 24 hours, and its errors.
func (s *HandlerService) GetEventHandler(
	ctx context.Context, r *eventv1.GetEventHandlerRequest,
) (*eventv1.GetEventHandlerResponse, error) {
	response := &eventv1.GetEventHandlerResponse{}
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		found, err := findSubscription(ctx, tx, r.GetName())
		if err != nil {
			return err
		}
		response.EventHandler = found.proto(s.bus)
		if response.Statistics, err = handlerStatistics(ctx, tx, found, time.Now()); err != nil {
			return err
		}
		attempts, err := listErrors(ctx, tx, r.GetName())
		response.ErrorGroups = groupErrors(attempts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// handlerStatistics is how a handler fared with the events of the last 24 hours, in whole hours.
func handlerStatistics(
	ctx context.Context, tx *postgres.Tx, of *subscription, now time.Time,
) (*eventv1.EventHandlerStatistics, error) {
	until := now.UTC().Truncate(time.Hour).Add(time.Hour)
	rows, _, err := readRollups(ctx, tx, span{from: now.UTC().Add(-day).Truncate(time.Hour), until: until, handler: of.HandlerName}, false)
	if err != nil {
		return nil, err
	}
	var sum point
	for _, row := range rows {
		sum.add(row)
	}
	out := &eventv1.EventHandlerStatistics{
		DeliveryCount: sum.deliveries, SucceededCount: sum.succeeded, DeadLetterCount: sum.deliveriesDead,
		SkippedCount: sum.skipped, UnfinishedCount: sum.deliveriesOpen, FailedAttemptCount: sum.failedAttempts,
		Ran: sum.ran.proto(), Waited: sum.waited.proto(),
	}
	if sum.succeeded+sum.failedAttempts > 0 {
		rate := 1 - sum.failureRate()
		out.SuccessRate = &rate
	}
	last, err := lastRun(ctx, tx, of.HandlerName)
	if err != nil {
		return nil, err
	}
	// An old event's run, after a replay, is known to the subscription alone.
	for _, at := range []*time.Time{of.LastSuccessAt, of.LastFailureAt} {
		if at != nil && (last == nil || at.After(*last)) {
			last = at
		}
	}
	out.LastRunAt = timestamp(last)
	out.WorkerCount, err = handlerWorkers(ctx, tx, of.HandlerName)
	return out, err
}

// listErrors returns the newest attempts of the handler that ended badly, by their events.
func listErrors(ctx context.Context, tx *postgres.Tx, handler string) ([]failedAttempt, error) {
	rows, err := tx.Query(ctx, `
		SELECT event_id, coalesce(error_message, '') AS error_message, finished_at
		FROM public.event_attempts
		WHERE handler_name = $1 AND event_id >= app.uuid_v7_floor(now() - $2::interval)
			AND outcome NOT IN ('succeeded', 'interrupted')
		ORDER BY event_id DESC LIMIT $3`, handler, errorsFor, errorsAtMost)
	if err != nil {
		return nil, fmt.Errorf("list errors: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[failedAttempt])
	if err != nil {
		return nil, fmt.Errorf("list errors: %w", err)
	}
	return found, nil
}

func sortNewestFirst(groups []*eventv1.ErrorGroup) {
	slices.SortStableFunc(groups, func(a, b *eventv1.ErrorGroup) int {
		return b.GetLastSeenAt().AsTime().Compare(a.GetLastSeenAt().AsTime())
	})
}

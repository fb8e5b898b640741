package eventbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// ReasonNotFound is the reason for an event that does not exist in the caller's organisation.
const ReasonNotFound = "EVENT_NOT_FOUND"

const eventColumns = `e.id, e.type, e.schema_version, e.status, e.payload, e.metadata, e.published_at, e.processed_at,
	e.retry_count, e.error_message, e.created_by, e.source, e.correlation_id, e.causation_id, e.depth`

func findEvent(ctx context.Context, tx *postgres.Tx, id string) (*storedEvent, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+eventColumns+`, p.full_name AS created_by_name
		FROM public.events e LEFT JOIN public.user_profiles p ON p.id = e.created_by
		WHERE e.id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("find event: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[storedEvent])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, apierr.NotFound(ReasonNotFound, "event")
	}
	if err != nil {
		return nil, fmt.Errorf("find event: %w", err)
	}
	return found, nil
}

// filters are what a list is filtered by; a page token is bound to them.
type filters struct {
	Types    []string
	Statuses []string
	Handler  string
	From, To *time.Time
	ID       string
}

func filtersOf(r *eventv1.ListEventsRequest) filters {
	f := filters{Types: slices.Clone(r.GetTypes()), Handler: r.GetHandlerName(), ID: r.GetId()}
	for _, status := range r.GetStatuses() {
		f.Statuses = append(f.Statuses, enumtext.Name(status))
	}
	if r.GetPublishedAfter() != nil {
		from := r.GetPublishedAfter().AsTime()
		f.From = &from
	}
	if r.GetPublishedBefore() != nil {
		to := r.GetPublishedBefore().AsTime()
		f.To = &to
	}
	slices.Sort(f.Types)
	slices.Sort(f.Statuses)
	f.Types, f.Statuses = slices.Compact(f.Types), slices.Compact(f.Statuses)
	return f
}

// listEvents walks one index per combination of types and states, each in order and each for one page at most, and merges
// what they find: however rare a state is, no walk passes over what was not asked for.
func listEvents(ctx context.Context, tx *postgres.Tx, by filters, after uuid.UUID, limit int) ([]*storedEvent, error) {
	where := postgres.NewFilter()
	walks := "(VALUES (1)) AS walk (n)"
	switch {
	case len(by.Types) > 0:
		statuses := by.Statuses
		if len(statuses) == 0 {
			statuses = enumtext.Names[eventv1.EventStatus]()
		}
		walks = "unnest(@types::text[]) AS t (type) CROSS JOIN unnest(@statuses::text[]) AS s (status)"
		where.And("e.type = t.type", "types", by.Types)
		where.And("e.status = s.status", "statuses", statuses)
	case len(by.Statuses) > 0:
		walks = "unnest(@statuses::text[]) AS s (status)"
		where.And("e.status = s.status", "statuses", by.Statuses)
	}
	if by.Handler != "" {
		where.And(`EXISTS (SELECT FROM public.event_deliveries d WHERE d.event_id = e.id AND d.handler_name = @handler)`,
			"handler", by.Handler)
	}
	// Ids begin with the time: a range of time is a range of ids, and of partitions.
	if by.From != nil {
		where.And("e.id >= app.uuid_v7_floor(@from)", "from", *by.From)
	}
	if by.To != nil {
		where.And("e.id < app.uuid_v7_floor(@to)", "to", *by.To)
	}
	if by.ID != "" {
		where.And("(e.id = @id OR e.correlation_id = @id)", "id", by.ID)
	}
	if after != uuid.Nil {
		where.And("e.id < @after", "after", after)
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT `+eventColumns+`, p.full_name AS created_by_name
		FROM `+walks+`
		CROSS JOIN LATERAL (
			SELECT `+eventColumns+` FROM public.events e WHERE `+where.SQL()+` ORDER BY e.id DESC LIMIT @limit
		) e
		LEFT JOIN public.user_profiles p ON p.id = e.created_by
		ORDER BY e.id DESC LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedEvent])
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return found, nil
}

func listDeliveries(ctx context.Context, tx *postgres.Tx, eventIDs ...uuid.UUID) ([]*storedDelivery, error) {
	if len(eventIDs) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT event_id, id, handler_name, status, attempt_count, max_attempts, next_attempt_at, finished_at,
			error_message, reason
		FROM public.event_deliveries WHERE event_id = ANY ($1) ORDER BY event_id, handler_name`, eventIDs)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedDelivery])
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

func listAttempts(ctx context.Context, tx *postgres.Tx, eventID uuid.UUID) ([]*storedAttempt, error) {
	rows, err := tx.Query(ctx, `
		SELECT handler_name, number, outcome, started_at, finished_at, error_message, worker, worker_version
		FROM public.event_attempts WHERE event_id = $1 ORDER BY handler_name, number`, eventID)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedAttempt])
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return found, nil
}

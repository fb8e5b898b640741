package eventbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

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

// clockTolerance is how far apart an event's id and its time may be: the publisher's clock makes the one, the database's the
// other, a moment later.
const clockTolerance = time.Minute

// filtering is a request with the filters of ListEvents.
type filtering interface {
	GetTypes() []string
	GetStatuses() []eventv1.EventStatus
	GetHandlerName() string
	GetPublishedAfter() *timestamppb.Timestamp
	GetPublishedBefore() *timestamppb.Timestamp
	GetId() string
}

func filtersOf(r filtering) (filters, error) {
	f := filters{Types: slices.Clone(r.GetTypes()), Handler: r.GetHandlerName(), ID: r.GetId()}
	for _, status := range r.GetStatuses() {
		f.Statuses = append(f.Statuses, enumtext.Name(status))
	}
	var err error
	if f.From, err = timeOf("published_after", r.GetPublishedAfter()); err != nil {
		return filters{}, err
	}
	if f.To, err = timeOf("published_before", r.GetPublishedBefore()); err != nil {
		return filters{}, err
	}
	slices.Sort(f.Types)
	slices.Sort(f.Statuses)
	f.Types, f.Statuses = slices.Compact(f.Types), slices.Compact(f.Statuses)
	return f, nil
}

// timeOf returns the time, nil where none was sent; JSON has no others, but a binary request may hold one that is none.
func timeOf(field string, sent *timestamppb.Timestamp) (*time.Time, error) {
	if sent == nil {
		return nil, nil //nolint:nilnil // no time is no error
	}
	if err := sent.CheckValid(); err != nil {
		return nil, apierr.Invalid(apierr.Violation{
			Field: field, Rule: "event.time", Message: "A time is in one of the years 1 to 9999.",
		}).Because(err)
	}
	t := sent.AsTime()
	return &t, nil
}

// listEvents returns the events that match, newest first.
func listEvents(ctx context.Context, tx *postgres.Tx, by filters, after uuid.UUID, limit int) ([]*storedEvent, error) {
	walks, args := by.walks(after, limit)
	rows, err := tx.Query(ctx, `
		SELECT `+eventColumns+`, p.full_name AS created_by_name
		FROM (`+walks+`) e
		LEFT JOIN public.user_profiles p ON p.id = e.created_by
		ORDER BY e.id DESC LIMIT @limit`, args)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedEvent])
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return found, nil
}

// listEventIDs returns the ids of the events that match, newest first.
func listEventIDs(ctx context.Context, tx *postgres.Tx, by filters, limit int) ([]uuid.UUID, error) {
	walks, args := by.walks(uuid.Nil, limit)
	rows, err := tx.Query(ctx, `SELECT e.id FROM (`+walks+`) e ORDER BY e.id DESC LIMIT @limit`, args)
	if err != nil {
		return nil, fmt.Errorf("choose events: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("choose events: %w", err)
	}
	return found, nil
}

// walks is the query for what matches: one walk through an index per combination of types and states, each in order and each
// for one page at most. However rare a state is, no walk passes over what was not asked for. The states are written into
// the query, so that the planner knows how rare each of them is.
func (f filters) walks(after uuid.UUID, limit int) (string, pgx.NamedArgs) {
	where := f.where(after)
	where.Args["limit"] = limit
	statuses := f.Statuses
	if len(f.Types) > 0 {
		where.Args["types"] = f.Types
		if len(statuses) == 0 {
			// The index of types goes on with the state: in order only within one.
			statuses = enumtext.Names[eventv1.EventStatus]()
		}
	}
	var walks []string
	for _, status := range statuses {
		walks = append(walks, walk(f, where.SQL()+" AND e.status = "+literal(status)))
	}
	if len(walks) == 0 {
		walks = []string{walk(f, where.SQL())}
	}
	return strings.Join(walks, " UNION ALL "), where.Args
}

// walk is the query for one page of what meets the conditions.
func walk(by filters, conditions string) string {
	switch {
	case len(by.Types) > 0:
		return `(SELECT ` + eventColumns + ` FROM unnest(@types::text[]) AS t (type) CROSS JOIN LATERAL (
			SELECT ` + eventColumns + ` FROM public.events e WHERE ` + conditions + ` AND e.type = t.type
			ORDER BY e.id DESC LIMIT @limit) e)`
	case by.Handler != "" && len(by.Statuses) == 0:
		// A handler's deliveries, newest first, lead straight to its events.
		return `(SELECT ` + eventColumns + ` FROM public.event_deliveries h
			JOIN public.events e ON e.org_id = h.org_id AND e.id = h.event_id
			WHERE h.handler_name = @handler AND ` + conditions + ` ORDER BY h.event_id DESC LIMIT @limit)`
	default:
		return `(SELECT ` + eventColumns + ` FROM public.events e WHERE ` + conditions + ` ORDER BY e.id DESC LIMIT @limit)`
	}
}

func (f filters) where(after uuid.UUID) *postgres.Filter {
	where := postgres.NewFilter("true")
	if f.Handler != "" {
		where.And(`EXISTS (SELECT FROM public.event_deliveries d WHERE d.event_id = e.id AND d.handler_name = @handler)`,
			"handler", f.Handler)
	}
	// Ids begin with the time, more or less: a range of time is within a range of ids, and of partitions.
	if f.From != nil {
		where.And("e.published_at >= @from", "from", *f.From)
		where.And("e.id >= app.uuid_v7_floor(@from_id)", "from_id", f.From.Add(-clockTolerance))
	}
	if f.To != nil {
		where.And("e.published_at < @to", "to", *f.To)
		where.And("e.id < app.uuid_v7_floor(@to_id)", "to_id", f.To.Add(clockTolerance))
	}
	if f.ID != "" {
		where.And("(e.id = @id OR e.correlation_id = @id)", "id", f.ID)
	}
	if after != uuid.Nil {
		where.And("e.id < @after", "after", after)
	}
	return where
}

// literal writes one of the schema's own names into a query.
func literal(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

func listDeliveries(ctx context.Context, tx *postgres.Tx, eventIDs ...uuid.UUID) ([]*storedDelivery, error) {
	if len(eventIDs) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT event_id, id, handler_name, status, attempt_count, max_attempts, next_attempt_at, finished_at,
			CASE WHEN status = 'discarded' THEN discard_reason ELSE error_message END AS error_message, reason
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
		FROM public.event_attempt_history WHERE event_id = $1 ORDER BY handler_name, number`, eventID)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedAttempt])
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return found, nil
}

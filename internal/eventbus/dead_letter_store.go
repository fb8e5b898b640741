package eventbus

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// deadLetterFilters are what the list is filtered by; a page token is bound to them.
type deadLetterFilters struct {
	Handler, Type, Reason, Search string
	From, To                      *time.Time
	Archived                      bool
}

func deadLetterFiltersOf(r *eventv1.ListDeadLettersRequest) (by deadLetterFilters, err error) {
	by = deadLetterFilters{
		Handler: r.GetHandlerName(), Type: r.GetEventType(), Reason: r.GetReason(), Search: r.GetSearch(), Archived: r.GetArchived(),
	}
	if by.From, err = timeOf("published_after", r.GetPublishedAfter()); err != nil {
		return by, err
	}
	by.To, err = timeOf("published_before", r.GetPublishedBefore())
	return by, err
}

// deadLetter is a delivery that was given up, with what the list tells of its event.
type deadLetter struct {
	ID           uuid.UUID
	EventID      uuid.UUID
	Type         string
	HandlerName  string
	AttemptCount int32
	Reason       *string
	ErrorMessage *string
	PublishedAt  time.Time
	FinishedAt   *time.Time
	ArchivedAt   *time.Time
}

// listDeadLetters walks the index of the events that stand at a dead letter: no index knows the states of deliveries.
func listDeadLetters(
	ctx context.Context, tx *postgres.Tx, by deadLetterFilters, after page.Token, limit int,
) ([]*deadLetter, error) {
	where := by.where()
	if after.After != uuid.Nil {
		where.And("e.id <= @after", "after", after.After)
		where.And("(e.id < @after OR d.handler_name > @after_name)", "after_name", after.Key)
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT d.id, d.event_id, e.type, d.handler_name, d.attempt_count, d.reason, d.error_message, e.published_at, d.finished_at,
			CASE WHEN d.archived_at >= d.finished_at THEN d.archived_at END AS archived_at
		FROM public.events e JOIN public.event_deliveries d ON d.org_id = e.org_id AND d.event_id = e.id
		WHERE `+where.SQL()+` ORDER BY e.id DESC, d.handler_name LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[deadLetter])
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return found, nil
}

func (f deadLetterFilters) where() *postgres.Filter {
	where := postgres.NewFilter("e.status = 'dead_letter'", "d.status = 'dead_letter'")
	where.And("(coalesce(d.archived_at >= d.finished_at, false) = @archived)", "archived", f.Archived)
	for _, c := range []struct{ clause, name, value string }{
		{"d.handler_name = @handler", "handler", f.Handler},
		{"e.type = @type", "type", f.Type},
		{"d.reason = @reason", "reason", f.Reason},
	} {
		if c.value != "" {
			where.And(c.clause, c.name, c.value)
		}
	}
	if f.Search != "" {
		where.And("lower(d.error_message) LIKE @search", "search", postgres.Contains(f.Search))
	}
	if f.From != nil {
		where.And("e.published_at >= @from", "from", *f.From)
		where.And("e.id >= app.uuid_v7_floor(@from_id)", "from_id", f.From.Add(-clockTolerance))
	}
	if f.To != nil {
		where.And("e.published_at < @to", "to", *f.To)
		where.And("e.id < app.uuid_v7_floor(@to_id)", "to_id", f.To.Add(clockTolerance))
	}
	return where
}

// countDeliveries counts how many of the deliveries there are.
func countDeliveries(ctx context.Context, tx *postgres.Tx, keys deliveryKeys) (n int32, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*)
		FROM (SELECT DISTINCT p.id, p.handler FROM unnest($1::uuid[], $2::text[]) AS p (id, handler)) p
		JOIN public.event_deliveries d ON d.event_id = p.id AND d.handler_name = p.handler`, keys.eventIDs, keys.handlers).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	return n, nil
}

func (d *deadLetter) proto() *eventv1.DeadLetter {
	return &eventv1.DeadLetter{
		Id: d.ID.String(), EventId: d.EventID.String(), EventType: d.Type, HandlerName: d.HandlerName, AttemptCount: d.AttemptCount,
		Reason: value(d.Reason), ErrorMessage: value(d.ErrorMessage), PublishedAt: timestamppb.New(d.PublishedAt),
		FinishedAt: timestamp(d.FinishedAt), ArchivedAt: timestamp(d.ArchivedAt),
	}
}

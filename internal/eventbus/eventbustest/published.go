package eventbustest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/intime-solutions/intime/internal/eventbus"
)

// Querier is where to look for events: a superuser's connection, or a transaction of somebody who may read events, which
// sees what it has published itself.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Published is an event as it is stored.
type Published[T eventbus.Event] struct {
	ID            uuid.UUID
	OrgID         uuid.UUID
	Event         T
	CreatedBy     *uuid.UUID // nil for the system
	Source        string
	CorrelationID uuid.UUID
	CausationID   *uuid.UUID // nil where no handler published it
	Depth         int
}

// RequirePublished fails the test unless exactly one event of the type was published that all the matchers accept, and
// returns it.
func RequirePublished[T eventbus.Event](tb testing.TB, in Querier, match ...func(p Published[T]) bool) Published[T] {
	tb.Helper()
	all, matching := published(tb, in, match)
	require.Len(tb, matching, 1, "%d events match, not 1; of type %s there are:%s", len(matching), typeOf[T](), describe(all))
	return matching[0]
}

// RequireNotPublished fails the test if an event of the type was published that all the matchers accept.
func RequireNotPublished[T eventbus.Event](tb testing.TB, in Querier, match ...func(p Published[T]) bool) {
	tb.Helper()
	_, matching := published(tb, in, match)
	require.Empty(tb, matching, "published:%s", describe(matching))
}

func typeOf[T eventbus.Event]() string {
	var zero T
	return zero.EventType()
}

// published returns all events of the type, oldest first, and those that match.
func published[T eventbus.Event](tb testing.TB, in Querier, match []func(Published[T]) bool) (all, matching []Published[T]) {
	tb.Helper()
	requireSight(tb, in)
	rows, err := in.Query(tb.Context(), `
		SELECT id, org_id, payload, created_by, source, correlation_id, causation_id, depth
		FROM public.events WHERE type = $1 ORDER BY id`, typeOf[T]())
	require.NoError(tb, err)
	all, err = pgx.CollectRows(rows, scan[T])
	require.NoError(tb, err)
	for _, p := range all {
		accepted := true
		for _, accepts := range match {
			accepted = accepted && accepts(p)
		}
		if accepted {
			matching = append(matching, p)
		}
	}
	return all, matching
}

func scan[T eventbus.Event](row pgx.CollectableRow) (p Published[T], err error) {
	var payload []byte
	if err := row.Scan(&p.ID, &p.OrgID, &payload, &p.CreatedBy, &p.Source, &p.CorrelationID, &p.CausationID, &p.Depth); err != nil {
		return p, err
	}
	var zero T
	message, ok := zero.ProtoReflect().New().Interface().(T)
	if !ok {
		return p, fmt.Errorf("a new %T is none", zero)
	}
	p.Event = message
	return p, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(payload, message)
}

// requireSight fails the test where nothing would be found whatever was published: row level security hides events from who
// may not read them.
func requireSight(tb testing.TB, in Querier) {
	tb.Helper()
	rows, err := in.Query(tb.Context(), `
		SELECT CASE WHEN current_user = 'authenticated' THEN app.has_permission('event:read') ELSE true END`)
	require.NoError(tb, err)
	sees, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	require.NoError(tb, err)
	require.True(tb, sees, "whose transaction this is may not read events: look with the superuser's connection")
}

func describe[T eventbus.Event](all []Published[T]) string {
	if len(all) == 0 {
		return " none"
	}
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "\n  %s %s", p.ID, protojson.Format(p.Event))
	}
	return b.String()
}

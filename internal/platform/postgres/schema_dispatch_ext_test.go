package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

type dispatched struct {
	Taken        int32
	EventIDs     []uuid.UUID
	HandlerNames []string
}

// dispatch dispatches, and tells what the queue got of it.
func dispatch(t *testing.T, tx querier, limit any) dispatched {
	t.Helper()
	rows, err := tx.Query(t.Context(), `
		WITH before AS MATERIALIZED (SELECT coalesce(max(id), 0) AS id FROM river.river_job)
		SELECT before.id, d.taken FROM before, app.dispatch_events($1, 100, NULL, '{}') d`, limit)
	require.NoError(t, err)
	type answer struct {
		ID    int64
		Taken int32
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[answer])
	require.NoError(t, err)
	d := dispatched{Taken: a.Taken}
	rows, err = tx.Query(t.Context(), `
		SELECT (d.ref ->> 'event_id')::uuid, j.args ->> 'handler'
		FROM river.river_job j CROSS JOIN jsonb_array_elements(j.args -> 'deliveries') AS d (ref)
		WHERE j.id > $1 ORDER BY 1, 2`, a.ID)
	require.NoError(t, err)
	var (
		id      uuid.UUID
		handler string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &handler}, func() error {
		d.EventIDs, d.HandlerNames = append(d.EventIDs, id), append(d.HandlerNames, handler)
		return nil
	})
	require.NoError(t, err)
	return d
}

func TestSchema_DispatchEvents(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	handlers := column[string](t, b.Admin, `SELECT name FROM app.event_handlers WHERE event_type = 'job.created' ORDER BY 1`)
	require.NotEmpty(t, handlers)
	require.Equal(t, dispatched{}, dispatch(t, b.worker, 10), "there is nothing")
	one, two := b.event(t), b.event(t)

	d := dispatch(t, b.worker, 1)
	require.EqualValues(t, 1, d.Taken)
	require.Equal(t, handlers, d.HandlerNames)
	require.Equal(t, []string{"job-created"}, column[string](t, b.Admin, `
		SELECT DISTINCT queue FROM river.river_job WHERE kind = 'event_delivery'`))
	require.Equal(t, one, d.EventIDs[0], "the oldest first")
	d = dispatch(t, b.worker, nil)
	require.EqualValues(t, 1, d.Taken)
	require.Equal(t, two, d.EventIDs[0])
	require.Equal(t, dispatched{}, dispatch(t, b.worker, 10), "an event is dispatched once")
	require.Equal(t, 2*len(handlers), b.count(t, `SELECT count(*) FROM event_deliveries WHERE event_id = ANY ($1) AND status = 'pending'`,
		[]uuid.UUID{one, two}))
	require.Equal(t, "pending", b.published(t, one).Status)

	// Disabled for this organisation: skipped, with the reason; with nobody else to wait for the event is done.
	b.exec(t, `UPDATE event_subscriptions SET is_active = false WHERE org_id = $1`, b.org.Org)
	skipped := b.event(t)
	d = dispatch(t, b.worker, 10)
	require.Equal(t, dispatched{Taken: 1}, d)
	require.Equal(t, "skipped 0 of 3, attempts: none, event processed, retries 0, error none, reason handler_disabled",
		b.rows(t, skipped, handlers[0]))
	require.Equal(t, "done", b.start(t, skipped, handlers[0], uuid.New()).Verdict)

	// Nobody subscribes: done as well.
	b.exec(t, `DELETE FROM event_subscriptions WHERE org_id = $1`, b.org.Org)
	lonely := b.event(t)
	require.Equal(t, dispatched{Taken: 1}, dispatch(t, b.worker, 10))
	require.Equal(t, "processed", b.published(t, lonely).Status)

	b.event(t)
	_, err := b.worker.Exec(t.Context(), `SELECT app.dispatch_events(-1, 100, NULL, '{}')`)
	require.Error(t, err)
}

// Two dispatchers at once share the events; a dispatcher that goes down leaves them to others.
func TestSchema_DispatchEvents_AtOnce(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	one, two, three := b.event(t), b.event(t), b.event(t)
	tx, err := b.worker.Begin(t.Context())
	require.NoError(t, err)
	require.Equal(t, one, dispatch(t, tx, 1).EventIDs[0])
	other := b.login(t, postgres.LoginWorker)
	d := dispatch(t, other, 10)
	require.EqualValues(t, 2, d.Taken)
	require.NotContains(t, d.EventIDs, one)
	require.Contains(t, d.EventIDs, two)
	require.Contains(t, d.EventIDs, three)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Zero(t, b.count(t, `SELECT count(*) FROM event_deliveries WHERE event_id = $1`, one))
	require.Equal(t, one, dispatch(t, other, 10).EventIDs[0])
}

func TestSchema_OverdueDeliveries(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	overdue := func(limit any) []string {
		t.Helper()
		return column[string](t, b.worker, `SELECT handler_name FROM app.overdue_deliveries('5 minutes', $1) ORDER BY 1`, limit)
	}
	require.Empty(t, overdue(10))
	// An event of an hour ago, whose deliveries stand differently.
	var event uuid.UUID
	b.scan(t, `INSERT INTO events (id, org_id, type, payload, source, correlation_id)
		VALUES (app.uuid_v7_floor(now() - interval '1 hour'), @org, 'job.created', '{}', 'api', app.uuid_v7()) RETURNING id`,
		pgx.NamedArgs{"org": b.org.Org}, &event)
	for handler, columns := range map[string]string{
		"a lost":            "status = 'pending', created_at = now() - interval '1 hour'",
		"b not yet due":     "status = 'pending', next_attempt_at = now() + interval '1 minute', created_at = now() - interval '1 hour'",
		"c retry lost":      "status = 'failed', next_attempt_at = now() - interval '6 minutes'",
		"d retry to come":   "status = 'failed', next_attempt_at = now() + interval '1 minute'",
		"e crashed":         "status = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() - interval '6 minutes'",
		"f running":         "status = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 minute'",
		"g succeeded":       "status = 'succeeded', created_at = now() - interval '1 hour'",
		"h just created":    "status = 'pending'",
		"i dead":            "status = 'dead_letter', created_at = now() - interval '1 hour'",
		"j skipped already": "status = 'skipped', created_at = now() - interval '1 hour'",
	} {
		b.exec(t, insertDelivery, event, handler, b.org.Org)
		b.exec(t, `UPDATE event_deliveries SET `+columns+` WHERE event_id = $1 AND handler_name = $2`, event, handler)
	}
	require.Equal(t, []string{"a lost", "c retry lost", "e crashed"}, overdue(10))
	require.Len(t, overdue(2), 2)
	require.Equal(t, []string{"a lost", "c retry lost", "e crashed"}, overdue(nil))
	b.exec(t, `UPDATE organizations SET status = 'suspended' WHERE id = $1`, b.org.Org)
	require.Empty(t, overdue(10))
}

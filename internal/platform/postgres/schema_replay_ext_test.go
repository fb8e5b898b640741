package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

type replayed struct{ Replayed, Skipped, NotFound int32 }

// replay replays events as a person of the organisation, and commits.
func (w *world) replay(t *testing.T, conn *pgx.Conn, claims string, events ...any) (replayed, error) {
	t.Helper()
	var r replayed
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), actAs, claims)
		require.NoError(t, err)
		ids := make([]*uuid.UUID, len(events))
		for i, event := range events {
			if id, ok := event.(uuid.UUID); ok {
				ids[i] = &id
			}
		}
		return tx.QueryRow(t.Context(), `SELECT replayed, skipped, not_found FROM replay_failed_events($1)`, ids).
			Scan(&r.Replayed, &r.Skipped, &r.NotFound)
	})
	return r, err
}

func TestSchema_ReplayFailedEvents(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	api := b.login(t, postgres.LoginAPI)
	admin, other := claimsOf(person(t, "admin").ID()), claimsOf(person(t, "greta@globex.example").ID())
	event := b.event(t, "one", "two")
	require.True(t, b.processed(t, event, "one", b.run(t, event, "one")))
	b.failed(t, event, "two", b.run(t, event, "two"), "failed", "no luck", time.Second, "permanent")
	fine := b.event(t)
	b.exec(t, `DELETE FROM event_outbox`)
	dead := b.rows(t, event, "two")

	// Another organisation's admin does not find it, and those who may not replay change nothing.
	r, err := b.replay(t, api, other, event, uuid.New())
	require.NoError(t, err)
	require.Equal(t, replayed{NotFound: 2}, r)
	for name, claims := range map[string]string{
		"recruiter": claimsOf(b.org.Recruiter), "nobody": "", "the system, through the API": claimsOfSystem(b.org.Org),
	} {
		_, err := b.replay(t, api, claims, event)
		requireState(t, stateDenied, err, name)
	}
	tooMany := make([]any, 101)
	for i := range tooMany {
		tooMany[i] = uuid.New()
	}
	_, err = b.replay(t, api, admin, tooMany...)
	requireState(t, "22023", err)
	for _, nothing := range [][]any{nil, {nil}, {nil, nil}} {
		r, err := b.replay(t, api, admin, nothing...)
		require.NoError(t, err)
		require.Equal(t, replayed{}, r)
	}
	as(t, api, admin, func(tx pgx.Tx) {
		var n *int32
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT replayed FROM replay_failed_events(NULL)`).Scan(&n))
		require.Equal(t, new(int32(0)), n)
	})
	require.Equal(t, dead, b.rows(t, event, "two"))

	// What had succeeded stays so; what had failed goes through the outbox again, as the same event. Once.
	r, err = b.replay(t, api, admin, event, event, fine, uuid.New(), nil)
	require.NoError(t, err)
	require.Equal(t, replayed{Replayed: 1, Skipped: 1, NotFound: 1}, r)
	require.Equal(t, "succeeded 1 of 3, attempts: 1 succeeded, event pending, retries 0, error none, reason none", b.rows(t, event, "one"))
	require.Equal(t, "pending 0 of 3, attempts: 1 failed, event pending, retries 0, error none, reason none", b.rows(t, event, "two"))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM event_outbox WHERE event_id = $1 AND org_id = $2`, event, b.org.Org))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM events WHERE id = $1 AND metadata @> '{"replayed": true}'
		AND metadata ? 'replayed_at' AND metadata ->> 'replayed_by' = $2`, event, person(t, "admin").ID().String()))
	again, err := b.replay(t, api, admin, event)
	require.NoError(t, err)
	require.Equal(t, replayed{Skipped: 1}, again, "two clicks replay once")
	rows := b.audit(t, event)
	require.Equal(t, "event.replayed", rows[len(rows)-1].Action)
	require.Equal(t, new(person(t, "admin").ID()), rows[len(rows)-1].ActorID)
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM audit_logs WHERE record_id = $1 AND action = 'event.replayed'`, event.String()))
}

// Five different events have to fail in a row before a handler is disabled, and for one organisation only.
func TestSchema_NoteFailure(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	handler := column[string](t, b.Admin, `SELECT name FROM app.event_handlers WHERE event_type = 'job.created' ORDER BY 1 LIMIT 1`)[0]
	fail := func(event uuid.UUID) {
		t.Helper()
		b.failed(t, event, handler, b.run(t, event, handler), "failed", "no luck", time.Second, nil)
	}
	health := func(org uuid.UUID) string {
		t.Helper()
		return column[string](t, b.Admin, `
			SELECT format('%s in a row, %s in all, active %s', consecutive_failures, failure_count, is_active)
			FROM event_subscriptions WHERE org_id = $1 AND handler_name = $2`, org, handler)[0]
	}
	stubborn := b.event(t, handler)
	for range 3 {
		fail(stubborn)
	}
	require.Equal(t, "1 in a row, 3 in all, active t", health(b.org.Org), "one event counts once in the row")
	succeeds := b.event(t, handler)
	require.True(t, b.processed(t, succeeds, handler, b.run(t, succeeds, handler)))
	require.Equal(t, "0 in a row, 3 in all, active t", health(b.org.Org), "a success ends the row")
	for i := range 4 {
		fail(b.event(t, handler))
		require.Equal(t, fmt.Sprintf("%d in a row, %d in all, active t", i+1, i+4), health(b.org.Org))
	}
	revoked := b.event(t, handler)
	b.failed(t, revoked, handler, b.run(t, revoked, handler), "failed", "gone", time.Second, "actor_revoked")
	require.Equal(t, "4 in a row, 7 in all, active t", health(b.org.Org), "that was not the handler's doing")
	fail(b.event(t, handler))
	require.Equal(t, "5 in a row, 8 in all, active f", health(b.org.Org))
	require.Equal(t, "0 in a row, 0 in all, active t", health(b.B.Org), "one organisation does not disable another's")
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM event_subscriptions
		WHERE NOT is_active AND auto_disabled_at = disabled_at AND disabled_by IS NULL AND disabled_reason IS NOT NULL`))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM audit_logs
		WHERE action = 'handler.updated' AND actor_kind = 'system' AND changed_fields @> '{is_active}'`))
}

// What was skipped while its handler was disabled runs when somebody who may asks for it.
func TestSchema_RunSkipped(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	api := b.login(t, postgres.LoginAPI)
	var events []uuid.UUID
	for range 3 {
		event := b.event(t, "h")
		b.exec(t, `UPDATE event_deliveries SET status = 'skipped', reason = 'handler_disabled', finished_at = now() WHERE event_id = $1`,
			event)
		events = append(events, event)
	}
	b.exec(t, `DELETE FROM event_outbox`)
	run := func(claims string, args ...any) (n int32, err error) {
		err = pgx.BeginFunc(t.Context(), api, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), actAs, claims)
			require.NoError(t, err)
			return tx.QueryRow(t.Context(), `SELECT app.run_skipped($1, $2, $3)`, args...).Scan(&n)
		})
		return n, err
	}
	hourAgo := time.Now().Add(-time.Hour)
	for name, claims := range map[string]string{"recruiter": claimsOf(b.org.Recruiter), "nobody": ""} {
		_, err := run(claims, "h", hourAgo, 10)
		requireState(t, stateDenied, err, name)
	}
	admin := claimsOf(person(t, "admin").ID())
	for name, c := range map[string]struct {
		claims string
		args   []any
	}{
		"another organisation's admin": {claimsOf(person(t, "greta@globex.example").ID()), []any{"h", hourAgo, 10}},
		"another handler":              {admin, []any{"x", hourAgo, 10}},
		"no handler":                   {admin, []any{nil, hourAgo, 10}},
		"no time":                      {admin, []any{"h", nil, 10}},
		"later ones":                   {admin, []any{"h", time.Now().Add(time.Hour), 10}},
		"none of them":                 {admin, []any{"h", hourAgo, 0}},
	} {
		n, err := run(c.claims, c.args...)
		require.NoError(t, err, name)
		require.Zero(t, n, name)
	}
	n, err := run(admin, "h", hourAgo, 2)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	n, err = run(admin, "h", hourAgo, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "what is left")
	n, err = run(admin, "h", hourAgo, 10)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, 3, b.count(t, `SELECT count(*) FROM event_outbox WHERE event_id = ANY ($1)`, events))
	require.Equal(t, 3, b.count(t, `SELECT count(*) FROM event_deliveries WHERE event_id = ANY ($1) AND status = 'pending'`, events))
}

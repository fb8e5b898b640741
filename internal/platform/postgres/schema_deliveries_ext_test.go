package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// bus is the worker's side of an event: what the functions answer, and what became of the rows.
type bus struct {
	*world

	worker *pgx.Conn
	org    tenant
}

func newBus(t *testing.T) *bus {
	t.Helper()
	w := newWorld(t)
	w.exec(t, `DELETE FROM event_outbox`)
	return &bus{world: w, worker: w.login(t, postgres.LoginWorker), org: w.A}
}

const insertDelivery = `INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts) VALUES ($1, $2, $3, 3)`

// event publishes an event with deliveries at the handlers, each with three attempts.
func (b *bus) event(t *testing.T, handlers ...string) uuid.UUID {
	t.Helper()
	id, err := publish(t, b.login(t, postgres.LoginAPI), claimsOf(b.org.Recruiter), "job.created", `{"n": 1}`)
	require.NoError(t, err)
	for _, handler := range handlers {
		b.exec(t, insertDelivery, id, handler, b.org.Org)
	}
	return id
}

type started struct {
	Verdict     string
	Wait        *time.Duration
	DeliveryID  *uuid.UUID
	Attempt     *int32
	EventType   *string
	Payload     *string
	CreatedBy   *uuid.UUID
	ActorActive *bool
}

func (b *bus) start(t *testing.T, event any, handler any, token any) started {
	t.Helper()
	rows, err := b.worker.Query(t.Context(), `SELECT verdict, wait, delivery_id, attempt, event_type, payload::text AS payload,
		created_by, actor_active FROM app.start_delivery($1, $2, $3, $4, '1 minute', 'worker-1', 'v1', NULL, NULL)`,
		b.org.Org, event, handler, token)
	require.NoError(t, err)
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[started])
	require.NoError(t, err)
	return s
}

// run starts an attempt that has to run, and returns its token.
func (b *bus) run(t *testing.T, event uuid.UUID, handler string) uuid.UUID {
	t.Helper()
	b.exec(t, `UPDATE event_deliveries SET next_attempt_at = NULL WHERE event_id = $1 AND handler_name = $2`, event, handler)
	token := uuid.New()
	require.Equal(t, "run", b.start(t, event, handler, token).Verdict)
	return token
}

func (b *bus) processed(t *testing.T, event, handler, token any) bool {
	t.Helper()
	return column[bool](t, b.worker, `SELECT mark_event_processed($1, $2, $3, $4)`, b.org.Org, event, handler, token)[0]
}

type standing struct {
	Status        *string
	NextAttemptAt *time.Time
}

func (b *bus) failed(t *testing.T, args ...any) standing {
	t.Helper()
	rows, err := b.worker.Query(t.Context(), `SELECT status, next_attempt_at FROM mark_event_failed($1, $2, $3, $4, $5, $6, $7, $8)`,
		append([]any{b.org.Org}, args...)...)
	require.NoError(t, err)
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[standing])
	require.NoError(t, err)
	return s
}

// rows tells a delivery, its attempts and its event in one line.
func (b *bus) rows(t *testing.T, event uuid.UUID, handler string) string {
	t.Helper()
	return column[string](t, b.Admin, `
		SELECT format('%s %s of %s, attempts: %s, event %s, retries %s, error %s, reason %s', d.status, d.attempt_count, d.max_attempts,
			(SELECT coalesce(string_agg(a.number || ' ' || a.outcome, ', ' ORDER BY number), 'none')
				FROM event_attempt_history a WHERE a.event_id = d.event_id AND a.handler_name = d.handler_name),
			e.status, e.retry_count, coalesce(left(e.error_message, 30), 'none'), coalesce(d.reason, 'none'))
		FROM event_deliveries d JOIN events e ON e.id = d.event_id
		WHERE d.event_id = $1 AND d.handler_name = $2 AND (d.lease_token IS NULL) = (d.status <> 'running')
			AND (e.processed_at IS NOT NULL) = (e.status = 'processed')`, event, handler)[0]
}

func TestSchema_Delivery_Succeeds(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "h")
	token := uuid.New()
	s := b.start(t, event, "h", token)
	require.Equal(t, started{
		Verdict: "run", DeliveryID: s.DeliveryID, Attempt: new(int32(1)), EventType: new("job.created"),
		Payload: new(`{"n": 1}`), CreatedBy: &b.org.Recruiter, ActorActive: new(true),
	}, s)
	require.NotNil(t, s.DeliveryID)
	require.Equal(t, "running 1 of 3, attempts: none, event pending, retries 0, error none, reason none", b.rows(t, event, "h"))

	again := b.start(t, event, "h", uuid.New())
	require.Equal(t, "wait", again.Verdict, "somebody else has it")
	require.InDelta(t, time.Minute, *again.Wait, float64(30*time.Second))
	require.Nil(t, again.Payload)

	for name, args := range map[string][3]any{
		"another token": {event, "h", uuid.New()}, "no token": {event, "h", nil}, "another handler": {event, "x", token},
		"no handler":    {event, nil, token},
		"another event": {uuid.New(), "h", token}, "no event": {nil, "h", token}, "nothing": {nil, nil, nil},
	} {
		require.False(t, b.processed(t, args[0], args[1], args[2]), name)
		require.Equal(t, standing{}, b.failed(t, args[0], args[1], args[2], "failed", "x", time.Second, nil), name)
		require.Equal(t, []bool{false}, column[bool](t, b.worker, `SELECT app.hold_delivery($1, $2, $3, $4)`,
			b.org.Org, args[0], args[1], args[2]), name)
	}
	require.Equal(t, []bool{true}, column[bool](t, b.worker, `SELECT app.hold_delivery($1, $2, $3, $4)`, b.org.Org, event, "h", token))
	require.True(t, b.processed(t, event, "h", token))
	const done = "succeeded 1 of 3, attempts: 1 succeeded, event processed, retries 0, error none, reason none"
	require.Equal(t, done, b.rows(t, event, "h"))
	// Once more changes nothing.
	require.False(t, b.processed(t, event, "h", token))
	require.Equal(t, standing{}, b.failed(t, event, "h", token, "failed", "too late", time.Second, nil))
	require.Equal(t, "done", b.start(t, event, "h", uuid.New()).Verdict)
	require.Equal(t, done, b.rows(t, event, "h"))
}

func TestSchema_Delivery_FailsToDeadLetter(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "h")
	var delivery uuid.UUID
	for i, want := range []string{
		"failed 1 of 3, attempts: 1 failed, event failed, retries 1, error no luck, reason none",
		"failed 2 of 3, attempts: 1 failed, 2 panicked, event failed, retries 2, error no luck, reason none",
		"dead_letter 3 of 3, attempts: 1 failed, 2 panicked, 3 timed_out, event dead_letter, retries 3, error no luck, " +
			"reason attempts_exhausted",
	} {
		token := b.run(t, event, "h")
		var id uuid.UUID
		b.scan(t, `SELECT id FROM event_deliveries WHERE event_id = @event AND handler_name = 'h'`, pgx.NamedArgs{"event": event}, &id)
		require.True(t, i == 0 || id == delivery, "the delivery's id stays the same over its attempts")
		delivery = id
		s := b.failed(t, event, "h", token, []string{"failed", "panicked", "timed_out"}[i], "no luck", time.Hour, nil)
		require.Equal(t, want, b.rows(t, event, "h"))
		if i == 2 {
			require.Equal(t, standing{Status: new("dead_letter")}, s)
			break
		}
		require.Equal(t, "failed", *s.Status)
		require.InDelta(t, time.Hour, time.Until(*s.NextAttemptAt), float64(time.Minute))
		wait := b.start(t, event, "h", uuid.New())
		require.Equal(t, "wait", wait.Verdict, "not before its time")
		require.InDelta(t, time.Hour, *wait.Wait, float64(time.Minute))
		require.Equal(t, standing{}, b.failed(t, event, "h", token, "failed", "again", time.Hour, nil), "once is enough")
	}
	require.Equal(t, "done", b.start(t, event, "h", uuid.New()).Verdict)
	rows := b.audit(t, event)
	require.Len(t, rows, 2)
	require.Equal(t, "event.dead_lettered", rows[1].Action)
	require.Equal(t, "warning", rows[1].Severity)
	require.Equal(t, "system", rows[1].ActorKind)
}

func TestSchema_Delivery_OtherEnds(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	for name, c := range map[string]struct {
		args []any
		want string
		next bool
	}{
		"given up": {
			[]any{"failed", "no", time.Second, "permanent"},
			"dead_letter 1 of 3, attempts: 1 failed, event dead_letter, retries 1, error no, reason permanent", false,
		},
		"interrupted: it does not count": {
			[]any{"interrupted", "shutdown", time.Second, nil},
			"pending 0 of 3, attempts: 1 interrupted, event pending, retries 0, error none, reason none", true,
		},
		"nothing but NULL": {
			[]any{nil, nil, nil, nil},
			"failed 1 of 3, attempts: 1 failed, event failed, retries 1, error no error message, reason none", true,
		},
		"an empty reason is none": {
			[]any{"failed", "", time.Second, ""},
			"failed 1 of 3, attempts: 1 failed, event failed, retries 1, error no error message, reason none", true,
		},
		"a long error": {
			[]any{"failed", strings.Repeat("x", 5000), time.Second, nil},
			"failed 1 of 3, attempts: 1 failed, event failed, retries 1, error " + strings.Repeat("x", 30) + ", reason none", true,
		},
	} {
		event := b.event(t, "h")
		token := b.run(t, event, "h")
		s := b.failed(t, append([]any{event, "h", token}, c.args...)...)
		require.Equal(t, c.want, b.rows(t, event, "h"), name)
		require.Equal(t, c.next, s.NextAttemptAt != nil, name)
	}
	require.Equal(t, 2000, b.count(t, `SELECT max(length(error_message)) FROM event_deliveries`))
	require.Equal(t, 2000, b.count(t, `SELECT max(length(error_message)) FROM event_attempts`))

	event := b.event(t, "h")
	token := b.run(t, event, "h")
	_, err := b.worker.Exec(t.Context(), `SELECT mark_event_failed($1, $2, 'h', $3, 'bored', 'x', '1 s')`, b.org.Org, event, token)
	requireState(t, stateCheck, err, "an unknown outcome")
	require.True(t, b.processed(t, event, "h", token), "and nothing of it stayed")

	// An interruption after failures keeps their count.
	event = b.event(t, "h")
	b.failed(t, event, "h", b.run(t, event, "h"), "failed", "first", time.Second, nil)
	b.failed(t, event, "h", b.run(t, event, "h"), "interrupted", "shutdown", time.Second, nil)
	require.Equal(t, "failed 1 of 3, attempts: 1 failed, 2 interrupted, event failed, retries 1, error first, reason none",
		b.rows(t, event, "h"))
	require.True(t, b.processed(t, event, "h", b.run(t, event, "h")))
	require.Equal(t, "succeeded 2 of 3, attempts: 1 failed, 2 interrupted, 3 succeeded, event processed, retries 0, error none, "+
		"reason none",
		b.rows(t, event, "h"))
}

func TestSchema_StartDelivery(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "h")
	for name, args := range map[string][3]any{
		"no such event": {uuid.New(), "h", uuid.New()}, "no such handler": {event, "x", uuid.New()}, "no event": {nil, "h", uuid.New()},
		"no handler": {event, nil, uuid.New()}, "nothing": {nil, nil, nil},
	} {
		require.Equal(t, started{Verdict: "done"}, b.start(t, args[0], args[1], args[2]), name)
	}
	_, err := b.worker.Exec(t.Context(), `SELECT app.start_delivery($1, $2, 'h', NULL, '1 minute', 'w', 'v', NULL, NULL)`, b.org.Org, event)
	requireState(t, stateCheck, err, "an attempt without a lease's token")
	// A lease without end would never be found again; without a length it has the usual one.
	require.Equal(t, []string{"run"}, column[string](t, b.worker,
		`SELECT verdict FROM app.start_delivery($1, $2, 'h', $3, NULL, $4, $4, NULL, NULL)`, b.org.Org, event, uuid.New(), nil))
	require.Equal(t, "wait", b.start(t, event, "h", uuid.New()).Verdict)

	// Three attempts in a row end without a word.
	event = b.event(t, "h")
	for i, want := range []string{
		"running 1 of 3, attempts: none, event pending, retries 0, error none, reason none",
		"running 2 of 3, attempts: 1 crashed, event pending, retries 0, error none, reason none",
		"running 3 of 3, attempts: 1 crashed, 2 crashed, event pending, retries 0, error none, reason none",
	} {
		zombie := b.run(t, event, "h")
		require.Equal(t, want, b.rows(t, event, "h"), "attempt %d", i)
		b.exec(t, `UPDATE event_deliveries SET lease_expires_at = now() WHERE event_id = $1`, event)
		if i == 1 {
			// A lease that ran out is still held by its token, until somebody else takes the delivery over.
			require.Equal(t, []bool{true}, column[bool](t, b.worker, `SELECT app.hold_delivery($1, $2, 'h', $3)`, b.org.Org, event, zombie))
		}
	}
	require.Equal(t, "done", b.start(t, event, "h", uuid.New()).Verdict)
	require.Equal(t, "dead_letter 3 of 3, attempts: 1 crashed, 2 crashed, 3 crashed, event dead_letter, retries 3, "+
		"error The process that ran the last , reason attempts_exhausted", b.rows(t, event, "h"))

	// The zombie of a crashed attempt changes nothing.
	event = b.event(t, "h")
	zombie := b.run(t, event, "h")
	b.exec(t, `UPDATE event_deliveries SET lease_expires_at = now() WHERE event_id = $1`, event)
	token := b.run(t, event, "h")
	require.False(t, b.processed(t, event, "h", zombie))
	require.Equal(t, standing{}, b.failed(t, event, "h", zombie, "failed", "x", time.Second, nil))
	require.True(t, b.processed(t, event, "h", token))
}

func TestSchema_StartDelivery_WhoPublished(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "h")
	b.exec(t, `UPDATE organizations SET status = 'suspended' WHERE id = $1`, b.org.Org)
	s := b.start(t, event, "h", uuid.New())
	require.Equal(t, "wait", s.Verdict, "the events of a suspended organisation wait")
	require.Equal(t, 5*time.Minute, *s.Wait)
	b.exec(t, `UPDATE organizations SET status = 'active' WHERE id = $1`, b.org.Org)
	b.exec(t, `UPDATE user_profiles SET is_active = false WHERE id = $1`, b.org.Recruiter)
	s = b.start(t, event, "h", uuid.New())
	require.Equal(t, "run", s.Verdict)
	require.False(t, *s.ActorActive, "who published may not act any more")
}

// The event's status is that of the worst of its deliveries.
func TestSchema_SettleEvent(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	for _, c := range []struct{ a, b, want string }{
		{"succeeded", "succeeded", "processed"},
		{"succeeded", "skipped", "processed"},
		{"skipped", "skipped", "processed"},
		{"succeeded", "pending", "pending"},
		{"succeeded", "running", "pending"},
		{"failed", "pending", "failed"},
		{"failed", "succeeded", "failed"},
		{"dead_letter", "pending", "dead_letter"},
		{"dead_letter", "failed", "dead_letter"},
		{"dead_letter", "succeeded", "dead_letter"},
	} {
		event := b.event(t, "one", "two")
		for handler, status := range map[string]string{"one": c.a, "two": c.b} {
			b.exec(t, `UPDATE event_deliveries SET status = $3, lease_token = CASE $3 WHEN 'running' THEN gen_random_uuid() END
				WHERE event_id = $1 AND handler_name = $2`, event, handler, status)
		}
		for range 2 {
			_, err := b.worker.Exec(t.Context(), `SELECT app.settle_event($1, $2)`, b.org.Org, event)
			require.NoError(t, err)
			require.Equal(t, c.want, b.published(t, event).Status, c)
		}
	}
	_, err := b.worker.Exec(t.Context(), `SELECT app.settle_event(NULL, NULL), app.settle_event($1, $2)`, b.org.Org, uuid.New())
	require.NoError(t, err)
}

// Of two deliveries that end at the same moment the later one sees the earlier: the event does not stay pending.
func TestSchema_SettleEvent_AtOnce(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "one", "two")
	first, second := b.run(t, event, "one"), b.run(t, event, "two")
	tx, err := b.worker.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT mark_event_processed($1, $2, 'one', $3)`, b.org.Org, event, first)
	require.NoError(t, err)
	other := b.login(t, postgres.LoginWorker)
	done := make(chan error, 1)
	go func() {
		_, err := other.Exec(t.Context(), `SELECT mark_event_processed($1, $2, 'two', $3)`, b.org.Org, event, second)
		done <- err
	}()
	b.untilWaiting(t, other.PgConn().PID())
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, "processed", b.published(t, event).Status)
}

// The functions act with the caller's own rights: whoever got at one that is not his would not get far.
func TestSchema_BusFunctions_Refused(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	event := b.event(t, "h")
	token := b.run(t, event, "h")
	before := b.rows(t, event, "h")
	calls := []string{
		`SELECT mark_event_processed(@org, @event, 'h', @token)`,
		`SELECT mark_event_failed(@org, @event, 'h', @token, 'failed', 'x', '1 s')`,
		`SELECT app.start_delivery(@org, @event, 'h', @token, '1 s', 'w', 'v', NULL, NULL)`,
		`SELECT app.hold_delivery(@org, @event, 'h', @token)`, `SELECT app.take_deliveries(ARRAY[@org::uuid], ARRAY[@event::uuid], 'h')`,
		`SELECT app.finish_deliveries(ARRAY[@org::uuid], ARRAY[@event::uuid], 'h', '{0 s}', '{0 s}', 'w', 'v', NULL)`,
		`SELECT app.fail_taken(@org, @event, 'h', '0 s', '0 s', 'w', 'v', 'failed', 'x', '1 s', NULL)`,
		`SELECT app.dispatch_events(10, 10, NULL, '{}')`, `SELECT app.settle_event(@org, @event)`,
		`SELECT app.overdue_deliveries('1 s', 10)`,
		`SELECT app.audit_event(@org, 'x', @event, '{}', 'info')`, `SELECT app.register_events('[]', '[]')`,
		`SELECT app.make_partitions(3)`,
		`SELECT app.session(@me)`,
	}
	args := pgx.NamedArgs{"event": event, "token": token, "org": b.org.Org, "me": b.org.Recruiter}
	api := b.login(t, postgres.LoginAPI)
	refuse := func(who string, all bool) func(tx pgx.Tx) {
		return func(tx pgx.Tx) {
			for _, call := range calls {
				if !all && strings.Contains(call, "app.session") {
					continue
				}
				_, err := try(t, tx, call, args)
				requireState(t, stateDenied, err, who, call)
			}
		}
	}
	as(t, api, claimsOf(person(t, "super_admin").ID()), refuse("super_admin", true))
	as(t, b.worker, claimsOf(b.org.Recruiter), refuse("a handler", true))
	as(t, b.worker, claimsOfSystem(b.org.Org), refuse("the system's handler", true))
	asRole(t, api, "anon", "", refuse("anon", true))
	asRole(t, api, "none", claimsOf(b.org.Recruiter), refuse("the API's bare login", false))
	// Granted by mistake, the rights of the tables still hold.
	b.exec(t, `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app, public TO authenticated`)
	as(t, api, claimsOf(person(t, "super_admin").ID()), func(tx pgx.Tx) {
		for _, call := range calls[:9] {
			_, err := try(t, tx, call, args)
			requireState(t, stateDenied, err, call)
		}
	})
	require.Equal(t, before, b.rows(t, event, "h"))
}

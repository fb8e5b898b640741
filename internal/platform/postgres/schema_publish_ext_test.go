package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// executable is who may call which function; who is not named may not.
var executable = map[string][]string{
	"app.event_digest(text,jsonb)":                               {"authenticated"},
	"app.has_permission(text)":                                   {"authenticated"},
	"app.in_handler()":                                           {"authenticated"},
	"app.is_system()":                                            {"authenticated"},
	"app.lower_all(text[])":                                      {"authenticated", "intime_api", "intime_worker"},
	"app.org_id()":                                               {"authenticated"},
	"app.own_permission(text)":                                   {"authenticated"},
	"app.permission_scope(text)":                                 {"authenticated"},
	"app.publishable_types()":                                    {"authenticated"},
	"app.search_text(text[])":                                    {"authenticated", "intime_api", "intime_worker"},
	"app.session(uuid)":                                          {"intime_api", "intime_worker"},
	"app.uuid_v7()":                                              {"authenticated", "intime_api", "intime_worker"},
	"app.uuid_v7_floor(timestamp with time zone)":                {"authenticated", "intime_api", "intime_worker"},
	"app.audit_event(uuid,text,uuid,jsonb,text)":                 {"intime_worker"},
	"app.dispatch_events(integer,integer,uuid,text[])":           {"intime_worker"},
	"app.enqueue_deliveries(uuid[],uuid[],text[],text[],text[])": {"intime_worker"},
	"app.split_job(bigint,uuid[],uuid[])":                        {"intime_worker"},
	"app.rescue_from_lost(interval)":                             {"intime_worker"},
	"app.wake_queue(text)":                                       {"intime_worker"},
	"app.hold_delivery(uuid,uuid,text,uuid)":                     {"intime_worker"},
	"app.skip_disabled(uuid[],uuid[],text)":                      {"intime_worker"},
	"app.is_active_member(uuid,uuid)":                            {"intime_worker"},
	"app.take_deliveries(uuid[],uuid[],text)":                    {"intime_worker"},
	"app.finish_deliveries(uuid[],uuid[],text,interval[],interval[],text,text,bigint)":   {"intime_worker"},
	"app.fail_taken(uuid,uuid,text,interval,interval,text,text,text,text,interval,text)": {"intime_worker"},
	"app.end_badly(event_deliveries,timestamp with time zone,text,text,interval,text)":   {"intime_worker"},
	"app.make_partitions(integer)":                           {"intime_worker"},
	"app.overdue_deliveries(interval,integer)":               {"intime_worker"},
	"app.register_events(jsonb,jsonb)":                       {"intime_worker"},
	"app.settle_event(uuid,uuid)":                            {"intime_worker"},
	"app.disable_after()":                                    {"intime_worker"},
	"app.note_failure(uuid,text,uuid,text)":                  {"intime_worker"},
	"app.note_success(uuid[],text)":                          {"intime_worker"},
	"app.run_skipped(text,timestamp with time zone,integer)": {"authenticated"},
	"replay_failed_events(uuid[])":                           {"authenticated"},
	"app.start_delivery(uuid,uuid,text,uuid,interval,text,text,timestamp with time zone,text)": {"intime_worker"},
	"mark_event_failed(uuid,uuid,text,uuid,text,text,interval,text)":                           {"intime_worker"},
	"mark_event_processed(uuid,uuid,text,uuid)":                                                {"intime_worker"},
	"publish_event(text,jsonb,text)":                                                           {"authenticated"},
	"app.role_standing(uuid)":                                                                  {"authenticated"},
	"app.create_candidate_profile(uuid)":                                                       {"authenticated"},
	"app.event_recipients(uuid,text)":                                                          {"authenticated"},
	"app.update_pod_metrics(uuid)":                                                             {"authenticated"},
	"app.count_events(uuid,timestamp with time zone,timestamp with time zone,text)":            {"authenticated", "intime_worker"},
	"app.duration_bounds()":                                                                    {"authenticated", "intime_worker"},
	"app.histogram(bigint[])":                                                                  {"authenticated", "intime_worker"},
	"app.recount_events(uuid,timestamp with time zone,timestamp with time zone,text)":          {"intime_worker"},
	"app.recount_marked(timestamp with time zone,integer)":                                     {"intime_worker"},
	"app.roll_up_events(timestamp with time zone)":                                             {"intime_worker"},
	"app.record_export(jsonb)":                                                                 {"authenticated"},
	"app.sum_minutes(uuid,timestamp with time zone)":                                           {"intime_worker"},
	"app.archive_dead_letters(interval,integer)":                                               {"authenticated"},
	"app.discard_dead_letters(uuid[],text[],text)":                                             {"authenticated"},
	"app.drop_month(date)":                                                                     {"intime_worker"},
	"app.expire_cascades(interval,integer)":                                                    {"authenticated"},
	"app.expire_events(integer)":                                                               {"authenticated"},
	"app.expire_idempotency_keys(interval,integer)":                                            {"authenticated"},
	"app.expire_replays(integer)":                                                              {"authenticated"},
	"app.expired_months()":                                                                     {"intime_worker"},
	"app.freeze_replay(uuid[],text[],text,jsonb,interval)":                                     {"authenticated"},
	"app.longest_retention()":                                                                  {"authenticated"},
	"app.note_refusal(uuid,uuid,uuid,text,text)":                                               {"intime_worker"},
	"app.run_replay_batch(uuid)":                                                               {"authenticated"},
	"app.start_replay(uuid)":                                                                   {"authenticated"},
	"app.steer_replay(uuid,text)":                                                              {"authenticated"},
	"app.update_event_settings(jsonb)":                                                         {"authenticated"},
}

func TestSchema_Executable(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	got := map[string][]string{}
	rows, err := conn.Query(t.Context(), `
		SELECT p.oid::regprocedure::text, array_agg(r.rolname::text ORDER BY r.rolname)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_roles r
			ON r.rolname IN ('anon', 'authenticated', 'intime_api', 'intime_worker') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
		WHERE nspname IN ('public', 'app') GROUP BY p.oid`)
	require.NoError(t, err)
	var (
		function string
		roles    []string
	)
	_, err = pgx.ForEachRow(rows, []any{&function, &roles}, func() error { got[function] = roles; return nil })
	require.NoError(t, err)
	require.Equal(t, executable, got)
}

// published is what the tests look at in a published event.
type published struct {
	OrgID         uuid.UUID
	Type          string
	Version       int32
	Payload       string
	Status        string
	CreatedBy     *uuid.UUID
	Source        string
	CorrelationID uuid.UUID
	Depth         int32
}

// actAs makes a transaction that of the claims.
const actAs = `SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`

func publish(t *testing.T, conn *pgx.Conn, claims string, args ...any) (uuid.UUID, error) {
	t.Helper()
	var id uuid.UUID
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), actAs, claims)
		require.NoError(t, err)
		named := "$1, $2, $3"[:4*len(args)-2]
		return tx.QueryRow(t.Context(), `SELECT publish_event(`+named+`)`, args...).Scan(&id)
	})
	return id, err
}

func (w *world) published(t *testing.T, id uuid.UUID) published {
	t.Helper()
	rows, err := w.Admin.Query(t.Context(), `SELECT org_id, type, schema_version AS version, payload::text AS payload, status,
		created_by, source, correlation_id, depth FROM events WHERE id = $1`, id)
	require.NoError(t, err)
	event, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[published])
	require.NoError(t, err)
	return event
}

func TestSchema_PublishEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.login(t, postgres.LoginAPI)
	listener := apptest.Connect(t, w.URL)
	_, err := listener.Exec(t.Context(), `LISTEN intime_events`)
	require.NoError(t, err)

	id, err := publish(t, conn, claimsOf(w.A.Recruiter), "job.created", `{"job_id": "1"}`)
	require.NoError(t, err)
	require.Equal(t, published{
		OrgID: w.A.Org, Type: "job.created", Version: 1, Payload: `{"job_id": "1"}`, Status: "pending", CreatedBy: &w.A.Recruiter,
		Source: "sql", CorrelationID: id,
	}, w.published(t, id))
	require.Equal(t, 1, w.count(t, `SELECT count(*) FROM event_outbox WHERE event_id = $1 AND org_id = $2`, id, w.A.Org))
	rows := w.audit(t, id)
	require.Len(t, rows, 1)
	require.Equal(t, "event.published", rows[0].Action)
	require.Equal(t, &w.A.Recruiter, rows[0].ActorID)
	require.Equal(t, w.A.Org, rows[0].OrgID)
	wake, err := listener.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, id.String(), wake.Payload, "the id, and nothing of what is in it")

	// The system itself publishes for its organisation; NULL for a payload is an empty one.
	id, err = publish(t, w.login(t, postgres.LoginWorker), claimsOfSystem(w.B.Org), "system.probe", nil)
	require.NoError(t, err)
	require.Equal(t, published{
		OrgID: w.B.Org, Type: "system.probe", Version: 1, Payload: `{}`, Status: "pending", Source: "sql", CorrelationID: id,
	}, w.published(t, id))
}

func TestSchema_PublishEvent_RolledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	count := func() int {
		return w.count(t, `SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM event_outbox) +
			(SELECT count(*) FROM event_idempotency_keys) + (SELECT count(*) FROM audit_logs)`)
	}
	before := count()
	as(t, w.login(t, postgres.LoginAPI), claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		_, err := tx.Exec(t.Context(), `SELECT publish_event('job.created', '{}', 'key')`)
		require.NoError(t, err)
		require.Equal(t, before, count(), "others see nothing of it before it commits")
	})
	require.Equal(t, before, count())
}

func TestSchema_PublishEvent_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.count(t, `SELECT count(*) FROM events`)
	api, worker := w.login(t, postgres.LoginAPI), w.login(t, postgres.LoginWorker)
	recruiter := claimsOf(w.A.Recruiter)
	const invalid = "22023"
	for name, c := range map[string]struct {
		conn   *pgx.Conn
		claims string
		args   []any
		state  string
	}{
		"no claims":                     {api, "", []any{"job.created", `{}`}, stateDenied},
		"the system, through the API":   {api, claimsOfSystem(w.A.Org), []any{"job.created", `{}`}, stateDenied},
		"somebody without permission":   {api, claimsOf(person(t, "student").ID()), []any{"job.created", `{}`}, stateDenied},
		"the same, with a key":          {api, claimsOf(person(t, "student").ID()), []any{"job.created", `{}`, "k"}, stateDenied},
		"a type he may not publish":     {api, recruiter, []any{"system.probe", `{}`}, stateDenied},
		"the same, with a key too":      {api, recruiter, []any{"system.probe", `{}`, "k"}, stateDenied},
		"no type":                       {api, recruiter, []any{nil, `{}`}, invalid},
		"an unknown type":               {api, recruiter, []any{"no.such", `{}`}, invalid},
		"a payload that is a list":      {api, recruiter, []any{"job.created", `[]`}, stateCheck},
		"a payload that is JSON's null": {api, recruiter, []any{"job.created", `null`}, stateCheck},
		"a payload of 100 KB":           {api, recruiter, []any{"job.created", `{"x":"` + strings.Repeat("x", 100_000) + `"}`}, stateCheck},
		"a key that is too long":        {api, recruiter, []any{"job.created", `{}`, strings.Repeat("k", 201)}, stateCheck},
		"an unknown person":             {worker, claimsOf(uuid.New()), []any{"job.created", `{}`}, stateDenied},
		"the system of no organisation": {worker, claimsOfSystem(uuid.New()), []any{"job.created", `{}`}, stateDenied},
	} {
		_, err := publish(t, c.conn, c.claims, c.args...)
		requireState(t, c.state, err, name)
	}
	for _, role := range []string{"anon", "none"} {
		asRole(t, api, role, recruiter, func(tx pgx.Tx) {
			_, err := try(t, tx, `SELECT publish_event('job.created', '{}')`)
			requireState(t, stateDenied, err, role)
		})
	}
	asRole(t, worker, "none", claimsOfSystem(w.A.Org), func(tx pgx.Tx) {
		_, err := try(t, tx, `SELECT publish_event('job.created', '{}')`)
		requireState(t, stateDenied, err, "the worker's bare login")
	})
	w.exec(t, `UPDATE organizations SET status = 'suspended' WHERE id = $1`, w.A.Org)
	_, err := publish(t, api, recruiter, "job.created", `{}`)
	requireState(t, stateDenied, err, "a suspended organisation")
	require.Equal(t, before, w.count(t, `SELECT count(*) FROM events`))
	require.Equal(t, 2, w.count(t, `SELECT count(*) FROM event_idempotency_keys`), "a refused publication takes no key")
}

func TestSchema_PublishEvent_Idempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.login(t, postgres.LoginAPI)
	recruiter := claimsOf(w.A.Recruiter)
	first, err := publish(t, api, recruiter, "job.created", `{"a": 1, "b": [2, {"c": 3}]}`, "key")
	require.NoError(t, err)
	for name, payload := range map[string]string{
		"the same":        `{"a": 1, "b": [2, {"c": 3}]}`,
		"in other order":  `{"b":[2,{"c":3}],"a":1}`,
		"with a repeated": `{"a": 7, "b": [2, {"c": 3}], "a": 1}`,
	} {
		again, err := publish(t, api, recruiter, "job.created", payload, "key")
		require.NoError(t, err, name)
		require.Equal(t, first, again, name)
	}
	colleague, err := publish(t, api, claimsOf(person(t, "admin").ID()), "job.created", `{"a": 1, "b": [2, {"c": 3}]}`, "key")
	require.NoError(t, err)
	require.Equal(t, first, colleague, "a key is the organisation's, not the person's")
	require.Equal(t, 1, w.count(t, `SELECT count(*) FROM events WHERE payload ? 'b'`))

	for name, args := range map[string][]any{
		"another payload": {"job.created", `{"a": 2, "b": [2, {"c": 3}]}`, "key"},
		"no payload":      {"job.created", nil, "key"},
		"another type":    {"system.probe", `{"a": 1, "b": [2, {"c": 3}]}`, "key"},
	} {
		_, err = publish(t, api, claimsOf(person(t, "admin").ID()), args...)
		requireState(t, stateUnique, err, name)
		kind, constraint := postgres.KindOf(err)
		require.Equal(t, postgres.KindUnique, kind)
		require.Equal(t, "event_idempotency_keys_pkey", constraint)
	}

	other, err := publish(t, api, claimsOf(w.B.Recruiter), "job.created", `{"mine": true}`, "key")
	require.NoError(t, err, "another organisation's key is another key")
	require.NotEqual(t, first, other)
	for range 2 {
		// Without a key every publication is an event of its own.
		for _, key := range []any{nil, ""} {
			id, err := publish(t, api, recruiter, "job.created", `{"plain": true}`, key)
			require.NoError(t, err)
			require.NotEqual(t, first, id)
		}
	}
	require.Equal(t, 4, w.count(t, `SELECT count(*) FROM events WHERE payload ? 'plain'`))
}

// Of two that publish under one key at once, the second waits for the first and answers with its event.
func TestSchema_PublishEvent_SameKeyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	recruiter := claimsOf(w.A.Recruiter)
	begin := func() (pgx.Tx, *pgx.Conn) {
		conn := w.login(t, postgres.LoginAPI)
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), actAs, recruiter)
		require.NoError(t, err)
		return tx, conn
	}
	const sql = `SELECT publish_event('job.created', '{"n": 1}', 'at once')`
	for name, commit := range map[string]bool{"the first commits": true, "the first rolls back": false} {
		one, _ := begin()
		var first uuid.UUID
		require.NoError(t, one.QueryRow(t.Context(), sql).Scan(&first))
		two, conn := begin()
		type outcome struct {
			id  uuid.UUID
			err error
		}
		done := make(chan outcome, 1)
		go func() {
			var o outcome
			o.err = two.QueryRow(t.Context(), sql).Scan(&o.id)
			done <- o
		}()
		w.untilWaiting(t, conn.PgConn().PID())
		if commit {
			require.NoError(t, one.Commit(t.Context()))
		} else {
			require.NoError(t, one.Rollback(t.Context()))
		}
		second := <-done
		require.NoError(t, second.err, name)
		require.Equal(t, commit, first == second.id, name)
		require.NoError(t, two.Rollback(t.Context()))
		w.exec(t, `DELETE FROM event_idempotency_keys WHERE key = 'at once'`)
	}
}

// untilWaiting waits until the server process waits for a lock.
func (w *world) untilWaiting(t *testing.T, pid uint32) {
	t.Helper()
	conn := apptest.Connect(t, w.URL)
	apptest.Eventually(t, func() bool {
		return len(column[int32](t, conn, `SELECT pid FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, pid)) == 1
	}, "the process %d never waited", pid)
}

package eventbus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// ledger is a database whose past a test writes and has counted, at whatever time it says.
type ledger struct {
	admin, worker *pgx.Conn
	org           uuid.UUID
	now           time.Time
}

func newLedger(t *testing.T, url string) *ledger {
	t.Helper()
	login, err := postgres.LoginURL(url, postgres.LoginWorker)
	require.NoError(t, err)
	ana, ok := demo.Find("admin")
	require.True(t, ok)
	return &ledger{
		admin: apptest.Connect(t, url), worker: apptest.Connect(t, login), org: ana.Organization.ID(),
		// In the middle of an hour, so that what is a few minutes older is of the same one.
		now: time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute),
	}
}

// count counts at a time, as the periodic job does.
func (l *ledger) count(t *testing.T, at time.Time) {
	t.Helper()
	for apptest.One[bool](t, l.worker, `SELECT app.roll_up_events($1)`, at) {
		continue
	}
	apptest.One[int](t, l.worker, `SELECT app.recount_marked($1, 1000)`, at)
}

// event writes an event of the past with a delivery of run_probe that ended 100 ms after it began.
func (l *ledger) event(t *testing.T, at time.Time, status string) uuid.UUID {
	t.Helper()
	id := apptest.One[uuid.UUID](t, l.admin, `
		INSERT INTO events (id, org_id, type, payload, published_at, source, correlation_id)
		VALUES ((left(app.uuid_v7_floor($2)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid,
			$1, 'system.probe', '{}', $2, 'api', gen_random_uuid()) RETURNING id`, l.org, at)
	apptest.Exec(t, l.admin, `DELETE FROM event_outbox`)
	apptest.Exec(t, l.admin, `
		INSERT INTO event_deliveries (org_id, event_id, handler_name, max_attempts) VALUES ($1, $2, 'run_probe', 3)`, l.org, id)
	l.stand(t, id, status)
	return id
}

// stand has the event and its delivery stand somewhere.
func (l *ledger) stand(t *testing.T, id uuid.UUID, status string) {
	t.Helper()
	l.quiet(t)
	delivery := status
	if status == "processed" {
		delivery = "succeeded"
	}
	apptest.Exec(t, l.admin, `
		UPDATE event_deliveries d SET status = $2, started_at = e.published_at + interval '20 ms',
			finished_at = CASE WHEN $2 IN ('succeeded', 'dead_letter') THEN e.published_at + interval '120 ms' END
		FROM events e WHERE e.id = d.event_id AND d.event_id = $1`, id, delivery)
	apptest.Exec(t, l.admin, `
		UPDATE events SET status = $2::text, processed_at = CASE WHEN $2::text = 'processed' THEN published_at + interval '130 ms' END
		WHERE id = $1`, id, status)
}

// quiet has the bus announce no dead letter: an announcement is an event, and counts as one.
func (l *ledger) quiet(t *testing.T) {
	t.Helper()
	apptest.Exec(t, l.admin, `UPDATE event_subscriptions SET dead_letter_announced_at = 'infinity' WHERE org_id = $1`, l.org)
}

func (l *ledger) attempt(t *testing.T, id uuid.UUID, number int, outcome string) {
	t.Helper()
	apptest.Exec(t, l.admin, `
		INSERT INTO event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at)
		SELECT org_id, id, 'run_probe', $2, $3, published_at, published_at + interval '40 ms' FROM events WHERE id = $1`,
		id, number, outcome)
}

// rollup is a row as the tests compare it.
type rollup struct{ Total, Succeeded, DeadLettered, Unfinished, FailedAttempts int32 }

// sums are the events' and the deliveries' counts, over all of a grain.
func (l *ledger) sums(t *testing.T, grain string) (events, deliveries rollup) {
	t.Helper()
	sum := func(handler string) rollup {
		rows, err := l.admin.Query(t.Context(), `
			SELECT coalesce(sum(total), 0)::int, coalesce(sum(succeeded), 0)::int, coalesce(sum(dead_lettered), 0)::int,
				coalesce(sum(unfinished), 0)::int, coalesce(sum(failed_attempts), 0)::int
			FROM event_rollups WHERE org_id = $1 AND grain = $2 AND handler_name = $3`, l.org, grain, handler)
		require.NoError(t, err)
		found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[rollup])
		require.NoError(t, err)
		return found
	}
	return sum(""), sum("run_probe")
}

func (l *ledger) requireSums(t *testing.T, grain string, events, deliveries rollup, why string) {
	t.Helper()
	gotEvents, gotDeliveries := l.sums(t, grain)
	require.Equal(t, events, gotEvents, "events by the %s: %s", grain, why)
	require.Equal(t, deliveries, gotDeliveries, "deliveries by the %s: %s", grain, why)
}

func TestRollUp_CountsOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t, apptest.Database(t))
	for i, status := range []string{"processed", "processed", "dead_letter", "failed", "pending"} {
		l.event(t, l.now.Add(-time.Duration(i+1)*7*time.Minute), status)
	}
	late := l.event(t, l.now.Add(-3*time.Minute), "processed")
	l.attempt(t, late, 1, "failed")
	l.attempt(t, late, 2, "interrupted")
	l.attempt(t, late, 3, "crashed")
	l.attempt(t, late, 4, "succeeded") // until these live in the deliveries alone

	events := rollup{Total: 6, Succeeded: 3, DeadLettered: 1, Unfinished: 2}
	deliveries := rollup{Total: 6, Succeeded: 3, DeadLettered: 1, Unfinished: 2, FailedAttempts: 2}
	for range 2 {
		l.count(t, l.now)
		l.requireSums(t, "minute", events, deliveries, "counting twice counts once")
		l.requireSums(t, "hour", events, deliveries, "an hour is its minutes")
	}
	require.Equal(t, []string{"3 60000 {0,0,0,0,0,0,0,0,0,0,3} 340000"}, apptest.All[string](t, l.admin, `
		SELECT sum(succeeded) || ' ' || sum(wait_us) || ' ' || '{0,0,0,0,0,0,0,0,0,0,' || sum(waits[11]) || '} ' || sum(run_us)
		FROM event_rollups WHERE handler_name = 'run_probe' AND grain = 'hour'`),
		"20 ms of waiting each, in the slot from 20 ms on; three runs of 100 ms and the failed one of 40 ms")
	require.Equal(t, "390000", apptest.One[string](t, l.admin,
		`SELECT sum(handled_us)::text FROM event_rollups WHERE handler_name = '' AND grain = 'hour'`))
}

// What is handled, or becomes visible, after its minute was counted.
func TestRollUp_LateChanges(t *testing.T) {
	t.Parallel()
	l := newLedger(t, apptest.Database(t))
	l.event(t, l.now.Add(-50*time.Hour), "processed")
	open := l.event(t, l.now.Add(-2*time.Minute), "pending")
	l.count(t, l.now)
	one := func(of rollup) (rollup, rollup) {
		of.Total, of.Succeeded = of.Total+1, of.Succeeded+1
		return of, of
	}
	events, deliveries := one(rollup{Total: 1, Unfinished: 1})
	l.requireSums(t, "hour", events, deliveries, "the second is open")

	committed := l.event(t, l.now.Add(-4*time.Minute), "processed")
	l.count(t, l.now.Add(time.Minute))
	events, deliveries = one(rollup{Total: 2, Succeeded: 1, Unfinished: 1})
	l.requireSums(t, "hour", events, deliveries, "a publication that committed late")
	require.NotEqual(t, uuid.Nil, committed)

	// Twenty minutes on, its minute is marked; then it fails for good.
	l.count(t, l.now.Add(20*time.Minute))
	l.stand(t, open, "dead_letter")
	l.count(t, l.now.Add(40*time.Minute))
	events, deliveries = one(rollup{Total: 2, Succeeded: 1, DeadLettered: 1})
	l.requireSums(t, "hour", events, deliveries, "it ended after its minute was counted")
	require.Zero(t, apptest.One[int](t, l.admin, `SELECT count(*)::int FROM event_rollup_marks`), "nothing is open any more")

	// Two days on its minutes are gone, and somebody replays it.
	l.count(t, l.now.Add(48*time.Hour))
	require.Zero(t, apptest.One[int](t, l.admin, `SELECT count(*)::int FROM event_rollups WHERE grain = 'minute'`))
	l.requireSums(t, "hour", events, deliveries, "the hours stay")
	apptest.Exec(t, l.admin, `UPDATE events SET metadata = metadata || '{"replayed": true}' WHERE id = $1`, open)
	l.stand(t, open, "pending")
	l.count(t, l.now.Add(48*time.Hour))
	events, deliveries = one(rollup{Total: 2, Succeeded: 1, Unfinished: 1})
	l.requireSums(t, "hour", events, deliveries, "a replay is seen at once")
	l.stand(t, open, "processed")
	l.count(t, l.now.Add(60*time.Hour))
	events, deliveries = one(rollup{Total: 2, Succeeded: 2})
	l.requireSums(t, "hour", events, deliveries, "and so is its end")
	require.Equal(t, 40_000, apptest.One[int](t, l.admin,
		`SELECT sum(wait_us)::int FROM event_rollups WHERE handler_name = 'run_probe' AND grain = 'hour'`),
		"20 ms for each of the others: a replay waited for a person, not for a worker")
}

// Hours that nobody counted, because no worker ran, are counted when one does.
func TestRollUp_CatchesUp(t *testing.T) {
	t.Parallel()
	l := newLedger(t, apptest.Database(t))
	l.event(t, l.now.Add(-100*time.Hour), "processed")
	l.count(t, l.now.Add(-100*time.Hour).Add(5*time.Minute))
	for _, hours := range []int{99, 60, 27, 26, 25, 3, 1} {
		l.event(t, l.now.Add(-time.Duration(hours)*time.Hour), "processed")
	}
	l.count(t, l.now)
	want := rollup{Total: 8, Succeeded: 8}
	l.requireSums(t, "hour", want, want, "every hour, also those of which the minutes are not kept")
	until := apptest.One[time.Time](t, l.admin, `SELECT counted_until FROM app.event_rollup_state`)
	require.Equal(t, l.now.Truncate(time.Minute), until.UTC())
	minutes, _ := l.sums(t, "minute")
	require.Equal(t, int32(4), minutes.Total, "26, 25, 3 and 1 hours ago")
}

// Events of one organisation do not count for another, and an organisation sees its own.
func TestRollUp_OtherOrganisation(t *testing.T) {
	t.Parallel()
	l := newLedger(t, apptest.Database(t))
	l.event(t, l.now.Add(-5*time.Minute), "processed")
	l.count(t, l.now)
	require.Equal(t, []uuid.UUID{l.org}, apptest.All[uuid.UUID](t, l.admin, `SELECT DISTINCT org_id FROM event_rollups`))
}

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// A worker that stood still until its lease was over, and another had handled its event, changes nothing when it goes on.
func TestStandstill_ZombieChangesNothing(t *testing.T) {
	t.Parallel()
	standstill(t, func(t *testing.T, admin *pgx.Conn) {
		t.Helper()
		// The database ends a transaction that sits idle for longer than a handler may take; the lease is over later.
		apptest.Exec(t, admin, `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'intime_worker' AND state = 'idle in transaction'`)
		apptest.Eventually(t, func() bool {
			return underWay(t, admin) == 0
		}, "the transactions go on")
		forward(t, admin, 3*time.Minute)
	})
}

// standstill lets a worker stand still in the middle of a few handlers until pass has let the lease pass, and another worker
// has handled the events.
func standstill(t *testing.T, pass func(t *testing.T, admin *pgx.Conn)) {
	t.Helper()
	const probes, effects = 5, 2
	i := install(t, apptest.Database(t))
	i.serve(1)
	i.work(1)
	admin, ana := i.admin(), i.as(i.ana())[0]
	var ids []string
	for range probes {
		ids = append(ids, publish(t, ana, map[string]any{"action": "PROBE_ACTION_EMIT", "count": effects, "sleepMs": 2000}))
	}
	zombie := i.workers[0]
	// Their effects are written, and not committed.
	apptest.Eventually(t, func() bool {
		return underWay(t, admin) == probes
	}, "the handlers are not under way")
	zombie.signal(syscall.SIGSTOP)
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*)::int FROM events WHERE causation_id IS NOT NULL`))
	pass(t, admin)

	i.work(1)
	for _, id := range ids {
		apptest.Within(t, 3*time.Minute, func() bool {
			return ana.Event(t, id).GetStatus() == eventv1.EventStatus_EVENT_STATUS_PROCESSED
		}, "nobody took event %s over", id)
	}
	before := books(t, admin)
	require.Len(t, before, probes)
	for id, stands := range before {
		require.Contains(t, stands, fmt.Sprintf("succeeded, %d effects", effects), id)
		require.Contains(t, stands, fmt.Sprintf("/%d;", i.workers[1].pid()), "who handled %s", id)
	}

	zombie.signal(syscall.SIGCONT)
	// It ends when its handlers have.
	_, err := zombie.stop(grace + 2*time.Second)
	require.NoError(t, err)
	require.Equal(t, before, books(t, admin), "the zombie changed something")
}

// underWay is how many handlers are in the middle of their transaction and take their time there.
func underWay(t *testing.T, admin *pgx.Conn) int {
	t.Helper()
	return apptest.One[int](t, admin, `
		SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usename = 'intime_worker'
			AND state = 'idle in transaction' AND state_change < now() - interval '100 milliseconds'`)
}

// books are how each probe stands: its delivery, its attempts that did not end well, its effects.
func books(t *testing.T, admin *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := admin.Query(t.Context(), `
		SELECT e.id::text, format('%s, %s effects; %s attempts count, ended %s by %s; %s', d.status,
			(SELECT count(*) FROM events c WHERE c.causation_id = e.id), d.attempt_count, d.finished_at, d.worker,
			(SELECT string_agg(a.number || ' ' || a.outcome || ' ' || a.finished_at, ', ' ORDER BY a.number) FROM event_attempts a
			 WHERE a.event_id = e.id AND a.outcome <> 'succeeded'))
		FROM events e JOIN event_deliveries d ON d.event_id = e.id WHERE e.type = 'system.probe'`)
	require.NoError(t, err)
	found := map[string]string{}
	var id, stands string
	_, err = pgx.ForEachRow(rows, []any{&id, &stands}, func() error {
		found[id] = stands
		return nil
	})
	require.NoError(t, err)
	return found
}

// publish publishes a probe and returns its id.
func publish(t *testing.T, as apptest.Clients, payload map[string]any) string {
	t.Helper()
	answer, err := as.Events.PublishEvent(t.Context(), probe(payload))
	require.NoError(t, err)
	return answer.GetId()
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// What an operator types: list the dead letters, look at what a replay would run, replay by a filter and wait, discard.
func TestCommands_DeadLettersAndReplay(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	ana, _ := demo.Find("admin")
	dead := func() string {
		t.Helper()
		id := apptest.One[string](t, admin, `
			WITH e AS (
				INSERT INTO events (org_id, type, payload, created_by, source, correlation_id, status)
				VALUES ($1, 'system.probe', '{"action": "PROBE_ACTION_OK"}', $2, 'api', app.uuid_v7(), 'dead_letter') RETURNING org_id, id
			) INSERT INTO event_deliveries (org_id, event_id, handler_name, max_attempts, status, finished_at, reason)
			SELECT org_id, id, 'run_probe', 3, 'dead_letter', now(), 'permanent' FROM e RETURNING event_id::text`,
			ana.Organization.ID(), ana.ID())
		apptest.Eventually(t, func() bool {
			return apptest.One[int](t, admin, `SELECT count(*)::int FROM event_outbox WHERE event_id = $1`, id) == 0
		}, "not dispatched")
		return id
	}
	// The dispatcher takes them out of the outbox and finds nothing to do.
	one, two, three := dead(), dead(), dead()
	intime := func(line string) int {
		args := append(strings.Fields(line), "--url", env.URL, "--token", env.Token(t, "admin"))
		return run(t.Context(), args)
	}
	status := func(id string) string {
		return apptest.One[string](t, admin, `SELECT status FROM event_deliveries WHERE event_id = $1`, id)
	}
	require.Zero(t, intime("dead-letters list --handler run_probe --search x -o json"))
	require.Zero(t, intime("events replay --type system.probe --preview"))
	require.Equal(t, "dead_letter", status(one), "looked at, and no more")
	require.Zero(t, intime("dead-letters discard "+one+"/run_probe --reason="+strings.Repeat("because_", 3)))
	require.Equal(t, "discarded", status(one))
	require.Zero(t, intime("dead-letters retry "+two+"/run_probe"))
	require.Zero(t, intime("events replay --type system.probe --handler run_probe --after 2026-01-01T00:00:00Z --mode failed --wait"))
	require.Equal(t, "succeeded", status(three), "waited for")
	require.Zero(t, intime("events replay "+three+" --mode everything --wait"))
	require.Equal(t, "discarded", status(one))

	require.Equal(t, 1, intime("events replay"), "no events named")
	require.Equal(t, 1, intime("events replay "+three+" --type system.probe"), "named twice over")
	require.Equal(t, 1, intime("dead-letters retry nonsense"))
	require.Equal(t, 1, intime("dead-letters discard "+one+"/run_probe --reason short"))
}

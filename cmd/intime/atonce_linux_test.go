package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// Whoever migrates at once waits for the other: each migration runs once, and everybody ends well.
func TestAtOnce_Migrations(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	var (
		running sync.WaitGroup
		said    [2]string
	)
	for n := range said {
		running.Go(func() {
			var err error
			said[n], err = once(t, []string{"DATABASE_URL=" + url}, "migrate", "up")
			assert.NoError(t, err)
		})
	}
	running.Wait()
	ran := 0
	for _, text := range said {
		require.Contains(t, text, "The database is at the newest version.")
		ran += strings.Count(text, "\n") - 1
	}
	admin := apptest.Connect(t, url)
	require.Empty(t, apptest.All[int64](t, admin, `
		SELECT version_id FROM goose_db_version WHERE is_applied GROUP BY version_id HAVING count(*) > 1`), "ran twice")
	require.Equal(t, apptest.One[int](t, admin, `SELECT count(*)::int FROM goose_db_version WHERE version_id > 0`), ran)
	require.NotZero(t, ran)
	require.Empty(t, apptest.All[string](t, admin, `SELECT name FROM app.event_types GROUP BY name HAVING count(*) > 1`))
}

// Workers that all dispatch at once, and all believe at times that they lead, double nothing.
func TestAtOnce_DispatchersAndLeaders(t *testing.T) {
	t.Parallel()
	const events = 600
	i := install(t, apptest.Database(t))
	i.serve(1)
	admin, ana := i.admin(), i.as(i.ana())[0]
	l := &ledger{entries: map[int64]*entry{}, stop: func() {}}
	for len(l.entries) < events {
		request := &eventv1.PublishEventsRequest{}
		for range 200 {
			seq := int64(len(l.entries) + 1)
			l.entries[seq] = &entry{}
			payload, _, _ := plan(seq)
			payload["seq"] = seq
			request.Events = append(request.Events, probe(payload))
		}
		answer, err := ana.Events.PublishEvents(t.Context(), request)
		require.NoError(t, err)
		for n, e := range answer.GetEvents() {
			l.entries[int64(len(l.entries)-200+n+1)].ids = []string{e.GetId()}
		}
	}
	require.Equal(t, events, apptest.One[int](t, admin, `SELECT count(*)::int FROM event_outbox`))
	i.work(3)
	// Whoever lost the lead without being told goes on as if he had it.
	for deadline := time.Now().Add(30 * time.Second); unsettled(t, admin) > 0 && time.Now().Before(deadline); {
		apptest.Exec(t, admin, `DELETE FROM river.river_leader`)
		<-time.After(200 * time.Millisecond)
	}
	require.Zero(t, unsettled(t, admin))
	a := l.close(t, admin)
	a.require(t)
	a.requireGentle(t)
	require.Equal(t, events, a.acknowledged)
	require.Len(t, apptest.All[string](t, admin, `SELECT DISTINCT worker FROM event_deliveries WHERE worker IS NOT NULL`), 3,
		"not all of them worked")
}

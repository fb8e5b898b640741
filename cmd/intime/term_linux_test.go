package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// A server and a worker that are told to end under load do so within their grace: each call that was carried out is
// answered, and no attempt counts that the end cut short.
func TestTerm_UnderLoad(t *testing.T) {
	t.Parallel()
	termUnderLoad(t, 2*time.Second)
}

// termUnderLoad ends a server and a worker, each after so much load.
func termUnderLoad(t *testing.T, load time.Duration) {
	t.Helper()
	i := install(t, apptest.Database(t))
	i.serve(2)
	i.work(1)
	admin, clients := i.admin(), i.as(i.ana())
	// Before the load: a trigger waits for every transaction that published, and those that want to wait for the trigger.
	slowAside(t, admin)
	l := publishing(t, clients, 4, 50*time.Millisecond)
	<-time.After(load / 2)

	// Some end in the time that handlers get for it, others do not.
	var ids []string
	for n := range 6 {
		ids = append(ids, publish(t, clients[1], map[string]any{
			"action": "PROBE_ACTION_EMIT", "count": 1, "sleepMs": []int{500, 4000}[n%2], "seq": -1 - n,
		}))
	}
	apptest.Eventually(t, func() bool {
		return underWay(t, admin) >= 3
	}, "the slow handlers are not under way")
	i.work(1)
	took, err := i.workers[0].stop(grace)
	require.NoError(t, err)
	t.Logf("the worker ended after %s", took.Round(time.Millisecond))

	// Calls that are under way when the server is told to end, and go on for a while.
	calls := make(chan error, 3)
	for range cap(calls) {
		go func() {
			_, err := clients[0].Events.PublishEvent(t.Context(), probe(map[string]any{"action": "PROBE_ACTION_OK", "seq": aside}))
			calls <- err
		}()
	}
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, admin, `
			SELECT count(*)::int FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'intime_api' AND wait_event = 'PgSleep'`) > 0
	}, "no calls are under way")
	took, err = i.servers[0].stop(grace)
	require.NoError(t, err)
	t.Logf("the server ended after %s", took.Round(time.Millisecond))
	for range cap(calls) {
		require.NoError(t, <-calls, "a call that was under way")
	}
	<-time.After(load / 4)
	l.end()
	apptest.Eventually(t, func() bool { return unsettled(t, admin) == 0 }, "not everything ended")
	for n, id := range ids {
		l.entries[int64(-1-n)] = &entry{ids: []string{id}}
	}
	a := l.close(t, admin)
	a.require(t)
	a.requireGentle(t)
}

// slowAside has each publication of a probe that is aside take a second.
func slowAside(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	apptest.Exec(t, admin, `
		CREATE FUNCTION public.take_a_second() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN PERFORM pg_catalog.pg_sleep(1); RETURN NEW; END $$`)
	apptest.Exec(t, admin, fmt.Sprintf(`
		CREATE TRIGGER take_a_second BEFORE INSERT ON events FOR EACH ROW
		WHEN (NEW.payload ->> 'seq' = '%d') EXECUTE FUNCTION public.take_a_second()`, aside))
}

// A handler that does not care that it is cancelled does not hold up the end of its process.
func TestTerm_HandlerHangs(t *testing.T) {
	t.Parallel()
	i := install(t, apptest.Database(t))
	i.serve(1)
	i.work(1)
	admin, ana := i.admin(), i.as(i.ana())[0]
	publish(t, ana, map[string]any{"action": "PROBE_ACTION_HANG", "sleepMs": 60_000})
	apptest.Eventually(t, func() bool {
		return underWay(t, admin) == 1
	}, "the handler is not under way")
	took, _ := i.workers[0].stop(grace + time.Second)
	t.Logf("ended after %s", took.Round(time.Millisecond))
}

// Servers and workers that are restarted one after the other, as a new version is rolled out, lose nothing.
func TestTerm_RollingRestart(t *testing.T) {
	t.Parallel()
	rollingRestart(t, 1)
}

func rollingRestart(t *testing.T, rounds int) {
	t.Helper()
	i := install(t, apptest.Database(t))
	i.serve(2)
	i.work(2)
	admin := i.admin()
	l := publishing(t, i.as(i.ana()), 4, 50*time.Millisecond)
	for range rounds {
		for _, p := range i.processes() {
			before := l.acknowledged()
			_, err := p.stop(grace)
			require.NoError(t, err, p.name)
			p.again()
			apptest.Eventually(t, func() bool { return l.acknowledged() > before+20 }, "nothing is published any more")
			for _, s := range i.servers {
				s.awaitReady()
			}
		}
	}
	l.end()
	apptest.Eventually(t, func() bool { return unsettled(t, admin) == 0 }, "not everything ended")
	a := l.close(t, admin)
	a.require(t)
	a.requireGentle(t)
}

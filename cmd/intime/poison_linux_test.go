package main

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// Many events of one organisation whose handler fails, panics or hangs are not the other organisations' trouble: theirs are
// handled about as soon as before.
func TestPoison_OthersDoNotWait(t *testing.T) {
	t.Parallel()
	poison(t, poisoning{
		events: 300, hang: 2 * time.Second, probes: 100, every: 15 * time.Millisecond, noise: time.Second, patience: 5 * time.Second,
	})
}

type poisoning struct {
	events   int           // that are poison
	hang     time.Duration // how long a third of them hangs
	probes   int           // of the other organisation, before and during
	every    time.Duration // between two of those
	noise    time.Duration // below this a difference is the machine's
	patience time.Duration // for the last probe
}

func poison(t *testing.T, o poisoning) {
	t.Helper()
	i := install(t, apptest.Database(t))
	i.serve(1)
	i.work(1)
	admin := i.admin()
	quiet := i.as(i.token(apptest.NewOrganization(t, admin, "admin").People["admin"].UserID))[0]
	loud := i.as(i.token(apptest.NewOrganization(t, admin, "admin").People["admin"].UserID))[0]
	for n := range 10 { // to warm up
		publish(t, quiet, map[string]any{"action": "PROBE_ACTION_OK", "seq": n})
	}
	apptest.Eventually(t, func() bool { return unsettled(t, admin) == 0 }, "nothing is handled")
	before := o.measure(t, admin, quiet, 1000)

	for sent := 0; sent < o.events; {
		request := &eventv1.PublishEventsRequest{}
		for ; sent < o.events && len(request.GetEvents()) < 500; sent++ {
			request.Events = append(request.Events, probe(map[string]any{
				"action":  []string{"PROBE_ACTION_HANG", "PROBE_ACTION_FAIL", "PROBE_ACTION_PANIC"}[sent%3],
				"sleepMs": o.hang.Milliseconds(), "seq": -1,
			}))
		}
		_, err := loud.Events.PublishEvents(t.Context(), request)
		require.NoError(t, err)
	}
	apptest.Eventually(t, func() bool {
		return underWay(t, admin) > 0
	}, "nothing hangs")
	during := o.measure(t, admin, quiet, 2000)

	limit := max(3*quantile(before, 0.99), o.noise)
	t.Logf("publish → handled: quiet p50 %s p99 %s; beside %d poison events p50 %s p99 %s max %s; at most %s",
		quantile(before, 0.5), quantile(before, 0.99), o.events, quantile(during, 0.5), quantile(during, 0.99), quantile(during, 1), limit)
	require.LessOrEqual(t, quantile(during, 0.99), limit, "another organisation's poison is felt")
	require.NotZero(t, apptest.One[int](t, admin, `
		SELECT count(*)::int FROM event_deliveries d JOIN events e ON e.id = d.event_id
		WHERE e.payload ->> 'seq' = '-1' AND d.status IN ('pending', 'running', 'failed')`), "the poison was gone before the measuring was")
}

// measure publishes probes and returns how long each took from its publication to its end, by the database's clock; those
// that do not end in time count with the time they have waited.
func (o poisoning) measure(t *testing.T, admin *pgx.Conn, as apptest.Clients, from int) []time.Duration {
	t.Helper()
	for n := range o.probes {
		publish(t, as, map[string]any{"action": "PROBE_ACTION_OK", "seq": from + n})
		<-time.After(o.every)
	}
	took := func() []time.Duration {
		return apptest.All[time.Duration](t, admin, `
			SELECT coalesce(d.finished_at, clock_timestamp()) - e.published_at
			FROM events e LEFT JOIN event_deliveries d ON d.event_id = e.id
			WHERE e.type = 'system.probe' AND (e.payload ->> 'seq')::bigint BETWEEN $1 AND $2`, from, from+o.probes-1)
	}
	for deadline := time.Now().Add(o.patience); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		if apptest.One[int](t, admin, `
			SELECT count(*)::int FROM events WHERE status = 'processed' AND (payload ->> 'seq')::bigint BETWEEN $1 AND $2`,
			from, from+o.probes-1) == o.probes {
			break
		}
	}
	all := took()
	require.Len(t, all, o.probes, "probes from %d", from)
	return all
}

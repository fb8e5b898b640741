package eventbus_test

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// Five hundred people watch one process: all get everything, at the price of one query for all of them, and none of them
// costs much memory.
func TestEventService_WatchEvents_Crowd(t *testing.T) { //nolint:paralleltest // it measures memory
	const people, events, mostEach = 500, 40, 400 << 10
	env := apptest.New(t, apptest.Options{Change: func(c *app.Config) { c.Recheck = time.Hour }})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	asked := transactions(t, admin)
	before := memory()
	// HTTP/2, so that the crowd does not need two file descriptors each.
	var crowd []*watcher
	token := env.Token(t, "admin")
	for i := range people {
		if i%100 == 0 {
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: protocols}
			t.Cleanup(transport.CloseIdleConnections)
			ana = env.Through(transport, token)
		}
		crowd = append(crowd, watch(t, ana, all()))
	}
	missing := make([]map[string]bool, people)
	ids := map[string]bool{}
	for range events {
		ids[publish(t, ana, "system.probe", probe{"action": 1, "note": strings.Repeat("x", 1000)})] = true
	}
	var group sync.WaitGroup
	for i, w := range crowd {
		group.Go(func() {
			left := map[string]bool{}
			for id := range ids {
				left[id] = true
			}
			for len(left) > 0 && w.stream.Receive() {
				for _, e := range w.stream.Msg().GetEvents() {
					delete(left, e.GetId())
				}
			}
			missing[i] = left
		})
	}
	group.Wait()
	for i := range missing {
		require.Empty(t, missing[i], "of watcher %d: %v", i, crowd[i].stream.Err())
	}
	each := (memory() - before) / people
	t.Logf("%d KiB for each of %d watchers, client and server together", each>>10, people)
	require.Less(t, each, mostEach)

	// A connection has told all that it did when it has ended.
	env.Stop()
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, admin, `SELECT count(*)::int FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`) == 0
	}, "the server is still connected")
	// To begin and to publish are two transactions each: who is it, and then what he asks for.
	looks := transactions(t, admin) - asked - 2*people - 2*events
	t.Logf("%d looks at the database, for %d watchers and %d events", looks, people, events)
	require.Less(t, looks, people, "everybody asks the database for himself")
}

// memory is what is in use, in bytes.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// transactions is how many there were in the test's database.
func transactions(t *testing.T, admin *pgx.Conn) int {
	t.Helper()
	apptest.Exec(t, admin, `SELECT pg_stat_force_next_flush()`)
	return apptest.One[int](t, admin, `SELECT (xact_commit + xact_rollback)::int FROM pg_stat_database WHERE datname = current_database()`)
}

// narrow is a transport whose connections hold little, and nothing compressed.
func narrow(t *testing.T) http.RoundTripper {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return uncompressed{transport}
}

type uncompressed struct{ http.RoundTripper }

func (u uncompressed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Connect-Accept-Encoding")
	return u.RoundTripper.RoundTrip(r)
}

// Somebody who takes nothing for a while holds up nobody, is held in mind with nothing but his position, and is sent the
// last state of everything when he comes back to it.
func TestEventService_WatchEvents_SlowClient(t *testing.T) {
	t.Parallel()
	const events = 200 // of 50 kB each: more than connections, buffers and the feed hold
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	plain := env.Through(narrow(t), env.Token(t, "admin"))
	slow, quick := watch(t, plain, all()), watch(t, plain, all())
	person, _ := demo.Find("admin")
	var ids []string
	for range events {
		ids = append(ids, apptest.One[string](t, admin, `
			INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
			VALUES ($1, 'system.probe', jsonb_build_object('note', repeat('x', 50000)), $2, 'sql', gen_random_uuid())
			RETURNING id::text`, person.Organization.ID(), person.ID()))
	}
	see := func(w *watcher, done func(map[string]eventv1.EventStatus) bool) {
		seen := map[string]eventv1.EventStatus{}
		for !done(seen) {
			for _, e := range w.receive(t) {
				seen[e.GetId()] = e.GetStatus()
			}
		}
	}
	see(quick, func(seen map[string]eventv1.EventStatus) bool { return len(seen) == events })
	require.Equal(t, int64(events), apptest.Exec(t, admin, `UPDATE events SET status = 'processed', changed_xid = pg_current_xact_id()`))
	allProcessed := func(seen map[string]eventv1.EventStatus) bool {
		for _, id := range ids {
			if seen[id] != processed {
				return false
			}
		}
		return true
	}
	see(quick, allProcessed)
	see(slow, allProcessed)
	id := publish(t, ana, "system.probe", probe{"action": 1})
	require.Equal(t, []string{id}, idsOf(slow.receive(t)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := ana.Events.GetEvent(ctx, &eventv1.GetEventRequest{Id: id})
	require.NoError(t, err)
}

// However many events there are, looking for changes reads the changes.
func TestEventService_WatchEvents_ReadsLittle(t *testing.T) {
	t.Parallel()
	const stored = 20_000
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	person, _ := demo.Find("admin")
	apptest.Exec(t, admin, `
		INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
		SELECT $1, 'system.probe', '{}', $2, 'sql', gen_random_uuid() FROM generate_series(1, $3)`,
		person.Organization.ID(), person.ID(), stored)
	apptest.Exec(t, admin, `ANALYZE events`)
	w := watch(t, ana, all())
	// Pages of the index, not entries: the database counts no entry that it skips.
	looked := func() (pages, scans int) {
		require.NoError(t, admin.QueryRow(t.Context(), `
			SELECT (SELECT sum(idx_blks_hit + idx_blks_read) FROM pg_statio_user_indexes WHERE indexrelname LIKE '%changed_xid%')::int,
				(SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname LIKE '%changed_xid%')::int`).Scan(&pages, &scans))
		return pages, scans
	}
	before, first := looked()
	pages, scans := before, first
	apptest.Eventually(t, func() bool {
		id := publish(t, ana, "system.probe", probe{"action": 1})
		w.await(t, id, pending)
		pages, scans = looked()
		return scans > first+50
	}, "the statistics never show that it looks")
	require.Less(t, (pages-before)/(scans-first), 20, "pages of the index for each look")
}

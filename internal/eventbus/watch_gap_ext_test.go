package eventbus_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// setStatus changes an event as the workers do.
func setStatus(t *testing.T, conn *pgx.Conn, id, status string) int64 {
	t.Helper()
	return apptest.Exec(t, conn, `UPDATE events SET status = $2, changed_xid = pg_current_xact_id() WHERE id = $1`, id, status)
}

// A transaction that is held open, for whatever reason, holds up nobody's view of what others commit; and what it did is
// seen when it commits, although its number is older by then than that of everything else.
func TestEventService_WatchEvents_OpenTransaction(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	late := publish(t, ana, "system.probe", probe{"action": 1})
	w := watch(t, ana, all())
	tx, err := admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE events SET status = 'failed', changed_xid = pg_current_xact_id() WHERE id = $1`, late)
	require.NoError(t, err)
	for range 10 {
		id := publish(t, ana, "system.probe", probe{"action": 1})
		require.Equal(t, []string{id}, idsOf(w.receive(t)))
	}
	again := watch(t, ana, &eventv1.WatchEventsRequest{ResumeToken: w.token})
	require.NoError(t, tx.Commit(t.Context()))
	for _, one := range []*watcher{w, again} {
		require.Equal(t, []string{late}, idsOf(one.receive(t)))
	}
}

// writer publishes and changes events of its own in transactions that stand open side by side and end in any order.
type writer struct {
	random *rand.Rand
	conns  []*pgx.Conn
	open   []*openTx
	states map[string]int32 // what has committed: the events' versions
	held   map[string]bool  // by an open transaction
}

type openTx struct {
	tx      pgx.Tx
	changes map[string]int32
}

// step begins a transaction, goes on with one or ends one.
func (w *writer) step(ctx context.Context) error {
	i := w.random.IntN(len(w.conns))
	if w.open[i] == nil {
		tx, err := w.conns[i].Begin(ctx)
		if err != nil {
			return err
		}
		w.open[i] = &openTx{tx: tx, changes: map[string]int32{}}
		return w.change(ctx, w.open[i])
	}
	switch w.random.IntN(6) {
	case 0, 1:
		return w.change(ctx, w.open[i])
	case 2:
		return w.finish(ctx, i, false)
	default:
		return w.finish(ctx, i, true)
	}
}

// change publishes an event, or changes one that nobody holds; now and then in a savepoint.
func (w *writer) change(ctx context.Context, o *openTx) error {
	tx := o.tx
	if w.random.IntN(3) == 0 {
		nested, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = nested.Commit(ctx) }()
		tx = nested
	}
	if w.random.IntN(3) > 0 {
		for id, version := range w.states {
			if w.held[id] {
				continue
			}
			o.changes[id], w.held[id] = version+1, true
			_, err := tx.Exec(ctx, `UPDATE events SET retry_count = $2, changed_xid = pg_current_xact_id() WHERE id = $1`, id, version+1)
			return err
		}
	}
	ana, _ := demo.Find("admin")
	var id string
	err := tx.QueryRow(ctx, `
		INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
		VALUES ($1, 'system.probe', '{}', $2, 'sql', gen_random_uuid()) RETURNING id::text`, ana.Organization.ID(), ana.ID()).Scan(&id)
	o.changes[id], w.held[id] = 0, true
	return err
}

func (w *writer) finish(ctx context.Context, i int, commit bool) error {
	o := w.open[i]
	w.open[i] = nil
	for id, version := range o.changes {
		delete(w.held, id)
		if commit {
			w.states[id] = version
		}
	}
	if !commit {
		return o.tx.Rollback(ctx)
	}
	return o.tx.Commit(ctx)
}

// restless watches, hangs up after a few messages and goes on with his token, until stop; then until he has seen the last
// state of everything. He returns the highest version of each event that he saw.
func restless(
	ctx context.Context, as apptest.Clients, token string, random *rand.Rand, done func(map[string]int32) bool,
) (map[string]int32, error) {
	seen := map[string]int32{}
	for {
		call, hangUp := context.WithCancel(ctx)
		stream, err := as.Events.WatchEvents(call, &eventv1.WatchEventsRequest{ResumeToken: token})
		if err != nil {
			hangUp()
			return seen, err
		}
		for range 1 + random.IntN(8) {
			if done(seen) {
				hangUp()
				return seen, stream.Close()
			}
			if !stream.Receive() {
				hangUp()
				return seen, fmt.Errorf("the watch ended: %w", stream.Err())
			}
			token = stream.Msg().GetResumeToken()
			for _, e := range stream.Msg().GetEvents() {
				seen[e.GetId()] = max(seen[e.GetId()], e.GetRetryCount())
			}
		}
		hangUp()
		_ = stream.Close()
	}
}

// Of transactions that are held open and commit in any order, each event is seen at its last state, by whoever watches all
// the time and by whoever hangs up and comes back at random.
func TestEventService_WatchEvents_NoGap(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	start := watch(t, ana, all()).token
	const writers, watchers, period = 6, 4, 4 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var (
		mu      sync.Mutex
		final   map[string]int32 // once everything has committed
		writing sync.WaitGroup
		reading sync.WaitGroup
	)
	all := make([]map[string]int32, writers)
	for i := range writers {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		w := &writer{random: random, states: map[string]int32{}, held: map[string]bool{}}
		for range 5 {
			w.conns = append(w.conns, apptest.Connect(t, env.AdminURL))
			w.open = append(w.open, nil)
		}
		writing.Go(func() {
			for end := time.Now().Add(period); time.Now().Before(end); {
				if err := w.step(ctx); err != nil {
					assert.NoError(t, err)
					return
				}
			}
			for i := range w.open {
				if w.open[i] != nil {
					assert.NoError(t, w.finish(ctx, i, true))
				}
			}
			all[i] = w.states
		})
	}
	done := func(seen map[string]int32) bool {
		mu.Lock()
		defer mu.Unlock()
		if final == nil {
			return false
		}
		for id, version := range final {
			if seen[id] < version {
				return false
			}
			if _, known := seen[id]; !known {
				return false
			}
		}
		return true
	}
	saw := make([]map[string]int32, watchers)
	for i := range watchers {
		reading.Go(func() {
			seen, err := restless(ctx, ana, start, rand.New(rand.NewPCG(2, uint64(i))), done)
			assert.NoError(t, err, "watcher %d", i)
			saw[i] = seen
		})
	}
	writing.Wait()
	union := map[string]int32{}
	for _, states := range all {
		maps.Copy(union, states)
	}
	mu.Lock()
	final = union
	mu.Unlock()
	reading.Wait()
	require.Greater(t, len(union), 100)
	for i := range watchers {
		require.Equal(t, union, saw[i], "watcher %d", i)
	}
}

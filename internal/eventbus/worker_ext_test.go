package eventbus_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// The whole program twice on one database: the one that serves wakes the one that works.
func TestWorker_OfAnotherProcess(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	ana := env.As(t, "admin")
	ana.Await(t, publish(t, ana, "system.probe", probe{"action": 1}), processed)
}

// NOTIFY alone does: the workers look by themselves only once an hour.
func TestWorker_IsNotified(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, eventbus.Config{DispatchInterval: time.Hour}, probedHandlers{
		"one": func(context.Context, *postgres.Tx, probed) error { return nil },
	})
	apptest.Eventually(t, func() bool {
		return apptest.One[bool](t, b.admin, `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN intime_events')`)
	}, "nobody listens")

	b.await(t, uuid.MustParse(publishSQL(t, b.admin, "system.probed", `{}`)), "processed")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	api := b.open(t, postgres.LoginAPI)
	go b.idle.Announce(ctx, api)
	b.await(t, b.publish(t, &systemv1.SystemProbed{})[0], "processed")
}

// Where nobody notifies, the workers' own interval does.
func TestWorker_LooksByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, eventbus.Config{DispatchInterval: 50 * time.Millisecond}, probedHandlers{
		"one": func(context.Context, *postgres.Tx, probed) error { return nil },
	})
	b.await(t, b.publish(t, &systemv1.SystemProbed{})[0], "processed")
}

func TestWorker_TwoShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 500
	var runs [2]atomic.Int64
	for i := range runs {
		b.start(t, eventbus.Config{Worker: fmt.Sprintf("worker/%d", i)}, probedHandlers{
			"one": func(ctx context.Context, tx *postgres.Tx, d probed) error {
				runs[i].Add(1)
				return note(ctx, tx, d, "")
			},
		})
	}
	events := make([]eventbus.Event, count)
	for i := range events {
		events[i] = &systemv1.SystemProbed{Seq: int64(i)}
	}
	b.publish(t, events...)
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE status = 'processed'`) == count
	}, "not all events were handled")
	require.Equal(t, []string{"1 succeeded"}, apptest.All[string](t, b.admin, `
		SELECT DISTINCT count(*) || ' ' || string_agg(outcome, ' ') FROM event_attempt_history GROUP BY event_id, handler_name`))
	require.Equal(t, count, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM event_attempt_history`))
	require.Len(t, b.notes(t), count)
	require.Equal(t, int64(count), runs[0].Load()+runs[1].Load())
	for i := range runs {
		require.NotZero(t, runs[i].Load(), "worker %d did nothing", i)
	}
	require.Zero(t, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM event_outbox`))
}

// A handler that is running when its process stops may finish; what takes longer is interrupted, which costs no attempt, and
// the next process begins it anew.
func TestWorker_Stops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	running := make(chan string, 2)
	stop := b.start(t, eventbus.Config{DrainTimeout: 300 * time.Millisecond, Worker: "first"}, probedHandlers{
		"quick": func(ctx context.Context, tx *postgres.Tx, d probed) error {
			running <- "quick"
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			return note(ctx, tx, d, "quick")
		},
		"slow": func(ctx context.Context, tx *postgres.Tx, d probed) error {
			if err := note(ctx, tx, d, "slow in the first process"); err != nil {
				return err
			}
			running <- "slow"
			<-ctx.Done()
			return ctx.Err()
		},
	})
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	require.ElementsMatch(t, []string{"quick", "slow"}, []string{<-running, <-running})
	stop()
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 1, Outcomes: "succeeded"}, b.delivery(t, id, "quick"))
	require.Equal(t, storedDelivery{Status: "pending", Outcomes: "interrupted"}, b.delivery(t, id, "slow"))
	require.Equal(t, storedEvent{Status: "pending"}, b.event(t, id))
	require.Equal(t, []string{"0/quick"}, b.notes(t))

	late := b.publish(t, &systemv1.SystemProbed{Seq: 1})[0]
	ok := func(ctx context.Context, tx *postgres.Tx, d probed) error { return note(ctx, tx, d, "second process") }
	b.start(t, eventbus.Config{Worker: "second"}, probedHandlers{"quick": ok, "slow": ok})
	b.await(t, id, "processed")
	b.await(t, late, "processed")
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 1, Outcomes: "interrupted,succeeded"}, b.delivery(t, id, "slow"))
	require.Equal(t, []string{"1 first", "2 second"}, apptest.All[string](t, b.admin, `
		SELECT number || ' ' || worker FROM event_attempt_history WHERE event_id = $1 AND handler_name = 'slow' ORDER BY number`, id))
}

// crash leaves the delivery as a process does that was killed: running, its lease over.
func (b *testBundle) crash(t *testing.T, id uuid.UUID, attempts int) {
	t.Helper()
	require.Equal(t, int64(1), apptest.Exec(t, b.admin, `
		UPDATE event_deliveries SET status = 'running', attempt_count = $2, run_count = $2, lease_token = gen_random_uuid(),
			started_at = now() - interval '1 minute', lease_expires_at = now() - interval '1 second', worker = 'gone'
		WHERE event_id = $1`, id, attempts))
	if attempts > 1 {
		apptest.Exec(t, b.admin, `
			INSERT INTO event_attempts (event_id, handler_name, number, org_id, outcome, started_at)
			SELECT event_id, handler_name, n, org_id, 'crashed', now() FROM event_deliveries, generate_series(1, $2 - 1) n
			WHERE event_id = $1`, id, attempts)
	}
	apptest.Requeue(t, b.admin, id.String())
}

func TestWorker_Crashed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, eventbus.Config{}, probedHandlers{"one": func(ctx context.Context, tx *postgres.Tx, d probed) error {
		if d.Attempt == 1 {
			return eventbus.RetryAfter(time.Hour, errOnPurpose)
		}
		return note(ctx, tx, d, fmt.Sprint("attempt ", d.Attempt))
	}})
	ids := b.publish(t, &systemv1.SystemProbed{Seq: 1}, &systemv1.SystemProbed{Seq: 2})
	first, last := ids[0], ids[1]
	for _, id := range ids {
		b.await(t, id, "failed")
		apptest.Exec(t, b.admin, `DELETE FROM event_attempts WHERE event_id = $1`, id)
	}

	b.crash(t, first, 1)
	b.await(t, first, "processed")
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 2, Outcomes: "crashed,succeeded"}, b.delivery(t, first, "one"))
	require.Equal(t, []string{"1/attempt 2"}, b.notes(t))
	require.Equal(t, "gone: The process that ran this attempt ended without a word.", apptest.One[string](t, b.admin,
		`SELECT worker || ': ' || error_message FROM event_attempts WHERE event_id = $1 AND outcome = 'crashed'`, first))

	b.crash(t, last, 3)
	b.await(t, last, "dead_letter")
	require.Equal(t, storedDelivery{
		Status: "dead_letter", AttemptCount: 3, Outcomes: "crashed,crashed,crashed", Reason: "attempts_exhausted",
	}, b.delivery(t, last, "one"))
	require.Equal(t, "The process that ran the last attempt ended without a word.", b.event(t, last).ErrorMessage)
	require.Equal(t, []string{"system warning one attempts_exhausted"}, deadLettered(t, b.admin, last.String()))
	require.Len(t, b.notes(t), 1)
}

func TestWorker_LeavesARunningAttemptAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var runs atomic.Int64
	b.start(t, eventbus.Config{}, probedHandlers{"one": func(context.Context, *postgres.Tx, probed) error {
		runs.Add(1)
		return eventbus.RetryAfter(time.Hour, errOnPurpose)
	}})
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	b.await(t, id, "failed")
	apptest.Exec(t, b.admin, `
		UPDATE event_deliveries SET status = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 hour',
			next_attempt_at = NULL WHERE event_id = $1`, id)
	apptest.Requeue(t, b.admin, id.String())
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, b.admin, `
			SELECT count(*)::int FROM river.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '50 minutes'`) == 2
	}, "the second job was not put off until the lease ends")
	require.Equal(t, int64(1), runs.Load())
	require.Equal(t, "running", b.delivery(t, id, "one").Status)
}

// An attempt that lost its connection, and with it its lock, finds another one done when it comes back: it changes nothing.
func TestWorker_Zombie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	running, wake := make(chan int, 1), make(chan struct{})
	var woken atomic.Int64
	zombie := func(ctx context.Context, tx *postgres.Tx, d probed) error {
		var pid int
		if err := tx.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		if err := note(ctx, tx, d, "by the zombie"); err != nil {
			return err
		}
		running <- pid
		select {
		case <-wake:
			woken.Add(1)
		case <-t.Context().Done():
		}
		return nil
	}
	// One at a time, so that the zombie's process does not take the second job as well.
	stop := b.start(t, eventbus.Config{Worker: "zombie", Concurrency: 1}, probedHandlers{"one": zombie})
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	pid := <-running
	require.True(t, apptest.One[bool](t, b.admin, `SELECT pg_terminate_backend($1, 5000)`, pid))
	require.Equal(t, int64(1), apptest.Exec(t, b.admin,
		`UPDATE event_deliveries SET lease_expires_at = now() - interval '1 second' WHERE event_id = $1 AND status = 'running'`, id))

	// Another process has the delivery meanwhile. The zombie's own job stays as it is, so this one needs a job of its own.
	b.start(t, eventbus.Config{Worker: "successor"}, probedHandlers{"one": func(ctx context.Context, tx *postgres.Tx, d probed) error {
		return note(ctx, tx, d, "by the successor")
	}})
	apptest.Requeue(t, b.admin, id.String())
	b.await(t, id, "processed")
	want := storedDelivery{Status: "succeeded", AttemptCount: 2, Outcomes: "crashed,succeeded"}
	require.Equal(t, want, b.delivery(t, id, "one"))

	close(wake)
	stop() // waits until the zombie has written its books
	require.Equal(t, int64(1), woken.Load())
	require.Equal(t, want, b.delivery(t, id, "one"))
	require.Equal(t, storedEvent{Status: "processed"}, b.event(t, id))
	require.Equal(t, []string{"0/by the successor"}, b.notes(t))
}

// Every function that moves a delivery asks for the lease: with one that is over it answers so, and changes nothing.
func TestLease_IsAskedForByAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.start(t, eventbus.Config{}, probedHandlers{"one": func(context.Context, *postgres.Tx, probed) error {
		return eventbus.RetryAfter(time.Hour, errOnPurpose)
	}})
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	b.await(t, id, "failed")
	stop()
	url, err := postgres.LoginURL(b.url, postgres.LoginWorker)
	require.NoError(t, err)
	worker := apptest.Connect(t, url)
	begin := func(token uuid.UUID) string {
		apptest.Exec(t, b.admin, `
			UPDATE event_deliveries SET next_attempt_at = now(), lease_expires_at = now() - interval '1 second' WHERE event_id = $1`, id)
		return apptest.One[string](t, worker, `SELECT verdict FROM app.start_delivery($1, $2, 'one', $3, '1 minute', 'w', 'v', NULL, NULL)`,
			b.person.OrgID, id, token)
	}
	late, holder := uuid.New(), uuid.New()
	require.Equal(t, "run", begin(late))
	require.Equal(t, "run", begin(holder))
	stands := func() string {
		return apptest.One[string](t, b.admin, `
			SELECT d::text || e::text || (SELECT count(*) FROM event_attempts) || (SELECT count(*) FROM audit_logs)
			FROM event_deliveries d JOIN events e ON e.id = d.event_id WHERE d.event_id = $1`, id)
	}
	before := stands()
	for _, token := range []*uuid.UUID{&late, nil} {
		require.False(t, apptest.One[bool](t, worker, `SELECT app.hold_delivery($1, $2, 'one', $3)`, b.person.OrgID, id, token))
		require.False(t, apptest.One[bool](t, worker, `SELECT mark_event_processed($1, $2, 'one', $3)`, b.person.OrgID, id, token))
		require.Nil(t, apptest.One[*string](t, worker,
			`SELECT status FROM mark_event_failed($1, $2, 'one', $3, 'failed', 'too late', '1 second')`,
			b.person.OrgID, id, token))
	}
	require.Equal(t, before, stands())
	require.True(t, apptest.One[bool](t, worker, `SELECT app.hold_delivery($1, $2, 'one', $3)`, b.person.OrgID, id, holder))
	require.True(t, apptest.One[bool](t, worker, `SELECT mark_event_processed($1, $2, 'one', $3)`, b.person.OrgID, id, holder))
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 3, Outcomes: "failed,crashed,succeeded"}, b.delivery(t, id, "one"))
	require.False(t, apptest.One[bool](t, worker, `SELECT mark_event_processed($1, $2, 'one', $3)`, b.person.OrgID, id, holder), "once")
}

// A delivery whose job was lost is found again.
func TestWorker_Sweeps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.start(t, eventbus.Config{}, probedHandlers{"one": func(context.Context, *postgres.Tx, probed) error {
		return eventbus.RetryAfter(time.Hour, errOnPurpose)
	}})
	overdue, early := b.publish(t, &systemv1.SystemProbed{})[0], b.publish(t, &systemv1.SystemProbed{})[0]
	b.await(t, overdue, "failed")
	b.await(t, early, "failed")
	stop()
	require.Equal(t, int64(2), apptest.Exec(t, b.admin, `
		DELETE FROM river.river_job WHERE kind = 'event_delivery' AND state <> 'completed'`))
	apptest.Exec(t, b.admin, `UPDATE event_deliveries SET next_attempt_at = now() - interval '1 hour' WHERE event_id = $1`, overdue)
	never := b.publish(t, &systemv1.SystemProbed{})[0] // and one that the dispatcher has not seen
	b.start(t, eventbus.Config{SweepAfter: time.Millisecond}, probedHandlers{
		"one": func(context.Context, *postgres.Tx, probed) error { return nil },
	})
	b.await(t, overdue, "processed")
	b.await(t, never, "processed")
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 2, Outcomes: "failed,succeeded"}, b.delivery(t, overdue, "one"))
	require.Equal(t, "failed", b.event(t, early).Status, "its time has not come")
}

// What an API process published while no worker ran is handled when one starts.
func TestWorker_StartsLater(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	id := publish(t, ana, "system.probe", probe{"action": 1})
	require.Equal(t, eventv1.EventStatus_EVENT_STATUS_PENDING, ana.Event(t, id).GetStatus())
	worker := env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	ana.Await(t, id, processed)
	worker.Stop()
	second := publish(t, ana, "system.probe", probe{"action": 1})
	env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	ana.Await(t, second, processed)
}

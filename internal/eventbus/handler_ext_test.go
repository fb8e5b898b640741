package eventbus_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

var errOnPurpose = errors.New("on purpose")

// note has an effect that a test can count: a mail under the key.
func note(ctx context.Context, tx *postgres.Tx, d probed, key string) error {
	return mail.Queue(ctx, tx, []mail.Mail{{
		DedupKey: fmt.Sprintf("%d/%s", d.Event.GetSeq(), key), To: "cara@acme.example",
		Content: mail.Content{Subject: "x", Text: "x", HTML: "x"},
	}})
}

func (b *testBundle) notes(t *testing.T) []string {
	t.Helper()
	return apptest.All[string](t, b.admin, `SELECT dedup_key FROM outgoing_mails ORDER BY dedup_key COLLATE "C"`)
}

func TestHandler_EffectsGoWithAFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bus := newBus(t, eventbus.Config{}, nil)
	eventbus.Handle(bus, "writes", func(ctx context.Context, tx *postgres.Tx, d probed) error {
		if err := note(ctx, tx, d, "attempt "+strconv.Itoa(d.Attempt)); err != nil {
			return err
		}
		event := &systemv1.SystemProbe{Action: 1, Seq: int64(d.Attempt)}
		if _, err := bus.Publish(ctx, tx, event, eventbus.PublishOptions{}); err != nil {
			return err
		}
		switch d.Attempt {
		case 1:
			return errOnPurpose
		case 2:
			panic("on purpose")
		default:
			return nil
		}
	}, eventbus.HandlerOptions{})
	b.run(t, bus)
	b.subscribed(t, 1)
	id := b.publish(t, &systemv1.SystemProbed{Seq: 7})[0]
	b.await(t, id, "processed")
	require.Equal(t, storedDelivery{Status: "succeeded", AttemptCount: 3, Outcomes: "failed,panicked,succeeded"},
		b.delivery(t, id, "writes"))
	require.Equal(t, []string{"7/attempt 3"}, b.notes(t))
	require.Equal(t, []string{"3"}, apptest.All[string](t, b.admin,
		`SELECT payload ->> 'seq' FROM events WHERE type = 'system.probe'`))
}

func TestHandler_Timeout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handlers := probedHandlers{
		"waits": func(ctx context.Context, _ *postgres.Tx, _ probed) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"queries": func(ctx context.Context, tx *postgres.Tx, _ probed) error {
			_, err := tx.Exec(ctx, `SELECT pg_sleep(60)`)
			return err
		},
		"ignores_it": func(ctx context.Context, tx *postgres.Tx, d probed) error {
			if err := note(ctx, tx, d, "too late"); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		},
	}
	b.run(t, newBus(t, eventbus.Config{HandlerTimeout: 200 * time.Millisecond}, func(bus *eventbus.Bus) {
		for name, handle := range handlers {
			eventbus.Handle(bus, name, handle, eventbus.HandlerOptions{MaxAttempts: 1})
		}
	}))
	b.subscribed(t, len(handlers))
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	for name := range handlers {
		apptest.Eventually(t, func() bool { return b.delivery(t, id, name).Status == "dead_letter" }, "%s went on", name)
		require.Equal(t, storedDelivery{
			Status: "dead_letter", AttemptCount: 1, Outcomes: "timed_out", Reason: "attempts_exhausted",
		}, b.delivery(t, id, name), "%s", name)
	}
	require.Equal(t, "The handler took longer than 200ms.", b.event(t, id).ErrorMessage)
	require.Empty(t, b.notes(t))
}

func TestHandler_Options(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fails := func(context.Context, *postgres.Tx, probed) error { return errOnPurpose }
	b.run(t, newBus(t, eventbus.Config{}, func(bus *eventbus.Bus) {
		eventbus.Handle(bus, "five", fails, eventbus.HandlerOptions{MaxAttempts: 5})
		eventbus.Handle(bus, "patient", fails, eventbus.HandlerOptions{Backoff: func(attempt int) time.Duration {
			return time.Duration(attempt) * time.Hour
		}})
		eventbus.Handle(bus, "says_when", func(context.Context, *postgres.Tx, probed) error {
			return eventbus.RetryAfter(2*time.Hour, errOnPurpose)
		}, eventbus.HandlerOptions{})
		eventbus.Handle(bus, "wrapped", func(context.Context, *postgres.Tx, probed) error {
			return fmt.Errorf("wrapped: %w", eventbus.Permanent(errOnPurpose))
		}, eventbus.HandlerOptions{})
		eventbus.Handle(bus, "hopeful", func(context.Context, *postgres.Tx, probed) error {
			return errors.Join(eventbus.Permanent(nil), eventbus.RetryAfter(time.Hour, nil))
		}, eventbus.HandlerOptions{})
	}))
	b.subscribed(t, 5)
	id := b.publish(t, &systemv1.SystemProbed{})[0]
	wait := func(handler string) int {
		return apptest.One[int](t, b.admin, `
			SELECT extract(epoch FROM next_attempt_at - now())::int FROM event_deliveries
			WHERE event_id = $1 AND handler_name = $2`, id, handler)
	}
	for handler, want := range map[string]storedDelivery{
		"five": {
			Status: "dead_letter", AttemptCount: 5, Outcomes: "failed,failed,failed,failed,failed", Reason: "attempts_exhausted",
		},
		"patient":   {Status: "failed", AttemptCount: 1, Outcomes: "failed"},
		"says_when": {Status: "failed", AttemptCount: 1, Outcomes: "failed"},
		"wrapped":   {Status: "dead_letter", AttemptCount: 1, Outcomes: "failed", Reason: "permanent"},
		"hopeful":   {Status: "succeeded", AttemptCount: 1, Outcomes: "succeeded"},
	} {
		apptest.Eventually(t, func() bool { return b.delivery(t, id, handler) == want }, "%s stands elsewhere", handler)
	}
	require.InDelta(t, time.Hour.Seconds(), wait("patient"), 60)
	require.InDelta(t, 2*time.Hour.Seconds(), wait("says_when"), 60)
}

// The event's state follows from its deliveries', whichever ends when.
func TestEvent_StatusOfSeveralHandlers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := make(chan struct{})
	obey := func(name string) func(context.Context, *postgres.Tx, probed) error {
		return func(ctx context.Context, _ *postgres.Tx, d probed) error {
			// The event's number says what each handler does, a digit each: 0 succeeds, 1 waits, 2 retries later, 3 gives up.
			place := map[string]int64{"one": 100, "two": 10, "three": 1}[name]
			switch d.Event.GetSeq() / place % 10 {
			case 1:
				select {
				case <-release:
				case <-ctx.Done():
				}
				return ctx.Err()
			case 2:
				return eventbus.RetryAfter(time.Hour, fmt.Errorf("%s will try again", name))
			case 3:
				return eventbus.Permanent(fmt.Errorf("%s gave up", name))
			default:
				return nil
			}
		}
	}
	b.start(t, eventbus.Config{Concurrency: 30}, probedHandlers{
		"one": obey("one"), "two": obey("two"), "three": obey("three"),
	})
	cases := map[int64]storedEvent{
		0:   {Status: "processed"},
		1:   {Status: "pending"},
		111: {Status: "pending"},
		2:   {Status: "failed", RetryCount: 1, ErrorMessage: "three will try again"},
		12:  {Status: "failed", RetryCount: 1, ErrorMessage: "three will try again"},
		3:   {Status: "dead_letter", RetryCount: 1, ErrorMessage: "three gave up"},
		320: {Status: "dead_letter", RetryCount: 1, ErrorMessage: "one gave up"},
		132: {Status: "dead_letter", RetryCount: 1, ErrorMessage: "two gave up"},
	}
	ids := map[int64]uuid.UUID{}
	for seq := range cases {
		ids[seq] = b.publish(t, &systemv1.SystemProbed{Seq: seq})[0]
	}
	for seq, want := range cases {
		apptest.Eventually(t, func() bool { return b.event(t, ids[seq]) == want }, "event %d should be %v", seq, want)
	}
	close(release)
	for seq, want := range map[int64]storedEvent{1: {Status: "processed"}, 111: {Status: "processed"}, 12: cases[12], 132: cases[132]} {
		apptest.Eventually(t, func() bool { return b.event(t, ids[seq]) == want }, "event %d should be %v in the end", seq, want)
	}
	require.True(t, apptest.One[bool](t, b.admin, `SELECT bool_and((processed_at IS NOT NULL) = (status = 'processed')) FROM events`))
}

// Handlers that end at the same moment leave no event behind.
func TestEvent_HandlersEndAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok := func(context.Context, *postgres.Tx, probed) error { return nil }
	b.start(t, eventbus.Config{Concurrency: 12}, probedHandlers{"one": ok, "two": ok, "three": ok})
	events := make([]eventbus.Event, 200)
	for i := range events {
		events[i] = &systemv1.SystemProbed{Seq: int64(i)}
	}
	b.publish(t, events...)
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, b.admin, `SELECT count(*)::int FROM event_attempt_history WHERE outcome = 'succeeded'`) == 3*len(events)
	}, "not all deliveries succeeded")
	require.Equal(t, len(events), apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE status = 'processed'`))
}

func TestCascade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bus := newBus(t, eventbus.Config{}, nil)
	// Each of the two types causes the other: probe, probed, probe, probed, and no further.
	eventbus.Handle(bus, "answers_probe", func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
		if d.Event.GetNote() == "own type" {
			_, err := bus.Publish(ctx, tx, &systemv1.SystemProbe{Action: 1}, eventbus.PublishOptions{})
			return eventbus.Permanent(err)
		}
		_, err := bus.Publish(ctx, tx, &systemv1.SystemProbed{Seq: d.Event.GetSeq()}, eventbus.PublishOptions{Source: eventbus.SourceCLI})
		return eventbus.Permanent(err)
	}, eventbus.HandlerOptions{})
	eventbus.Handle(bus, "answers_probed", func(ctx context.Context, tx *postgres.Tx, d probed) error {
		_, err := bus.Publish(ctx, tx, &systemv1.SystemProbe{Action: 1, Seq: d.Event.GetSeq()}, eventbus.PublishOptions{})
		return eventbus.Permanent(err)
	}, eventbus.HandlerOptions{})
	b.run(t, bus)
	b.subscribed(t, 2)

	root := b.publish(t, &systemv1.SystemProbe{Action: 1, Seq: 9})[0]
	apptest.Eventually(t, func() bool {
		return apptest.One[bool](t, b.admin,
			`SELECT EXISTS (SELECT FROM events WHERE correlation_id = $1 AND status = 'dead_letter')`, root)
	}, "the cascade did not end")
	require.Equal(t, []string{
		"0 system.probe api processed", "1 system.probed handler processed", "2 system.probe handler processed",
		"3 system.probed handler dead_letter",
	}, apptest.All[string](t, b.admin, `
		SELECT depth || ' ' || type || ' ' || source || ' ' || status FROM events WHERE correlation_id = $1 ORDER BY depth`, root))
	require.Equal(t, "A cascade has at most 3 events after its first.",
		apptest.One[string](t, b.admin, `SELECT error_message FROM events WHERE correlation_id = $1 AND depth = 3`, root))
	require.Equal(t, 3, apptest.One[int](t, b.admin, `
		SELECT count(*)::int FROM events e JOIN events cause ON cause.id = e.causation_id AND cause.depth = e.depth - 1
		WHERE e.correlation_id = $1 AND e.created_by = $2`, root, b.person.UserID), "each names the one before as its cause")

	own := b.publish(t, &systemv1.SystemProbe{Action: 1, Note: "own type"})[0]
	b.await(t, own, "dead_letter")
	require.Equal(t, "A handler of system.probe may not publish system.probe.", b.event(t, own).ErrorMessage)
	require.Equal(t, 1, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE correlation_id = $1`, own))
}

// A handler acts as the event's publisher: it sees and may do what he does, and nothing of the bus's own.
func TestHandler_ActsAsThePublisher(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, eventbus.Config{}, probedHandlers{
		"looks": func(ctx context.Context, tx *postgres.Tx, d probed) error {
			var who, organisations string
			err := tx.QueryRow(ctx, `
				SELECT current_user || ' ' || (SELECT full_name FROM public.user_profiles WHERE id = auth.uid()),
					(SELECT string_agg(slug, ' ') FROM public.organizations)`).Scan(&who, &organisations)
			if err != nil {
				return err
			}
			return note(ctx, tx, d, who+" "+organisations)
		},
		"meddles": func(ctx context.Context, tx *postgres.Tx, _ probed) error {
			_, err := tx.Exec(ctx, `UPDATE public.event_deliveries SET status = 'succeeded'`)
			return eventbus.Permanent(err)
		},
		"ends_it": func(ctx context.Context, tx *postgres.Tx, _ probed) error {
			return eventbus.Permanent(errors.Join(tx.Commit(ctx), errOnPurpose))
		},
	})
	id := b.publish(t, &systemv1.SystemProbed{Seq: 1})[0]
	b.await(t, id, "dead_letter")
	apptest.Eventually(t, func() bool { return b.delivery(t, id, "looks").Status == "succeeded" }, "looks did not run")
	require.Equal(t, []string{"1/authenticated Ana Admin acme"}, b.notes(t))
	for _, handler := range []string{"meddles", "ends_it"} {
		apptest.Eventually(t, func() bool { return b.delivery(t, id, handler).Reason == "permanent" }, "%s was let", handler)
	}
}

func TestBus_Validate(t *testing.T) {
	t.Parallel()
	types, err := eventbus.NewCatalogue()
	require.NoError(t, err)
	ok := func(context.Context, *postgres.Tx, probed) error { return nil }
	for name, handlers := range map[string][]string{"taken twice": {"same", "same"}, "no name": {"Upper"}, "is no name": {""}} {
		bus := eventbus.New(eventbus.Config{}, types)
		for _, handler := range handlers {
			eventbus.Handle(bus, handler, ok, eventbus.HandlerOptions{})
		}
		require.ErrorContains(t, bus.Validate(), name)
		require.ErrorContains(t, bus.Run(t.Context(), nil), name)
	}
}

package eventbustest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/eventbus/eventbustest"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestMain(m *testing.M) { apptest.Main(m) }

const (
	handler = "tried"
	echo    = "echo"
)

var errTry = errors.New("not this time")

type probed = eventbus.Delivery[*systemv1.SystemProbed]

// setup returns a kit with one handler of system.probed, and an admin of an organisation of the test's own.
func setup(t *testing.T, handle func(ctx context.Context, tx *postgres.Tx, d probed) error) (*eventbustest.Kit, principal.Principal) {
	t.Helper()
	kit := eventbustest.New(t, apptest.Database(t), func(bus *eventbus.Bus) error {
		eventbus.Handle(bus, handler, handle, eventbus.HandlerOptions{})
		eventbus.Handle(bus, echo, func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
			_, err := bus.Publish(ctx, tx, &systemv1.SystemProbed{Seq: d.Event.GetSeq()}, eventbus.PublishOptions{})
			return err
		}, eventbus.HandlerOptions{})
		return nil
	})
	return kit, apptest.NewOrganization(t, kit.Admin, "admin").People["admin"]
}

// A handler runs on the test's goroutine, as the event's publisher, and again only when its time has come.
func TestKit_RetriesInItsTime(t *testing.T) {
	t.Parallel()
	var runs []principal.Principal
	kit, admin := setup(t, func(ctx context.Context, _ *postgres.Tx, _ probed) error {
		p, _ := principal.From(ctx)
		runs = append(runs, p)
		return errTry
	})
	id := kit.Publish(t, admin, &systemv1.SystemProbed{Seq: 1})
	require.Empty(t, runs, "nothing runs by itself")

	made := kit.RunDue(t)
	require.Len(t, made, 1)
	require.ErrorIs(t, made[0].Err, errTry)
	require.Equal(t, eventbus.Attempted{EventID: id, Handler: handler, Attempt: 1, Err: made[0].Err}, made[0])
	require.Equal(t, []principal.Principal{{UserID: admin.UserID, OrgID: admin.OrgID}}, runs)
	d := kit.Delivery(t, id, handler)
	require.Equal(t, "failed", d.Status)
	require.NotNil(t, d.NextIn)
	require.InDelta(t, time.Second, *d.NextIn, float64(500*time.Millisecond), "the program's own backoff")

	require.Empty(t, kit.RunDue(t), "it is not due yet")
	kit.Advance(t, 1200*time.Millisecond)
	require.Equal(t, 2, kit.RunDue(t)[0].Attempt)
	kit.Advance(t, 2*time.Second)
	require.Empty(t, kit.RunDue(t), "the second wait is longer")
	kit.Advance(t, 3*time.Second)
	require.Equal(t, 3, kit.RunDue(t)[0].Attempt)
	d = kit.Delivery(t, id, handler)
	require.Equal(t, "dead_letter", d.Status)
	require.Equal(t, "attempts_exhausted", d.Reason)
	require.Equal(t, 3, d.AttemptCount)
	require.Nil(t, d.NextIn)
	kit.Advance(t, time.Hour)
	require.Empty(t, kit.RunDue(t))
	require.Len(t, runs, 3)
}

// What a handler writes goes with its failure and stays with its success; what it publishes runs in the same call.
func TestKit_EffectsAndCascade(t *testing.T) {
	t.Parallel()
	fails := true
	kit, admin := setup(t, func(ctx context.Context, tx *postgres.Tx, d probed) error {
		letter := mail.Mail{DedupKey: d.ID.String(), To: "cara@acme.example", Content: mail.Content{Subject: "x", Text: "x", HTML: "x"}}
		if err := mail.Queue(ctx, tx, []mail.Mail{letter}); err != nil {
			return err
		}
		if fails {
			return errTry
		}
		return nil
	})
	letters := func() int { return apptest.One[int](t, kit.Admin, `SELECT count(*)::int FROM outgoing_mails`) }
	first := kit.Publish(t, admin, &systemv1.SystemProbe{Action: systemv1.ProbeAction_PROBE_ACTION_OK, Seq: 7})
	made := kit.RunDue(t)
	require.Len(t, made, 2)
	require.Equal(t, echo, made[0].Handler)
	require.NoError(t, made[0].Err)
	require.ErrorIs(t, made[1].Err, errTry)
	require.Zero(t, letters(), "what it wrote went with the attempt")

	caused := eventbustest.RequirePublished(t, kit.Admin, func(p eventbustest.Published[*systemv1.SystemProbed]) bool {
		return p.Event.GetSeq() == 7
	})
	require.Equal(t, made[1].EventID, caused.ID)
	require.Equal(t, first, *caused.CausationID)
	require.Equal(t, first, caused.CorrelationID)
	require.Equal(t, "handler", caused.Source)
	require.Equal(t, 1, caused.Depth)
	require.Equal(t, admin.UserID, *caused.CreatedBy)

	fails = false
	kit.Advance(t, 2*time.Second)
	require.NoError(t, kit.RunDue(t)[0].Err)
	require.Equal(t, "succeeded", kit.Delivery(t, caused.ID, handler).Status)
	require.Equal(t, 1, letters())
}

// An attempt whose process died holds its delivery until its lease is over; the clock brings that about too.
func TestKit_Crash(t *testing.T) {
	t.Parallel()
	kit, admin := setup(t, func(context.Context, *postgres.Tx, probed) error { return errTry })
	id := kit.Publish(t, admin, &systemv1.SystemProbed{})
	kit.RunDue(t)
	apptest.Exec(t, kit.Admin, `
		UPDATE event_deliveries SET status = 'running', run_count = 2, attempt_count = 2, started_at = now(), next_attempt_at = NULL,
			lease_token = gen_random_uuid(), lease_expires_at = now() + interval '45 seconds' WHERE event_id = $1`, id)
	require.Empty(t, kit.RunDue(t))
	kit.Advance(t, 46*time.Second)
	require.Equal(t, 3, kit.RunDue(t)[0].Attempt)
}

func TestRequirePublished(t *testing.T) {
	t.Parallel()
	kit, admin := setup(t, func(context.Context, *postgres.Tx, probed) error { return nil })
	is := func(seq int64) func(eventbustest.Published[*systemv1.SystemProbed]) bool {
		return func(p eventbustest.Published[*systemv1.SystemProbed]) bool { return p.Event.GetSeq() == seq }
	}
	r := &recorder{TB: t}
	eventbustest.RequireNotPublished[*systemv1.SystemProbed](t, kit.Admin)
	id := kit.Publish(t, admin, &systemv1.SystemProbed{Seq: 1})
	kit.Publish(t, admin, &systemv1.SystemProbed{Seq: 2})
	kit.Publish(t, admin, &systemv1.SystemProbed{Seq: 2})

	require.Equal(t, id, eventbustest.RequirePublished(t, kit.Admin, is(1)).ID)
	eventbustest.RequireNotPublished(t, kit.Admin, is(3))
	eventbustest.RequireNotPublished[*systemv1.SystemProbe](t, kit.Admin)
	require.Contains(t, r.fails(func() { eventbustest.RequirePublished(r, kit.Admin, is(3)) }), "0 events match, not 1")
	require.Contains(t, r.fails(func() { eventbustest.RequirePublished(r, kit.Admin, is(2)) }), "2 events match, not 1")
	require.Contains(t, r.fails(func() { eventbustest.RequireNotPublished(r, kit.Admin, is(2)) }), id.String()[:8])
}

func TestRequirePublished_InTheTransactionThatPublishes(t *testing.T) {
	t.Parallel()
	kit, admin := setup(t, func(context.Context, *postgres.Tx, probed) error { return nil })
	err := kit.DB.Tenant(principal.With(t.Context(), admin), func(ctx context.Context, tx *postgres.Tx) error {
		id, err := kit.Bus.Publish(ctx, tx, &systemv1.SystemProbed{Seq: 4}, eventbus.PublishOptions{})
		require.NoError(t, err)
		stored := eventbustest.RequirePublished[*systemv1.SystemProbed](t, tx) //nolint:contextcheck // the test's context
		require.Equal(t, id.ID, stored.ID)
		return errTry
	})
	require.ErrorIs(t, err, errTry)
	eventbustest.RequireNotPublished[*systemv1.SystemProbed](t, kit.Admin)
}

// Row level security would hide every event from him: that nothing is seen says nothing.
func TestRequirePublished_WhoMayNotReadEvents(t *testing.T) {
	t.Parallel()
	kit, _ := setup(t, func(context.Context, *postgres.Tx, probed) error { return nil })
	student := apptest.NewOrganization(t, kit.Admin, "student").People["student"]
	err := kit.DB.Tenant(principal.With(t.Context(), student), func(_ context.Context, tx *postgres.Tx) error {
		r := &recorder{TB: t}
		said := r.fails(func() { //nolint:contextcheck // the test's context
			eventbustest.RequireNotPublished[*systemv1.SystemProbed](r, tx)
		})
		require.Contains(t, said, "may not read events")
		return nil
	})
	require.NoError(t, err)
}

// recorder is a test that may fail without failing the one it is part of.
type recorder struct {
	testing.TB

	said string
}

func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }
func (r *recorder) FailNow()                          { panic(r) }

// fails expects the function to fail the recorder, and returns what was said.
func (r *recorder) fails(f func()) (said string) {
	r.Helper()
	r.said = ""
	defer func() {
		require.Same(r.TB, r, recover(), "it did not fail")
		said = r.said
	}()
	f()
	return ""
}

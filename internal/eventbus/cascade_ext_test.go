package eventbus_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// loop runs two handlers that each cause so many of the other's events, without end, and returns the first event.
func (b *testBundle) loop(t *testing.T, fanOut int) (first uuid.UUID) {
	t.Helper()
	publish := func(ctx context.Context, tx *postgres.Tx, event eventbus.Event) error {
		for range fanOut {
			if _, err := b.idle.Publish(ctx, tx, event, eventbus.PublishOptions{}); err != nil {
				return err
			}
		}
		return nil
	}
	b.run(t, newBus(t, eventbus.Config{}, func(bus *eventbus.Bus) {
		eventbus.Handle(bus, "ping", func(ctx context.Context, tx *postgres.Tx, _ probed) error {
			return publish(ctx, tx, &systemv1.SystemProbe{Action: systemv1.ProbeAction_PROBE_ACTION_OK})
		}, eventbus.HandlerOptions{})
		eventbus.Handle(bus, "pong", func(ctx context.Context, tx *postgres.Tx, _ eventbus.Delivery[*systemv1.SystemProbe]) error {
			return publish(ctx, tx, &systemv1.SystemProbed{})
		}, eventbus.HandlerOptions{})
	}))
	b.subscribed(t, 2)
	first = b.publish(t, &systemv1.SystemProbed{})[0]
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, b.admin, `
			SELECT (SELECT count(*) FROM events WHERE status IN ('pending', 'failed'))::int
				+ (SELECT count(*) FROM event_outbox)::int`) == 0
	}, "the loop goes on")
	return first
}

// cutAndAudited expects that the cascade was cut off, and that the organisation's audit log says so.
func (b *testBundle) cutAndAudited(t *testing.T, first uuid.UUID) {
	t.Helper()
	require.NotZero(t, apptest.One[int](t, b.admin, `
		SELECT count(*)::int FROM audit_logs a JOIN events e ON a.table_name = 'events' AND a.record_id = e.id::text
		WHERE e.correlation_id = $1 AND a.org_id = e.org_id
		  AND (a.action = 'event.cascade_refused' OR a.action = 'event.dead_lettered' AND a.new_values ->> 'error' LIKE '%cascade%')`,
		first), "the audit log says nothing of it")
}

func TestCascade_LoopIsCut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.loop(t, 1)
	require.Equal(t, []string{"0 processed", "1 processed", "2 processed", "3 dead_letter"}, apptest.All[string](t, b.admin,
		`SELECT depth || ' ' || status FROM events WHERE correlation_id = $1 ORDER BY depth`, first))
	b.cutAndAudited(t, first)
}

// However few events stand one behind the other, they may be many side by side.
func TestCascade_StormIsCutAtItsBudget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.loop(t, 12)
	all := apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE correlation_id = $1`, first)
	require.LessOrEqual(t, all, 1+1000)
	b.cutAndAudited(t, first)
}

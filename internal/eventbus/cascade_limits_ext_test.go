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

type onProbe = func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error

// cascading runs a bus whose handler of system.probe does this.
func cascading(t *testing.T, b *testBundle, do func(bus *eventbus.Bus) onProbe) {
	t.Helper()
	bus := newBus(t, eventbus.Config{}, nil)
	eventbus.Handle(bus, "cascades", do(bus), eventbus.HandlerOptions{MaxAttempts: 1})
	b.run(t, bus)
	b.subscribed(t, 1)
}

// refusals are what the audit log and the cascade's count tell.
func (b *testBundle) refusals(t *testing.T, event uuid.UUID) (reasons []string, counted int) {
	t.Helper()
	reasons = apptest.All[string](t, b.admin, `
		SELECT new_values ->> 'reason' FROM audit_logs WHERE action = 'event.cascade_refused' AND record_id = $1`, event.String())
	return reasons, apptest.One[int](t, b.admin, `
		SELECT coalesce(max(refused_count), 0) FROM event_cascades WHERE correlation_id = $1`, event)
}

func (b *testBundle) caused(t *testing.T, event uuid.UUID) int {
	t.Helper()
	return apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE causation_id = $1`, event)
}

const publishSQLProbed = `SELECT public.publish_event('system.probed', '{}') FROM generate_series(1, $1)`

// Whichever way a handler publishes, and whatever it says of the event's place, it continues its own cascade.
func TestCascade_ThroughSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cascading(t, b, func(bus *eventbus.Bus) onProbe {
		return func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
			if _, err := tx.Exec(ctx, publishSQLProbed, 1); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `
				INSERT INTO public.events (org_id, type, payload, created_by, source, correlation_id, depth)
				VALUES ($1, 'system.probed', '{}', auth.uid(), 'api', gen_random_uuid(), 0)`, d.OrgID); err != nil {
				return err
			}
			_, err := bus.Publish(ctx, tx, &systemv1.SystemProbed{}, eventbus.PublishOptions{})
			return err
		}
	})
	root := b.publish(t, &systemv1.SystemProbe{Action: 1})[0]
	b.await(t, root, "processed")
	require.ElementsMatch(t, []string{"sql 1", "handler 1", "handler 1"}, apptest.All[string](t, b.admin, `
		SELECT source || ' ' || depth FROM events WHERE correlation_id = $1 AND causation_id = $1`, root))
	require.Equal(t, 1, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE depth = 0`))
	require.Equal(t, 3, apptest.One[int](t, b.admin, `SELECT publication_count FROM event_cascades WHERE correlation_id = $1`, root))
}

// The database holds a handler to each limit that goes around the program.
func TestCascade_LimitsInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql, arrange, message, reason string
		count                         int
	}{
		"own type": {
			sql:     `SELECT public.publish_event('system.probe', '{"action": "PROBE_ACTION_OK"}') FROM generate_series(1, $1)`,
			message: "A handler of system.probe may not publish system.probe.", reason: eventbus.ReasonOwnType, count: 1,
		},
		"run": {
			sql: publishSQLProbed, message: "One run of a handler publishes at most 100 events.", reason: eventbus.ReasonBudget, count: 101,
		},
		"depth": {
			sql: publishSQLProbed, arrange: `UPDATE events SET depth = 3, causation_id = gen_random_uuid() WHERE id = $1`,
			message: "A cascade has at most 3 events after its first.", reason: eventbus.ReasonCascade, count: 1,
		},
		"cascade": {
			sql: publishSQLProbed, arrange: `INSERT INTO event_cascades (org_id, correlation_id, publication_count)
				SELECT org_id, id, 990 FROM events WHERE id = $1`,
			message: "The handlers of one cascade publish at most 1000 events.", reason: eventbus.ReasonCascadeBudget, count: 11,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			root := b.publish(t, &systemv1.SystemProbe{Action: 1})[0]
			if c.arrange != "" {
				apptest.Exec(t, b.admin, c.arrange, root)
			}
			cascading(t, b, func(*eventbus.Bus) onProbe {
				return func(ctx context.Context, tx *postgres.Tx, _ eventbus.Delivery[*systemv1.SystemProbe]) error {
					_, err := tx.Exec(ctx, c.sql, c.count)
					return err
				}
			})
			b.await(t, root, "dead_letter")
			require.Contains(t, b.event(t, root).ErrorMessage, c.message)
			require.Zero(t, b.caused(t, root))
			reasons, counted := b.refusals(t, root)
			require.Equal(t, []string{c.reason}, reasons, "audited though the run was rolled back")
			require.Equal(t, 1, counted)
		})
	}
}

// Up to the budget everything is published; beyond, the answer says so, also to a handler that does not listen.
func TestCascade_Budget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cascading(t, b, func(bus *eventbus.Bus) onProbe {
		return func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
			for range d.Event.GetCount() {
				if _, err := bus.Publish(ctx, tx, &systemv1.SystemProbed{}, eventbus.PublishOptions{}); err != nil {
					if d.Event.GetNote() == "does not listen" {
						return nil
					}
					return eventbus.Permanent(err)
				}
			}
			return nil
		}
	})
	within := b.publish(t, &systemv1.SystemProbe{Action: 6, Count: 100})[0]
	b.await(t, within, "processed")
	require.Equal(t, 100, b.caused(t, within))
	apptest.Exec(t, b.admin, `UPDATE event_cascades SET publication_count = 950 WHERE correlation_id = $1`, within)
	replay := func(id uuid.UUID) {
		apptest.Redeliver(t, b.admin, id.String())
	}
	replay(within)
	b.await(t, within, "dead_letter")
	require.Equal(t, "The handlers of one cascade publish at most 1000 events.", b.event(t, within).ErrorMessage)
	require.Equal(t, 950, apptest.One[int](t, b.admin, `SELECT publication_count FROM event_cascades WHERE correlation_id = $1`, within))
	reasons, counted := b.refusals(t, within)
	require.Equal(t, []string{eventbus.ReasonCascadeBudget}, reasons)
	require.Equal(t, 1, counted)

	deaf := b.publish(t, &systemv1.SystemProbe{Action: 6, Count: 101, Note: "does not listen"})[0]
	b.await(t, deaf, "dead_letter")
	require.Equal(t, "One run of a handler publishes at most 100 events.", b.event(t, deaf).ErrorMessage)
	require.Zero(t, b.caused(t, deaf))
	reasons, _ = b.refusals(t, deaf)
	require.Equal(t, []string{eventbus.ReasonBudget}, reasons)
}

// Outside of handlers a publication begins a cascade of its own, through a worker's login too, and nothing is counted.
func TestCascade_OutsideOfHandlers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.publish(t, &systemv1.SystemProbe{Action: 1})
	}
	require.Equal(t, 3, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM events WHERE depth = 0 AND correlation_id = id`))
	require.Zero(t, apptest.One[int](t, b.admin, `SELECT count(*)::int FROM event_cascades`))
}

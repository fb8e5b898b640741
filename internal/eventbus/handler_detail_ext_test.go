package eventbus_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestEventHandlerService_GetEventHandler(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "ana@acme.example")
	get := func(as apptest.Clients) *eventv1.GetEventHandlerResponse {
		response, err := as.Handlers.GetEventHandler(t.Context(), &eventv1.GetEventHandlerRequest{Name: handlerName})
		require.NoError(t, err)
		return response
	}
	idle := get(ana)
	require.Equal(t, handlerName, idle.GetEventHandler().GetName())
	require.Equal(t, "system.probe", idle.GetEventHandler().GetEventType())
	require.Nil(t, idle.GetStatistics().SuccessRate, "of nothing there is no rate")
	require.Nil(t, idle.GetStatistics().GetLastRunAt())
	require.Empty(t, idle.GetErrorGroups())

	var counted []string
	for range 2 {
		counted = append(counted, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL_N", "count": 2}))
		ana.Await(t, counted[len(counted)-1], processed)
	}
	dead := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL_PERMANENTLY"})
	ana.Await(t, dead, deadLetter)

	apptest.Exec(t, env.Admin(t), `
		INSERT INTO event_attempts (org_id, event_id, handler_name, number, outcome, started_at, error_message)
		SELECT org_id, id, 'another', 1, 'failed', now(), 'not mine' FROM events WHERE id = $1`, dead)

	got := get(ana)
	statistics := got.GetStatistics()
	require.EqualValues(t, 3, statistics.GetDeliveryCount())
	require.EqualValues(t, 2, statistics.GetSucceededCount())
	require.EqualValues(t, 1, statistics.GetDeadLetterCount())
	require.EqualValues(t, 5, statistics.GetFailedAttemptCount())
	require.InDelta(t, 2.0/7, statistics.GetSuccessRate(), 0.001)
	require.EqualValues(t, 7, statistics.GetRan().GetCount())
	require.Positive(t, statistics.GetRan().GetAverageMs())
	require.Positive(t, statistics.GetRan().GetP95Ms())
	require.EqualValues(t, 2, statistics.GetWaited().GetCount())
	require.WithinDuration(t, time.Now(), statistics.GetLastRunAt().AsTime(), time.Minute)
	require.EqualValues(t, 1, statistics.GetWorkerCount())

	require.Len(t, got.GetErrorGroups(), 2)
	require.Equal(t, "the probe failed on purpose", got.GetErrorGroups()[0].GetMessage())
	require.Equal(t, []string{dead}, got.GetErrorGroups()[0].GetSampleEventIds())
	group := got.GetErrorGroups()[1]
	require.Equal(t, "attempt <n> of <n> that fail: the probe failed on purpose", group.GetMessage())
	require.EqualValues(t, 4, group.GetCount())
	require.Equal(t, []string{counted[1], counted[0]}, group.GetSampleEventIds(), "the newest first, each once")
	require.True(t, group.GetFirstSeenAt().AsTime().Before(group.GetLastSeenAt().AsTime()))

	theirs := get(env.As(t, "greta@globex.example"))
	require.Zero(t, theirs.GetStatistics().GetDeliveryCount(), "another organisation's deliveries do not count")
	require.Empty(t, theirs.GetErrorGroups())
	require.EqualValues(t, 1, theirs.GetStatistics().GetWorkerCount(), "the workers are everybody's")

	_, err := ana.Handlers.GetEventHandler(t.Context(), &eventv1.GetEventHandlerRequest{Name: "nobody"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	require.Equal(t, "EVENT_HANDLER_NOT_FOUND", apptest.Detail(err).GetReason())
	_, err = ana.Handlers.GetEventHandler(t.Context(), &eventv1.GetEventHandlerRequest{})
	require.Equal(t, "name", apptest.Detail(err).GetViolations()[0].GetField())

	// A program that ends takes itself off the list.
	second := env.Also(t, func(c *app.Config) { c.Serve = false })
	env.Stop()
	second.Stop()
	require.Zero(t, apptest.One[int](t, env.Admin(t), `SELECT count(*)::int FROM app.event_workers`))
}

package eventbus_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestEventService_GetCausation(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "ana@acme.example")
	get := func(as apptest.Clients, id string) (*eventv1.GetCausationResponse, error) {
		return as.Events.GetCausation(t.Context(), &eventv1.GetCausationRequest{Id: id})
	}
	root := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_EMIT", "count": 3})
	ana.Await(t, root, processed)
	apptest.Eventually(t, func() bool {
		graph, err := get(ana, root)
		return err == nil && len(graph.GetNodes()) == 4 && graph.GetNodes()[3].GetStatus() == processed &&
			graph.GetNodes()[2].GetStatus() == processed && graph.GetNodes()[1].GetStatus() == processed
	}, "the cascade did not end")
	graph, err := get(ana, root)
	require.NoError(t, err)
	require.Equal(t, root, graph.GetCorrelationId())
	require.False(t, graph.GetTruncated())
	first := graph.GetNodes()[0]
	require.Equal(t, root, first.GetEventId())
	require.Equal(t, "system.probe", first.GetType())
	require.Zero(t, first.GetDepth())
	require.NotNil(t, first.GetPublishedAt())
	require.Len(t, first.GetDeliveries(), 1)
	require.Equal(t, handlerName, first.GetDeliveries()[0].GetHandlerName())
	require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_SUCCEEDED, first.GetDeliveries()[0].GetStatus())
	require.Len(t, graph.GetEdges(), 3)
	for i, edge := range graph.GetEdges() {
		child := graph.GetNodes()[i+1]
		require.Equal(t, "system.probed", child.GetType())
		require.EqualValues(t, 1, child.GetDepth())
		require.Empty(t, child.GetDeliveries())
		require.Equal(t, root, edge.GetCauseId())
		require.Equal(t, child.GetEventId(), edge.GetEffectId())
		same, err := get(ana, child.GetEventId())
		require.NoError(t, err)
		require.Equal(t, root, same.GetCorrelationId(), "any event of it leads to the whole")
		require.Len(t, same.GetNodes(), 4)
	}
	for name, id := range map[string]string{"somebody else's": root, "nobody's": uuid.NewString()} {
		_, err = get(env.As(t, "greta@globex.example"), id)
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(err), name)
		require.Equal(t, "EVENT_NOT_FOUND", apptest.Detail(err).GetReason(), name)
	}
	_, err = get(ana, "not an id")
	require.Equal(t, "id", apptest.Detail(err).GetViolations()[0].GetField())
}

func TestEventService_GetCausation_Truncated(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "ana@acme.example")
	root := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	child := func(n int, depth int) {
		apptest.Exec(t, env.Admin(t), `
			INSERT INTO events (org_id, type, payload, created_by, source, correlation_id, depth, causation_id)
			SELECT org_id, 'system.probed', '{}', created_by, 'handler', id, $3, id FROM events, generate_series(1, $2) WHERE id = $1`,
			root, n, depth)
	}
	child(5, 2)
	child(994, 1)
	graph, err := ana.Events.GetCausation(t.Context(), &eventv1.GetCausationRequest{Id: root})
	require.NoError(t, err)
	require.Len(t, graph.GetNodes(), 1000)
	require.Len(t, graph.GetEdges(), 999)
	require.False(t, graph.GetTruncated())
	child(1, 1)
	graph, err = ana.Events.GetCausation(t.Context(), &eventv1.GetCausationRequest{Id: root})
	require.NoError(t, err)
	require.Len(t, graph.GetNodes(), 1000)
	require.True(t, graph.GetTruncated())
	require.Equal(t, root, graph.GetNodes()[0].GetEventId(), "what stays is what is nearest to the first")
	require.EqualValues(t, 2, graph.GetNodes()[999].GetDepth())
}

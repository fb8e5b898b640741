package eventbus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestBus_Probe(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	admin := env.As(t, "admin")
	payload, err := structpb.NewStruct(map[string]any{"action": "PROBE_ACTION_FAIL"})
	require.NoError(t, err)
	published, err := admin.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: payload})
	require.NoError(t, err)
	start := time.Now()
	apptest.Eventually(t, func() bool {
		got, err := admin.Events.GetEvent(t.Context(), &eventv1.GetEventRequest{Id: published.GetId()})
		require.NoError(t, err)
		return got.GetEvent().GetStatus() == eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER
	}, "the event never became a dead letter")
	t.Log(time.Since(start))
}

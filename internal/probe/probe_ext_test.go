package probe_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestProbe(t *testing.T) {
	t.Parallel()
	started := make(chan int64, 10)
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.OnProbe = func(seq int64) { started <- seq }
	}})
	ana := env.As(t, "admin")
	publish := func(payload map[string]any) string {
		encoded, err := structpb.NewStruct(payload)
		require.NoError(t, err)
		published, err := ana.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: encoded})
		require.NoError(t, err)
		return published.GetId()
	}
	for seq, action := range []string{"PROBE_ACTION_OK", "PROBE_ACTION_SLEEP", "PROBE_ACTION_HANG", "PROBE_ACTION_EMIT"} {
		id := publish(map[string]any{"action": action, "sleepMs": 300, "seq": seq, "count": seq})
		event := ana.Await(t, id, eventv1.EventStatus_EVENT_STATUS_PROCESSED)
		require.Equal(t, int64(seq), <-started, "%s", action)
		attempt := event.GetDeliveries()[0].GetAttempts()[0]
		took := attempt.GetFinishedAt().AsTime().Sub(attempt.GetStartedAt().AsTime())
		require.Equal(t, seq > 0, took >= 300*time.Millisecond, "%s took %s", action, took)
	}
	require.Empty(t, started, "each ran once")
}

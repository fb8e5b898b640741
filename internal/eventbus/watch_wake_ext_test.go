package eventbus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
)

// Whichever way a delivery is attempted, its end wakes those who watch. Nobody looks by himself here, and each handler goes on
// for long after the publication, which wakes them too.
func TestEventService_WatchEvents_Wakes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.Watch.Interval = time.Hour
	}})
	ana := env.As(t, "admin")
	w := watch(t, ana, all())
	together := func(probes ...probe) []string {
		many := &eventv1.PublishEventsRequest{}
		for _, p := range probes {
			many.Events = append(many.Events, request(t, "system.probe", p))
		}
		response, err := ana.Events.PublishEvents(t.Context(), many)
		require.NoError(t, err)
		var ids []string
		for _, e := range response.GetEvents() {
			ids = append(ids, e.GetId())
		}
		return ids
	}
	ok, slow := probe{"action": 1}, probe{"action": 5, "sleepMs": 500}
	makeQuick := func() {
		var many []probe
		for range 60 {
			many = append(many, ok)
		}
		for _, id := range together(many...) {
			ana.Await(t, id, processed)
		}
	}

	w.await(t, publish(t, ana, "system.probe", slow), processed) // under a lease
	makeQuick()
	w.await(t, publish(t, ana, "system.probe", slow), processed) // in the transaction that takes it
	makeQuick()
	w.await(t, together(ok, slow)[1], processed) // with its neighbour
}

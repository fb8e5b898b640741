package eventbus_test

import (
	"strconv"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestEventService_ReplayEvents(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	admin := env.As(t, "ana@acme.example")
	failing := func() string {
		// More failures than attempts: the replay begins again at attempt 1 and so fails again.
		id := publish(t, admin, "system.probe", probe{"action": "PROBE_ACTION_FAIL_PERMANENTLY"})
		admin.Await(t, id, deadLetter)
		return id
	}

	t.Run("OnceForTwoClicks", func(t *testing.T) {
		t.Parallel()
		id := failing()
		var replayed, skipped int32
		var mu sync.Mutex
		var clicks sync.WaitGroup
		for range 2 {
			clicks.Go(func() {
				response, err := admin.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id, id}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				replayed += response.GetReplayedCount()
				skipped += response.GetSkippedCount()
			})
		}
		clicks.Wait()
		apptest.Eventually(t, func() bool {
			d := admin.Event(t, id).GetDeliveries()[0]
			return d.GetStatus() == eventv1.DeliveryStatus_DELIVERY_STATUS_DEAD_LETTER && len(d.GetAttempts()) == 1+int(replayed)
		}, "the replay never ran")
		// The second click may come after the replayed attempt has failed too; never do both replay one failure.
		require.Contains(t, []int32{1, 2}, replayed)
		require.EqualValues(t, 2, replayed+skipped)
		event := admin.Event(t, id)
		require.Equal(t, true, event.GetMetadata().AsMap()["replayed"])
		require.NotEmpty(t, event.GetMetadata().AsMap()["replayed_at"])
		require.NotEmpty(t, event.GetMetadata().AsMap()["replayed_by"])
		require.EqualValues(t, 1, event.GetDeliveries()[0].GetAttemptCount(), "attempts count from the replay on")
	})

	t.Run("CountsWrongStateAndNotFound", func(t *testing.T) {
		t.Parallel()
		fine := publish(t, admin, "system.probe", probe{"action": "PROBE_ACTION_OK"})
		admin.Await(t, fine, processed)
		greta := env.As(t, "greta@globex.example")
		foreign := publish(t, greta, "system.probe", probe{"action": "PROBE_ACTION_FAIL_PERMANENTLY"})
		greta.Await(t, foreign, deadLetter)
		bad := failing()
		response, err := admin.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{
			Ids: []string{fine, foreign, bad, uuid.NewString()},
		})
		require.NoError(t, err)
		require.EqualValues(t, 1, response.GetReplayedCount())
		require.EqualValues(t, 1, response.GetSkippedCount())
		require.EqualValues(t, 2, response.GetNotFoundCount(), "another organisation's event is not found")
		require.Equal(t, deadLetter, greta.Event(t, foreign).GetStatus())
		require.Nil(t, greta.Event(t, foreign).GetMetadata().AsMap()["replayed"])
		var audited int
		require.NoError(t, env.Admin(t).QueryRow(t.Context(),
			`SELECT count(*) FROM audit_logs WHERE action = 'event.replayed' AND record_id = $1 AND actor_id IS NOT NULL`, bad).
			Scan(&audited))
		require.Equal(t, 1, audited)
	})

	t.Run("Denied", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "recruiter").Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{uuid.NewString()}})
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	})

	t.Run("RunsAsSystemWhenThePublisherIsGone", func(t *testing.T) {
		t.Parallel()
		own := apptest.New(t, apptest.Options{AllowFaults: true}) // without workers
		sue, ana := own.As(t, "super_admin"), own.As(t, "ana@acme.example")
		id := publish(t, sue, "system.probe", probe{"action": "PROBE_ACTION_OK"})
		_, err := own.Admin(t).Exec(t.Context(), `UPDATE user_profiles SET is_active = false WHERE email = 'sue@acme.example'`)
		require.NoError(t, err)
		own.Also(t, func(c *app.Config) { c.Work = true })
		gone := ana.Await(t, id, deadLetter)
		require.Contains(t, gone.GetErrorMessage(), "may not act")
		_, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id}})
		require.NoError(t, err)
		ana.Await(t, id, processed)
	})
}

func TestEventService_PublishEvents(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.As(t, "ana@acme.example")

	t.Run("AllAreHandled", func(t *testing.T) {
		t.Parallel()
		many := &eventv1.PublishEventsRequest{}
		for i := range 1000 {
			many.Events = append(many.Events, request(t, "system.probe", probe{"action": "PROBE_ACTION_OK", "seq": strconv.Itoa(i + 1)}))
		}
		response, err := admin.Events.PublishEvents(t.Context(), many)
		require.NoError(t, err)
		require.Len(t, response.GetEvents(), 1000)
		for _, i := range []int{0, 500, 999} {
			event := admin.Await(t, response.GetEvents()[i].GetId(), processed)
			require.Equal(t, strconv.Itoa(i+1), event.GetPayload().AsMap()["seq"])
			require.Equal(t, event.GetId(), event.GetCorrelationId())
		}
	})

	t.Run("NoneWhenOneIsWrong", func(t *testing.T) {
		t.Parallel()
		ok := request(t, "system.probe", probe{"action": "PROBE_ACTION_OK"})
		ok.IdempotencyKey = "none-when-one-is-wrong"
		_, err := admin.Events.PublishEvents(t.Context(), &eventv1.PublishEventsRequest{Events: []*eventv1.PublishEventRequest{
			ok, request(t, "system.probe", probe{"action": "PROBE_ACTION_OK", "sleepMs": -1}),
			request(t, "system.probe", probe{"colour": "red"}),
		}})
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
		var fields []string
		for _, v := range apptest.Detail(err).GetViolations() {
			fields = append(fields, v.GetField())
		}
		require.Equal(t, []string{"events[2].payload"}, fields, "what cannot be read is told first")
		_, err = admin.Events.PublishEvents(t.Context(), &eventv1.PublishEventsRequest{Events: []*eventv1.PublishEventRequest{
			ok, request(t, "system.probe", probe{"action": "PROBE_ACTION_OK", "sleepMs": -1}),
		}})
		require.Equal(t, "events[1].payload.sleep_ms", apptest.Detail(err).GetViolations()[0].GetField())
		var published int
		require.NoError(t, env.Admin(t).QueryRow(t.Context(),
			`SELECT count(*) FROM event_idempotency_keys WHERE key = $1`, ok.GetIdempotencyKey()).Scan(&published))
		require.Zero(t, published)
	})

	t.Run("KeysWithinAndBetweenRequests", func(t *testing.T) {
		t.Parallel()
		first := request(t, "system.probe", probe{"action": "PROBE_ACTION_OK", "note": "same"})
		first.IdempotencyKey = "twice"
		other := request(t, "system.probe", probe{"action": "PROBE_ACTION_OK"})
		many := &eventv1.PublishEventsRequest{Events: []*eventv1.PublishEventRequest{first, other, first}}
		a, err := admin.Events.PublishEvents(t.Context(), many)
		require.NoError(t, err)
		require.Equal(t, a.GetEvents()[0].GetId(), a.GetEvents()[2].GetId())
		require.True(t, a.GetEvents()[2].GetDeduplicated())
		b, err := admin.Events.PublishEvents(t.Context(), many)
		require.NoError(t, err)
		require.Equal(t, a.GetEvents()[0].GetId(), b.GetEvents()[0].GetId())
		require.NotEqual(t, a.GetEvents()[1].GetId(), b.GetEvents()[1].GetId())
	})
}

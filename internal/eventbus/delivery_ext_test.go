package eventbus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// outcomes are a delivery's attempts, as "number outcome: message".
func outcomes(t *testing.T, d *eventv1.Delivery) []string {
	t.Helper()
	var all []string
	last := time.Time{}
	for _, a := range d.GetAttempts() {
		all = append(all, fmt.Sprintf("%d %s: %s", a.GetNumber(), a.GetOutcome().String()[len("ATTEMPT_OUTCOME_"):], a.GetErrorMessage()))
		require.False(t, a.GetFinishedAt().AsTime().Before(a.GetStartedAt().AsTime()))
		require.False(t, a.GetStartedAt().AsTime().Before(last), "attempts do not overlap")
		require.NotEmpty(t, a.GetWorker())
		require.Equal(t, "test", a.GetWorkerVersion())
		last = a.GetFinishedAt().AsTime()
	}
	return all
}

func only(t *testing.T, event *eventv1.Event) *eventv1.Delivery {
	t.Helper()
	require.Len(t, event.GetDeliveries(), 1)
	return event.GetDeliveries()[0]
}

// deadLettered counts the audit rows about an event that was given up, with their reason.
func deadLettered(t *testing.T, admin *pgx.Conn, id string) []string {
	t.Helper()
	return apptest.All[string](t, admin, `
		SELECT actor_kind || ' ' || severity || ' ' || (new_values ->> 'handler') || ' ' || (new_values ->> 'reason')
		FROM audit_logs WHERE action = 'event.dead_lettered' AND table_name = 'events' AND record_id = $1`, id)
}

func TestBus_Deliveries(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "admin")

	t.Run("Success", func(t *testing.T) {
		t.Parallel()
		event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": 1}), processed)
		d := only(t, event)
		require.Equal(t, "run_probe", d.GetHandlerName())
		require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_SUCCEEDED, d.GetStatus())
		require.Equal(t, []string{"1 SUCCEEDED: "}, outcomes(t, d))
		require.Equal(t, int32(1), d.GetAttemptCount())
		require.Equal(t, int32(3), d.GetMaxAttempts())
		require.Nil(t, d.GetNextAttemptAt())
		require.NotNil(t, d.GetFinishedAt())
		require.Empty(t, d.GetReason())
		require.False(t, event.GetProcessedAt().AsTime().Before(event.GetPublishedAt().AsTime()))
		require.Zero(t, event.GetRetryCount())
		require.Empty(t, event.GetErrorMessage())
	})
	t.Run("FailsThenSucceeds", func(t *testing.T) {
		t.Parallel()
		event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL_N", "count": 2}), processed)
		require.Equal(t, []string{
			"1 FAILED: attempt 1 of 2 that fail: the probe failed on purpose",
			"2 FAILED: attempt 2 of 2 that fail: the probe failed on purpose",
			"3 SUCCEEDED: ",
		}, outcomes(t, only(t, event)))
		require.Equal(t, int32(3), only(t, event).GetAttemptCount())
		require.Empty(t, event.GetErrorMessage())
	})
	t.Run("NobodySubscribes", func(t *testing.T) {
		t.Parallel()
		event := ana.Await(t, publish(t, ana, "system.probed", probe{"seq": 1}), processed)
		require.Empty(t, event.GetDeliveries())
		require.NotNil(t, event.GetProcessedAt())
	})
	t.Run("DisabledHandler", func(t *testing.T) {
		t.Parallel()
		greta := env.As(t, "greta@globex.example")
		_, err := greta.Handlers.DisableEventHandler(t.Context(), &eventv1.DisableEventHandlerRequest{
			Name: "run_probe", Reason: "Globex has no use for probes.",
		})
		require.NoError(t, err)
		event := greta.Await(t, publish(t, greta, "system.probe", probe{"action": 1}), processed)
		require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_SKIPPED, only(t, event).GetStatus())
		require.Equal(t, "handler_disabled", only(t, event).GetReason())
		require.Empty(t, only(t, event).GetAttempts())
		require.NotNil(t, only(t, event).GetFinishedAt())
		// One organisation disables nothing for another.
		ana.Await(t, publish(t, ana, "system.probe", probe{"action": 1}), processed)
	})
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		greta := env.As(t, "greta@globex.example")
		id := publish(t, ana, "system.probe", probe{"action": 1})
		ana.Await(t, id, processed)
		_, err := greta.Events.GetEvent(t.Context(), &eventv1.GetEventRequest{Id: id})
		require.Equal(t, "EVENT_NOT_FOUND", apptest.Detail(err).GetReason())
		list, err := greta.Events.ListEvents(t.Context(), &eventv1.ListEventsRequest{Id: id})
		require.NoError(t, err)
		require.Empty(t, list.GetEvents())
	})
	t.Run("PublishedFromSQL", func(t *testing.T) {
		t.Parallel()
		event := ana.Await(t, publishSQL(t, env.Admin(t), "system.probe", `{"action":"PROBE_ACTION_OK","seq":5}`), processed)
		require.Equal(t, "sql", event.GetSource())
		require.Equal(t, "Ana Admin", event.GetCreatedByName())
		require.Equal(t, []string{"1 SUCCEEDED: "}, outcomes(t, only(t, event)))
	})
	t.Run("PayloadOfAnotherVersion", func(t *testing.T) {
		t.Parallel()
		id := publishSQL(t, env.Admin(t), "system.probe", `{"action":"PROBE_ACTION_OK","of_a_newer_program":true}`)
		ana.Await(t, id, processed)
	})
	t.Run("Cascade", func(t *testing.T) {
		t.Parallel()
		id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_EMIT", "count": 100, "seq": 77})
		ana.Await(t, id, processed)
		caused := caused(t, ana, id)
		require.Len(t, caused, 100)
		for _, event := range caused {
			require.Equal(t, "system.probed", event.GetType())
			require.Equal(t, id, event.GetCorrelationId())
			require.Equal(t, id, event.GetCausationId())
			require.Equal(t, int32(1), event.GetDepth())
			require.Equal(t, "handler", event.GetSource())
			require.Equal(t, "Ana Admin", event.GetCreatedByName())
			require.Equal(t, "77", event.GetPayload().AsMap()["seq"])
		}
	})
	t.Run("CascadeTooWide", func(t *testing.T) {
		t.Parallel()
		id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_EMIT", "count": 101})
		event := ana.Await(t, id, deadLetter)
		require.Equal(t, "One run of a handler publishes at most 100 events.", event.GetErrorMessage())
		require.Len(t, only(t, event).GetAttempts(), 1)
		require.Empty(t, caused(t, ana, id), "what the run had published before went with it")
	})
}

// What fails for good. Never five different events of one organisation in a test: they would disable the handler.
func TestBus_DeadLetters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "admin")

	t.Run("ThreeFailures", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL"}), deadLetter)
		d := only(t, event)
		const why = "the probe failed on purpose"
		require.Equal(t, []string{"1 FAILED: " + why, "2 FAILED: " + why, "3 FAILED: " + why}, outcomes(t, d))
		require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_DEAD_LETTER, d.GetStatus())
		require.Equal(t, why, d.GetReason())
		require.NotNil(t, d.GetFinishedAt())
		require.Nil(t, d.GetNextAttemptAt())
		require.Equal(t, int32(3), event.GetRetryCount())
		require.Equal(t, why, event.GetErrorMessage())
		require.Nil(t, event.GetProcessedAt())
		require.Equal(t, []string{"system warning run_probe attempts_exhausted"}, deadLettered(t, admin, event.GetId()))
	})
	t.Run("PermanentFailure", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL_PERMANENTLY"}), deadLetter)
		require.Equal(t, []string{"1 FAILED: the probe failed on purpose"}, outcomes(t, only(t, event)))
		require.Equal(t, []string{"system warning run_probe permanent"}, deadLettered(t, admin, event.GetId()))
	})
	t.Run("Panic", func(t *testing.T) {
		t.Parallel()
		event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_PANIC"}), deadLetter)
		const why = "panic: the probe panicked on purpose"
		require.Equal(t, []string{"1 PANICKED: " + why, "2 PANICKED: " + why, "3 PANICKED: " + why}, outcomes(t, only(t, event)))
		ana.Await(t, publish(t, ana, "system.probe", probe{"action": 1}), processed)
	})
}

func TestBus_PayloadInvalid(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	ana := env.As(t, "admin")
	admin := env.Admin(t)
	for payload, why := range map[string]string{
		`{"action":{}}`:               "the payload is no intime.system.v1.SystemProbe",
		`{"action":"NO_SUCH_ACTION"}`: "the payload breaks the rules of intime.system.v1.SystemProbe",
		`{"sleepMs":1}`:               "the payload breaks the rules of intime.system.v1.SystemProbe",
	} {
		event := ana.Await(t, publishSQL(t, admin, "system.probe", payload), deadLetter)
		require.Len(t, only(t, event).GetAttempts(), 1)
		require.Contains(t, event.GetErrorMessage(), why)
		require.Equal(t, []string{"system warning run_probe payload_invalid"}, deadLettered(t, admin, event.GetId()))
	}
}

// caused are the events that the event led to.
func caused(t *testing.T, as apptest.Clients, id string) []*eventv1.Event {
	t.Helper()
	var all []*eventv1.Event
	request := &eventv1.ListEventsRequest{Id: id, PageSize: 100}
	for {
		list, err := as.Events.ListEvents(t.Context(), request)
		require.NoError(t, err)
		for _, event := range list.GetEvents() {
			if event.GetId() != id {
				all = append(all, event)
			}
		}
		if request.PageToken = list.GetNextPageToken(); request.PageToken == "" {
			return all
		}
	}
}

// publishSQL publishes as Ana with the SQL function, as a trigger of hers would.
func publishSQL(t *testing.T, admin *pgx.Conn, eventType, payload string) (id string) {
	t.Helper()
	ana, _ := demo.Find("admin")
	err := pgx.BeginFunc(t.Context(), admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, true)`,
			`{"role":"authenticated","sub":"`+ana.ID().String()+`"}`); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE authenticated`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `SELECT publish_event($1, $2)::text`, eventType, payload).Scan(&id)
	})
	require.NoError(t, err)
	return id
}

func TestBus_FaultsOff(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	ana := env.As(t, "admin")
	event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_PANIC"}), deadLetter)
	require.Len(t, only(t, event).GetAttempts(), 1)
	require.Contains(t, event.GetErrorMessage(), "faults are not allowed here")
	ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"}), processed)
}

func TestBus_FailedWaitsForItsTime(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.Backoff = func(int) time.Duration { return time.Hour }
	}})
	ana := env.As(t, "admin")
	event := ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL"}), failed)
	d := only(t, event)
	require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_FAILED, d.GetStatus())
	require.WithinDuration(t, time.Now().Add(time.Hour), d.GetNextAttemptAt().AsTime(), time.Minute)
	require.Nil(t, d.GetFinishedAt())
	require.Equal(t, int32(1), event.GetRetryCount())
	require.Equal(t, "the probe failed on purpose", event.GetErrorMessage())
	// A job that comes too early does nothing.
	admin := env.Admin(t)
	apptest.Requeue(t, admin, event.GetId())
	apptest.Eventually(t, func() bool {
		return apptest.One[int64](t, admin,
			`SELECT count(*) FROM river.river_job WHERE kind = 'event_delivery' AND state = 'scheduled'`) == 2
	}, "the second job was not put off")
	require.Len(t, only(t, ana.Event(t, event.GetId())).GetAttempts(), 1)
}

func TestBus_PublisherGone(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	_, err := rita.Jobs.CreateJob(t.Context(), &jobv1.CreateJobRequest{
		Title: "Backend developer", Description: "Build the event bus.", RequiredSkills: []string{"Go"}, Location: "Lisbon",
	})
	require.NoError(t, err)
	apptest.Exec(t, admin, `UPDATE user_profiles SET is_active = false WHERE email = 'rita@acme.example'`)
	env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	ana := env.As(t, "admin")
	event := ana.Await(t, apptest.One[string](t, admin, `SELECT id::text FROM events`), deadLetter)
	require.Equal(t, []string{"1 FAILED: who published the event may not act in the organisation any more"}, outcomes(t, only(t, event)))
	require.Equal(t, []string{"system warning notify_matching_candidates actor_revoked"}, deadLettered(t, admin, event.GetId()))
	require.Zero(t, apptest.One[int64](t, admin, `SELECT count(*) FROM outgoing_mails`))
}

// The events of a suspended organisation wait until it is active again.
func TestBus_SuspendedOrganisation(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana, greta := env.Admin(t), env.As(t, "admin"), env.As(t, "greta@globex.example")
	ours, theirs := publish(t, ana, "system.probe", probe{"action": 1}), publish(t, greta, "system.probe", probe{"action": 1})
	apptest.Exec(t, admin, `UPDATE organizations SET status = 'suspended' WHERE slug = 'acme'`)
	env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	greta.Await(t, theirs, processed)
	apptest.Eventually(t, func() bool {
		return apptest.One[bool](t, admin,
			`SELECT EXISTS (SELECT FROM river.river_job WHERE kind = 'event_delivery' AND state = 'scheduled')`)
	}, "the delivery was not put off")
	require.Zero(t, apptest.One[int64](t, admin, `SELECT count(*) FROM event_attempts WHERE event_id = $1`, ours))
	apptest.Exec(t, admin, `UPDATE organizations SET status = 'active' WHERE slug = 'acme'`)
	apptest.Requeue(t, admin, ours)
	require.Equal(t, int32(1), only(t, ana.Await(t, ours, processed)).GetAttemptCount())
}

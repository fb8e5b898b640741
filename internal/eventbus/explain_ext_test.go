package eventbus_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// explain returns the codes of an explanation, and its last step.
func explain(t *testing.T, as apptest.Clients, id, handler string) (codes []string, last *eventv1.ExplanationStep) {
	t.Helper()
	response, err := as.Events.ExplainDelivery(t.Context(), &eventv1.ExplainDeliveryRequest{EventId: id, HandlerName: handler})
	require.NoError(t, err)
	for _, step := range response.GetSteps() {
		require.NotEmpty(t, step.GetText())
		require.NotContains(t, step.GetText(), "%!", "a sentence that lacks something")
		codes, last = append(codes, enumtext.Name(step.GetCode())), step
	}
	return codes, last
}

func requireExplained(t *testing.T, as apptest.Clients, id, handler, text string, codes ...string) *eventv1.ExplanationStep {
	t.Helper()
	got, last := explain(t, as, id, handler)
	require.Equal(t, codes, got)
	require.Contains(t, last.GetText(), text)
	return last
}

// What the workers did.
func TestEventService_ExplainDelivery(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.Backoff = func(attempt int) time.Duration {
			if attempt == 2 {
				return time.Hour
			}
			return time.Millisecond
		}
	}})
	ana, admin := env.As(t, "ana@acme.example"), env.Admin(t)
	ok := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	ana.Await(t, ok, processed)
	done := requireExplained(t, ana, ok, handlerName, "Run 1 succeeded on the worker ", "published", "dispatched", "succeeded")
	require.WithinDuration(t, ana.Event(t, ok).GetProcessedAt().AsTime(), done.GetAt().AsTime(), time.Minute)
	requireExplained(t, ana, ok, "notify_matching_candidates", "handles job.created, not system.probe", "published", "other_type")

	dead := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL_PERMANENTLY"})
	ana.Await(t, dead, deadLetter)
	requireExplained(t, ana, dead, handlerName, "trying again is of no use. The last error: the probe failed on purpose",
		"published", "dispatched", "attempt_failed", "dead_letter")

	waits := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL"})
	apptest.Eventually(t, func() bool {
		event := ana.Event(t, waits)
		return event.GetRetryCount() == 2 && event.GetStatus() == failed
	}, "the second attempt never failed")
	retry := requireExplained(t, ana, waits, handlerName, "attempt 3 of 3",
		"published", "dispatched", "attempt_failed", "attempt_failed", "waiting_for_retry")
	require.Contains(t, retry.GetText(), "because run 2 ended badly: the probe failed on purpose")
	require.WithinDuration(t, time.Now().Add(time.Hour), retry.GetAt().AsTime(), 2*time.Minute)

	_, err := ana.Handlers.DisableEventHandler(t.Context(), &eventv1.DisableEventHandlerRequest{
		Name: handlerName, Reason: "The probe is being repaired.",
	})
	require.NoError(t, err)
	skipped := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	ana.Await(t, skipped, processed)
	requireExplained(t, ana, skipped, handlerName, "The reason was: The probe is being repaired.",
		"published", "dispatched", "disabled_now", "skipped")
	_, err = ana.Handlers.EnableEventHandler(t.Context(), &eventv1.EnableEventHandlerRequest{Name: handlerName})
	require.NoError(t, err)
	requireExplained(t, ana, skipped, handlerName, "The reason was: The probe is being repaired.", "published", "dispatched", "skipped")

	_, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{dead}})
	require.NoError(t, err)
	ana.Await(t, dead, deadLetter)
	apptest.Eventually(t, func() bool {
		codes, _ := explain(t, ana, dead, handlerName)
		return len(codes) == 6 && codes[3] == "replayed" && codes[4] == "attempt_failed" && codes[5] == "dead_letter"
	}, "the replay is not told in its place")

	apptest.Exec(t, admin, `DELETE FROM event_subscriptions WHERE handler_name = $1`, handlerName)
	missed := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	ana.Await(t, missed, processed)
	requireExplained(t, ana, missed, handlerName, "and does not now", "published", "not_subscribed")
	apptest.Exec(t, admin, `
		INSERT INTO event_subscriptions (org_id, event_type, handler_name, handler_function)
		SELECT id, 'system.probe', $1, 'probe' FROM organizations`, handlerName)
	requireExplained(t, ana, missed, handlerName, "It has since ", "published", "not_subscribed")
}

// Where nobody works, and what else a delivery can wait for or end with.
func TestEventService_ExplainDelivery_Standing(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "ana@acme.example"), env.Admin(t)
	id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	requireExplained(t, ana, id, handlerName, "No dispatcher has taken the event yet", "published", "not_registered", "not_dispatched")
	_, err := ana.Handlers.DisableEventHandler(t.Context(), &eventv1.DisableEventHandlerRequest{
		Name: handlerName, Reason: "The probe is being repaired.",
	})
	require.NoError(t, err)
	requireExplained(t, ana, id, handlerName, "No dispatcher", "published", "disabled_now", "not_registered", "not_dispatched")

	apptest.Exec(t, admin, `DELETE FROM event_outbox`)
	apptest.Exec(t, admin, `
		INSERT INTO event_deliveries (org_id, event_id, handler_name, max_attempts) SELECT org_id, id, $2, 3 FROM events WHERE id = $1`,
		id, handlerName)
	requireExplained(t, ana, id, handlerName, "waits for a worker that is free", "published", "dispatched", "not_registered", "waiting")
	apptest.Exec(t, admin, `INSERT INTO app.event_workers (name, version, handler_names) VALUES ('one/1', '1', '{other}')`)
	requireExplained(t, ana, id, handlerName, "", "published", "dispatched", "not_registered", "waiting")
	apptest.Exec(t, admin, `INSERT INTO app.event_workers (name, version, handler_names) VALUES ('two/2', '1', ARRAY[$1])`, handlerName)
	requireExplained(t, ana, id, handlerName, "", "published", "dispatched", "waiting")
	apptest.Exec(t, admin, `UPDATE app.event_workers SET seen_at = now() - interval '1 minute'`)
	requireExplained(t, ana, id, handlerName, "", "published", "dispatched", "not_registered", "waiting")

	for _, c := range []struct {
		set, text string
		codes     []string
	}{
		{
			`status = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() + interval '40 s', started_at = now(),
				run_count = 1, worker = 'two/2'`,
			"Run 1 is running on the worker two/2. Its lease runs out at ",
			[]string{"running"},
		},
		{`lease_expires_at = now() - interval '1 s'`, "takes it for crashed", []string{"lease_expired"}},
		{
			`status = 'dead_letter', lease_token = NULL, lease_expires_at = NULL, finished_at = now(), reason = 'actor_revoked',
				error_message = 'gone'`,
			"A replay runs it as the organisation's system actor",
			[]string{"publisher_revoked", "dead_letter"},
		},
		{`reason = 'payload_invalid'`, "will not get better", []string{"payload_invalid", "dead_letter"}},
		{`reason = 'attempts_exhausted'`, "all 3 attempts ended badly. The last error: gone", []string{"dead_letter"}},
		{`status = 'succeeded', as_system = true`, "succeeded on the worker two/2", []string{"as_system", "succeeded"}},
	} {
		apptest.Exec(t, admin, `UPDATE event_deliveries SET `+c.set+` WHERE event_id = $1`, id)
		requireExplained(t, ana, id, handlerName, c.text, append([]string{"published", "dispatched"}, c.codes...)...)
	}
	apptest.Exec(t, admin, `
		INSERT INTO event_attempts (org_id, event_id, handler_name, number, outcome, started_at)
		SELECT org_id, event_id, handler_name, 1, 'interrupted', now() FROM event_deliveries WHERE event_id = $1`, id)
	requireExplained(t, ana, id, handlerName, "", "published", "dispatched", "attempt_interrupted", "as_system", "succeeded")

	// The organisation was suspended for a while: while it is, nobody of it can ask.
	waiting := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	for _, status := range []string{"suspended", "active"} {
		apptest.Exec(t, admin, `UPDATE organizations SET status = $1 WHERE slug = 'acme'`, status)
	}
	requireExplained(t, ana, waiting, handlerName, "",
		"published", "organization_suspended", "disabled_now", "not_registered", "not_dispatched")
	after := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	requireExplained(t, ana, after, handlerName, "", "published", "disabled_now", "not_registered", "not_dispatched")
}

func TestEventService_ExplainDelivery_NotFound(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "ana@acme.example")
	id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	for name, c := range map[string]struct {
		as          apptest.Clients
		id, handler string
		code        connect.Code
		reason      string
	}{
		"no such event":      {ana, uuid.NewString(), handlerName, connect.CodeNotFound, "EVENT_NOT_FOUND"},
		"somebody else's":    {env.As(t, "greta@globex.example"), id, handlerName, connect.CodeNotFound, "EVENT_NOT_FOUND"},
		"no such handler":    {ana, id, "nobody", connect.CodeNotFound, "EVENT_HANDLER_NOT_FOUND"},
		"no handler's name":  {ana, id, "No Name", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"no event's id":      {ana, "1", handlerName, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"without permission": {env.As(t, "recruiter"), id, handlerName, connect.CodePermissionDenied, "PERMISSION_DENIED"},
	} {
		_, err := c.as.Events.ExplainDelivery(t.Context(), &eventv1.ExplainDeliveryRequest{EventId: c.id, HandlerName: c.handler})
		require.Equal(t, c.code, connect.CodeOf(err), name)
		require.Equal(t, c.reason, apptest.Detail(err).GetReason(), name)
	}
}

package eventbus_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// handlerName is the probe's handler.
const handlerName = "run_probe"

func probeHandler(t *testing.T, as apptest.Clients) *eventv1.EventHandler {
	t.Helper()
	response, err := as.Handlers.ListEventHandlers(t.Context(), &eventv1.ListEventHandlersRequest{})
	require.NoError(t, err)
	for _, h := range response.GetEventHandlers() {
		if h.GetName() == handlerName {
			return h
		}
	}
	t.Fatalf("the list lacks %s", handlerName)
	return nil
}

func TestEventHandlerService_Health(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana, greta := env.As(t, "ana@acme.example"), env.As(t, "greta@globex.example")
	fail := func() {
		ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL"}), deadLetter)
	}
	succeed := func() {
		ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"}), processed)
	}
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_HEALTHY, probeHandler(t, ana).GetState())

	fail()
	one := probeHandler(t, ana)
	require.EqualValues(t, 3, one.GetFailureCount(), "every attempt counts")
	require.EqualValues(t, 1, one.GetConsecutiveFailures(), "three attempts of one event are one failure in the row")
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_HEALTHY_WITH_ERRORS, one.GetState())
	require.Contains(t, one.GetLastFailureMessage(), "on purpose")

	fail()
	succeed()
	require.Zero(t, probeHandler(t, ana).GetConsecutiveFailures(), "a success ends the row")

	for range 4 {
		fail()
	}
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_WARNING, probeHandler(t, ana).GetState())
	fail()
	disabled := probeHandler(t, ana)
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_DISABLED_AUTOMATICALLY, disabled.GetState())
	require.Contains(t, disabled.GetDisabledReason(), "5 different events")
	require.NotNil(t, disabled.GetDisabledAt())
	require.Empty(t, disabled.GetDisabledBy())
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_HEALTHY, probeHandler(t, greta).GetState(),
		"one organisation never disables a handler for another")

	missed := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
	skipped := ana.Await(t, missed, processed).GetDeliveries()[0]
	require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_SKIPPED, skipped.GetStatus())
	require.Equal(t, "handler_disabled", skipped.GetReason())
	greta.Await(t, publish(t, greta, "system.probe", probe{"action": "PROBE_ACTION_OK"}), processed)

	enabled, err := ana.Handlers.EnableEventHandler(t.Context(), &eventv1.EnableEventHandlerRequest{
		Name: handlerName, RunSkipped: true,
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, enabled.GetCaughtUpCount())
	require.Zero(t, enabled.GetEventHandler().GetConsecutiveFailures())
	apptest.Eventually(t, func() bool {
		return ana.Event(t, missed).GetDeliveries()[0].GetStatus() == eventv1.DeliveryStatus_DELIVERY_STATUS_SUCCEEDED
	}, "the skipped event never ran")

	var actions []string
	require.NoError(t, env.Admin(t).QueryRow(t.Context(), `
		SELECT array_agg((actor_id IS NOT NULL)::text || ':' || (new_values ->> 'is_active') ORDER BY created_at)
		FROM audit_logs WHERE action = 'handler.updated' AND org_id = (SELECT org_id FROM user_profiles WHERE email = 'ana@acme.example')`).
		Scan(&actions))
	require.Equal(t, []string{"false:false", "true:true"}, actions, "disabling and enabling are in the audit log, with the actor")
}

func TestEventHandlerService_DisableEventHandler(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "ana@acme.example")
	disable := func(as apptest.Clients, name, reason string) (*eventv1.DisableEventHandlerResponse, error) {
		return as.Handlers.DisableEventHandler(t.Context(), &eventv1.DisableEventHandlerRequest{Name: name, Reason: reason})
	}

	response, err := disable(ana, handlerName, "The mail server is down until noon.")
	require.NoError(t, err)
	require.Equal(t, eventv1.EventHandlerState_EVENT_HANDLER_STATE_DISABLED, response.GetEventHandler().GetState())
	require.Equal(t, "Ana Admin", response.GetEventHandler().GetDisabledByName())
	again, err := disable(env.As(t, "super_admin"), handlerName, "Another reason, by somebody else.")
	require.NoError(t, err)
	require.Equal(t, "The mail server is down until noon.", again.GetEventHandler().GetDisabledReason(), "the first reason stays")

	_, err = disable(ana, handlerName, "too short")
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	require.Equal(t, "reason", apptest.Detail(err).GetViolations()[0].GetField())
	_, err = disable(ana, "no_such_handler", "There is no handler of that name.")
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = disable(env.As(t, "recruiter"), handlerName, "Recruiters may not do this.")
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}

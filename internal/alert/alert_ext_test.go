package alert_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// probe publishes a probe and waits until it stands there.
func probe(t *testing.T, as apptest.Clients, action string, status eventv1.EventStatus) string {
	t.Helper()
	payload, err := structpb.NewStruct(map[string]any{"action": action})
	require.NoError(t, err)
	response, err := as.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: payload})
	require.NoError(t, err)
	as.Await(t, response.GetId(), status)
	return response.GetId()
}

func fails(t *testing.T, as apptest.Clients) string {
	t.Helper()
	return probe(t, as, "PROBE_ACTION_FAIL_PERMANENTLY", eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER)
}

// announced are the types of the bus's own events that have been handled.
func announced(t *testing.T, admin *pgx.Conn) []string {
	t.Helper()
	return apptest.All[string](t, admin, `
		SELECT type || ' ' || source || ' ' || status FROM events
		WHERE type IN ('handler.disabled', 'event.dead_lettered') AND created_by IS NULL ORDER BY id`)
}

func mails(t *testing.T, admin *pgx.Conn) []string {
	t.Helper()
	return apptest.All[string](t, admin, `SELECT recipient || ': ' || subject FROM outgoing_mails ORDER BY created_at, recipient`)
}

func awaitAnnounced(t *testing.T, admin *pgx.Conn, want ...string) {
	t.Helper()
	apptest.Eventually(t, func() bool { return strings.Join(announced(t, admin), ",") == strings.Join(want, ",") },
		"wanted %v, got %v", want, announced(t, admin))
}

const (
	dead     = "event.dead_lettered system processed"
	disabled = "handler.disabled system processed"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	admin, ana, greta := env.Admin(t), env.As(t, "ana@acme.example"), env.As(t, "greta@globex.example")

	first := fails(t, ana)
	awaitAnnounced(t, admin, dead)
	require.Equal(t, []string{"ana@acme.example: Dead letter at run_probe"}, mails(t, admin), "the admins of that organisation, once")
	require.Contains(t, apptest.One[string](t, admin, `SELECT text_body FROM outgoing_mails`), "intime events show "+first)
	fails(t, ana)
	probe(t, ana, "PROBE_ACTION_OK", eventv1.EventStatus_EVENT_STATUS_PROCESSED)
	awaitAnnounced(t, admin, dead)
	// After a success the next one is told of again, and five in a row disable the handler, which is told of too.
	for range 5 {
		fails(t, ana)
	}
	awaitAnnounced(t, admin, dead, dead, disabled)
	require.Equal(t, []string{
		"ana@acme.example: Dead letter at run_probe", "ana@acme.example: Dead letter at run_probe",
		"ana@acme.example: Event handler disabled: run_probe",
	}, mails(t, admin))
	// An admin who disables it himself needs no mail; enabling begins anew.
	_, err := ana.Handlers.EnableEventHandler(t.Context(), &eventv1.EnableEventHandlerRequest{Name: "run_probe"})
	require.NoError(t, err)
	fails(t, ana)
	awaitAnnounced(t, admin, dead, dead, disabled, dead)
	_, err = ana.Handlers.DisableEventHandler(t.Context(),
		&eventv1.DisableEventHandlerRequest{Name: "run_probe", Reason: "I am looking into it."})
	require.NoError(t, err)

	// Another organisation is told of its own, and not where it does not want to be.
	_, err = greta.EventSettings.UpdateEventSettings(t.Context(), &eventv1.UpdateEventSettingsRequest{NotifyOperators: new(false)})
	require.NoError(t, err)
	fails(t, greta)
	awaitAnnounced(t, admin, dead, dead, disabled, dead, dead)
	require.Len(t, mails(t, admin), 4)
}

// What fails in telling is never told of: nothing writes to itself for ever.
func TestAlerts_NeverOfThemselves(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	fails(t, ana)
	awaitAnnounced(t, admin, dead)
	apptest.Exec(t, admin, `
		UPDATE event_deliveries SET status = 'running', lease_token = gen_random_uuid()
		WHERE handler_name LIKE 'notify_operators%'`)
	for _, handler := range []string{"notify_operators", "notify_operators_of_dead_letter"} {
		require.Equal(t, int64(1), apptest.Exec(t, admin, `
			UPDATE event_subscriptions SET is_active = false, disabled_at = now(), auto_disabled_at = now(), disabled_reason = 'Broken.'
			WHERE handler_name = $1 AND org_id = (SELECT org_id FROM events LIMIT 1)`, handler))
	}
	require.Equal(t, int64(1), apptest.Exec(t, admin, `
		UPDATE event_deliveries SET status = 'dead_letter', lease_token = NULL, reason = 'permanent'
		WHERE handler_name LIKE 'notify_operators%'`))
	require.Equal(t, []string{dead}, announced(t, admin))
	require.Equal(t, 1, apptest.One[int](t, admin, `SELECT count(*)::int FROM events WHERE source = 'system'`))
}

package app_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

func metricsOf(t *testing.T, env *apptest.Env) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env.App.MetricsURL(), nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.MetricsAddress = "127.0.0.1:0"
	}})
	ana := env.As(t, "admin")
	// No dead letter is announced: an announcement is an event, and may still wait when the numbers are read.
	apptest.Exec(t, env.Admin(t), `UPDATE event_subscriptions SET dead_letter_announced_at = 'infinity'`)
	for action, status := range map[string]eventv1.EventStatus{
		"PROBE_ACTION_OK": eventv1.EventStatus_EVENT_STATUS_PROCESSED, "PROBE_ACTION_FAIL": eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER,
	} {
		payload, err := structpb.NewStruct(map[string]any{"action": action})
		require.NoError(t, err)
		published, err := ana.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: payload})
		require.NoError(t, err)
		ana.Await(t, published.GetId(), status)
	}
	text := metricsOf(t, env)
	for _, line := range []string{
		`intime_info{version="test"} 1`,
		`intime_delivery_attempts_total{handler="run_probe",outcome="succeeded"} 1`,
		`intime_delivery_attempts_total{handler="run_probe",outcome="failed"} 3`,
		`intime_delivery_attempt_seconds_count{handler="run_probe"} 4`,
		`intime_events{status="dead_letter"} 1`,
		`intime_events{status="pending"} 0`,
		`intime_event_oldest_pending_seconds 0`,
		`intime_event_outbox_events 0`,
		`intime_default_partition_rows{table="events"} 0`,
		`intime_database_oldest_xmin_age_transactions `,
		`intime_queue_dead_rows{table="river_job"} `,
		`intime_event_rollups_age_seconds `,
		`intime_metrics_up 1`,
		`go_goroutines `,
	} {
		require.Contains(t, text, "\n"+line)
	}
	answer := env.Call(t, "", "/metrics", "")
	require.NotContains(t, answer.Body.String(), "intime_", "the API's own address serves no metrics")
}

func TestMetrics_OffByDefault(t *testing.T) {
	t.Parallel()
	require.Empty(t, apptest.New(t, apptest.Options{}).App.MetricsURL())
}

// The database is asked once in a while, whoever reads how often.
func TestMetrics_KeptForAWhile(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	worker, err := postgres.Open(t.Context(), postgres.Config{URL: env.Config.WorkerURL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(worker.Close)
	fresh := func() prometheus.Collector { return env.App.Bus().Collector(worker) }
	kept := fresh()
	pending := func(c prometheus.Collector) float64 {
		registry := prometheus.NewRegistry()
		require.NoError(t, registry.Register(c))
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "intime_events" {
				for _, m := range family.GetMetric() {
					if m.GetLabel()[0].GetValue() == "pending" {
						return m.GetGauge().GetValue()
					}
				}
			}
		}
		return -1
	}
	require.Zero(t, pending(kept))
	newThings(t, admin, "admin")
	apptest.Exec(t, admin, `UPDATE events SET status = 'pending'`)
	require.Zero(t, pending(kept), "what was read a moment ago")
	require.InDelta(t, 1, pending(fresh()), 0)
	require.InDelta(t, -1, pending(env.App.Bus().Collector(nil)), 0, "a process without workers knows nothing of the database")
}

//go:build faults

package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// As TestKill_Worker, in real time and with more under way: what the killed process had begun is found within the lease, the
// rescue and the election of another leader, and everything that was published has its effect once.
func TestFault_KillWorker(t *testing.T) {
	t.Parallel()
	const (
		jobs  = 200
		bound = 45*time.Second + 60*time.Second + 35*time.Second
	)
	env := apptest.New(t, apptest.Options{})
	admin, ana, rita := env.Admin(t), env.As(t, "admin"), env.As(t, "recruiter")
	kill := startWorker(t, env, "first")
	id := running(t, ana, 5000)
	for i := range jobs {
		if i == jobs/2 {
			kill()
		}
		_, err := rita.Jobs.CreateJob(t.Context(), &jobv1.CreateJobRequest{
			Title: fmt.Sprintf("Job %d", i), Description: "Asks for what Cara can do.",
			RequiredSkills: []string{"gRPC"}, Location: "Lisbon",
		})
		require.NoError(t, err)
	}
	killed := time.Now()
	startWorker(t, env, "second")
	apptest.Within(t, bound, func() bool {
		return ana.Event(t, id).GetStatus() == eventv1.EventStatus_EVENT_STATUS_PROCESSED &&
			apptest.One[int](t, admin, `SELECT count(*)::int FROM events WHERE status <> 'processed'`) == 0
	}, "not everything was handled within %s", bound)
	t.Logf("handled %s after the kill", time.Since(killed).Round(time.Second))
	handledAfterCrash(t, ana, id)
	require.Equal(t, jobs+1, apptest.One[int](t, admin, `SELECT count(*)::int FROM events`))
	require.Equal(t, jobs+1, apptest.One[int](t, admin, `SELECT count(*)::int FROM event_attempt_history WHERE outcome = 'succeeded'`))
	require.Equal(t, jobs, apptest.One[int](t, admin, `SELECT count(DISTINCT subject)::int FROM outgoing_mails`))
	require.Equal(t, jobs, apptest.One[int](t, admin, `SELECT count(*)::int FROM outgoing_mails`))
}

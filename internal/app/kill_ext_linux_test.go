package app_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// startWorker starts workers in a process of their own, which ends with the test at the latest. kill ends it at once.
func startWorker(t *testing.T, env *apptest.Env, version string) (kill func()) {
	t.Helper()
	encoded, err := json.Marshal(settings{WorkerURL: env.Config.WorkerURL, DataDir: t.TempDir(), Version: version})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), workerSettings+"="+string(encoded))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(kill)
	return kill
}

// running publishes a probe that sleeps, and waits until its attempt is running.
func running(t *testing.T, as apptest.Clients, milliseconds int) (id string) {
	t.Helper()
	payload, err := structpb.NewStruct(map[string]any{"action": "PROBE_ACTION_SLEEP", "sleepMs": milliseconds})
	require.NoError(t, err)
	published, err := as.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: payload})
	require.NoError(t, err)
	apptest.Eventually(t, func() bool {
		deliveries := as.Event(t, published.GetId()).GetDeliveries()
		return len(deliveries) == 1 && deliveries[0].GetStatus() == eventv1.DeliveryStatus_DELIVERY_STATUS_RUNNING
	}, "the attempt does not run")
	return published.GetId()
}

// handledAfterCrash expects an event that the first process died of and the second one handled.
func handledAfterCrash(t *testing.T, as apptest.Clients, id string) {
	t.Helper()
	event := as.Event(t, id)
	require.Equal(t, eventv1.EventStatus_EVENT_STATUS_PROCESSED, event.GetStatus())
	require.Len(t, event.GetDeliveries(), 1)
	var attempts []string
	for _, a := range event.GetDeliveries()[0].GetAttempts() {
		attempts = append(attempts, a.GetWorkerVersion()+" "+a.GetOutcome().String())
	}
	require.Equal(t, []string{"first ATTEMPT_OUTCOME_CRASHED", "second ATTEMPT_OUTCOME_SUCCEEDED"}, attempts)
	require.Equal(t, int32(2), event.GetDeliveries()[0].GetAttemptCount())
}

// A worker that is killed is missed within seconds, whatever the leases and River's own clocks say.
func TestKill_WorkerIsMissed(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	kill := startWorker(t, env, "first")
	id := running(t, ana, 3000)
	kill()
	killed := time.Now()
	startWorker(t, env, "second")
	ana.Await(t, id, eventv1.EventStatus_EVENT_STATUS_PROCESSED)
	handledAfterCrash(t, ana, id)
	t.Logf("handled %s after the kill, of which the handler took 3 s", time.Since(killed).Round(time.Millisecond))
}

// later makes the database believe that the process was killed two minutes ago: its lease is over, its job is stuck, and it
// leads nothing any more.
func later(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	require.Equal(t, int64(1), apptest.Exec(t, admin, `
		UPDATE event_deliveries SET lease_expires_at = now() - interval '1 minute' WHERE status = 'running'`))
	require.Equal(t, int64(1), apptest.Exec(t, admin, `
		UPDATE river.river_job SET attempted_at = now() - interval '2 minutes' WHERE kind = 'event_delivery' AND state = 'running'`))
	apptest.Exec(t, admin, `DELETE FROM river.river_leader`)
}

// kill -9 of a worker in the middle of a handler: another process finds out and handles the event, once.
func TestKill_Worker(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "admin")
	kill := startWorker(t, env, "first")
	id := running(t, ana, 3000)
	kill()
	require.Equal(t, eventv1.EventStatus_EVENT_STATUS_PENDING, ana.Event(t, id).GetStatus())
	later(t, admin)
	startWorker(t, env, "second")
	ana.Await(t, id, eventv1.EventStatus_EVENT_STATUS_PROCESSED)
	handledAfterCrash(t, ana, id)
}

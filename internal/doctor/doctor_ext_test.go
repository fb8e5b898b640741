package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/doctor"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// examine returns whether all is well, and the last finding.
func examine(t *testing.T, env *apptest.Env) (well bool, last doctor.Finding) {
	t.Helper()
	well = doctor.Run(t.Context(), doctor.Config{
		APIURL: env.Config.APIURL, WorkerURL: env.Config.WorkerURL, Bus: env.App.Bus(),
	}, func(f doctor.Finding) { last = f })
	return well, last
}

func TestRun_PeriodicJobs(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	apptest.Eventually(t, func() bool { well, _ := examine(t, env); return well }, "doctor never found all well")
	_, last := examine(t, env)
	require.Equal(t, "periodic jobs", last.Check)
	for _, job := range []string{"make_partitions", "roll_up_events", "sweep_deliveries"} {
		require.Regexp(t, job+` ran \d+s ago, next in \S+`, last.Detail)
	}

	apptest.Exec(t, admin, `UPDATE river.river_job SET finalized_at = finalized_at - interval '7 hours' WHERE kind = 'make_partitions'`)
	well, last := examine(t, env)
	require.False(t, well)
	require.Contains(t, last.Detail, "make_partitions should run every 6h and ran last 7h ago")
	require.NotEmpty(t, last.Advice)

	apptest.Exec(t, admin, `DELETE FROM river.river_job WHERE kind = 'make_partitions'`)
	_, last = examine(t, env)
	require.Contains(t, last.Detail, "make_partitions should run every 6h and has not within a day")
}

package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// torment is what happens to an installation under load.
type torment struct {
	publishers   int
	pause        time.Duration // of one publisher between two calls
	load         time.Duration // how long it goes on
	kills        time.Duration // a process is killed about this often
	crashes      time.Duration // the database ends at once this often
	standstills  time.Duration // a worker stands still this often; 0: never
	standstill   time.Duration // for so long
	settle       time.Duration // how long all may take to end afterwards
	skipsTheWait bool          // whether the clock is set forward when all processes have been killed at last
}

// kill -9 of servers and workers at random, and of the database, under load. What was acknowledged is stored; each event
// ends once, and has its effect if and only if it ended well.
func TestKill_Ledger(t *testing.T) {
	t.Parallel()
	killLedger(t, torment{
		publishers: 4, pause: 20 * time.Millisecond, load: 3 * time.Second, kills: 400 * time.Millisecond,
		crashes: 1500 * time.Millisecond, settle: 30 * time.Second, skipsTheWait: true,
	})
}

// A handler is not to blame for a process that was killed, however many of its deliveries were running there: it stays
// enabled.
func TestKill_BlamesNoHandler(t *testing.T) {
	t.Parallel()
	const deliveries = 8 // more than may fail in a row
	i := install(t, apptest.Database(t))
	i.serve(1)
	i.work(1)
	admin, ana := i.admin(), i.as(i.ana())[0]
	for n := range deliveries {
		publish(t, ana, map[string]any{"action": "PROBE_ACTION_EMIT", "count": 1, "sleepMs": 1500, "seq": -1 - n})
	}
	apptest.Eventually(t, func() bool { return underWay(t, admin) == deliveries }, "the handlers are not under way")
	i.workers[0].kill()
	forward(t, admin, 3*time.Minute)
	i.work(1)
	apptest.Eventually(t, func() bool { return unsettled(t, admin) == 0 }, "not everything ended")
	for _, s := range readStored(t, admin) {
		require.Equal(t, "succeeded", s.Status)
		require.Equal(t, 1, s.Effects)
	}
	require.Empty(t, apptest.All[string](t, admin, `SELECT DISTINCT handler_name FROM event_subscriptions WHERE NOT is_active`))
}

func killLedger(t *testing.T, o torment) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("FAULT_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("FAULT_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, seed))

	db := startPostgres(t)
	i := install(t, db.url())
	i.serve(2)
	i.work(3)
	l := publishing(t, i.as(i.ana()), o.publishers, o.pause)
	counts := i.torment(o, db, random)
	l.end()
	admin := i.admin()
	if o.skipsTheWait {
		for _, p := range i.processes() {
			p.kill()
		}
		forward(t, admin, 3*time.Minute)
		i.work(2)
	}
	ended := time.Now()
	apptest.Within(t, o.settle, func() bool { return unsettled(t, admin) == 0 }, "not everything ended within %s", o.settle)
	t.Logf("killed %d times, database crashed %d times, stood still %d times; all ended %s after the load",
		counts.kills, counts.crashes, counts.standstills, time.Since(ended).Round(time.Millisecond))
	a := l.close(t, admin)
	a.require(t)
	require.NotZero(t, counts.kills)
	require.NotZero(t, counts.crashes)
}

type faults struct{ kills, crashes, standstills int }

// torment kills and crashes until the load has lasted long enough.
func (i *installation) torment(o torment, db *ownPostgres, random *rand.Rand) (done faults) {
	i.t.Helper()
	var (
		begun     = time.Now()
		processes = i.processes()
		crashAt   = o.crashes
		stopAt    = o.standstills
		jitter    = func(d time.Duration) time.Duration { return d/2 + time.Duration(random.Int64N(int64(d))) }
	)
	for time.Since(begun) < o.load {
		<-time.After(jitter(o.kills))
		switch {
		case time.Since(begun) > crashAt:
			crashAt += o.crashes
			db.crash()
			done.crashes++
		case o.standstills > 0 && time.Since(begun) > stopAt:
			stopAt += o.standstills
			p := i.workers[random.IntN(len(i.workers))]
			p.signal(syscall.SIGSTOP)
			// Should it be killed meanwhile, its successor does not mind.
			resume := time.AfterFunc(o.standstill, func() { p.signal(syscall.SIGCONT) })
			i.t.Cleanup(func() { resume.Stop() })
			done.standstills++
		default:
			processes[random.IntN(len(processes))].signal(syscall.SIGKILL)
			done.kills++
		}
	}
	return done
}

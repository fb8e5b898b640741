//go:build faults

package main

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// The long forms of the fault tests, one after the other: they are about time, and would take each other's. FAULT_DURATION
// is how long the load of TestFault_Kill lasts; FAULT_SEED repeats the choice of what is killed.

// rescued is how soon all ends that a process left behind which was killed: its job counts as lost after 60 s, is looked for
// every 30 s and begins within 5 s; one that was lost twice waits 16 s, and a probe's own retry a second.
const rescued = 60*time.Second + 35*time.Second + 17*time.Second

func TestFault_Kill(t *testing.T) { //nolint:paralleltest // see above
	load := 3 * time.Minute
	if given := os.Getenv("FAULT_DURATION"); given != "" {
		var err error
		load, err = time.ParseDuration(given)
		require.NoError(t, err)
	}
	const standstill = 70 * time.Second // past its lease, and past the rescue
	killLedger(t, torment{
		publishers: 4, pause: 40 * time.Millisecond, load: load, kills: 2 * time.Second, crashes: 30 * time.Second,
		standstills: 50 * time.Second, standstill: standstill, settle: standstill + rescued,
	})
}

func TestFault_Standstill(t *testing.T) { //nolint:paralleltest // see above
	standstill(t, func(t *testing.T, admin *pgx.Conn) {
		t.Helper()
		apptest.Within(t, time.Minute, func() bool {
			return underWay(t, admin) == 0
		}, "the database lets transactions sit idle")
	})
}

func TestFault_Term(t *testing.T)           { termUnderLoad(t, 20*time.Second) } //nolint:paralleltest // see above
func TestFault_RollingRestart(t *testing.T) { rollingRestart(t, 5) }             //nolint:paralleltest // see above

func TestFault_Network(t *testing.T) { //nolint:paralleltest // see above
	for _, c := range []struct {
		name   string
		breaks func(t *testing.T, p *proxy)
	}{
		{"Latency", func(t *testing.T, p *proxy) {
			t.Helper()
			p.slow(100 * time.Millisecond) // each way
			<-time.After(30 * time.Second)
			p.slow(0)
		}},
		{"Reset", func(t *testing.T, p *proxy) {
			t.Helper()
			for range 100 {
				p.reset()
				<-time.After(200 * time.Millisecond)
			}
		}},
		{"BlackHole", func(t *testing.T, p *proxy) {
			t.Helper()
			p.blackhole()
			<-time.After(time.Minute)
			p.heal()
		}},
	} {
		t.Run(c.name, func(t *testing.T) { brokenNetwork(t, 5*time.Second, c.breaks) })
	}
}

func TestFault_Poison(t *testing.T) { //nolint:paralleltest // see above
	poison(t, poisoning{
		events: 10_000, hang: 20 * time.Second, probes: 500, every: 20 * time.Millisecond, noise: 500 * time.Millisecond,
		patience: time.Minute,
	})
}

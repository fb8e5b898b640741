package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// heals is how soon everything works again once the network does.
const heals = 30 * time.Second

// A program whose network to its database fails: no call outlives its deadline by more than a second, everything works
// again soon after the network does, and no connection is left behind.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(t *testing.T, p *proxy){
		"Latency": func(t *testing.T, p *proxy) {
			t.Helper()
			p.slow(100 * time.Millisecond) // each way
			<-time.After(2 * time.Second)
			p.slow(0)
		},
		"Reset": func(t *testing.T, p *proxy) {
			t.Helper()
			for range 4 {
				p.reset()
				<-time.After(300 * time.Millisecond)
			}
		},
		"BlackHole": func(t *testing.T, p *proxy) {
			t.Helper()
			p.blackhole()
			<-time.After(4 * time.Second)
			p.heal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokenNetwork(t, time.Second, breaks)
		})
	}
}

// brokenNetwork has callers, each of whose calls has so much time, while the network breaks and heals again.
func brokenNetwork(t *testing.T, deadline time.Duration, breaks func(t *testing.T, p *proxy)) {
	t.Helper()
	i := install(t, apptest.Database(t))
	u, err := url.Parse(i.url)
	require.NoError(t, err)
	p := newProxy(t, u.Host)
	var env []string
	for variable, login := range map[string]postgres.Login{
		"INTIME_API_DATABASE_URL": postgres.LoginAPI, "INTIME_WORKER_DATABASE_URL": postgres.LoginWorker,
	} {
		address, err := postgres.LoginURL(i.url, login)
		require.NoError(t, err)
		env = append(env, variable+"="+p.through(t, address))
	}
	s := i.server(env...) // it works too
	callers := calling(t, s.url, i.ana(), deadline)
	admin := i.admin()
	handled := func() int {
		return apptest.One[int](t, admin, `SELECT count(*)::int FROM event_deliveries WHERE status = 'succeeded'`)
	}
	apptest.Eventually(t, func() bool { return callers.count(ok) >= 40 && handled() > 10 }, "nobody gets an answer")

	before, noise := callers.count(ok), callers.calibrate()
	breaks(t, p)
	healed := time.Now()
	apptest.Within(t, heals, s.ready, "the server is not ready again")
	answered, handledBefore := callers.count(ok), handled()
	apptest.Within(t, heals-time.Since(healed), func() bool { return callers.count(ok) >= answered+40 }, "calls get no answer again")
	apptest.Within(t, heals-time.Since(healed), func() bool { return handled() >= handledBefore+20 },
		"what is published is not handled again")
	t.Logf("everything works %s after the network does", time.Since(healed).Round(time.Millisecond))
	callers.end()

	// An attempt that was cut off before it could say so holds its lease.
	forward(t, admin, time.Minute)
	apptest.Within(t, 2*time.Minute, func() bool { return unsettled(t, admin) == 0 }, "not everything ended")
	t.Logf("%d calls before, of up to %s; %d after, %d answered errors, %d late; the latest %s after its deadline",
		before, noise.Round(time.Millisecond), callers.count(ok)-before, callers.count(failed), len(callers.late),
		callers.worst.Round(time.Millisecond))
	assert.Empty(t, callers.late, "calls outlived their deadline by more than a second")
	found := readStored(t, admin)
	byID := map[string]stored{}
	for _, f := range found {
		byID[f.ID] = f
	}
	for _, id := range callers.published {
		require.Equal(t, "succeeded", byID[id].Status, id)
		require.Equal(t, 1, byID[id].Effects, id)
	}
	require.NotEmpty(t, callers.published)
	const most = 16 + 33 + 2 // the pools of API and workers, two connections for notifications
	require.LessOrEqual(t, p.connections(), most)
	_, err = s.stop(grace)
	require.NoError(t, err)
	apptest.Eventually(t, func() bool {
		return p.connections() == 0 && apptest.One[int](t, admin, `
			SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'intime\_%'`) == 0
	}, "connections are left behind")
}

// What became of a call.
const (
	ok     = "ok"
	failed = "failed"
)

// callers call a server all the time and measure how long that takes. They say how much time a call has and then wait for
// as long as it takes: it is the server that keeps to it.
type callers struct {
	url, token string
	deadline   time.Duration
	client     *http.Client
	running    sync.WaitGroup
	end        func() // stops the callers and waits for them

	mu        sync.Mutex
	counts    map[string]int
	slowest   time.Duration // of the calls so far, until calibrate
	noise     time.Duration // how long a call takes on this machine where nothing is wrong
	late      []string
	worst     time.Duration // how long the latest call outlived its deadline
	published []string
	seq       int
}

func calling(t *testing.T, url, token string, deadline time.Duration) *callers {
	t.Helper()
	c := &callers{
		url: url, token: token, deadline: deadline, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		counts: map[string]int{},
	}
	stop := make(chan struct{})
	c.end = sync.OnceFunc(func() {
		close(stop)
		c.running.Wait()
	})
	t.Cleanup(c.end)
	// More than the server has connections.
	for n := range 24 {
		c.running.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
				if n%2 == 0 {
					c.call("PublishEvent", c.probe())
				} else {
					c.call("ListEvents", `{"pageSize":1}`)
				}
			}
		})
	}
	return c
}

func (c *callers) probe() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	return fmt.Sprintf(`{"type":"system.probe","payload":{"action":"PROBE_ACTION_EMIT","count":1,"seq":"%d"}}`, 10*c.seq+1)
}

func (c *callers) call(method, body string) {
	url := c.url + "/intime.event.v1.EventService/" + method
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body)) //nolint:noctx // see callers
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Connect-Timeout-Ms", strconv.FormatInt(c.deadline.Milliseconds(), 10))
	begun := time.Now()
	answer, err := c.client.Do(request)
	var said []byte
	status := 0
	if err == nil {
		said, err = io.ReadAll(answer.Body)
		answer.Body.Close()
		status = answer.StatusCode
	}
	took := time.Since(begun)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowest = max(c.slowest, took)
	c.worst = max(c.worst, took-c.deadline)
	if c.noise > 0 && took > c.deadline+time.Second+c.noise && len(c.late) < 10 {
		c.late = append(c.late, fmt.Sprintf("%s took %s: %d %.200s", method, took.Round(time.Millisecond), status, said))
	}
	if err != nil || status != http.StatusOK {
		c.counts[failed]++
		return
	}
	c.counts[ok]++
	var published struct {
		ID string `json:"id"`
	}
	if method == "PublishEvent" && json.Unmarshal(said, &published) == nil {
		c.published = append(c.published, published.ID)
	}
}

// calibrate takes what calls took so far for the noise of a busy machine, by which later ones may be late, and returns it.
func (c *callers) calibrate() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noise = c.slowest
	return c.noise
}

func (c *callers) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

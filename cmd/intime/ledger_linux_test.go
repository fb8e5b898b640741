package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// ledger is what a load published, and what it was told became of it.
type ledger struct {
	servers []apptest.Clients
	timeout time.Duration // of one call
	pause   time.Duration // between two calls of one publisher

	next    atomic.Int64
	mu      sync.Mutex
	entries map[int64]*entry
	running sync.WaitGroup
	stop    context.CancelFunc
}

// entry is a probe that was published, or perhaps not.
type entry struct {
	ids     []string // the ids that were acknowledged
	unknown bool     // whether a call got no answer, or an error for one
	again   bool     // whether a call that got none had been carried out, as its repetition was told
	errors  []string // what the server answered where it answered an error
}

// aside is the number of probes that are not in the books.
const aside = -100

// plan is what a probe does, by its number: most publish an event, which is their effect in the database.
func plan(seq int64) (payload map[string]any, effects int, deadLetter bool) {
	switch {
	case seq%40 == 0:
		return map[string]any{"action": "PROBE_ACTION_FAIL_PERMANENTLY"}, 0, true
	case seq%40 == 20:
		return map[string]any{"action": "PROBE_ACTION_FAIL_N", "count": 1}, 0, false
	case seq%10 == 5:
		return map[string]any{"action": "PROBE_ACTION_EMIT", "count": 3, "sleepMs": 50}, 3, false
	default:
		return map[string]any{"action": "PROBE_ACTION_EMIT", "count": 1}, 1, false
	}
}

// publishing starts so many publishers at once, which go on until end is called.
func publishing(t *testing.T, servers []apptest.Clients, publishers int, pause time.Duration) *ledger {
	t.Helper()
	l := &ledger{servers: servers, timeout: 5 * time.Second, pause: pause, entries: map[int64]*entry{}}
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	t.Cleanup(l.end)
	for range publishers {
		l.running.Go(func() {
			for ctx.Err() == nil {
				l.publishOne(ctx)
				select {
				case <-ctx.Done():
				case <-time.After(l.pause):
				}
			}
		})
	}
	return l
}

// end stops the publishers and waits for their calls.
func (l *ledger) end() {
	l.stop()
	l.running.Wait()
}

// publishOne publishes a probe. Every other has a key and is published until it is acknowledged, as a client would that
// was cut off; the others have one try.
func (l *ledger) publishOne(ctx context.Context) {
	seq := l.next.Add(1)
	payload, _, _ := plan(seq)
	payload["seq"] = strconv.FormatInt(seq, 10)
	request := probe(payload)
	if seq%2 == 1 {
		request.IdempotencyKey = fmt.Sprintf("probe-%d", seq)
	}
	e := &entry{}
	l.mu.Lock()
	l.entries[seq] = e
	l.mu.Unlock()
	for {
		err := l.call(ctx, e, request)
		if err == nil || request.GetIdempotencyKey() == "" || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// probe is the request to publish a probe with this payload.
func probe(payload map[string]any) *eventv1.PublishEventRequest {
	encoded, err := structpb.NewStruct(payload)
	if err != nil {
		panic(err) // the payload above is wrong
	}
	return &eventv1.PublishEventRequest{Type: "system.probe", Payload: encoded}
}

func (l *ledger) call(ctx context.Context, e *entry, request *eventv1.PublishEventRequest) error {
	// A call that is under way when the load ends is waited for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	answer, err := l.servers[rand.IntN(len(l.servers))].Events.PublishEvent(ctx, request)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		e.unknown = true
		if reason := apptest.Detail(err).GetReason(); reason != "" {
			e.errors = append(e.errors, reason)
		}
		return err
	}
	e.again = e.again || answer.GetDeduplicated()
	e.ids = append(e.ids, answer.GetId())
	return nil
}

// acknowledged is how many probes the servers have taken so far.
func (l *ledger) acknowledged() (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if len(e.ids) > 0 {
			count++
		}
	}
	return count
}

// stored is a probe as the database has it.
type stored struct {
	ID         string
	Seq        int64
	Deliveries int
	Status     string // of the delivery
	Attempts   int    // that counted
	Failed     int    // attempts that ended badly and counted
	Crashed    int
	Disturbed  bool // whether an attempt crashed or was interrupted
	Effects    int
	Took       time.Duration // from the publication to the delivery's end
}

func readStored(t *testing.T, admin *pgx.Conn) []stored {
	t.Helper()
	rows, err := admin.Query(t.Context(), `
		SELECT e.id::text AS id, (e.payload ->> 'seq')::bigint AS seq, coalesce(d.deliveries, 0) AS deliveries,
			coalesce(d.status, '') AS status, coalesce(d.attempts, 0) AS attempts, coalesce(a.failed, 0) AS failed,
			coalesce(a.crashed, 0) AS crashed, coalesce(a.disturbed, false) AS disturbed, coalesce(c.effects, 0) AS effects,
			coalesce(d.finished_at - e.published_at, interval '0') AS took
		FROM events e
		LEFT JOIN (SELECT event_id, count(*)::int AS deliveries, min(status) AS status, min(attempt_count) AS attempts,
				min(finished_at) AS finished_at
			FROM event_deliveries GROUP BY event_id) d ON d.event_id = e.id
		LEFT JOIN (SELECT event_id, (count(*) FILTER (WHERE outcome NOT IN ('succeeded', 'interrupted')))::int AS failed,
				(count(*) FILTER (WHERE outcome = 'crashed'))::int AS crashed,
				bool_or(outcome IN ('crashed', 'interrupted')) AS disturbed
			FROM event_attempts GROUP BY event_id) a ON a.event_id = e.id
		LEFT JOIN (SELECT causation_id, count(*)::int AS effects FROM events WHERE causation_id IS NOT NULL GROUP BY causation_id) c
			ON c.causation_id = e.id
		WHERE e.type = 'system.probe'`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[stored])
	require.NoError(t, err)
	return all
}

// unsettled is how many events have not ended; what is still in the outbox has not.
func unsettled(t *testing.T, admin *pgx.Conn) int {
	t.Helper()
	return apptest.One[int](t, admin, `
		SELECT (SELECT count(*) FROM events WHERE status IN ('pending', 'failed'))::int + (SELECT count(*) FROM event_outbox)::int`)
}

// account is the books' result.
type account struct {
	sent, acknowledged, unknown    int
	stored, handled, dead, skipped int
	lost, duplicated               int
	dropped                        int // calls that were carried out and not answered
	errors                         []string
	burnt                          int // attempts that a probe did not ask to fail, and that counted
	recovery, all                  []time.Duration
	problems                       []string
}

// close compares what was acknowledged with what is stored and what became of that. Lost is what was acknowledged and is
// not stored, has not ended, or ended well without its effect. Duplicated is what is stored, or had its effect, more than
// once, or had one without a success.
func (l *ledger) close(t *testing.T, admin *pgx.Conn) *account {
	t.Helper()
	l.end()
	a := &account{}
	bySeq := map[int64][]stored{}
	for _, s := range readStored(t, admin) {
		if s.Seq == aside {
			continue
		}
		bySeq[s.Seq] = append(bySeq[s.Seq], s)
		a.stored++
		if l.entries[s.Seq] == nil {
			a.problemf(&a.duplicated, "probe %d is stored and was never published", s.Seq)
		}
		a.ended(s)
	}
	for seq, e := range l.entries {
		a.sent++
		found := bySeq[seq]
		switch {
		case len(e.ids) > 0:
			a.acknowledged++
		case e.unknown:
			a.unknown++
		}
		if e.again || e.unknown && len(e.ids) == 0 && len(found) > 0 {
			a.dropped++
		}
		a.errors = append(a.errors, e.errors...)
		if len(found) > 1 {
			a.problemf(&a.duplicated, "probe %d is stored %d times", seq, len(found))
		}
		for _, id := range e.ids {
			if !slices.ContainsFunc(found, func(s stored) bool { return s.ID == id }) {
				a.problemf(&a.lost, "probe %d was acknowledged as %s and is not stored", seq, id)
			}
		}
		if len(e.ids) == 0 && len(found) > 0 && !e.unknown {
			a.problemf(&a.duplicated, "probe %d is stored and was refused", seq)
		}
	}
	return a
}

// ended puts a stored probe into the books.
func (a *account) ended(s stored) {
	_, effects, deadLetter := plan(s.Seq)
	a.all = append(a.all, s.Took)
	if s.Disturbed {
		a.recovery = append(a.recovery, s.Took)
	}
	if s.Deliveries != 1 {
		a.problemf(&a.lost, "probe %d has %d deliveries", s.Seq, s.Deliveries)
	}
	switch s.Status {
	case "succeeded":
		a.handled++
		if s.Effects < effects || deadLetter {
			a.problemf(&a.lost, "probe %d succeeded with %d effects of %d", s.Seq, s.Effects, effects)
		}
	case "dead_letter":
		a.dead++
		effects = 0
		if !deadLetter && s.Failed < 3 {
			a.problemf(&a.lost, "probe %d was given up after %d failures", s.Seq, s.Failed)
		}
	case "skipped":
		a.skipped++
		effects = 0
		a.problemf(&a.lost, "probe %d was skipped", s.Seq)
	default:
		effects = 0
		a.problemf(&a.lost, "probe %d has not ended: it is %q", s.Seq, s.Status)
	}
	if s.Effects > effects {
		a.problemf(&a.duplicated, "probe %d has %d effects and not %d", s.Seq, s.Effects, effects)
	}
	if counted := planned(s.Seq); s.Failed > counted {
		a.burnt++
	}
}

// planned is how many failures the probe itself asked for.
func planned(seq int64) int {
	if payload, _, deadLetter := plan(seq); deadLetter || payload["action"] == "PROBE_ACTION_FAIL_N" {
		return 1
	}
	return 0
}

func (a *account) problemf(count *int, format string, args ...any) {
	*count++
	if len(a.problems) < 20 {
		a.problems = append(a.problems, fmt.Sprintf(format, args...))
	}
}

// require prints the books and expects that nothing was lost and nothing happened twice.
func (a *account) require(t *testing.T) {
	t.Helper()
	t.Logf("ledger: acknowledged %d, unknown %d of %d published; stored %d, handled %d, dead letters %d; duplicated %d, lost %d; "+
		"calls dropped %d, attempts burnt %d; publish → end p50 %s p99 %s; recovery of %d disturbed p99 %s max %s",
		a.acknowledged, a.unknown, a.sent, a.stored, a.handled, a.dead, a.duplicated, a.lost, a.dropped, a.burnt,
		quantile(a.all, 0.5), quantile(a.all, 0.99), len(a.recovery), quantile(a.recovery, 0.99), quantile(a.recovery, 1))
	for _, p := range a.problems {
		t.Log(p)
	}
	assert.Zero(t, a.lost, "lost")
	assert.Zero(t, a.duplicated, "duplicated")
	assert.NotZero(t, a.handled, "nothing was handled")
}

// requireGentle expects that nothing was noticed by whoever publishes or handles: each call that was carried out was
// answered, and no attempt was lost that a probe did not ask for.
func (a *account) requireGentle(t *testing.T) {
	t.Helper()
	assert.Zero(t, a.dropped, "calls were carried out and not answered")
	assert.Empty(t, a.errors, "calls were answered with errors")
	assert.Zero(t, a.burnt, "attempts were burnt")
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, int(q*float64(len(all))))].Round(time.Millisecond)
}

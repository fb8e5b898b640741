package eventbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// tallyLimit is how far a tally counts.
	tallyLimit = 10_000
	// liveAtMost is how much is counted when it is asked for, where the periodic job is behind.
	liveAtMost = 15 * time.Minute
	// settlingFor is how much of what was counted already is counted anew: its handlers had hardly begun.
	settlingFor = time.Minute
)

// rollup is a row of the table event_rollups.
type rollup struct {
	Bucket         time.Time
	EventType      string
	HandlerName    string // empty: the events themselves
	Total          int32
	Succeeded      int32
	DeadLettered   int32
	Skipped        int32
	Unfinished     int32
	FailedAttempts int32
	WaitUS         int64
	Waits          []int32
	RunUS          int64
	Runs           []int32
	HandledUS      int64
	Handled        []int32
}

// span is a range of time whose rollups are asked for.
type span struct {
	from, until time.Time
	types       []string // none: all
	handler     string   // empty: all of them, and the events themselves
}

const rollupColumns = `bucket, event_type, handler_name, total, succeeded, dead_lettered, skipped, unfinished, failed_attempts,
	wait_us, waits, run_us, runs, handled_us, handled`

// readRollups reads the rollups of a span: whole hours as such, minutes where an hour is not whole or its minutes are asked
// for, and what the periodic job has not counted yet from the events themselves. It also returns until when that job has
// counted.
func readRollups(ctx context.Context, tx *postgres.Tx, s span, minutes bool) (found []rollup, countedUntil *time.Time, err error) {
	var now time.Time
	err = tx.QueryRow(ctx, `SELECT now(), counted_until FROM app.event_rollup_state`).Scan(&now, &countedUntil)
	if err != nil {
		return nil, nil, fmt.Errorf("read how far events are counted: %w", err)
	}
	// What was counted a moment ago had hardly begun.
	live := now.Add(-liveAtMost).Truncate(time.Minute)
	if countedUntil != nil && countedUntil.Add(-settlingFor).After(live) {
		live = countedUntil.Add(-settlingFor)
	}
	live = clamp(live, s.from, s.until)
	// Up to here there are whole hours, from here on minutes.
	hours := clamp(live.Truncate(time.Hour), s.from, live)
	if minutes {
		hours = s.from
	}
	rows, err := tx.Query(ctx, `
		SELECT `+rollupColumns+` FROM public.event_rollups
		WHERE grain = 'hour' AND bucket >= $1 AND bucket < $2
			AND (cardinality($5::text[]) = 0 OR event_type = ANY ($5)) AND ($6 = '' OR handler_name = $6)
		UNION ALL
		SELECT `+rollupColumns+` FROM public.event_rollups
		WHERE grain = 'minute' AND bucket >= $2 AND bucket < $3
			AND (cardinality($5::text[]) = 0 OR event_type = ANY ($5)) AND ($6 = '' OR handler_name = $6)
		UNION ALL
		SELECT `+rollupColumns+` FROM app.count_events(app.org_id(), $3, $4, 'minute')
		WHERE $3 < $4 AND (cardinality($5::text[]) = 0 OR event_type = ANY ($5)) AND ($6 = '' OR handler_name = $6)`,
		s.from, hours, live, s.until, orNone(s.types), s.handler)
	if err != nil {
		return nil, nil, fmt.Errorf("read roll-ups: %w", err)
	}
	found, err = pgx.CollectRows(rows, pgx.RowToStructByName[rollup])
	if err != nil {
		return nil, nil, fmt.Errorf("read roll-ups: %w", err)
	}
	return found, countedUntil, nil
}

func clamp(t, from, until time.Time) time.Time {
	if t.Before(from) {
		return from
	}
	if t.After(until) {
		return until
	}
	return t
}

// orNone is the slice, empty where it is nil, which the database would take for NULL.
func orNone(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// eventsNow is where the caller's events stand. Each part walks an index for a few entries, or for tallyLimit at most.
func eventsNow(ctx context.Context, tx *postgres.Tx) (*eventv1.EventsNow, error) {
	now := &eventv1.EventsNow{}
	var oldest, last *time.Time
	var pending, failed, dead int32
	err := tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM (SELECT FROM public.events WHERE status = 'pending' LIMIT $1) AS e),
			(SELECT count(*) FROM (SELECT FROM public.events WHERE status = 'failed' LIMIT $1) AS e),
			(SELECT count(*) FROM (SELECT FROM public.events WHERE status = 'dead_letter' LIMIT $1) AS e),
			(SELECT published_at FROM public.events WHERE status = 'pending' ORDER BY id LIMIT 1),
			(SELECT published_at FROM public.events ORDER BY id DESC LIMIT 1)`, tallyLimit+1).
		Scan(&pending, &failed, &dead, &oldest, &last)
	if err != nil {
		return nil, fmt.Errorf("look where events stand: %w", err)
	}
	now.Pending, now.Failed, now.DeadLetters = tally(pending), tally(failed), tally(dead)
	now.OldestPendingAt, now.LastEventAt = timestamp(oldest), timestamp(last)
	return now, nil
}

func tally(n int32) *eventv1.Tally {
	return &eventv1.Tally{Count: min(n, tallyLimit), More: n > tallyLimit}
}

// handlerWorkers is how many programs that run now have the handler.
func handlerWorkers(ctx context.Context, tx *postgres.Tx, handler string) (n int32, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FROM app.event_workers WHERE $1 = ANY (handler_names) AND seen_at > now() - $2::interval`,
		handler, presentFor).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count workers: %w", err)
	}
	return n, nil
}

// lastRun is when an attempt of the handler last started, among the newest hundred of its deliveries; nil where none has.
func lastRun(ctx context.Context, tx *postgres.Tx, handler string) (at *time.Time, err error) {
	err = tx.QueryRow(ctx, `
		SELECT max(d.started_at) FROM (
			SELECT started_at FROM public.event_deliveries WHERE handler_name = $1 ORDER BY event_id DESC LIMIT 100) d`, handler).Scan(&at)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("find the last run: %w", err)
	}
	return at, nil
}

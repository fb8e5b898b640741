package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// contender is a peer in a workload.
type contender struct {
	name string
	open openPeer
}

func contenders(names ...string) []contender {
	known := map[string]openPeer{
		product: openInTime, "river": openRiver(false), "river+event": openRiver(true), "limit": openLimit,
	}
	all := make([]contender, len(names))
	for i, name := range names {
		all[i] = contender{name, known[name]}
	}
	return all
}

// trial is one peer's run of one workload.
type trial struct {
	peer

	bench     *bench
	rec       *recorder
	admin     *pgx.Conn
	result    *result
	published int
	handled   bool // whether workers ran
}

// busTimeout ends a run of a peer that got stuck.
const busTimeout = 90 * time.Second

// tryEach runs the workload for each peer, on a database of its own, and returns the results.
func (b *bench) tryEach(
	ctx context.Context, workload string, probes int, peers []contender, run func(ctx context.Context, t *trial) error,
) ([]result, error) {
	var all []result
	for _, c := range peers {
		r, err := b.try(ctx, workload, probes, c, run)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	return all, nil
}

func (b *bench) try(
	ctx context.Context, workload string, probes int, c contender, run func(ctx context.Context, t *trial) error,
) (*result, error) {
	template := "template1"
	if c.name == product {
		template = b.template.name
	}
	d, err := b.create(ctx, template)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.drop(ctx) }()
	r := &result{Workload: workload, Peer: c.name, Values: map[string]float64{}}
	if err := b.tryOn(ctx, d, probes, c, r, run); err != nil {
		r.Error = err.Error()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r, b.record(r)
}

func (b *bench) tryOn(
	ctx context.Context, d *database, probes int, c contender, r *result, run func(ctx context.Context, t *trial) error,
) (err error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	rec := newRecorder(probes)
	p, err := c.open(ctx, d, rec)
	if err != nil {
		return err
	}
	t := &trial{peer: p, bench: b, rec: rec, result: r}
	listening := b.listen()
	err = d.adminURL().as(ctx, func(conn *pgx.Conn) error {
		t.admin = conn
		return run(ctx, t)
	})
	r.CPU = listening.stop()
	if err := errors.Join(err, p.close(ctx)); err != nil {
		return err
	}
	if t.handled {
		once, twice, never := rec.audit(t.published)
		r.Checks = append(r.Checks, counted("handled exactly once", once, t.published), counted("handled more than once", twice, 0),
			counted("never handled", never, 0), counted("handled though nobody published it", int(rec.stray.Load()), 0))
	}
	counts, err := verify(ctx, d, p.checks(t.published, t.handled))
	r.Checks = append(r.Checks, counts...)
	return err
}

func counted(name string, got, want int) check {
	return check{Name: name, Got: int64(got), Want: int64(want)}
}

// startWorkers starts the peer's workers.
func (t *trial) startWorkers(ctx context.Context) error {
	t.handled = true
	return t.work(ctx)
}

// warmUp publishes a few probes and waits until they are handled, where workers run.
func (t *trial) warmUp(ctx context.Context, n int) error {
	if err := t.publishAll(ctx, n); err != nil || !t.handled {
		return err
	}
	_, err := t.settle(ctx)
	return err
}

// publishAll publishes the next n probes from all publishers.
func (t *trial) publishAll(ctx context.Context, n int) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		first = t.published
		errs  = make(chan error, publishers)
	)
	for range publishers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := t.publish(ctx, int64(first)+i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	t.published += n
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// settle waits until all probes were handled and the store says that nothing is left, and returns when that was, by the
// recorder's clock.
func (t *trial) settle(ctx context.Context) (time.Duration, error) {
	for t.rec.total.Load() < int64(t.published) {
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, errors.New("not everything was handled in time")
		}
	}
	for {
		var left bool
		if err := t.admin.QueryRow(ctx, t.pendingSQL()).Scan(&left); err != nil || !left {
			return t.rec.now(), err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, errors.New("the store still holds something that is not done")
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

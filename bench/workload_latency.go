package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// rate is a step of the latency workload.
type rate struct {
	perSecond int
	lasting   time.Duration
}

func (r rate) probes() int { return int(r.lasting.Seconds() * float64(r.perSecond)) }

// measureLatency publishes probe i at t0 + i/rate, whatever became of those before it, so that a system that stalls does
// not slow its own load down.
func measureLatency(ctx context.Context, b *bench) error {
	rates := []rate{{100, b.scaledTime(20 * time.Second)}, {500, b.scaledTime(10 * time.Second)}}
	warmUp := b.scaled(200)
	total := warmUp
	for _, r := range rates {
		total += r.probes()
	}
	peers := contenders(product, "river", "river+event")
	results, err := b.tryEach(ctx, "latency", total, peers, func(ctx context.Context, t *trial) error {
		if err := t.startWorkers(ctx); err != nil {
			return err
		}
		if err := t.warmUp(ctx, warmUp); err != nil {
			return err
		}
		for _, r := range rates {
			if err := t.openLoop(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rates {
		at := fmt.Sprintf("%d_", r.perSecond)
		table{
			title: fmt.Sprintf("Publish → start of the handler at %d/s for %s, ms from the commit's return (lower is better)",
				r.perSecond, r.lasting),
			columns: []column{
				{at + "commit_p50_ms", "p50"},
				{at + "commit_p95_ms", "p95"},
				{at + "commit_p99_ms", "p99"},
				{at + "commit_max_ms", "max"},
				{at + "publish_p50_ms", "publish p50"},
				{at + "publish_p99_ms", "publish p99"},
				{at + "schedule_p50_ms", "from schedule p50"},
				{at + "schedule_p99_ms", "p99"},
				{at + "timer_p50_ms", "timer late p50"},
			},
			ratios: []column{{at + "commit_p50_ms", "p50"}, {at + "commit_p95_ms", "p95"}, {at + "commit_p99_ms", "p99"}},
		}.print(os.Stdout, results)
	}
	printFailures(os.Stdout, results)
	return nil
}

// openLoop publishes at a constant rate. The commit's return is the publisher's; a handler that starts before it counts
// as 0. From schedule also has the publish and a timer that wakes up late, which goes for all peers.
func (t *trial) openLoop(ctx context.Context, r rate) error {
	var (
		n                    = r.probes()
		first                = t.published
		due, called, commits = make([]time.Duration, n), make([]time.Duration, n), make([]time.Duration, n)
		errs                 = make(chan error, n)
		group                sync.WaitGroup
		begin                = t.rec.now() + 20*time.Millisecond
		interval             = time.Second / time.Duration(r.perSecond)
	)
	for i := range n {
		due[i] = begin + time.Duration(i)*interval
		if err := pause(ctx, due[i]-t.rec.now()); err != nil {
			return err
		}
		called[i] = t.rec.now()
		group.Go(func() {
			if err := t.publish(ctx, int64(first+i)); err != nil {
				errs <- err
			}
			commits[i] = t.rec.now()
		})
	}
	group.Wait()
	t.published += n
	select {
	case err := <-errs:
		return err
	default:
	}
	if _, err := t.settle(ctx); err != nil {
		return err
	}
	var fromCommit, fromSchedule, publish, late []time.Duration
	for i := range n {
		started := t.rec.startOf(first + i)
		fromCommit = append(fromCommit, max(0, started-commits[i]))
		fromSchedule = append(fromSchedule, started-due[i])
		publish = append(publish, commits[i]-called[i])
		late = append(late, called[i]-due[i])
	}
	at := fmt.Sprintf("%d_", r.perSecond)
	t.result.add(at+"commit_", summarize(fromCommit))
	t.result.add(at+"schedule_", summarize(fromSchedule))
	t.result.add(at+"publish_", summarize(publish))
	t.result.add(at+"timer_", summarize(late))
	return nil
}

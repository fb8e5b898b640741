package main

import (
	"context"
	"fmt"
	"os"
)

// measureThroughput publishes from 16 publishers, each event durable on its own, while workers run.
func measureThroughput(ctx context.Context, b *bench) error {
	warmUp, n := b.scaled(200), b.scaled(10_000)
	peers := contenders(product, "river+event")
	results, err := b.tryEach(ctx, "throughput", warmUp+n, peers, func(ctx context.Context, t *trial) error {
		if err := t.startWorkers(ctx); err != nil {
			return err
		}
		if err := t.warmUp(ctx, warmUp); err != nil {
			return err
		}
		began := t.rec.now()
		if err := t.publishAll(ctx, n); err != nil {
			return err
		}
		t.result.Values["published_per_s"] = perSecond(n, t.rec.now()-began)
		ended, err := t.settle(ctx)
		t.result.Values["handled_per_s"] = perSecond(n, ended-began)
		return err
	})
	if err != nil {
		return err
	}
	table{
		title:   fmt.Sprintf("%d publishers, %d events, workers running (higher is better)", publishers, n),
		columns: []column{{"published_per_s", "published/s"}, {"handled_per_s", "handled/s"}},
		ratios:  []column{{"published_per_s", "published"}, {"handled_per_s", "handled"}},
	}.print(os.Stdout, results)
	printFailures(os.Stdout, results)
	return nil
}

// backlogBatch is how many events of the backlog are published in one transaction.
const backlogBatch = 500

// measureDrain starts the workers on a backlog and stops the clock when the last event is done. InTime's backlog is
// events that nobody dispatched yet; River's is jobs that are ready.
func measureDrain(ctx context.Context, b *bench) error {
	n := b.scaled(20_000)
	peers := contenders(product, "river", "river+event")
	results, err := b.tryEach(ctx, "drain", n, peers, func(ctx context.Context, t *trial) error {
		for ; t.published < n; t.published += min(backlogBatch, n-t.published) {
			if err := t.publishMany(ctx, int64(t.published), min(backlogBatch, n-t.published)); err != nil {
				return err
			}
		}
		for _, statement := range []string{analyzeFilled, "CHECKPOINT"} {
			if _, err := t.admin.Exec(ctx, statement); err != nil {
				return err
			}
		}
		began := t.rec.now()
		if err := t.startWorkers(ctx); err != nil {
			return err
		}
		ended, err := t.settle(ctx)
		t.result.Values["handled_per_s"] = perSecond(n, ended-began)
		t.result.Values["seconds"] = round((ended - began).Seconds(), 3)
		return err
	})
	if err != nil {
		return err
	}
	table{
		title:   fmt.Sprintf("Drain of %d events (higher is better)", n),
		columns: []column{{"handled_per_s", "handled/s"}, {"seconds", "seconds"}},
		ratios:  []column{{"handled_per_s", "handled"}},
	}.print(os.Stdout, results)
	printFailures(os.Stdout, results)
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// measurePublish publishes one probe after another. No workers run.
func measurePublish(ctx context.Context, b *bench) error {
	warmUp, n := b.scaled(200), b.scaled(2000)
	peers := contenders(product, "river", "river+event", "limit")
	results, err := b.tryEach(ctx, "publish", warmUp+n, peers, func(ctx context.Context, t *trial) error {
		latencies := make([]time.Duration, 0, n)
		for i := range warmUp + n {
			began := time.Now()
			if err := t.publish(ctx, int64(i)); err != nil {
				return err
			}
			if i >= warmUp {
				latencies = append(latencies, time.Since(began))
			}
		}
		t.published = warmUp + n
		t.result.add("", summarize(latencies))
		return nil
	})
	if err != nil {
		return err
	}
	table{
		title:   fmt.Sprintf("Publish, one client, %d after %d to warm up, ms (lower is better)", n, warmUp),
		columns: []column{{"p50_ms", "p50"}, {"p95_ms", "p95"}, {"p99_ms", "p99"}, {"max_ms", "max"}},
		ratios:  []column{{"p50_ms", "p50"}, {"p95_ms", "p95"}, {"p99_ms", "p99"}},
	}.print(os.Stdout, results)
	printFailures(os.Stdout, results)
	return nil
}

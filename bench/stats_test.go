package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSummarize_NearestRank(t *testing.T) {
	t.Parallel()
	var latencies []time.Duration
	for i := 200; i > 0; i-- {
		latencies = append(latencies, time.Duration(i)*time.Millisecond)
	}
	require.Equal(t, summary{N: 200, P50: 100, P95: 190, P99: 198, Max: 200}, summarize(latencies))
	require.Equal(t, summary{N: 1, P50: 5, P95: 5, P99: 5, Max: 5}, summarize([]time.Duration{5 * time.Millisecond}))
	require.Equal(t, summary{}, summarize(nil))
}

func TestRecorder_TellsOnceFromTwiceAndNever(t *testing.T) {
	t.Parallel()
	r := newRecorder(4)
	r.started(0)
	r.started(1)
	r.started(1)
	r.started(3)
	r.started(17)
	once, twice, never := r.audit(4)
	require.Equal(t, []int{2, 1, 1}, []int{once, twice, never})
	require.Equal(t, int64(1), r.stray.Load())
}

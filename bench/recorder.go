package main

import (
	"sync/atomic"
	"time"
)

// recorder notes when each probe's handler started, and how often.
type recorder struct {
	counts []atomic.Int32
	starts []atomic.Int64 // since the recorder was made
	total  atomic.Int64
	stray  atomic.Int64 // probes that nobody published
	began  time.Time
}

func newRecorder(probes int) *recorder {
	return &recorder{counts: make([]atomic.Int32, probes), starts: make([]atomic.Int64, probes), began: time.Now()}
}

// started is called by the handler of every peer, first thing.
func (r *recorder) started(seq int64) {
	now := r.now()
	if seq < 0 || seq >= int64(len(r.counts)) {
		r.stray.Add(1)
		return
	}
	if r.counts[seq].Add(1) == 1 {
		r.starts[seq].Store(int64(now))
	}
	r.total.Add(1)
}

func (r *recorder) now() time.Duration { return time.Since(r.began) }

func (r *recorder) startOf(seq int) time.Duration { return time.Duration(r.starts[seq].Load()) }

// audit counts the first n probes by how often they were handled.
func (r *recorder) audit(n int) (once, twice, never int) {
	for i := range n {
		switch r.counts[i].Load() {
		case 0:
			never++
		case 1:
			once++
		default:
			twice++
		}
	}
	return once, twice, never
}

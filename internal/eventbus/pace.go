package eventbus

import (
	"sync"
	"time"
)

const (
	// paceRuns is how many runs a process has to see before it thinks it knows a handler's pace.
	paceRuns = 16
	// paceWeight is how much of the mean a new run is: one in so many.
	paceWeight = 8
	// quickMean is up to what mean a handler counts as quick: nobody misses the state 'running' for so short a time.
	quickMean = 250 * time.Millisecond
	// veryQuickMean is up to what mean neighbours share a transaction.
	veryQuickMean = 10 * time.Millisecond
)

// pace is how long a handler's runs take in this process: a moving mean. It is safe for concurrent use.
type pace struct {
	mu   sync.Mutex
	runs int
	mean time.Duration
}

func (p *pace) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	p.mean += (took - p.mean) / time.Duration(min(p.runs, paceWeight))
}

func (p *pace) isQuick() bool     { return p.within(quickMean) }
func (p *pace) isVeryQuick() bool { return p.within(veryQuickMean) }

func (p *pace) within(limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs >= paceRuns && p.mean <= limit
}

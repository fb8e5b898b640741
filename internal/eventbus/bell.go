package eventbus

import (
	"sync"
	"sync/atomic"
)

// bell wakes everybody in this process who waits for it. Ringing costs next to nothing while nobody does. Its zero value is
// ready; it is safe for concurrent use.
type bell struct {
	awaited atomic.Bool
	mu      sync.Mutex
	rung    chan struct{}
}

// wait returns a channel that is closed at the next ring. Whoever looks at something and then waits for it to change takes
// the channel before he looks.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	b.awaited.Store(true)
	return b.rung
}

func (b *bell) ring() {
	if !b.awaited.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
	b.awaited.Store(false)
}

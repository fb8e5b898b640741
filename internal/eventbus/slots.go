package eventbus

import (
	"sync"

	"github.com/google/uuid"
)

// slots keeps one organisation from taking all the places that an event type has in this process: whatever hangs there,
// some are left for the others.
type slots struct {
	perOrg int

	mu    sync.Mutex
	taken map[slot]int
}

type slot struct {
	eventType string
	org       uuid.UUID
}

// newSlots leaves one place in five to others, of how many the type has in all.
func newSlots(places int) *slots {
	return &slots{perOrg: max(1, places-max(1, places/5)), taken: map[slot]int{}}
}

// busy names the types and organisations that have their share, as app.enqueue_deliveries() wants them.
func (s *slots) busy() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := []string{}
	for key, taken := range s.taken {
		if taken >= s.perOrg {
			busy = append(busy, key.eventType+" "+key.org.String())
		}
	}
	return busy
}

// take takes a place, which release gives back; or says that the organisation has its share already.
func (s *slots) take(eventType string, org uuid.UUID) (release func(), ok bool) {
	key := slot{eventType, org}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] >= s.perOrg {
		return nil, false
	}
	s.taken[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[key]--; s.taken[key] == 0 {
			delete(s.taken, key)
		}
	}, true
}

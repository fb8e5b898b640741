package eventbus

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// feedPause is how long a feed waits at least between two looks: what happens meanwhile is one burst.
	feedPause = 100 * time.Millisecond
	// feedTimeout bounds one look.
	feedTimeout = 10 * time.Second
	// maxRecentBytes is how much a feed keeps for those who are a little behind, by the size of the rows. Whoever is further
	// behind reads for himself.
	maxRecentBytes = 2 << 20
	// catchUpAtOnce is how many of those may read at the same time, so that they leave connections to others.
	catchUpAtOnce = 4
)

// feeds are the feeds of this process: one for all who watch the same organisation with the same eyes.
type feeds struct {
	db     *postgres.DB
	wake   *wake
	logger *slog.Logger
	// interval is how often a feed looks without being woken.
	interval time.Duration
	// reading is a place for each who may catch up now.
	reading chan struct{}

	mu   sync.Mutex
	open map[feedKey]*feed
}

// feedKey is the organisation and, where not everybody in it sees the names of all people, whose eyes the feed reads with.
type feedKey struct{ org, reader uuid.UUID }

func newFeeds(db *postgres.DB, bus *Bus) *feeds {
	return &feeds{
		db: db, wake: bus.wake, logger: bus.config.Logger, interval: bus.config.Watch.Interval,
		reading: make(chan struct{}, catchUpAtOnce), open: map[feedKey]*feed{},
	}
}

// member is somebody who follows a feed.
type member struct {
	who principal.Principal
	end context.CancelCauseFunc
}

// join returns the feed that p follows, beginning with now where he is the first. end is called where he may not follow it
// any more. He calls leave when he goes.
func (s *feeds) join(ctx context.Context, p principal.Principal, now snapshot, end context.CancelCauseFunc) (f *feed, leave func()) {
	key := feedKey{org: p.OrgID}
	if !p.CanAll("user:read") {
		key.reader = p.UserID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.open[key]
	if f == nil {
		f = &feed{feeds: s, head: now, members: map[*member]bool{}}
		s.open[key] = f
		// It outlives the one who opened it.
		running, stop := context.WithCancel(principal.WithRequest(context.WithoutCancel(ctx), principal.Request{}))
		f.stop = stop
		go f.run(running)
	}
	m := &member{who: p, end: end}
	f.mu.Lock()
	f.members[m] = true
	f.mu.Unlock()
	return f, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.drop(m) == 0 && s.open[key] == f {
			delete(s.open, key)
			f.stop()
		}
	}
}

// feed reads the changes of an organisation once for everybody, and keeps the last of them.
type feed struct {
	feeds *feeds
	news  bell
	stop  context.CancelFunc

	mu      sync.Mutex
	members map[*member]bool
	head    snapshot // what has been read up to
	next    int64    // the number of the next batch
	recent  []*batch // the last ones, newest last
	bytes   int
}

// batch is a part of a stretch of changes.
type batch struct {
	part

	base, until snapshot // what the stretch is between
	first       bool     // whether the stretch begins with it
}

// follows says whether somebody who has seen what the snapshot sees misses nothing when he begins with the batch.
func (b *batch) follows(seen snapshot) bool {
	return b.first && seen.covers(b.base) || seen.covers(b.until)
}

// run looks whenever somebody rings, and once in a while, until the context ends.
func (f *feed) run(ctx context.Context) {
	at := position{seen: f.head}
	for {
		rung := f.feeds.wake.live.wait()
		at = f.read(ctx, at)
		select {
		case <-ctx.Done():
			return
		case <-time.After(feedPause):
		}
		select {
		case <-ctx.Done():
			return
		case <-rung:
		case <-time.After(f.feeds.interval):
		}
	}
}

// read takes up what happened since the position, and returns how far it came.
func (f *feed) read(ctx context.Context, at position) position {
	for ctx.Err() == nil {
		m := f.anybody()
		if m == nil {
			return at
		}
		look, cancel := context.WithTimeout(principal.With(ctx, m.who), feedTimeout)
		found, err := readChanges(look, f.feeds.db, at)
		cancel()
		if refused, ok := errors.AsType[*apierr.Error](err); ok {
			// He may not look any more; another may.
			f.drop(m)
			m.end(refused)
			continue
		}
		if err != nil {
			if ctx.Err() == nil {
				f.feeds.logger.WarnContext(ctx, "changes of events not read", slog.Any("error", err))
			}
			return at
		}
		f.push(at, found)
		if at = found.next; at.whole() {
			return at
		}
	}
	return at
}

// push adds the page to the batches, in parts of a size to be sent.
func (f *feed) push(from position, found reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := from.whole()
	if len(found.changes) > 0 || !first {
		for _, p := range found.parts(from) {
			f.recent = append(f.recent, &batch{part: p, base: from.seen, until: found.until, first: first})
			f.bytes += p.size
			f.next++
			first = false
		}
		f.news.ring()
	}
	for f.bytes > maxRecentBytes && len(f.recent) > 1 {
		f.bytes -= f.recent[0].size
		f.recent[0] = nil
		f.recent = f.recent[1:]
	}
	if found.next.whole() {
		f.head = found.next.seen
	}
}

// attach returns the number of the batch to begin with for somebody who has seen what the snapshot sees; false for
// somebody who is too far behind.
func (f *feed) attach(seen snapshot) (number int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.recent) == 0 {
		return f.next, seen.covers(f.head)
	}
	last := len(f.recent) - 1
	if until := f.recent[last].until; seen.covers(until) && (!f.recent[last].after.whole() || seen.covers(f.head)) {
		return f.next, true
	}
	for i := last; i >= 0; i-- {
		if f.recent[i].follows(seen) {
			return f.next - int64(len(f.recent)-i), true
		}
	}
	return 0, false
}

// batch returns the batch of that number: none where it is still to come, and then how far the feed has come. False where
// it is gone already.
func (f *feed) batch(number int64) (b *batch, head snapshot, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := number - (f.next - int64(len(f.recent)))
	switch {
	case i < 0:
		return nil, snapshot{}, false
	case i == int64(len(f.recent)):
		return nil, f.head, true
	default:
		return f.recent[i], snapshot{}, true
	}
}

// anybody returns one of the members, none where there is none.
func (f *feed) anybody() *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	for m := range f.members {
		return m
	}
	return nil
}

// drop takes a member out and returns how many there are left.
func (f *feed) drop(m *member) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, m)
	return len(f.members)
}

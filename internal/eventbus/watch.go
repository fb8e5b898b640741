package eventbus

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// WatchEvents sends events as they are published and as their status changes, until the caller hangs up.
func (s *Service) WatchEvents(
	ctx context.Context, r *eventv1.WatchEventsRequest, stream *connect.ServerStream[eventv1.WatchEventsResponse],
) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	now, err := readNow(ctx, s.db)
	if err != nil {
		return err
	}
	w, err := s.newWatch(p, r, now)
	if err != nil {
		return err
	}
	w.send = stream.Send
	defer w.beat.Stop()
	if err := w.say(nil); err != nil {
		return err
	}
	feed, leave := s.feeds.join(ctx, p, now, end)
	defer leave()
	for {
		number, ok := int64(0), false
		if w.at.whole() {
			number, ok = feed.attach(w.at.seen)
		}
		if ok {
			err = w.follow(ctx, feed, number)
		} else {
			err = w.catchUp(ctx, s.feeds)
		}
		if refused, ok := errors.AsType[*apierr.Error](context.Cause(ctx)); ok {
			return refused
		}
		if err != nil {
			return err
		}
	}
}

// watch is one call of WatchEvents.
type watch struct {
	filters filters
	digest  string
	send    func(*eventv1.WatchEventsResponse) error
	pause   time.Duration
	beat    *time.Timer

	at position
	// seen is what has been sent, where that is more than the position says: a feed may be a little behind.
	seen snapshot
}

func (s *Service) newWatch(p principal.Principal, r *eventv1.WatchEventsRequest, now snapshot) (*watch, error) {
	f, err := filtersOf(&eventv1.ListEventsRequest{Types: r.GetTypes(), Statuses: r.GetStatuses()})
	if err != nil {
		return nil, err
	}
	w := &watch{filters: f, pause: s.bus.config.Watch.Heartbeat, at: position{seen: now}}
	if w.digest, err = bindingOf(p.OrgID, f); err != nil {
		return nil, err
	}
	if r.GetResumeToken() != "" {
		if w.at, err = decodePosition(r.GetResumeToken(), w.digest, now); err != nil {
			return nil, err
		}
	}
	w.seen = w.at.seen
	w.beat = time.NewTimer(w.pause)
	return w, nil
}

// follow sends what the feed has, from the batch of that number on. It returns nil when it fell too far behind.
func (w *watch) follow(ctx context.Context, f *feed, number int64) error {
	for {
		news := f.news.wait()
		b, head, ok := f.batch(number)
		switch {
		case !ok:
			return nil
		case b != nil:
			number++
			if err := w.take(b.part); err != nil {
				return err
			}
			continue
		}
		if w.at.whole() && head.covers(w.seen) {
			w.at, w.seen = position{seen: head}, head
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		case <-w.beat.C:
			if err := w.say(nil); err != nil {
				return err
			}
		}
	}
}

// catchUp reads one page behind the position from the database and sends it.
func (w *watch) catchUp(ctx context.Context, s *feeds) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.reading <- struct{}{}:
	}
	found, err := readChanges(ctx, s.db, w.at)
	<-s.reading
	if err != nil {
		return err
	}
	for _, p := range found.parts(w.at) {
		if err := w.take(p); err != nil {
			return err
		}
	}
	return nil
}

// take sends those of the changes that were asked for and not sent yet, and moves to the position behind them.
func (w *watch) take(p part) error {
	var events []*eventv1.Event
	for _, c := range p.changes {
		if !w.seen.sees(c.xid) && w.wants(c.event) {
			events = append(events, c.event)
		}
	}
	if p.after.whole() && p.after.seen.covers(w.seen) {
		w.seen = p.after.seen
	}
	w.at = p.after
	if p.after.whole() || w.seen.covers(p.after.until) {
		w.at = position{seen: w.seen}
	}
	if len(events) == 0 {
		return nil
	}
	return w.say(events)
}

func (w *watch) wants(e *eventv1.Event) bool {
	return (len(w.filters.Types) == 0 || slices.Contains(w.filters.Types, e.GetType())) &&
		(len(w.filters.Statuses) == 0 || slices.Contains(w.filters.Statuses, enumtext.Name(e.GetStatus())))
}

// say sends a message with the position behind it.
func (w *watch) say(events []*eventv1.Event) error {
	token, err := w.at.encode(w.digest)
	if err != nil {
		return err
	}
	if err := w.send(&eventv1.WatchEventsResponse{Events: events, ResumeToken: token}); err != nil {
		return gone(err)
	}
	w.beat.Reset(w.pause)
	return nil
}

// gone is the end of a stream whose client takes nothing any more.
func gone(cause error) error {
	return apierr.New(connect.CodeCanceled, apierr.ReasonCanceled, "The call was cancelled.").Because(cause)
}

package eventbus

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// DefaultMaxAttempts is how many attempts a delivery has in all before it becomes a dead letter.
	DefaultMaxAttempts = 3
	// HandlerTimeout is how long one attempt may take before its context is cancelled, where Config says nothing else.
	HandlerTimeout = 30 * time.Second
	// SlowHandler is from when on an attempt is worth a warning in the log.
	SlowHandler = 500 * time.Millisecond
)

// Delivery is an event at one handler.
type Delivery[T Event] struct {
	// ID stays the same over retries and replays: the idempotency key for calls outside.
	ID uuid.UUID
	// EventID is the event's.
	EventID uuid.UUID
	// OrgID is the organisation it belongs to.
	OrgID uuid.UUID
	// Event is the payload.
	Event T
	// Attempt counts from 1; a replay begins again at 1.
	Attempt int
	// PublishedAt is when the event was published.
	PublishedAt time.Time
}

// HandlerOptions are what a handler may ask for.
type HandlerOptions struct {
	// MaxAttempts is how many attempts a delivery has. Default: DefaultMaxAttempts.
	MaxAttempts int
	// Backoff says how long to wait after the given failed attempt, counted from 1. Default: the bus's.
	Backoff func(attempt int) time.Duration
}

// registration is a handler as the bus runs it.
type registration struct {
	name        string
	eventType   Type
	function    string
	maxAttempts int
	backoff     func(attempt int) time.Duration
	handle      func(ctx context.Context, tx *postgres.Tx, a attempt, payload proto.Message) error
	pace        pace
}

var handlerName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)

// Handle registers fn for the event type whose payload is T. The name identifies the handler in the database and for
// operators: once released it stays. fn runs in a transaction on behalf of the event's publisher; its writes, the
// delivery's success and the job's end commit together. It may run more than once for one delivery and has to be
// idempotent in what it does outside the database. Mistakes are reported by Bus.Validate.
func Handle[T Event](b *Bus, name string, fn func(ctx context.Context, tx *postgres.Tx, d Delivery[T]) error, opts HandlerOptions) {
	var zero T
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = DefaultMaxAttempts
	}
	if opts.Backoff == nil {
		opts.Backoff = b.config.Backoff
	}
	t, known := b.types.Lookup(zero.EventType())
	switch {
	case !handlerName.MatchString(name):
		b.invalid = append(b.invalid, fmt.Errorf("%q is no name for a handler: lower-case letters, digits and _, at most 100", name))
		return
	case b.handlers[name] != nil:
		b.invalid = append(b.invalid, fmt.Errorf("the name %s is taken twice", name))
		return
	case !known:
		b.invalid = append(b.invalid, fmt.Errorf("%s handles %s, which is not in the catalogue", name, zero.EventType()))
		return
	}
	b.handlers[name] = &registration{
		name: name, eventType: t, function: functionName(fn), maxAttempts: opts.MaxAttempts, backoff: opts.Backoff,
		handle: func(ctx context.Context, tx *postgres.Tx, a attempt, payload proto.Message) error {
			event, ok := payload.(T)
			if !ok {
				return Permanent(fmt.Errorf("the payload is a %T, not a %T", payload, zero))
			}
			return runFrom(ctx).result(fn(ctx, tx, Delivery[T]{
				ID: a.DeliveryID, EventID: a.EventID, OrgID: a.OrgID, Event: event,
				Attempt: a.Attempt, PublishedAt: a.PublishedAt,
			}))
		},
	}
}

// registrations returns the handlers by name.
func (b *Bus) registrations() []*registration {
	all := make([]*registration, 0, len(b.handlers))
	for _, r := range b.handlers {
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y *registration) int { return strings.Compare(x.name, y.name) })
	return all
}

// HandlersOf returns the names of the handlers of an event type, sorted.
func (b *Bus) HandlersOf(eventType string) []string {
	var names []string
	for _, r := range b.registrations() {
		if r.eventType.Name == eventType {
			names = append(names, r.name)
		}
	}
	return names
}

// functionName is the Go name of a handler's function, without the module's path.
func functionName(fn any) string {
	f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
	if f == nil {
		return ""
	}
	name := f.Name()
	return strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], "-fm")
}

// Package eventbus publishes events and runs their handlers.
//
// Bus.Publish writes one row into the caller's transaction. A dispatcher turns each committed event into one delivery and
// one River job per subscription; workers run the handlers, each in a transaction of the event's publisher that also
// holds the delivery's success. It is the only package that knows River. Start at Bus, then Handle, then Bus.Run.
package eventbus

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// leaseMargin is the time between a handler's timeout and the end of its lease, and again until its job counts as lost.
const leaseMargin = 15 * time.Second

// Config says how a process takes part in the bus.
type Config struct {
	// Logger receives one line per failed attempt and per slow handler. Default: slog.Default().
	Logger *slog.Logger
	// Worker names this process in the history of attempts, for example "host-1/4711".
	Worker string
	// Version is the program's, for the history of attempts.
	Version string
	// Concurrency is how many deliveries of one event type this process runs at once. Default: 10.
	Concurrency int
	// DispatchInterval is how often the dispatcher looks for events that nobody woke it for. Default: 1 s.
	DispatchInterval time.Duration
	// SweepAfter is how long a delivery may be overdue before it gets another job. Default: 5 minutes.
	SweepAfter time.Duration
	// Backoff says how long to wait after the given failed attempt, counted from 1, where a handler says nothing else.
	// Default: DefaultBackoff.
	Backoff func(attempt int) time.Duration
	// HandlerTimeout is how long one attempt may take before its context is cancelled. Default: HandlerTimeout, 30 s.
	HandlerTimeout time.Duration
	// DrainTimeout is how long running handlers may go on when the process stops. Default: 10 s.
	DrainTimeout time.Duration
	// DailyWarning is from how many events a day on of one organisation its people are warned. Default: 0, never.
	DailyWarning int
	// Watch says how events are watched.
	Watch WatchConfig
}

// WatchConfig says how events are watched.
type WatchConfig struct {
	// Heartbeat is how long a watch that has nothing to send stays silent. Default: 15 s.
	Heartbeat time.Duration
	// Interval is how often the process looks for changes that nobody woke it for. Default: 1 s.
	Interval time.Duration
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Concurrency == 0 {
		c.Concurrency = 10
	}
	if c.DispatchInterval == 0 {
		c.DispatchInterval = time.Second
	}
	if c.SweepAfter == 0 {
		c.SweepAfter = 5 * time.Minute
	}
	if c.Backoff == nil {
		c.Backoff = DefaultBackoff
	}
	if c.HandlerTimeout == 0 {
		c.HandlerTimeout = HandlerTimeout
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 10 * time.Second
	}
	if c.Watch.Heartbeat == 0 {
		c.Watch.Heartbeat = 15 * time.Second
	}
	if c.Watch.Interval == 0 {
		c.Watch.Interval = time.Second
	}
	return c
}

// lease is how long an attempt holds its delivery. It outlives the handler's timeout, and ends before River gives the job
// to somebody else.
func (c Config) lease() time.Duration { return c.HandlerTimeout + leaseMargin }

// rescueAfter is how long a job may run before it counts as lost with its process.
func (c Config) rescueAfter() time.Duration { return c.lease() + leaseMargin }

// Bus knows the event types and their handlers. Handlers are registered before it runs; after that it is safe for
// concurrent use.
type Bus struct {
	config   Config
	types    *Catalogue
	handlers map[string]*registration
	invalid  []error
	wake     *wake
	slots    *slots
	counters *counters
}

// New returns a bus for the event types of the catalogue.
func New(config Config, types *Catalogue) *Bus {
	config = config.withDefaults()
	return &Bus{
		config:   config,
		types:    types,
		handlers: map[string]*registration{},
		wake:     newWake(),
		slots:    newSlots(config.Concurrency),
		counters: newCounters(),
	}
}

// Types returns the event types.
func (b *Bus) Types() *Catalogue { return b.types }

// Validate returns what is wrong with the registered handlers: a name taken twice, a type that is not in the catalogue.
func (b *Bus) Validate() error {
	if err := errors.Join(b.invalid...); err != nil {
		return fmt.Errorf("event handlers: %w", err)
	}
	return nil
}

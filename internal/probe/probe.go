// Package probe tries the bus out: the handler of system.probe does what the event's payload says. Doctor, benchmarks and
// fault tests publish it. Start at Register.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// HandlerName is the name of the probe's handler.
const HandlerName = "run_probe"

// Config says what the handler may do.
type Config struct {
	// AllowFaults lets probes fail, panic, hang and emit. Without it everything but PROBE_ACTION_OK is a dead letter.
	AllowFaults bool
	// OnStart is told the probe's number when its handler starts, for benchmarks that measure how long that took. May be nil.
	OnStart func(seq int64)
}

var (
	errFaultsOff = errors.New("faults are not allowed here: start with INTIME_ALLOW_FAULTS=true")
	errOnPurpose = errors.New("the probe failed on purpose")
)

// Register adds the handler to the bus.
func Register(bus *eventbus.Bus, config Config) {
	eventbus.Handle(bus, HandlerName, func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
		if config.OnStart != nil {
			config.OnStart(d.Event.GetSeq())
		}
		if d.Event.GetAction() == systemv1.ProbeAction_PROBE_ACTION_OK {
			return nil
		}
		if !config.AllowFaults {
			return eventbus.Permanent(errFaultsOff)
		}
		return act(ctx, tx, bus, d)
	}, eventbus.HandlerOptions{})
}

func act(ctx context.Context, tx *postgres.Tx, bus *eventbus.Bus, d eventbus.Delivery[*systemv1.SystemProbe]) error {
	wait := time.Duration(d.Event.GetSleepMs()) * time.Millisecond
	switch d.Event.GetAction() {
	case systemv1.ProbeAction_PROBE_ACTION_FAIL:
		return errOnPurpose
	case systemv1.ProbeAction_PROBE_ACTION_FAIL_N:
		if d.Attempt <= int(d.Event.GetCount()) {
			return fmt.Errorf("attempt %d of %d that fail: %w", d.Attempt, d.Event.GetCount(), errOnPurpose)
		}
		return nil
	case systemv1.ProbeAction_PROBE_ACTION_FAIL_PERMANENTLY:
		return eventbus.Permanent(errOnPurpose)
	case systemv1.ProbeAction_PROBE_ACTION_PANIC:
		panic("the probe panicked on purpose")
	case systemv1.ProbeAction_PROBE_ACTION_SLEEP:
		return sleep(ctx, wait)
	case systemv1.ProbeAction_PROBE_ACTION_HANG:
		<-time.After(wait)
		return nil
	case systemv1.ProbeAction_PROBE_ACTION_EMIT:
		for i := range d.Event.GetCount() {
			event := &systemv1.SystemProbed{Seq: d.Event.GetSeq(), Index: i}
			if _, err := bus.Publish(ctx, tx, event, eventbus.PublishOptions{}); err != nil {
				return permanentWhereRefused(err)
			}
		}
		return sleep(ctx, wait)
	default:
		return eventbus.Permanent(fmt.Errorf("unknown action %s", d.Event.GetAction()))
	}
}

// permanentWhereRefused gives up where the event broke rules. What the database could not do is tried again.
func permanentWhereRefused(err error) error {
	if _, refused := errors.AsType[*apierr.Error](err); refused {
		return eventbus.Permanent(err)
	}
	return err
}

func sleep(ctx context.Context, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package eventbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

// Why a delivery is given up, as the column event_deliveries.reason has it.
const (
	giveUpPermanent      = "permanent"       // the handler said so
	giveUpActorRevoked   = "actor_revoked"   // the publisher may not act any more
	giveUpPayloadInvalid = "payload_invalid" // the payload is not what the type's message says
)

// outcomeSucceeded is the outcome of an attempt that ended well.
const outcomeSucceeded = "succeeded"

// failure is how an attempt ended badly.
type failure struct {
	outcome string // as the column event_attempts.outcome has it
	message string
	retryIn time.Duration
	giveUp  string // one of the reasons above; empty: try again while attempts are left
	refused string // the reason for which a limit of cascades refused a publication; empty: none did
}

// panicError is what a handler's panic becomes.
type panicError struct{ value any }

func (e panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// errAbandoned says that another attempt holds the delivery.
var errAbandoned = errors.New("the attempt lost its lease")

// givenUpError is an attempt that ended before its handler ran, for good.
type givenUpError struct {
	error

	reason string
}

func (e givenUpError) Unwrap() error { return e.error }

func givenUp(reason string, err error) error { return givenUpError{error: err, reason: reason} }

// classify says what a handler's error means. What is not the handler's doing, a shutdown, a deadlock, a lost database, is
// an interruption and does not count.
func classify(work context.Context, timeout time.Duration, r *registration, a attempt, err error) failure {
	f := failure{outcome: "failed", message: telemetry.Text(err.Error()), retryIn: r.waitAfter(err, a.Attempt)}
	f.refused = refusalOf(err)
	_, panicked := errors.AsType[panicError](err)
	if given, ok := errors.AsType[givenUpError](err); ok {
		f.giveUp = given.reason
	}
	switch {
	case panicked:
		f.outcome = "panicked"
	case work.Err() != nil:
		f.outcome, f.message, f.retryIn = "interrupted", "The process was shut down.", 0
	case postgres.Interrupted(err):
		f.outcome = "interrupted"
	// Behind those: a handler that calls every error permanent does not mean them.
	// What a limit refused once it refuses again.
	case isPermanent(err), f.refused != "":
		f.giveUp = giveUpPermanent
	case errors.Is(err, context.DeadlineExceeded):
		f.outcome = "timed_out"
		f.message = fmt.Sprintf("The handler took longer than %s.", timeout)
	}
	return f
}

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

// classify says what a handler's error means. What is not the handler's doing, a shutdown, a deadlock, a lost database, is
// an interruption and does not count.
func classify(work context.Context, timeout time.Duration, r *registration, a attempt, err error) failure {
	f := failure{outcome: "failed", message: telemetry.Text(err.Error()), retryIn: r.waitAfter(err, a.Attempt)}
	f.refused = refusalOf(err)
	kind, _ := postgres.KindOf(err)
	_, panicked := errors.AsType[panicError](err)
	switch {
	case panicked:
		f.outcome = "panicked"
	case isPermanent(err):
		f.giveUp = giveUpPermanent
	case work.Err() != nil:
		f.outcome, f.message, f.retryIn = "interrupted", "The process was shut down.", 0
	case errors.Is(err, context.DeadlineExceeded):
		f.outcome = "timed_out"
		f.message = fmt.Sprintf("The handler took longer than %s.", timeout)
	case kind == postgres.KindConflict, kind == postgres.KindUnavailable:
		f.outcome = "interrupted"
	}
	return f
}

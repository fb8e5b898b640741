package eventbus

import (
	"context"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

const (
	// MaxDepth is how many events a cascade may have one behind the other after its first.
	MaxDepth = 3
	// MaxPublicationsPerRun is how many events one run of a handler may publish.
	MaxPublicationsPerRun = 100
)

// run is the handler run that a context belongs to. Cascades take their place from it, not from what a caller says.
type run struct {
	eventID       uuid.UUID
	eventType     string
	correlationID uuid.UUID
	depth         int32
	published     int
}

type runKey struct{}

func withRun(ctx context.Context, r *run) context.Context { return context.WithValue(ctx, runKey{}, r) }

func runFrom(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// admit counts a publication of the run, or refuses it.
func (r *run) admit(eventType string) error {
	switch {
	case eventType == r.eventType:
		return apierr.New(connect.CodeFailedPrecondition, ReasonOwnType,
			"A handler of %s may not publish %s.", r.eventType, eventType)
	case r.depth >= MaxDepth:
		return apierr.New(connect.CodeFailedPrecondition, ReasonCascade,
			"A cascade has at most %d events after its first.", MaxDepth)
	case r.published >= MaxPublicationsPerRun:
		return apierr.New(connect.CodeResourceExhausted, ReasonBudget,
			"One run of a handler publishes at most %d events.", MaxPublicationsPerRun)
	}
	r.published++
	return nil
}

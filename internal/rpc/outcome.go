package rpc

import (
	"context"
	"sync/atomic"
)

// outcome is how far a call got: what connect answers without asking our interceptors is rewritten afterwards.
type outcome struct {
	settled  atomic.Bool // the answer has its final shape: an error of ours, or a stream
	answered atomic.Bool // the service has answered; encoding the answer may still fail
}

type outcomeKey struct{}

func withOutcome(ctx context.Context, o *outcome) context.Context {
	return context.WithValue(ctx, outcomeKey{}, o)
}

// outcomeOf returns the call's outcome; one that nobody reads where there is none.
func outcomeOf(ctx context.Context) *outcome {
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		return o
	}
	return new(outcome)
}

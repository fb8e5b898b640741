package eventbus

import (
	"errors"
	"math/rand/v2"
	"time"
)

// DefaultBackoff waits 1 s after the first failed attempt and four times as long after each further one, at most 10
// minutes, all give or take a fifth, so that what failed together does not come back together.
func DefaultBackoff(attempt int) time.Duration {
	const (
		first   = time.Second
		longest = 10 * time.Minute
		spread  = 0.2
	)
	wait := first
	for range min(attempt-1, 10) {
		wait *= 4
	}
	wait = min(wait, longest)
	return time.Duration(float64(wait) * (1 - spread + 2*spread*rand.Float64())) //nolint:gosec // jitter, no secret
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error that trying again will not mend: the delivery becomes a dead letter at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type laterError struct {
	error

	wait time.Duration
}

func (e laterError) Unwrap() error { return e.error }

// RetryAfter marks an error with the time to wait before the next attempt. The attempt counts.
func RetryAfter(wait time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return laterError{error: err, wait: wait}
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[permanentError](err)
	return ok
}

func (r *registration) waitAfter(err error, attempt int) time.Duration {
	if later, ok := errors.AsType[laterError](err); ok {
		return later.wait
	}
	return r.backoff(attempt)
}

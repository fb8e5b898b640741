package rpc

import (
	"context"
	"errors"
	"math"
	"strconv"

	"connectrpc.com/connect"

	errorv1 "github.com/intime-solutions/intime/gen/go/intime/error/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// failures is the outermost of our interceptors: whatever goes wrong inside leaves in the one shape, and is logged once.
func (c *Chain) failures() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
				response, err := next(ctx, request)
				if err != nil {
					return nil, c.fail(ctx, err)
				}
				outcomeOf(ctx).answered.Store(true)
				return response, nil
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				// From here on every error of the stream comes by: nothing is left to be put into shape later.
				outcomeOf(ctx).settled.Store(true)
				if err := next(ctx, conn); err != nil {
					return c.fail(ctx, err)
				}
				return nil
			}
		},
	}
}

// fail logs the error and returns it as callers get it.
func (c *Chain) fail(ctx context.Context, err error) *connect.Error {
	public := publicError(ctx, err)
	logFailure(ctx, c.config.Logger, public, err)
	outcomeOf(ctx).settled.Store(true)
	return inShape(ctx, public)
}

// inShape gives an error its one shape: code, sentence, and a detail with the reason, the request's id and the violations.
func inShape(ctx context.Context, e *apierr.Error) *connect.Error {
	shaped := connect.NewError(e.Code, errors.New(e.Message))
	detail := &errorv1.ErrorDetail{Reason: e.Reason, RequestId: principal.RequestFrom(ctx).ID}
	for _, v := range e.Violations {
		detail.Violations = append(detail.Violations, &errorv1.FieldViolation{Field: v.Field, Rule: v.Rule, Message: v.Message})
	}
	if d, err := connect.NewErrorDetail(detail); err == nil {
		shaped.AddDetail(d)
	}
	if e.RetryAfter > 0 {
		shaped.Meta().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	return shaped
}

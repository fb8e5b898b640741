package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// ReasonRestarting is the reason for a stream that ends because the server does.
const ReasonRestarting = "SERVER_RESTARTING"

var errDraining = errors.New("the server is stopping")

// deadlines bounds calls: a unary one by the timeout, whatever the client asked for; a stream by the server's own life, so
// that a server that stops does not wait for streams that never end by themselves.
func (c *Chain) deadlines() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
				ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
				defer cancel()
				return next(ctx, request)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				defer context.AfterFunc(c.draining, func() { cancel(errDraining) })() //nolint:contextcheck // Two lives end this stream.
				err := next(ctx, conn)
				if isCanceled(err) && errors.Is(context.Cause(ctx), errDraining) {
					return apierr.New(connect.CodeUnavailable, ReasonRestarting,
						"The server is restarting. Connect again.").After(time.Second).Because(errDraining)
				}
				return err
			}
		},
	}
}

func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || err != nil && connect.CodeOf(err) == connect.CodeCanceled
}

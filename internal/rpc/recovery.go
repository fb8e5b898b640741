package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"connectrpc.com/connect"
)

// panicError is a panic of a service, made an error.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered makes a recovered value an error. A handler that aborts on purpose goes on aborting.
func recovered(value any) error {
	if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	return &panicError{value: value, stack: debug.Stack()}
}

// recovery makes panics errors, so that they are answered and logged like any other.
func (c *Chain) recovery() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, request connect.AnyRequest) (_ connect.AnyResponse, err error) {
				defer func() {
					if value := recover(); value != nil {
						err = recovered(value)
					}
				}()
				return next(ctx, request)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
				defer func() {
					if value := recover(); value != nil {
						err = recovered(value)
					}
				}()
				return next(ctx, conn)
			}
		},
	}
}

package rpc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// ReasonSessionChanged is the reason for a stream that ends because its caller's roles or organisation are not the same any
// more, although he may still call: whoever connects again goes on as what he is now.
const ReasonSessionChanged = "SESSION_CHANGED"

// rechecks ends a stream whose caller may not call any more: his token ended, a role was revoked, he or his organisation was
// deactivated. What counts for a call from the beginning counts for a stream within Recheck.
func (c *Chain) rechecks() connect.Interceptor {
	return interceptor{
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				if _, somebody := principal.From(ctx); !somebody {
					return next(ctx, conn)
				}
				ctx, end := context.WithCancelCause(ctx)
				defer end(nil)
				go c.recheck(ctx, conn, end)
				err := next(ctx, conn)
				if ended, ok := errors.AsType[*apierr.Error](context.Cause(ctx)); ok && isCanceled(err) {
					return ended
				}
				return err
			}
		},
	}
}

// recheck looks at the caller again and again until the stream ends.
func (c *Chain) recheck(ctx context.Context, conn connect.StreamingHandlerConn, end context.CancelCauseFunc) {
	tick := time.NewTicker(c.config.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.stillMay(ctx, conn); err != nil {
			end(err)
			return
		}
	}
}

// stillMay returns why the stream has to end. Where that cannot be found out, for the database does not answer, it goes on.
func (c *Chain) stillMay(ctx context.Context, conn connect.StreamingHandlerConn) error {
	now, err := c.principalOf(ctx, conn.RequestHeader())
	if refused, ok := errors.AsType[*apierr.Error](err); ok {
		return refused
	}
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	if err := c.permit(now, conn.Spec()); err != nil {
		return err
	}
	before, _ := principal.From(ctx)
	if now.OrgID != before.OrgID || !slices.Equal(now.Roles, before.Roles) || !maps.Equal(now.Permissions, before.Permissions) {
		return apierr.New(connect.CodeUnavailable, ReasonSessionChanged,
			"What you may do has changed. Connect again.")
	}
	return nil
}

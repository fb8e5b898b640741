package rpc

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// authenticate lets a call in: connect asks it once the headers are there and before the request itself is read.
//
// Public procedures do not look at tokens at all: the session service must work for a page whose token has just expired.
// A call that already has a principal is a call inside a batch; nothing from outside can put one into a context.
func (c *Chain) authenticate(ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
	request := principal.RequestFrom(ctx)
	request.Procedure = spec.Procedure
	ctx = principal.WithRequest(ctx, request)
	if probed(ctx) {
		return nil, errProbed
	}
	rule, declared := c.policy.Rule(spec.Schema)
	switch {
	case !declared:
		return nil, c.fail(ctx, denied("nobody").Because(fmt.Errorf("%s declares no authorization", spec.Procedure)))
	case rule.Public:
		return ctx, nil
	}
	if _, already := principal.From(ctx); already {
		return ctx, nil
	}
	p, err := c.principalOf(ctx, header)
	if err != nil {
		failed := c.fail(ctx, err)
		// gRPC would send it as a trailer, where HTTP does not allow it.
		if failed.Code() == connect.CodeUnauthenticated && peer.Protocol == connect.ProtocolConnect {
			failed.Meta().Set("WWW-Authenticate", "Bearer")
		}
		return nil, failed
	}
	return principal.With(ctx, p), nil
}

func (c *Chain) principalOf(ctx context.Context, header http.Header) (principal.Principal, error) {
	token, ok := bearerToken(header)
	if !ok {
		return principal.Principal{}, auth.Unauthenticated(auth.ErrNoToken)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return c.config.Authenticate(ctx, token)
}

func bearerToken(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	// Of two headers a proxy may have checked the other one.
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// permit says whether p may call the procedure.
func (c *Chain) permit(p principal.Principal, spec connect.Spec) error {
	rule, declared := c.policy.Rule(spec.Schema)
	if declared && rule.Public {
		return nil
	}
	if !declared || !p.Can(rule.Permission) {
		return denied(rule.Permission)
	}
	return nil
}

// permissions lets a call on only where the caller holds the permission that the procedure declares.
func (c *Chain) permissions() connect.Interceptor {
	check := func(ctx context.Context, spec connect.Spec) error {
		p, _ := principal.From(ctx)
		return c.permit(p, spec)
	}
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
				if err := check(ctx, request.Spec()); err != nil {
					return nil, err
				}
				return next(ctx, request)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				if err := check(ctx, conn.Spec()); err != nil {
					return err
				}
				return next(ctx, conn)
			}
		},
	}
}

func denied(permission string) *apierr.Error {
	return apierr.New(connect.CodePermissionDenied, apierr.ReasonPermissionDenied,
		"You may not do this: it needs the permission %s.", permission)
}

package rpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// events is an event service whose watch does what a test says.
type events struct {
	eventv1connect.UnimplementedEventServiceHandler

	watch func(context.Context, *connect.ServerStream[eventv1.WatchEventsResponse]) error
}

func (e events) WatchEvents(
	ctx context.Context, _ *eventv1.WatchEventsRequest, stream *connect.ServerStream[eventv1.WatchEventsResponse],
) error {
	return e.watch(ctx, stream)
}

func untilLeft(ctx context.Context, stream *connect.ServerStream[eventv1.WatchEventsResponse]) error {
	if err := stream.Send(&eventv1.WatchEventsResponse{ResumeToken: "first"}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// withEvents adds the service.
func withEvents(e events) func(b *testBundle) {
	return func(b *testBundle) {
		b.extra = func(c *Chain) []Mount {
			return []Mount{At(eventv1connect.NewEventServiceHandler(e, c.HandlerOptions()...))}
		}
	}
}

// The caller of a stream is checked again while it lasts, and told what a new call would be told.
func TestChain_Stream_Rechecks(t *testing.T) {
	t.Parallel()
	before, err := watcher(t.Context(), "")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		after  func() (principal.Principal, error)
		code   connect.Code
		reason string
	}{
		"TokenEnded": {
			func() (principal.Principal, error) {
				return principal.Principal{}, auth.Unauthenticated(errors.New("it has expired"))
			},
			connect.CodeUnauthenticated, apierr.ReasonUnauthenticated,
		},
		"PermissionRevoked": {
			func() (principal.Principal, error) {
				return principal.Principal{UserID: testPerson, OrgID: before.OrgID}, nil
			},
			connect.CodePermissionDenied, apierr.ReasonPermissionDenied,
		},
		"AnotherOrganisation": {
			func() (principal.Principal, error) {
				p := before
				p.OrgID = uuid.New()
				return p, nil
			},
			connect.CodeUnavailable, ReasonSessionChanged,
		},
		"AnotherRole": {
			func() (principal.Principal, error) {
				p := before
				p.Roles = []string{"trainer"}
				return p, nil
			},
			connect.CodeUnavailable, ReasonSessionChanged,
		},
	} {
		var changed atomic.Bool
		b := setup(t, withEvents(events{watch: untilLeft}), func(b *testBundle) {
			b.chain.Recheck = 10 * time.Millisecond
			b.chain.Authenticate = func(context.Context, string) (principal.Principal, error) {
				if changed.Load() {
					return c.after()
				}
				return before, nil
			}
		})
		for protocol, options := range map[string][]connect.ClientOption{
			"Connect": nil, "JSON": {connect.WithProtoJSON()}, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
		} {
			changed.Store(false)
			stream := b.watch(t, http2Client(t), options...)
			require.True(t, stream.Receive(), "%v", stream.Err())
			changed.Store(true)
			require.False(t, stream.Receive())
			f := failureOf(t, stream.Err())
			require.Equal(t, c.code, f.code, "%s by %s", name, protocol)
			require.Equal(t, c.reason, f.reason, "%s by %s", name, protocol)
		}
	}
}

// A database that does not answer for a while ends no stream.
func TestChain_Stream_RecheckFails(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := setup(t, withEvents(events{watch: untilLeft}), func(b *testBundle) {
		b.chain.Recheck = time.Millisecond
		b.chain.Authenticate = func(ctx context.Context, token string) (principal.Principal, error) {
			switch calls.Add(1) {
			case 1:
				return watcher(ctx, token)
			case 10:
				return principal.Principal{}, auth.Unauthenticated(errors.New("it has expired"))
			default:
				return principal.Principal{}, errors.New("no connection")
			}
		}
	})
	stream := b.watch(t, http.DefaultClient)
	require.True(t, stream.Receive())
	require.False(t, stream.Receive())
	require.Equal(t, apierr.ReasonUnauthenticated, failureOf(t, stream.Err()).reason)
	require.EqualValues(t, 10, calls.Load())
}

// A stream outlives the timeout of calls.
func TestChain_Stream_OutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t, withEvents(events{watch: func(ctx context.Context, stream *connect.ServerStream[eventv1.WatchEventsResponse]) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
			return stream.Send(&eventv1.WatchEventsResponse{ResumeToken: "late"})
		}
	}}), func(b *testBundle) {
		b.chain.Timeout = 50 * time.Millisecond
		b.chain.Authenticate = watcher
	})
	for _, options := range [][]connect.ClientOption{nil, {connect.WithGRPC()}, {connect.WithGRPCWeb()}} {
		stream := b.watch(t, http2Client(t), options...)
		require.True(t, stream.Receive(), "%v", stream.Err())
		require.False(t, stream.Receive())
		require.NoError(t, stream.Err())
	}
}

// A client that takes nothing is cut, by HTTP/1.1 and by HTTP/2, and one that is only slow is not.
func TestServer_Stream_TakesNothing(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	ended := make(chan error, 1)
	endless := func(ctx context.Context, stream *connect.ServerStream[eventv1.WatchEventsResponse]) (err error) {
		defer func() { ended <- errors.Join(err, ctx.Err()) }()
		for err == nil && ctx.Err() == nil {
			err = stream.Send(&eventv1.WatchEventsResponse{ResumeToken: strings.Repeat("x", size)})
		}
		return err
	}
	b := setup(t, withEvents(events{watch: endless}), func(b *testBundle) {
		b.chain.Authenticate = watcher
		b.config.TakeTimeout = 300 * time.Millisecond
	})
	for name, client := range map[string]*http.Client{"HTTP/1.1": smallWindow(t), "HTTP/2": http2Client(t)} {
		stream := b.watch(t, client, connect.WithAcceptCompression("gzip", nil, nil))
		for range 10 { // slow, for longer than the timeout in all
			require.True(t, stream.Receive(), "%s: %v", name, stream.Err())
			select {
			case err := <-ended:
				require.NoError(t, err, "%s: cut although it takes something", name)
			case <-time.After(50 * time.Millisecond):
			}
		}
		select {
		case err := <-ended:
			require.Error(t, err, name)
		case <-time.After(30 * time.Second):
			require.Fail(t, "it was not cut", name)
		}
		_ = stream.Close()
	}
}

// smallWindow is a client whose connections hold little.
func smallWindow(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func watcher(context.Context, string) (principal.Principal, error) {
	return principal.Principal{
		UserID: testPerson, OrgID: testPerson, Permissions: map[string]principal.Scope{"event:read": principal.ScopeAll},
	}, nil
}

func (b *testBundle) watch(
	t *testing.T, client *http.Client, options ...connect.ClientOption,
) *connect.ServerStreamForClient[eventv1.WatchEventsResponse] {
	t.Helper()
	raw := connect.NewClient[eventv1.WatchEventsRequest, eventv1.WatchEventsResponse](
		client, b.url+eventv1connect.EventServiceWatchEventsProcedure, options...)
	request := connect.NewRequest(&eventv1.WatchEventsRequest{})
	request.Header().Set("Authorization", "Bearer somebody")
	stream, err := raw.CallServerStream(t.Context(), request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = stream.Close() })
	return stream
}

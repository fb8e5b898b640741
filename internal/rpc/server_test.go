package rpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestServer_RequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, kept := range map[string]bool{
		"abc-DEF_123": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a/b": false, "ä": false, `"><script>`: false,
	} {
		a := b.send(t, http.MethodGet, "/healthz", "", "X-Request-ID", given)
		id := a.header.Get("X-Request-ID")
		require.Equal(t, kept, id == given, given)
		require.True(t, validRequestID(id))
	}
	require.False(t, validRequestID("a\nb"))
}

func TestServer_AccessLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.call(t, createJob+"?message=secret", goodJobJSON)
	b.send(t, http.MethodGet, "/healthz", "")
	require.Eventually(t, func() bool { return len(b.log.lines("request")) == 2 }, 5*time.Second, time.Millisecond)
	line := b.log.lines("request")[0]
	require.Equal(t, "INFO", line["level"])
	require.Equal(t, "POST", line["method"])
	require.Equal(t, createJob, line["path"])
	require.EqualValues(t, http.StatusOK, line["status"])
	require.Equal(t, a.header.Get("X-Request-ID"), line["request_id"])
	require.Contains(t, line, "duration_ms")
	require.Equal(t, "DEBUG", b.log.lines("request")[1]["level"])
	for _, secret := range []string{"secret", "recruiter", "Engineer"} {
		require.NotContains(t, b.log.String(), secret)
	}
}

func TestServer_SecurityHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.config.HTTPS = true
		b.config.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", "the page's own")
			_, _ = w.Write([]byte("page"))
		})
	})
	for _, a := range []answer{
		b.call(t, createJob, goodJobJSON), b.call(t, createJob, `{`), b.call(t, "/x.v1.X/Y", `{}`),
		b.send(t, http.MethodGet, "/healthz", ""),
	} {
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
		require.Equal(t, "default-src 'none'; frame-ancestors 'none'", a.header.Get("Content-Security-Policy"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.NotEmpty(t, a.header.Get("Strict-Transport-Security"))
	}
	a := b.send(t, http.MethodGet, "/jobs/", "")
	require.Equal(t, "page", a.body)
	require.Equal(t, "the page's own", a.header.Get("Content-Security-Policy"))
}

func TestServer_CORS(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.AllowedOrigins = []string{"http://localhost:3000"} })
	preflight := func(origin string) answer {
		return b.send(t, http.MethodOptions, createJob, "", "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,connect-protocol-version,content-type")
	}
	a := preflight("http://localhost:3000")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, "http://localhost:3000", a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", a.header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "authorization,connect-protocol-version,content-type", a.header.Get("Access-Control-Allow-Headers"))
	require.Empty(t, preflight("http://evil.example").header.Get("Access-Control-Allow-Origin"))

	a = b.call(t, createJob, `{`, "Origin", "http://localhost:3000")
	require.Equal(t, "http://localhost:3000", a.header.Get("Access-Control-Allow-Origin"), "errors too, or the page cannot read them")
	require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "X-Request-Id")

	none := setup(t)
	require.Empty(t, none.call(t, createJob, goodJobJSON, "Origin", "http://localhost:3000").header.Get("Access-Control-Allow-Origin"))
}

func TestServer_Hosts(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.AllowedHosts = LocalHosts() })
	for host, allowed := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "127.0.0.1:1": true, "[::1]:2": true,
		"evil.example": false, "localhost.evil.example": false, "evil.example:80": false,
	} {
		a := b.call(t, createJob, goodJobJSON, "Host", host)
		if allowed {
			require.Equal(t, http.StatusOK, a.status, host)
			continue
		}
		require.Equal(t, ReasonHostRefused, a.failure(t).reason, host)
	}
}

func TestServer_Routes(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.config.WellKnown = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("keys")) })
		b.config.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	})
	require.Equal(t, "keys", b.send(t, http.MethodGet, "/.well-known/jwks.json", "").body)
	require.Equal(t, "page", b.send(t, http.MethodGet, "/", "").body)
	require.Equal(t, "page", b.send(t, http.MethodGet, "/admin/events/?handler=a.b/c", "").body)
	for _, a := range []answer{
		b.send(t, http.MethodGet, "/intime.nope.v1.NopeService/Get", ""),
		b.send(t, http.MethodPost, "/anything", "{}"),
		b.send(t, http.MethodGet, "/intime.job.v1.JobService/Nope", ""),
	} {
		require.Equal(t, apierr.ReasonUnknownProcedure, a.failure(t).reason)
	}
	apiOnly := setup(t)
	require.Equal(t, apierr.ReasonUnknownProcedure, apiOnly.send(t, http.MethodGet, "/", "").failure(t).reason)
}

func TestServer_Health(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	b := setup(t, func(b *testBundle) {
		b.config.Reflection = true
		b.config.Ready = func(context.Context) error {
			if broken.Load() {
				return errors.New("secret text of the database")
			}
			return nil
		}
	})
	// Text and number at field 1: the same bytes as the health messages, which are nobody's to import.
	health := connect.NewClient[wrapperspb.StringValue, wrapperspb.Int32Value](http2Client(t),
		b.url+"/grpc.health.v1.Health/Check", connect.WithGRPC())
	check := func(service string) (int32, error) {
		response, err := health.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(service)))
		if err != nil {
			return 0, err
		}
		return response.Msg.GetValue(), nil
	}
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/readyz", "").status)
	status, err := check("intime.job.v1.JobService")
	require.NoError(t, err)
	require.EqualValues(t, grpchealth.StatusServing, status)
	_, err = check("nope")
	require.Equal(t, apierr.ReasonUnknownProcedure, failureOf(t, err).reason)

	broken.Store(true)
	a := b.send(t, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.NotContains(t, a.body, "secret")
	require.Contains(t, b.log.String(), "secret text of the database")
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/healthz", "").status)
	status, err = check("")
	require.NoError(t, err)
	require.EqualValues(t, grpchealth.StatusNotServing, status)

	stream := grpcreflect.NewClient(http2Client(t), b.url, connect.WithGRPC()).NewStream(t.Context())
	names, err := stream.ListServices()
	require.NoError(t, err)
	require.Equal(t, []protoreflect.FullName{"intime.job.v1.JobService", "intime.session.v1.SessionService"}, names)
	_, _ = stream.Close()

	off := setup(t)
	stream = grpcreflect.NewClient(http2Client(t), off.url, connect.WithGRPC()).NewStream(t.Context())
	_, err = stream.ListServices()
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
}

func TestServer_Run_Drains(t *testing.T) {
	t.Parallel()
	const calls = 8
	entered, release := make(chan struct{}, calls), make(chan struct{})
	b := setup(t, func(b *testBundle) {
		b.jobs.create = func(ctx context.Context, _ *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
			entered <- struct{}{}
			<-release
			return &jobv1.CreateJobResponse{}, ctx.Err()
		}
	})
	var running sync.WaitGroup
	var failed atomic.Int32
	clients := b.clients(t)
	kinds := []string{"Connect", "gRPC", "Connect h2", "gRPC-Web"}
	for i := range calls {
		running.Go(func() {
			if _, err := clients[kinds[i%len(kinds)]].CreateJob(t.Context(), goodJob()); err != nil {
				failed.Add(1)
			}
		})
	}
	for range calls {
		<-entered
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	require.Eventually(t, func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.server.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond, "no new connections")
	require.Error(t, b.server.ready(t.Context()))
	close(release)
	running.Wait()
	require.Zero(t, failed.Load(), "no call that runs is dropped")
	require.NoError(t, <-stopped)
}

func TestServer_Run_CutsAfterGrace(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	b := setup(t, func(b *testBundle) {
		b.config.GracePeriod = time.Millisecond
		b.jobs.create = func(ctx context.Context, _ *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	failed := make(chan error, 1)
	client := b.clients(t)["Connect"]
	go func() {
		_, err := client.CreateJob(t.Context(), goodJob())
		failed <- err
	}()
	<-entered
	require.ErrorContains(t, b.stop(), "within 1ms")
	require.Error(t, <-failed)
}

func TestServer_Listen_TakenAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := newTestBundle().config
	config.Addr = b.server.Addr()
	config.Chain = b.config.Chain
	second, err := New(config)
	require.NoError(t, err)
	require.Empty(t, second.Addr())
	err = second.Run(t.Context())
	require.ErrorContains(t, err, "the address "+b.server.Addr()+" is taken")
	require.ErrorContains(t, err, "INTIME_ADDR")
}

// A client that sends its body drop by drop, or never, holds a call no longer than the timeout.
func TestServer_SlowBody(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.chain.Timeout = 50 * time.Millisecond })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.server.Addr())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Write([]byte("POST " + createJob + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Authorization: Bearer recruiter\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	buffer := make([]byte, 4096)
	n, err := conn.Read(buffer)
	require.NoError(t, err)
	require.Contains(t, string(buffer[:n]), " 504 ")
	require.Contains(t, string(buffer[:n]), "deadline_exceeded")
}

func TestServer_LargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.call(t, createJob, goodJobJSON, "X-Large", strings.Repeat("x", 32<<10))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, a.status)
}

func TestServer_Handler_KeepsThePrincipalOfABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := authenticateByName(t.Context(), "student")
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, listJobs, strings.NewReader(`{}`))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusUnauthorized, recorder.Code)

	request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, listJobs, strings.NewReader(`{}`))
	request.Header.Set("Content-Type", "application/json")
	request = request.WithContext(principal.With(request.Context(), p))
	recorder = httptest.NewRecorder()
	b.server.Handler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code)
}

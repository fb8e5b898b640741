package rpc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/intime-solutions/intime/gen/go/intime/error/v1"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
	sessionv1 "github.com/intime-solutions/intime/gen/go/intime/session/v1"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

var testPerson = uuid.MustParse("0199b1de-0000-7000-8000-000000000001")

// jobs is a job service of which a test says what it does.
type jobs struct {
	jobv1connect.UnimplementedJobServiceHandler

	create func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error)
	get    func(context.Context, *jobv1.GetJobRequest) (*jobv1.GetJobResponse, error)
	list   func(context.Context, *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error)
}

func (j *jobs) CreateJob(ctx context.Context, r *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
	if j.create == nil {
		return &jobv1.CreateJobResponse{Job: &jobv1.Job{Title: r.GetTitle()}}, nil
	}
	return j.create(ctx, r)
}

func (j *jobs) GetJob(ctx context.Context, r *jobv1.GetJobRequest) (*jobv1.GetJobResponse, error) {
	if j.get == nil {
		return &jobv1.GetJobResponse{Job: &jobv1.Job{Id: r.GetId()}}, nil
	}
	return j.get(ctx, r)
}

func (j *jobs) ListJobs(ctx context.Context, r *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error) {
	if j.list == nil {
		return &jobv1.ListJobsResponse{}, nil
	}
	return j.list(ctx, r)
}

type sessions struct {
	sessionv1connect.UnimplementedSessionServiceHandler
}

func (sessions) GetSignInOptions(
	context.Context, *sessionv1.GetSignInOptionsRequest,
) (*sessionv1.GetSignInOptionsResponse, error) {
	return &sessionv1.GetSignInOptionsResponse{Environment: "test"}, nil
}

// authenticateByName knows two people: a recruiter who may work on jobs, and a student who may read them.
func authenticateByName(_ context.Context, token string) (principal.Principal, error) {
	p := principal.Principal{UserID: testPerson, OrgID: uuid.New(), Permissions: map[string]principal.Scope{"job:read": principal.ScopeAll}}
	switch token {
	case "student":
	case "recruiter":
		p.Permissions["job:create"] = principal.ScopeAll
	default:
		return principal.Principal{}, auth.Unauthenticated(io.ErrUnexpectedEOF)
	}
	return p, nil
}

// logBuffer is a log that tests read while the server writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines with that message.
func (l *logBuffer) lines(message string) []map[string]any {
	var found []map[string]any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

type testBundle struct {
	jobs   *jobs
	chain  ChainConfig
	config Config
	extra  func(*Chain) []Mount // more mounts
	log    *logBuffer

	url    string
	server *Server
	stop   func() error
}

func newTestBundle() *testBundle {
	log := new(logBuffer)
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &testBundle{
		jobs:   new(jobs),
		log:    log,
		chain:  ChainConfig{Authenticate: authenticateByName, Logger: logger},
		config: Config{Addr: "127.0.0.1:0", Logger: logger},
	}
}

// setup starts a server with canned services on a free port.
func setup(t *testing.T, change ...func(*testBundle)) *testBundle {
	t.Helper()
	b := newTestBundle()
	for _, f := range change {
		f(b)
	}
	b.start(t)
	return b
}

func (b *testBundle) start(t *testing.T) {
	t.Helper()
	chain, err := NewChain(b.chain)
	require.NoError(t, err)
	b.config.Chain = chain
	b.config.Services = append(b.config.Services,
		At(jobv1connect.NewJobServiceHandler(b.jobs, chain.HandlerOptions()...)),
		At(sessionv1connect.NewSessionServiceHandler(sessions{}, chain.HandlerOptions()...)))
	if b.extra != nil {
		b.config.Services = append(b.config.Services, b.extra(chain)...)
	}
	b.server, err = New(b.config)
	require.NoError(t, err)
	require.NoError(t, b.server.Listen(t.Context()))
	b.url = "http://" + b.server.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = b.stop() })
}

// answer is an HTTP response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *testBundle) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{status: response.StatusCode, header: response.Header, body: string(data)}
}

// call posts JSON as the recruiter.
func (b *testBundle) call(t *testing.T, procedure, body string, headers ...string) answer {
	t.Helper()
	return b.send(t, http.MethodPost, procedure, body,
		append([]string{"Content-Type", "application/json", "Authorization", "Bearer recruiter"}, headers...)...)
}

// failure is an error as callers see it.
type failure struct {
	code       connect.Code
	message    string
	reason     string
	requestID  string
	violations []string // "field rule: message"
}

// failure reads an error from JSON; it fails the test where the answer does not have the one shape.
func (a answer) failure(t *testing.T) failure {
	t.Helper()
	require.Equal(t, "application/json", a.header.Get("Content-Type"), a.body)
	var wire struct {
		Code    connect.Code `json:"code"`
		Message string       `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"details"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &wire), a.body)
	require.Len(t, wire.Details, 1, a.body)
	require.Equal(t, "intime.error.v1.ErrorDetail", wire.Details[0].Type)
	data, err := base64.RawStdEncoding.DecodeString(wire.Details[0].Value)
	require.NoError(t, err)
	detail := new(errorv1.ErrorDetail)
	require.NoError(t, proto.Unmarshal(data, detail))
	f := newFailure(wire.Code, wire.Message, detail)
	require.Equal(t, a.header.Get("X-Request-ID"), f.requestID)
	f.checkText(t)
	return f
}

// failureOf reads an error that a Connect or gRPC client got.
func failureOf(t *testing.T, err error) failure {
	t.Helper()
	var connectErr *connect.Error
	require.ErrorAs(t, err, &connectErr)
	require.Len(t, connectErr.Details(), 1, err.Error())
	value, valueErr := connectErr.Details()[0].Value()
	require.NoError(t, valueErr)
	detail, ok := value.(*errorv1.ErrorDetail)
	require.True(t, ok)
	f := newFailure(connectErr.Code(), connectErr.Message(), detail)
	f.checkText(t)
	return f
}

func newFailure(code connect.Code, message string, detail *errorv1.ErrorDetail) failure {
	f := failure{code: code, message: message, reason: detail.GetReason(), requestID: detail.GetRequestId()}
	for _, v := range detail.GetViolations() {
		f.violations = append(f.violations, v.GetField()+" "+v.GetRule()+": "+v.GetMessage())
	}
	return f
}

// checkText looks for what no caller should see.
func (f failure) checkText(t *testing.T) {
	t.Helper()
	require.NotEmpty(t, f.reason)
	require.NotEmpty(t, f.requestID)
	require.NotEmpty(t, f.message)
	for _, leak := range []string{"proto:", "jobv1", "*v1", "unmarshal", "json:", "SQLSTATE", "MaxBytesReader", "gzip:", "http:"} {
		require.NotContains(t, f.message, leak)
	}
}

// http2Client speaks HTTP/2 without TLS, as gRPC needs it.
func http2Client(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func as(person string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			request.Header().Set("Authorization", "Bearer "+person)
			return next(ctx, request)
		}
	}))
}

// clients are job clients of the recruiter, one for each protocol.
func (b *testBundle) clients(t *testing.T, options ...connect.ClientOption) map[string]jobv1connect.JobServiceClient {
	t.Helper()
	options = append(options, as("recruiter"))
	client := func(h *http.Client, more ...connect.ClientOption) jobv1connect.JobServiceClient {
		return jobv1connect.NewJobServiceClient(h, b.url, append(more, options...)...)
	}
	return map[string]jobv1connect.JobServiceClient{
		"Connect":      client(http.DefaultClient),
		"Connect JSON": client(http.DefaultClient, connect.WithProtoJSON()),
		"Connect GET":  client(http.DefaultClient, connect.WithHTTPGet()),
		"Connect h2":   client(http2Client(t)),
		"gRPC":         client(http2Client(t), connect.WithGRPC()),
		"gRPC JSON":    client(http2Client(t), connect.WithGRPC(), connect.WithProtoJSON()),
		"gRPC-Web":     client(http.DefaultClient, connect.WithGRPCWeb()),
	}
}

func goodJob() *jobv1.CreateJobRequest {
	return &jobv1.CreateJobRequest{
		Title: "Engineer", Description: "Builds what is needed.", RequiredSkills: []string{"Go"}, Location: "Berlin",
	}
}

const goodJobJSON = `{"title":"Engineer","description":"Builds what is needed.","required_skills":["Go"],"location":"Berlin"}`

const (
	createJob = jobv1connect.JobServiceCreateJobProcedure
	getJob    = jobv1connect.JobServiceGetJobProcedure
	listJobs  = jobv1connect.JobServiceListJobsProcedure
)

func respondWith(response *jobv1.CreateJobResponse) func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
	return func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) { return response, nil }
}

func failWith(err error) func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
	return func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) { return nil, err }
}

// newRecorder calls a handler without a server.
func newRecorder(t *testing.T, handler http.Handler, body, person string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+person)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// serve runs a server on a free port until the test ends.
func serve(t *testing.T, server *http.Server) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

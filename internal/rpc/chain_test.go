package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const options = sessionv1connect.SessionServiceGetSignInOptionsProcedure

func TestChain_Authentication(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	b := setup(t, func(b *testBundle) {
		b.chain.Authenticate = func(ctx context.Context, token string) (principal.Principal, error) {
			asked.Add(1)
			return authenticateByName(ctx, token)
		}
	})
	for name, authorization := range map[string]string{
		"none": "", "unknown": "Bearer nobody", "another scheme": "Basic recruiter", "no scheme": "recruiter", "empty": "Bearer ",
	} {
		a := b.call(t, createJob, goodJobJSON, "Authorization", authorization)
		require.Equal(t, http.StatusUnauthorized, a.status, name)
		require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
		f := a.failure(t)
		require.Equal(t, apierr.ReasonUnauthenticated, f.reason)
		require.Equal(t, "Sign in to do this.", f.message)
	}
	require.Contains(t, b.log.String(), "unexpected EOF", "the cause is for the log")

	asked.Store(0)
	a := b.call(t, options, `{}`, "Authorization", "Bearer expired")
	require.Equal(t, http.StatusOK, a.status, "a public procedure does not look at tokens")
	require.Zero(t, asked.Load())

	a = b.call(t, createJob, `{"no JSON`, "Authorization", "Bearer nobody")
	require.Equal(t, apierr.ReasonUnauthenticated, a.failure(t).reason, "nothing is decoded for a stranger")

	for name, client := range b.clients(t, as("nobody")) {
		// The last interceptor wins: put the stranger's name last.
		_, err := client.CreateJob(t.Context(), goodJob())
		require.NoError(t, err, name)
	}
	for _, client := range []jobv1connect.JobServiceClient{
		jobv1connect.NewJobServiceClient(http.DefaultClient, b.url),
		jobv1connect.NewJobServiceClient(http2Client(t), b.url, connect.WithGRPC()),
		jobv1connect.NewJobServiceClient(http.DefaultClient, b.url, connect.WithGRPCWeb()),
	} {
		_, err := client.CreateJob(t.Context(), goodJob())
		require.Equal(t, apierr.ReasonUnauthenticated, failureOf(t, err).reason)
	}
}

func TestChain_TwoAuthorizationHeadersAreNone(t *testing.T) {
	t.Parallel()
	_, ok := bearerToken(http.Header{"Authorization": {"Bearer student", "Bearer recruiter"}})
	require.False(t, ok)
}

func TestChain_ContextOfTheService(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.jobs.create = func(ctx context.Context, _ *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
			p, ok := principal.From(ctx)
			if !ok || p.UserID != testPerson {
				return nil, errors.New("no principal")
			}
			r := principal.RequestFrom(ctx)
			deadline, _ := ctx.Deadline()
			return &jobv1.CreateJobResponse{Job: &jobv1.Job{
				Title:       r.ID + " " + r.IP + " " + r.Procedure + " " + r.UserAgent,
				Description: strconv.FormatBool(time.Until(deadline) <= DefaultTimeout),
			}}, nil
		}
	})
	a := b.call(t, createJob, goodJobJSON, "X-Request-ID", "my-request_1", "User-Agent", "curl\xff/1", "Connect-Timeout-Ms", "9999999999")
	require.JSONEq(t, `{"job":{"title":"my-request_1 127.0.0.1 /intime.job.v1.JobService/CreateJob curl/1","description":"true"}}`, a.body)
}

func TestChain_Permission(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.call(t, createJob, goodJobJSON, "Authorization", "Bearer student")
	require.Equal(t, http.StatusForbidden, a.status)
	f := a.failure(t)
	require.Equal(t, apierr.ReasonPermissionDenied, f.reason)
	require.Contains(t, f.message, "job:create")
	a = b.call(t, listJobs, `{}`, "Authorization", "Bearer student")
	require.Equal(t, http.StatusOK, a.status)
}

func TestChain_UndeclaredIsDenied(t *testing.T) {
	t.Parallel()
	called := false
	echo := func(_ context.Context, r *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error) {
		called = true
		return &jobv1.ListJobsResponse{NextPageToken: r.GetQuery()}, nil
	}
	chain, err := NewChain(ChainConfig{Authenticate: authenticateByName})
	require.NoError(t, err)
	for name, schema := range map[string]any{"no schema": nil, "another schema": "x"} {
		handler := connect.NewUnaryHandlerSimple("/x.v1.X/Y", echo, append(chain.HandlerOptions(), connect.WithSchema(schema))...)
		require.Error(t, (Mount{Path: "/x.v1.X/", Handler: handler}).check(&chain.policy), name)
		b := setup(t, func(b *testBundle) { b.config.Pages = chain.rewrite(handler) })
		a := b.send(t, http.MethodPut, "/anything", "")
		require.NotEqual(t, http.StatusOK, a.status)

		// Through the gate, as a signed-in caller.
		recorder := newRecorder(t, handler, `{}`, "recruiter")
		require.Equal(t, http.StatusForbidden, recorder.Code, name)
	}
	require.False(t, called)
}

func TestNew_RefusesUnprotected(t *testing.T) {
	t.Parallel()
	chain, err := NewChain(ChainConfig{Authenticate: authenticateByName})
	require.NoError(t, err)
	called := false
	service := &jobs{create: func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
		called = true
		return nil, errors.New("called")
	}}
	path, naked := jobv1connect.NewJobServiceHandler(service)
	_, err = New(Config{Chain: chain, Services: []Mount{At(path, naked)}})
	require.ErrorContains(t, err, "intime.job.v1.JobService.CreateJob is not built with Chain.HandlerOptions")
	require.False(t, called)
	_, err = New(Config{Chain: chain, Services: []Mount{At("/no.such.v1.Service/", naked)}})
	require.ErrorContains(t, err, "no such service")
	_, err = New(Config{Chain: chain, Services: []Mount{At("/connectext.grpc.reflection.v1.ServerReflection/", naked)}})
	require.ErrorContains(t, err, "declares no authorization")
	_, err = New(Config{})
	require.Error(t, err)
	_, err = NewChain(ChainConfig{})
	require.Error(t, err)
	_, err = New(Config{Chain: chain, AllowedOrigins: []string{"*"}})
	require.ErrorContains(t, err, "INTIME_ALLOWED_ORIGINS")
}

func TestChain_Validation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, client := range b.clients(t) {
		job := goodJob()
		job.Title = " "
		job.RequiredSkills = []string{"Go", ""}
		job.SalaryMin, job.SalaryMax = new(int64(5)), new(int64(1))
		job.SalaryCurrency = "EUR"
		_, err := client.CreateJob(t.Context(), job)
		f := failureOf(t, err)
		require.Equal(t, connect.CodeInvalidArgument, f.code, name)
		require.Equal(t, apierr.ReasonInvalid, f.reason)
		require.Equal(t, "Some fields are not right.", f.message)
		require.ElementsMatch(t, []string{
			"title job.title: Give the job a title of 1 to 200 characters.",
			"required_skills[1] job.required_skills.length: A skill has 1 to 100 characters.",
			"salary_max salary_max.at_least_min: The highest salary is not below the lowest.",
		}, f.violations, name)
	}
	// One violation speaks for itself.
	a := b.call(t, createJob, strings.Replace(goodJobJSON, "Engineer", "", 1))
	require.Equal(t, "Give the job a title of 1 to 200 characters.", a.failure(t).message)
}

func TestChain_Errors(t *testing.T) {
	t.Parallel()
	pg := func(code string) error {
		return fmt.Errorf("insert job: %w", &pgconn.PgError{
			Severity: "ERROR", Code: code, Message: "secret text of the database", Detail: "Key (email)=(a@b.c)",
			ConstraintName: "secret_key",
		})
	}
	violation := apierr.Violation{Field: "salary_max", Rule: "job.salary_order", Message: "Too low."}
	for name, test := range map[string]struct {
		err        error
		code       connect.Code
		reason     string
		message    string
		retryAfter string
		level      string
	}{
		"ours": {
			apierr.NotFound("JOB_NOT_FOUND", "job"), connect.CodeNotFound, "JOB_NOT_FOUND", "There is no such job.", "",
			"INFO",
		},
		"ours, wrapped": {
			fmt.Errorf("get job: %w", apierr.NotFound("JOB_NOT_FOUND", "job")), connect.CodeNotFound, "JOB_NOT_FOUND",
			"There is no such job.", "", "INFO",
		},
		"ours, caused": {
			apierr.Stale("JOB_VERSION_STALE", "job").Because(pg("XX000")), connect.CodeAborted, "JOB_VERSION_STALE",
			"The job was changed in the meantime. Load it again and repeat your change.", "", "INFO",
		},
		"ours, later": {
			apierr.New(connect.CodeResourceExhausted, "BUSY", "Busy.").After(1500 * time.Millisecond),
			connect.CodeResourceExhausted, "BUSY", "Busy.", "2", "WARN",
		},
		"ours, fields":   {apierr.Invalid(violation), connect.CodeInvalidArgument, apierr.ReasonInvalid, "Too low.", "", "INFO"},
		"unique":         {pg("23505"), connect.CodeAlreadyExists, apierr.ReasonAlreadyExists, "", "", "INFO"},
		"foreign key":    {pg("23503"), connect.CodeInvalidArgument, apierr.ReasonReferenceNotFound, "", "", "INFO"},
		"check":          {pg("23514"), connect.CodeInvalidArgument, apierr.ReasonRuleBroken, "", "", "INFO"},
		"denied":         {pg("42501"), connect.CodePermissionDenied, apierr.ReasonPermissionDenied, "You may not do this.", "", "WARN"},
		"deadlock":       {pg("40P01"), connect.CodeAborted, apierr.ReasonConflict, "", "1", "INFO"},
		"statement time": {pg("57014"), connect.CodeDeadlineExceeded, apierr.ReasonDeadline, "", "", "WARN"},
		"shutting down":  {pg("57P01"), connect.CodeUnavailable, apierr.ReasonUnavailable, "", "1", "WARN"},
		"no such table":  {pg("42P01"), connect.CodeInternal, apierr.ReasonInternal, "Something went wrong on our side.", "", "ERROR"},
		"deadline": {
			fmt.Errorf("x: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded, apierr.ReasonDeadline, "", "",
			"WARN",
		},
		"canceled": {fmt.Errorf("x: %w", context.Canceled), connect.CodeCanceled, apierr.ReasonCanceled, "", "", "INFO"},
		"anything": {
			errors.New("dial tcp 10.0.0.5:5432: secret text"), connect.CodeInternal, apierr.ReasonInternal,
			"Something went wrong on our side.", "", "ERROR",
		},
		"connect's": {
			connect.NewError(connect.CodeUnknown, errors.New("secret text")), connect.CodeInternal, apierr.ReasonInternal,
			"Something went wrong on our side.", "", "ERROR",
		},
		"connect's, mean": {
			connect.NewError(connect.CodeInvalidArgument, errors.New("unmarshal into *jobv1.Job: secret text")),
			connect.CodeInvalidArgument, apierr.ReasonMalformed, "This request cannot be read.", "", "INFO",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(b *testBundle) { b.jobs.create = failWith(test.err) })
			for protocol, client := range b.clients(t) {
				_, err := client.CreateJob(t.Context(), goodJob())
				f := failureOf(t, err)
				require.Equal(t, test.code, f.code, protocol)
				require.Equal(t, test.reason, f.reason, protocol)
				if test.message != "" {
					require.Equal(t, test.message, f.message, protocol)
				}
				require.NotContains(t, err.Error(), "secret")
				var connectErr *connect.Error
				require.ErrorAs(t, err, &connectErr)
				require.Equal(t, test.retryAfter, connectErr.Meta().Get("Retry-After"), protocol)
			}
			lines := b.log.lines("call failed")
			require.Len(t, lines, len(b.clients(t)), "one line for each failed call")
			require.Equal(t, test.level, lines[0]["level"])
			require.Equal(t, createJob, lines[0]["procedure"])
			require.Equal(t, testPerson.String(), lines[0]["user_id"])
			require.NotContains(t, b.log.String(), "a@b.c")
			if sqlState, ok := errors.AsType[*pgconn.PgError](test.err); ok && sqlState.Code[0] == '2' {
				require.NotContains(t, b.log.String(), "secret text", "Postgres quotes values there")
				require.Equal(t, "SQLSTATE "+sqlState.Code+" secret_key", lines[0]["cause"])
			}
			if test.level == "ERROR" {
				require.Contains(t, b.log.String(), "secret text", "the log has the cause")
			}
		})
	}
}

func TestChain_CanceledQueryIsNoTimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := publicError(ctx, &pgconn.PgError{Code: "57014"})
	require.Equal(t, connect.CodeCanceled, e.Code)
}

func TestChain_Panic(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.jobs.create = func(context.Context, *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
			panic("secret of the panic")
		}
		b.jobs.get = func(context.Context, *jobv1.GetJobRequest) (*jobv1.GetJobResponse, error) {
			panic(http.ErrAbortHandler)
		}
		b.config.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/begun" {
				_, _ = w.Write([]byte("half a page"))
				_ = http.NewResponseController(w).Flush()
			}
			panic("secret of the page")
		})
	})
	for name, client := range b.clients(t) {
		_, err := client.CreateJob(t.Context(), goodJob())
		f := failureOf(t, err)
		require.Equal(t, connect.CodeInternal, f.code, name)
		require.NotContains(t, err.Error(), "secret")
	}
	line := b.log.lines("call failed")[0]
	require.Equal(t, "panic: secret of the panic", line["cause"])
	require.Contains(t, line["stack"], "chain_test.go")

	_, err := b.clients(t)["Connect"].GetJob(t.Context(), &jobv1.GetJobRequest{Id: uuid.NewString()})
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "aborted: the connection is cut without an answer")

	a := b.send(t, http.MethodGet, "/page", "")
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, apierr.ReasonInternal, a.failure(t).reason)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/begun", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer response.Body.Close()
		_, err = response.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = response.Body.Read(make([]byte, 100))
		}
		require.ErrorContains(t, err, "unexpected EOF", "half an answer is not taken for a whole one")
	}
}

func TestChain_Deadline(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.chain.Timeout = 20 * time.Millisecond
		b.jobs.create = func(ctx context.Context, _ *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("query: %w", ctx.Err())
		}
	})
	for name, client := range b.clients(t) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := client.CreateJob(ctx, goodJob())
		cancel()
		require.Equal(t, apierr.ReasonDeadline, failureOf(t, err).reason, name)
	}
}

func TestChain_Stream(t *testing.T) {
	t.Parallel()
	method := jobv1.File_intime_job_v1_job_service_proto.Services().ByName("JobService").Methods().ByName("ListJobs")
	endless := make(chan struct{})
	t.Cleanup(func() { close(endless) })
	stream := func(ctx context.Context, r *jobv1.ListJobsRequest, s *connect.ServerStream[jobv1.ListJobsResponse]) error {
		if err := s.Send(&jobv1.ListJobsResponse{NextPageToken: "first"}); err != nil {
			return err
		}
		switch r.GetQuery() {
		case "fail":
			return errors.New("secret text")
		case "panic":
			panic("secret text")
		case "wait":
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	var pages http.Handler
	b := setup(t, func(b *testBundle) {
		b.config.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pages.ServeHTTP(w, r) })
	})
	// The path is chosen so that the server takes it for a page.
	const path = "/stream/ListJobs"
	handler := connect.NewServerStreamHandlerSimple(path, stream,
		append(b.config.Chain.HandlerOptions(), connect.WithSchema(method))...)
	pages = b.config.Chain.rewrite(handler)

	server := &http.Server{Handler: identifyRequest(pages), Protocols: new(http.Protocols), ReadHeaderTimeout: time.Second}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	url := serve(t, server)
	for name, options := range map[string][]connect.ClientOption{
		"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}, "JSON": {connect.WithProtoJSON()},
	} {
		client := connect.NewClient[jobv1.ListJobsRequest, jobv1.ListJobsResponse](http2Client(t), url+path, options...)
		call := func(request *jobv1.ListJobsRequest, token string) (int, error) {
			r := connect.NewRequest(request)
			r.Header().Set("Authorization", "Bearer "+token)
			s, err := client.CallServerStream(t.Context(), r)
			require.NoError(t, err)
			defer s.Close()
			n := 0
			for s.Receive() {
				n++
				if request.GetQuery() == "wait" {
					b.config.Chain.drain()
				}
			}
			return n, s.Err()
		}
		n, err := call(&jobv1.ListJobsRequest{}, "student")
		require.NoError(t, err, name)
		require.Equal(t, 1, n)

		for _, query := range []string{"fail", "panic"} {
			n, err = call(&jobv1.ListJobsRequest{Query: query}, "student")
			require.Equal(t, 1, n)
			f := failureOf(t, err)
			require.Equal(t, connect.CodeInternal, f.code, name)
			require.NotContains(t, err.Error(), "secret")
		}
		_, err = call(&jobv1.ListJobsRequest{PageSize: 1000}, "student")
		require.Equal(t, []string{"page_size page_size: A page has at most 100 entries."}, failureOf(t, err).violations, name)
		_, err = call(&jobv1.ListJobsRequest{Query: "\x00"}, "student")
		require.Equal(t, []string{"query string.no_nul: Text may not contain the character U+0000."}, failureOf(t, err).violations, name)
		_, err = call(&jobv1.ListJobsRequest{}, "nobody")
		require.Equal(t, apierr.ReasonUnauthenticated, failureOf(t, err).reason, name)

		_, err = call(&jobv1.ListJobsRequest{Query: "wait"}, "student")
		require.Equal(t, ReasonRestarting, failureOf(t, err).reason, name)
	}
}

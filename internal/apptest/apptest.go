// Package apptest runs the whole program on a database of its own, for tests alone. A test binary starts one Postgres; each
// test gets a clone of a migrated and seeded database, which takes a few dozen milliseconds. Start at Main and New.
package apptest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// patience is how long a test waits for what happens in the background. It is long because a loaded machine is slow, and
// costs nothing where the thing happens.
const patience = 30 * time.Second

// Options are what a test may change about the program.
type Options struct {
	Work        bool                // run the workers
	AllowFaults bool                // let probes misbehave
	Change      func(c *app.Config) // anything else
}

// Env is the program, running for one test.
type Env struct {
	URL    string // where the API answers
	Config app.Config
	App    *app.App
	// AdminURL is the database, as its superuser.
	AdminURL string

	transport *http.Transport
	stop      func()
}

// New clones the database and runs the program on it until the test ends.
func New(t *testing.T, options Options) *Env {
	t.Helper()
	env := &Env{AdminURL: Database(t)}
	api, err := postgres.LoginURL(env.AdminURL, postgres.LoginAPI)
	require.NoError(t, err)
	worker, err := postgres.LoginURL(env.AdminURL, postgres.LoginWorker)
	require.NoError(t, err)
	env.Config = app.Config{
		Server: config.Server{
			Addr: "127.0.0.1:0", Reflection: true, Auth: config.Auth{LocalIssuer: true},
		},
		Worker:      config.Worker{Concurrency: 10, AllowFaults: options.AllowFaults, MailFrom: "InTime <no-reply@intime.invalid>"},
		GracePeriod: 5 * time.Second, APIURL: api, WorkerURL: worker, DataDir: t.TempDir(), Serve: true, Work: options.Work,
		Environment: "test", DemoPeople: demo.SignIns(), Version: "test", Logger: slog.New(slog.DiscardHandler),
		Backoff: func(int) time.Duration { return 10 * time.Millisecond },
	}
	if options.Change != nil {
		options.Change(&env.Config)
	}
	env.start(t)
	return env
}

// Admin connects as the superuser, whom row level security does not bind: to arrange what a test needs and to look at what
// became of it.
func (e *Env) Admin(t *testing.T) *pgx.Conn {
	t.Helper()
	return Connect(t, e.AdminURL)
}

// Connect connects for the rest of the test.
func Connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// Token is a bearer token of a demo person, by address or role.
func (e *Env) Token(t *testing.T, person string) string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok, "there is no demo person %s", person)
	token, _, err := e.App.Issuer().Token(p.ID(), time.Hour)
	require.NoError(t, err)
	return token
}

// Call calls the API with a plain HTTP request, for what no typed client would send. It returns the recorded answer.
func (e *Env) Call(t *testing.T, token, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, reader(body))
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	e.App.Handler().ServeHTTP(recorder, request)
	return recorder
}

// Also runs a second program on the same database and data folder until the test ends.
func (e *Env) Also(t *testing.T, change func(c *app.Config)) *Env {
	t.Helper()
	other := &Env{AdminURL: e.AdminURL, Config: e.Config}
	change(&other.Config)
	other.start(t)
	return other
}

// Stop ends the program as a signal would, and waits until it has drained. Stopping twice is fine.
func (e *Env) Stop() { e.stop() }

func (e *Env) start(t *testing.T) {
	t.Helper()
	program, err := app.New(t.Context(), e.Config)
	require.NoError(t, err)
	e.App = program
	if e.Config.Serve {
		require.NoError(t, program.Listen(t.Context()))
		e.URL = program.URL()
	}
	e.transport = &http.Transport{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- program.Run(ctx) }()
	e.stop = sync.OnceFunc(func() {
		// A connection that was opened and never used looks to the server like a call that is about to come.
		e.transport.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		cancel()
		//nolint:testifylint // a test with subtests that require ends in its cleanup is not reported
		assert.NoError(t, <-done)
		program.Close()
	})
	t.Cleanup(e.stop)
}

// Eventually waits until the condition holds, and fails the test when it never does.
func Eventually(t *testing.T, condition func() bool, explanation string, args ...any) {
	t.Helper()
	Within(t, patience, condition, explanation, args...)
}

// Within is Eventually for what takes longer, or must not.
func Within(t *testing.T, patience time.Duration, condition func() bool, explanation string, args ...any) {
	t.Helper()
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(patience); !condition(); {
		require.True(t, time.Now().Before(deadline), append([]any{explanation}, args...)...)
		select {
		case <-t.Context().Done():
		case <-time.After(pause):
		}
	}
}

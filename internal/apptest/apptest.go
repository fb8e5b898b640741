// Package apptest runs the whole program on a database of its own, for tests alone. A test binary starts one Postgres; each
// test gets a clone of a migrated and seeded database, which takes a few dozen milliseconds. Start at Main and New.
package apptest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

func (e *Env) start(t *testing.T) {
	t.Helper()
	program, err := app.New(t.Context(), e.Config)
	require.NoError(t, err)
	require.NoError(t, program.Listen(t.Context()))
	e.App, e.URL = program, program.URL()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- program.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		program.Close()
	})
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

// Eventually waits until the condition holds, and fails the test when it never does.
func Eventually(t *testing.T, condition func() bool, explanation string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, patience, 10*time.Millisecond, append([]any{explanation}, args...)...)
}

package main

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
)

// grace is how long the processes of a test have to end.
const grace = 4 * time.Second

// installation is the program as it is operated: servers and workers in processes of their own on one database.
type installation struct {
	t       *testing.T
	url     string // the database, as its superuser
	dir     string
	env     []string // of every process
	servers []*server
	workers []*process
}

type server struct {
	*process

	url string
}

// install prepares processes on a migrated and seeded database.
func install(t *testing.T, adminURL string) *installation {
	t.Helper()
	i := &installation{t: t, url: adminURL, dir: t.TempDir()}
	i.env = []string{
		"DATABASE_URL=" + adminURL, "INTIME_DATA_DIR=" + i.dir, "INTIME_AUTH_LOCAL_ISSUER=true", "INTIME_ALLOW_FAULTS=true",
		"INTIME_LOG_LEVEL=warn", "INTIME_GRACE_PERIOD=" + grace.String(),
	}
	return i
}

// serve starts servers without workers, and waits until they are ready.
func (i *installation) serve(count int) {
	i.t.Helper()
	for range count {
		i.server("INTIME_NO_WORKERS=true")
	}
}

// server starts a server with these settings more.
func (i *installation) server(env ...string) *server {
	i.t.Helper()
	addr := freeAddr(i.t)
	env = slices.Concat(i.env, []string{"INTIME_ADDR=" + addr}, env)
	s := &server{process: start(i.t, fmt.Sprintf("serve-%d", len(i.servers)), env, "serve"), url: "http://" + addr}
	i.servers = append(i.servers, s)
	s.awaitReady()
	return s
}

// work starts workers.
func (i *installation) work(count int) {
	i.t.Helper()
	for range count {
		name := fmt.Sprintf("work-%d", len(i.workers))
		i.workers = append(i.workers, start(i.t, name, i.env, "work"))
	}
}

func (s *server) awaitReady() {
	s.t.Helper()
	apptest.Eventually(s.t, s.ready, "%s is not ready", s.name)
}

func (s *server) ready() bool {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(s.url + "/readyz") //nolint:noctx // it has its timeout
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// processes are all of them.
func (i *installation) processes() []*process {
	var all []*process
	for _, s := range i.servers {
		all = append(all, s.process)
	}
	return append(all, i.workers...)
}

// token is a person's, who may be any in the database.
func (i *installation) token(person uuid.UUID) string {
	i.t.Helper()
	issuer, err := app.NewLocalIssuer(config.Server{}, i.dir)
	require.NoError(i.t, err)
	token, _, err := issuer.Token(person, time.Hour)
	require.NoError(i.t, err)
	return token
}

// ana is the token of the demo's administrator.
func (i *installation) ana() string {
	i.t.Helper()
	ana, ok := demo.Find("admin")
	require.True(i.t, ok)
	return i.token(ana.ID())
}

// as returns the clients of who has the token, at each server.
func (i *installation) as(token string) []apptest.Clients {
	var all []apptest.Clients
	for _, s := range i.servers {
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		i.t.Cleanup(transport.CloseIdleConnections)
		all = append(all, apptest.NewClients(s.url, token, transport))
	}
	return all
}

// admin connects to the database as its superuser.
func (i *installation) admin() *pgx.Conn {
	i.t.Helper()
	return apptest.Connect(i.t, i.url)
}

// forward has the bus believe that so much time has passed: its clock is the database's and cannot be set, so everything
// that waits for it comes nearer instead.
func forward(t *testing.T, admin *pgx.Conn, by time.Duration) {
	t.Helper()
	apptest.Exec(t, admin, `
		UPDATE event_deliveries SET lease_expires_at = lease_expires_at - $1::interval, next_attempt_at = next_attempt_at - $1::interval
		WHERE status IN ('pending', 'running', 'failed')`, by)
	apptest.Exec(t, admin, `
		UPDATE river.river_job SET attempted_at = attempted_at - $1::interval, scheduled_at = scheduled_at - $1::interval
		WHERE finalized_at IS NULL`, by)
	apptest.Exec(t, admin, `
		UPDATE river.river_leader SET elected_at = elected_at - $1::interval, expires_at = expires_at - $1::interval`, by)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

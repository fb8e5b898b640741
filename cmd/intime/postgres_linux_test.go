package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// ownPostgres is a Postgres that a test has for itself and may crash. What it has committed is on the disk.
type ownPostgres struct {
	t      *testing.T
	config embedded.Config
	server *embedded.Server
}

// startPostgres starts a server, migrated by the program and with the demo's people.
func startPostgres(t *testing.T) *ownPostgres {
	t.Helper()
	base := os.TempDir()
	if os.Geteuid() == 0 {
		base = "/var/tmp" // Postgres does not run as root, and root's own folders are closed to others.
	}
	dir, err := os.MkdirTemp(base, "intime-test-*") //nolint:usetesting // see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	d := &ownPostgres{t: t, config: embedded.Config{
		Dir: dir, BinDir: os.Getenv("INTIME_POSTGRES_BIN"), Settings: map[string]string{"max_connections": "300"},
	}}
	t.Cleanup(func() {
		_ = d.server.Stop(context.WithoutCancel(t.Context()))
		require.NoError(t, os.RemoveAll(dir))
	})
	d.start()
	u, err := url.Parse(d.server.URL("postgres"))
	require.NoError(t, err)
	d.config.Port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	_, err = once(t, []string{"DATABASE_URL=" + d.url()}, "migrate", "up")
	require.NoError(t, err)
	require.NoError(t, demo.Seed(t.Context(), d.url()))
	return d
}

func (d *ownPostgres) url() string { return d.server.URL("postgres") }

func (d *ownPostgres) start() {
	d.t.Helper()
	server, err := embedded.Start(d.t.Context(), d.config)
	require.NoError(d.t, err)
	d.server = server
}

// crash has the server end at once, as if its machine had gone, and brings it up again: it recovers from its log.
func (d *ownPostgres) crash() {
	d.t.Helper()
	file, err := os.ReadFile(filepath.Join(d.config.Dir, "data", "postmaster.pid"))
	require.NoError(d.t, err)
	first, _, _ := strings.Cut(string(file), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(d.t, err)
	require.NoError(d.t, syscall.Kill(pid, syscall.SIGQUIT))
	select {
	case <-d.server.Done():
	case <-time.After(20 * time.Second):
		require.Fail(d.t, "the server did not end at once")
	}
	require.NoError(d.t, d.server.Stop(d.t.Context()))
	d.start()
}

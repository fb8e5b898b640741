package embedded_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

func TestStart_FreshServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := start(t, embedded.Config{Dir: dir, Settings: map[string]string{"max_connections": "23"}})

	for sql, want := range map[string]string{
		"SELECT split_part(current_setting('server_version'), ' ', 1)": server.Version(),
		"SHOW listen_addresses":        "127.0.0.1",
		"SHOW unix_socket_directories": "",
		"SHOW server_encoding":         "UTF8",
		"SHOW fsync":                   "on",
		"SHOW full_page_writes":        "on",
		"SHOW synchronous_commit":      "on",
		"SHOW shared_buffers":          "128MB",
		"SHOW max_connections":         "23",
		"SHOW timezone":                "UTC",
		"SELECT current_user":          "postgres",
		"SELECT upper('ü')":            "Ü",
		"SELECT string_agg(c, '' ORDER BY c) FROM unnest(ARRAY['b', 'a', 'B']) c":                               "Bab",
		"SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules":                                   "scram-sha-256",
		"SELECT (count(*) = 1 AND bool_and(rolpassword LIKE 'SCRAM-%'))::text FROM pg_authid WHERE rolcanlogin": "true",
	} {
		require.Equal(t, want, query(t, server, sql), sql)
	}

	info, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Empty(t, leftovers(t, dir), "initdb's copy of the password is still there")

	wrong, err := url.Parse(server.URL("postgres"))
	require.NoError(t, err)
	wrong.User = url.UserPassword("postgres", "guess")
	_, err = pgconn.Connect(t.Context(), wrong.String())
	require.ErrorContains(t, err, "28P01")
}

func TestStart_KeepsData(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := start(t, embedded.Config{Dir: dir})
	exec(t, server, "CREATE TABLE kept AS SELECT 'still here' AS value")
	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, server.Stop(t.Context()), "a second Stop")
	select {
	case <-server.Done():
		require.Fail(t, "Stop was taken for a crash")
	default:
	}
	require.NoError(t, server.Err())

	var slow []string
	again := start(t, embedded.Config{Dir: dir, Progress: func(line string) { slow = append(slow, line) }})
	require.Equal(t, "still here", query(t, again, "SELECT value FROM kept"))
	require.Empty(t, slow, "a second start has no slow step")
}

func TestStart_Ephemeral(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := start(t, embedded.Config{Dir: dir, Ephemeral: true})
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		require.Equal(t, "off", query(t, server, "SHOW "+setting), setting)
	}
	require.NoError(t, server.Stop(t.Context()))
	require.NoDirExists(t, dir)

	t.Run("WithoutDir", func(t *testing.T) {
		t.Parallel()
		server := start(t, embedded.Config{Ephemeral: true})
		data := filepath.Dir(query(t, server, "SHOW data_directory"))
		require.DirExists(t, data)
		require.NoError(t, server.Stop(t.Context()))
		require.NoDirExists(t, data)
	})
}

func TestServer_StopOutOfTime(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	require.NoError(t, err)
	exec(t, server, "CREATE TABLE kept AS SELECT 'still here' AS value")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, server.Stop(over), context.Canceled)
	_, err = pgconn.Connect(t.Context(), server.URL("postgres"))
	require.ErrorContains(t, err, "refused")

	again := start(t, embedded.Config{Dir: dir})
	require.Equal(t, "still here", query(t, again, "SELECT value FROM kept"))
}

func TestStart_FixedPort(t *testing.T) {
	t.Parallel()
	taken := start(t, embedded.Config{Ephemeral: true})
	address, err := url.Parse(taken.URL("postgres"))
	require.NoError(t, err)
	port := portOf(t, address)

	message := refused(t, embedded.Config{Ephemeral: true, Port: port})
	require.Contains(t, message, "port "+address.Port()+" on 127.0.0.1 is not free")
	require.Contains(t, message, "last lines of the server's log")

	require.NoError(t, taken.Stop(t.Context()))
	server := start(t, embedded.Config{Ephemeral: true, Port: port})
	require.Contains(t, server.URL("postgres"), "127.0.0.1:"+address.Port()+"/postgres?")
}

func TestStart_InUse(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := start(t, embedded.Config{Dir: dir})

	require.Contains(t, refused(t, embedded.Config{Dir: dir}), "the database in "+dir+" is in use by process")

	// As if the server had been started by other means, or its program had been
	// killed where that does not end it.
	require.NoError(t, os.Rename(filepath.Join(dir, "lock"), filepath.Join(dir, "moved")))
	message := refused(t, embedded.Config{Dir: dir})
	require.Contains(t, message, "another Postgres server uses "+dir)
	require.Contains(t, message, "postmaster.pid")

	require.Equal(t, "1", query(t, server, "SELECT '1'"), "the server in use was disturbed")
}

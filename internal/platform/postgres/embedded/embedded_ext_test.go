package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// helperDir is set for a copy of the test program that is to start a server
// there and to be killed.
const helperDir = "INTIME_TEST_EMBEDDED_DIR"

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(helperDir); ok {
		beHelper(dir)
		return
	}
	m.Run()
}

// beHelper prints each step and blocks until it is killed.
func beHelper(dir string) {
	_, err := embedded.Start(context.Background(), embedded.Config{
		Dir:       dir,
		Ephemeral: os.Getenv(helperDir+"_EPHEMERAL") != "",
		Progress:  func(line string) { fmt.Fprintln(os.Stdout, line) },
	})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return
	}
	fmt.Fprintln(os.Stdout, "ready")
	select {}
}

// newDir is a folder below which the server's user can get, also for root, whose
// t.TempDir is closed to it.
func newDir(t *testing.T) string {
	t.Helper()
	base := os.TempDir()
	if os.Geteuid() == 0 {
		base = "/var/tmp"
	}
	dir, err := os.MkdirTemp(base, "intime-test-*") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}

// start fails the test when there is no server, and stops it in the end.
func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

// refused returns why a start failed.
func refused(t *testing.T, cfg embedded.Config) string {
	t.Helper()
	server, err := embedded.Start(t.Context(), cfg)
	if err == nil {
		require.NoError(t, server.Stop(context.Background()))
	}
	require.Error(t, err)
	return err.Error()
}

func exec(t *testing.T, server *embedded.Server, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// query returns one value as text.
func query(t *testing.T, server *embedded.Server, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// leftovers are the names in dir that begin like a work folder.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	for _, prefix := range []string{"initdb-*", "discarded-*"} {
		found, err := filepath.Glob(filepath.Join(dir, prefix))
		require.NoError(t, err)
		names = append(names, found...)
	}
	return names
}

package embedded_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

//nolint:tparallel // One after another on the same data.
func TestStart_Refusals(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	made := start(t, embedded.Config{Dir: dir})
	exec(t, made, "CREATE TABLE kept AS SELECT 'still here' AS value")
	require.NoError(t, made.Stop(t.Context()))

	t.Run("OtherMajorVersion", func(t *testing.T) {
		replace(t, filepath.Join(dir, "data", "PG_VERSION"), "12\n")
		message := refused(t, embedded.Config{Dir: dir})
		require.Contains(t, message, "made by Postgres 12")
		require.Contains(t, message, "binaries in use are ")
		require.Contains(t, message, "nothing was changed")
		require.Contains(t, message, "INTIME_POSTGRES_BIN")
	})
	t.Run("OtherMajorVersionInBinDir", func(t *testing.T) {
		bin := newFakePostgres(t, "15.3")
		message := refused(t, embedded.Config{Dir: dir, BinDir: bin})
		require.Contains(t, message, "binaries in use are 15.3 ("+bin+"), and nothing was changed")
	})
	t.Run("OtherPassword", func(t *testing.T) {
		replace(t, filepath.Join(dir, "password"), "another\n")
		require.Contains(t, refused(t, embedded.Config{Dir: dir}), "is not the one of the data")
	})
	t.Run("NoPassword", func(t *testing.T) {
		replace(t, filepath.Join(dir, "password"), "")
		require.NoError(t, os.Remove(filepath.Join(dir, "password")))
		require.Contains(t, refused(t, embedded.Config{Dir: dir}), "read the password of the data")
	})
	t.Run("Ephemeral", func(t *testing.T) {
		message := refused(t, embedded.Config{Dir: dir, Ephemeral: true})
		require.Contains(t, message, "an ephemeral server would delete them")
	})

	again := start(t, embedded.Config{Dir: dir})
	require.Equal(t, "still here", query(t, again, "SELECT value FROM kept"), "a refusal changed something")
}

func TestStart_NotADataFolder(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	note := filepath.Join(dir, "data", "note.txt")
	require.NoError(t, os.Mkdir(filepath.Dir(note), 0o700))
	require.NoError(t, os.WriteFile(note, []byte("mine"), 0o600))
	giveAway(t, filepath.Dir(note))

	require.Contains(t, refused(t, embedded.Config{Dir: dir}), "is not a Postgres data folder and was left alone")
	require.FileExists(t, note)
}

func TestStart_InterruptedCreation(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := embedded.Start(ctx, embedded.Config{Dir: dir, Progress: func(string) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, filepath.Join(dir, "data"))
	require.Empty(t, leftovers(t, dir))

	// What a killed initdb leaves: it has a PG_VERSION, and it trusts everyone.
	half := filepath.Join(dir, "initdb-killed", "data")
	require.NoError(t, os.MkdirAll(half, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("18\n"), 0o600))

	server := start(t, embedded.Config{Dir: dir})
	require.Empty(t, leftovers(t, dir))
	require.Equal(t, "0", query(t, server, "SELECT count(*)::text FROM pg_hba_file_rules WHERE auth_method = 'trust'"))
}

func TestStart_BadConfig(t *testing.T) {
	t.Parallel()
	old := newFakePostgres(t, "9.6.24")
	for name, tc := range map[string]struct {
		cfg  embedded.Config
		want string
	}{
		"NoDir":           {embedded.Config{}, "Dir is empty"},
		"BadPort":         {embedded.Config{Ephemeral: true, Port: 70000}, "70000 is not a TCP port"},
		"OpenToTheWorld":  {embedded.Config{Ephemeral: true, Settings: map[string]string{"Listen-Addresses": "*"}}, "is fixed"},
		"UnknownSetting":  {embedded.Config{Ephemeral: true, Settings: map[string]string{"no_such": "1"}}, `parameter "no_such"`},
		"BinDirMissing":   {embedded.Config{Ephemeral: true, BinDir: "/no/such/bin"}, "(/no/such/bin) has no usable Postgres"},
		"BinDirTooOld":    {embedded.Config{Ephemeral: true, BinDir: old}, "it is version 9.6.24; set it to"},
		"DirIsAFile":      {embedded.Config{Dir: filepath.Join(old, "initdb")}, "is not a folder"},
		"NotWithinReason": {embedded.Config{Ephemeral: true, StartTimeout: 1}, "not ready within 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, refused(t, tc.cfg), tc.want)
		})
	}
}

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	one, other := embedded.DefaultDir("/srv/one"), embedded.DefaultDir("/srv/other")
	require.NotEqual(t, one, other)
	require.Equal(t, one, embedded.DefaultDir("/srv/one/../one/"))
	if os.Geteuid() != 0 {
		require.Equal(t, "/srv/one/.intime/postgres", one)
	}
}

func portOf(t *testing.T, address *url.URL) int {
	t.Helper()
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	return port
}

// newFakePostgres is a folder of binaries that can only tell their version.
func newFakePostgres(t *testing.T, version string) string {
	t.Helper()
	dir := newDir(t)
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

// replace gives a file another content until the test ends.
func replace(t *testing.T, path, content string) {
	t.Helper()
	original, err := os.ReadFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.WriteFile(path, original, 0o600)) })
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// giveAway makes a folder nobody's, which root alone can.
func giveAway(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(path, 65534, 65534))
	}
}

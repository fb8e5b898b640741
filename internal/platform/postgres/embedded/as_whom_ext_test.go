//go:build unix

package embedded_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// Root runs Postgres as another user, who has to get at its folder; anybody else runs it as himself.
func TestStart_AsWhom(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		dir := newDir(t)
		start(t, embedded.Config{Dir: dir})
		require.Equal(t, os.Geteuid(), ownerOf(t, filepath.Join(dir, "data")))
		return
	}
	t.Run("NotRoot", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		start(t, embedded.Config{Dir: dir})
		require.NotZero(t, ownerOf(t, filepath.Join(dir, "data")))
	})
	t.Run("ClosedParent", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		closed := filepath.Join(dir, "closed")
		require.NoError(t, os.Mkdir(closed, 0o700))
		message := refused(t, embedded.Config{Dir: filepath.Join(closed, "below")})
		require.Contains(t, message, "cannot pass through "+closed+" (mode 700)")
	})
	t.Run("FolderOfAnotherUser", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		giveAway(t, dir)
		require.Contains(t, refused(t, embedded.Config{Dir: dir}), "belongs to user 65534")
	})
	t.Run("DataOfRoot", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "base"), 0o700))
		require.Contains(t, refused(t, embedded.Config{Dir: dir}), "belongs to root")
	})
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return int(stat.Uid)
}

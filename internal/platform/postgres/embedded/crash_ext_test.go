//go:build linux

package embedded_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

func TestServer_KilledServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := start(t, embedded.Config{Dir: dir})
	exec(t, server, "CREATE TABLE kept AS SELECT 'still here' AS value")
	require.NoError(t, server.Err())

	require.NoError(t, syscall.Kill(postmaster(t, dir), syscall.SIGKILL))
	ended(t, server)
	require.ErrorContains(t, server.Err(), "signal: killed")
	require.ErrorContains(t, server.Err(), "ready to accept connections", "its log")
	require.NoError(t, server.Stop(t.Context()))

	again := start(t, embedded.Config{Dir: dir})
	require.Equal(t, "still here", query(t, again, "SELECT value FROM kept"))
}

func TestServer_KilledProgram(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	program := helper(t, dir, "ready")
	pid := postmaster(t, dir)
	require.True(t, alive(pid))
	program.kill(t)

	// At once: the old server is still shutting down.
	server := start(t, embedded.Config{Dir: dir})
	require.False(t, alive(pid), "the killed program's server runs beside the new one")
	exec(t, server, "CREATE TABLE kept AS SELECT 'still here' AS value")
	require.NoError(t, server.Stop(t.Context()))

	program = helper(t, dir, "ready")
	pid = postmaster(t, dir)
	program.kill(t)
	require.Eventually(t, func() bool { return !alive(pid) }, 20*time.Second, 10*time.Millisecond,
		"a killed program left its server")
}

func TestServer_KilledProgramWhileCreating(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	helper(t, dir, "creating").kill(t)
	require.NoDirExists(t, filepath.Join(dir, "data"))
	server := start(t, embedded.Config{Dir: dir})
	require.Equal(t, "0", query(t, server, "SELECT count(*)::text FROM pg_hba_file_rules WHERE auth_method = 'trust'"))
}

func TestServer_KilledEphemeral(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	helper(t, dir, "ready", helperDir+"_EPHEMERAL=1").kill(t)
	require.DirExists(t, filepath.Join(dir, "data"))

	// Not recovered, although a server of the other kind asks: nothing of it
	// was flushed to disk.
	var steps []string
	start(t, embedded.Config{Dir: dir, Progress: func(line string) { steps = append(steps, line) }})
	require.Contains(t, strings.Join(steps, "\n"), "creating")
	require.NoFileExists(t, filepath.Join(dir, "ephemeral"))
}

func TestServer_KilledTemporary(t *testing.T) {
	t.Parallel()
	program := helper(t, "", "ready", helperDir+"_EPHEMERAL=1")
	left := folderOf(t, program.cmd.Process.Pid)
	program.kill(t)

	start(t, embedded.Config{Ephemeral: true})
	require.NoDirExists(t, left)
}

func TestServer_Process(t *testing.T) {
	t.Setenv("INTIME_TEST_SECRET", "secret")
	t.Setenv("PGPORT", "1")
	t.Setenv("PGDATA", "/nowhere")
	dir := newDir(t)
	start(t, embedded.Config{Dir: dir})
	pid := postmaster(t, dir)

	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	require.NoError(t, err)
	require.NotContains(t, string(environment), "secret")
	require.NotContains(t, string(environment), "PGPORT")

	group, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, group, "Ctrl-C would stop the server too")
}

type program struct{ cmd *osexec.Cmd }

// helper runs a program that starts a server in dir, until it has printed a
// line that begins with step.
func helper(t *testing.T, dir, step string, env ...string) program {
	t.Helper()
	cmd := osexec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), helperDir+"="+dir), env...)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var printed []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		printed = append(printed, lines.Text())
		if strings.HasPrefix(lines.Text(), step) {
			go io.Copy(io.Discard, output)
			return program{cmd}
		}
	}
	require.Failf(t, "the program ended", "%q", printed)
	return program{}
}

// folderOf finds the temporary folder of a program by the lock in it.
func folderOf(t *testing.T, pid int) string {
	t.Helper()
	locks, err := filepath.Glob(filepath.Join(filepath.Dir(newDir(t)), "intime-postgres-*", "lock"))
	require.NoError(t, err)
	for _, lock := range locks {
		text, err := os.ReadFile(lock)
		if err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(pid) {
			return filepath.Dir(lock)
		}
	}
	require.Failf(t, "no temporary folder", "of process %d", pid)
	return ""
}

// kill ends the program as nothing can be prepared for.
func (p program) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

// alive is false for a process that ended and was not collected, as happens
// where process 1 is no init.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// postmaster is the process id of the server in dir.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}

func ended(t *testing.T, server *embedded.Server) {
	t.Helper()
	select {
	case <-server.Done():
	case <-time.After(20 * time.Second):
		require.Fail(t, "the end of the server was not noticed")
	}
}

//go:build unix && !linux

package embedded

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// tieAttributes has nothing to set: only Linux has a parent-death signal.
func tieAttributes(*syscall.SysProcAttr) {}

// tieToParent has a shell wait on a pipe of ours. The pipe closes when the
// program ends, however it ends, and the shell then shuts the child down. A line
// through the pipe tells it that the child has ended before. Where no shell can
// be started, a killed program leaves its server, and the next start says so.
func tieToParent(child *os.Process) (release func()) {
	//nolint:noctx // It watches for the end of the program, not of a context.
	watcher := exec.Command("/bin/sh", "-c", `read -r line || kill -INT "$1"`, "sh", strconv.Itoa(child.Pid))
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := watcher.StdinPipe()
	if err != nil {
		return func() {}
	}
	if err := watcher.Start(); err != nil {
		return func() {}
	}
	return func() {
		_, _ = pipe.Write([]byte("ended\n"))
		_ = pipe.Close()
		_ = watcher.Wait()
	}
}

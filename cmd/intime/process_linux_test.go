package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is the program in a process of its own, which ends with the test at the latest. One that ends by itself, or is
// killed, starts again: somebody supervises it.
type process struct {
	t    *testing.T
	name string
	args []string
	env  []string
	log  string // the file of what it says

	mu       sync.Mutex
	cmd      *exec.Cmd
	ended    chan struct{} // closed when this run has ended
	err      error         // how it ended
	watched  bool          // whether it starts again
	starting *time.Timer   // its next start
}

// start runs the program with the arguments and the environment.
func start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args, env: env, log: filepath.Join(t.TempDir(), name+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			said, _ := os.ReadFile(p.log)
			t.Logf("%s said at last:\n%s", p.name, lastLines(string(said), 15))
		}
	})
	p.again()
	return p
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// again starts a process that was stopped.
func (p *process) again() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = true
	require.NoError(p.t, p.begin())
}

// begin starts a run; the lock is held.
func (p *process) begin() error {
	out, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), os.Args[0], p.args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0"), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The signal comes when the thread ends that started the process: this one stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer out.Close()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
		close(ended)
		if p.watched {
			p.starting = time.AfterFunc(100*time.Millisecond, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.watched {
					_ = p.begin()
				}
			})
		}
	}()
	p.cmd, p.ended = cmd, ended
	return <-started
}

// signal sends the running process a signal; one that has just ended does not mind.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(s)
}

// stop tells the process to end, expects it to be gone in time, and returns how it ended and after how long. It does not
// start again.
func (p *process) stop(within time.Duration) (time.Duration, error) {
	p.t.Helper()
	begun := time.Now()
	ended := p.last(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(within):
		require.Failf(p.t, "it does not end", "%s was told to end %s ago", p.name, within)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(begun), p.err
}

// kill ends the process for good.
func (p *process) kill() { <-p.last(syscall.SIGKILL) }

// last sends a signal to the last run and returns what tells of its end.
func (p *process) last(s syscall.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = false
	if p.starting != nil {
		p.starting.Stop()
	}
	_ = p.cmd.Process.Signal(s)
	return p.ended
}

// pid is the running process's.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// once runs the program to its end and returns what it said.
func once(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0"), env...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("intime %s: %w: %s", strings.Join(args, " "), err, said)
	}
	return string(said), err
}

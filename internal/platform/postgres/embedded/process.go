package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// quitWait is how long Postgres gets to end at once; it kills its own children
// after 5 s.
const quitWait = 8 * time.Second

// process is a child that ends when this program does.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended; read it after exited is closed
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends,
		// not when the process does, so this one is kept until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		release := tieToParent(cmd.Process)
		started <- nil
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("exit status 0")
		}
		release()
		close(p.exited)
	}()
	return p, <-started
}

// run waits for a short command and returns what it printed.
func run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second // a grandchild may hold on to the pipe
	p, err := start(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.killGroup()
		<-p.exited
		return "", context.Cause(ctx)
	}
	if !cmd.ProcessState.Success() {
		return "", fmt.Errorf("%w: %s", p.err, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}

// stop ends a server: fast while ctx lasts, then at once, then by force. The
// process is gone afterwards.
func (p *process) stop(ctx context.Context, bin binaries, data string) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	p.shutdown(bin, data, "fast")
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
	}
	p.shutdown(bin, data, "immediate")
	timer := time.NewTimer(quitWait)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	return fmt.Errorf("embedded Postgres was not given the time to shut down properly, its next start recovers the data: %w",
		context.Cause(ctx))
}

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// predecessorWait is how long a server whose program was killed gets to
	// shut down and let go of the data.
	predecessorWait = 10 * time.Second
	// portWait covers the same server's port, and the moment between finding a
	// free port and using it.
	portWait = time.Second
)

var errEnded = errors.New("it ended while starting")

// launch starts the server process and returns when it accepts connections.
// Whether the data or the port are still in use is left to Postgres to judge,
// which is careful about it; its log tells.
func launch(ctx context.Context, cfg Config, f *folder, who account, bin binaries) (*process, int, error) {
	log, err := f.log().create()
	if err != nil {
		return nil, 0, err
	}
	defer log.Close() // the server has its own handle
	began := time.Now()
	for waited := false; ; {
		port, err := choosePort(ctx, cfg.Port)
		if err != nil {
			return nil, 0, err
		}
		offset := f.log().size()
		cmd := who.command(bin.path("postgres"), serverArgs(cfg, f.data(), port)...)
		cmd.Stdout, cmd.Stderr = log, log
		p, err := start(cmd)
		if err != nil {
			return nil, 0, fmt.Errorf("start %s: %w", bin.path("postgres"), err)
		}
		err = p.awaitReady(ctx, bin, f.data())
		if err == nil {
			return p, port, nil
		}

		quote := f.log().quote(offset)
		if !errors.Is(err, errEnded) {
			return nil, 0, fmt.Errorf("start Postgres %s: %w%s", bin.version, err, quote)
		}
		var patience time.Duration
		switch text := f.log().since(offset); {
		case dataInUse(text):
			patience = predecessorWait
			err = fmt.Errorf("another Postgres server uses %s (its process id is the first line of %s): stop it first",
				f.data(), pidFile(f.data()))
			if !waited {
				cfg.Progress("waiting for the previous Postgres server to end …")
			}
			waited = true
		case portInUse(text):
			patience = portWait
			err = fmt.Errorf("port %d on 127.0.0.1 is not free, another program has it: stop that or use another port", port)
		default:
			err = fmt.Errorf("the server (Postgres %s) did not start: %w", bin.version, p.err)
		}
		if time.Since(began) >= patience || pause(ctx, 50*time.Millisecond) != nil {
			return nil, 0, fmt.Errorf("%w%s", err, quote)
		}
	}
}

// awaitReady watches the status the server writes into its pid file, as pg_ctl
// does: connecting until it works would fill the log with refusals and, on a
// port taken by a stranger, show our password to him.
func (p *process) awaitReady(ctx context.Context, bin binaries, data string) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.exited:
			return errEnded
		case <-ctx.Done():
			_ = p.stop(ctx, bin, data) // its error is ctx's own
			return context.Cause(ctx)
		case <-ticker.C:
			if isReady(data, p.cmd.Process.Pid) {
				return nil
			}
		}
	}
}

func pidFile(data string) string { return filepath.Join(data, "postmaster.pid") }

// isReady reads the pid file: line 1 the process, line 8 its status.
func isReady(data string, pid int) bool {
	text, err := os.ReadFile(pidFile(data))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// dataInUse is true for a server that still runs, and for children that have
// not yet noticed the death of theirs.
func dataInUse(log string) bool {
	return strings.Contains(log, `lock file "postmaster.pid" already exists`) ||
		strings.Contains(log, "pre-existing shared memory block")
}

func portInUse(log string) bool { return strings.Contains(log, "could not bind IPv4 address") }

func choosePort(ctx context.Context, wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

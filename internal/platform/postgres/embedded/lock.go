package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	lockName = "lock"
	// lockWait is how long Start waits for a program that is just stopping, as
	// when a development server is restarted.
	lockWait = 3 * time.Second
)

var errLocked = errors.New("locked")

// lock is held by an open file: the operating system gives it up when the
// process ends, however it ends, which a file with a process id would not.
type lock struct{ file *os.File }

func acquireLock(ctx context.Context, path string, progress func(string)) (*lock, error) {
	deadline := time.Now().Add(lockWait)
	for waited := false; ; waited = true {
		held, err := tryLock(path)
		if err == nil {
			return held, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		holder := "another program"
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			holder = "process " + strings.TrimSpace(string(text))
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the database in %s is in use by %s: stop that first, or use another folder",
				filepath.Dir(path), holder)
		}
		if !waited {
			progress(fmt.Sprintf("waiting for %s to stop using %s …", holder, filepath.Dir(path)))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// newLock notes who holds the file, for the message another program gives.
func newLock(file *os.File) *lock {
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &lock{file: file}
}

func (l *lock) release() error { return l.file.Close() }

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

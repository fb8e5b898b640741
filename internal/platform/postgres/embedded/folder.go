package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// folder is Config.Dir on disk, locked for this process.
type folder struct {
	path      string
	ephemeral bool
	lock      *lock
}

func (f *folder) data() string         { return filepath.Join(f.path, "data") }
func (f *folder) passwordFile() string { return filepath.Join(f.path, "password") }
func (f *folder) log() logFile         { return logFile(filepath.Join(f.path, "postgres.log")) }

// ephemeralMark is a file that says: the data beside it may be removed. Without
// it nothing in this package deletes data that were once started.
func (f *folder) ephemeralMark() string { return filepath.Join(f.path, "ephemeral") }

// openFolder makes the folder when missing, locks it and clears away what a
// killed program left there.
func openFolder(ctx context.Context, cfg Config) (*folder, error) {
	path := cfg.Dir
	if path == "" {
		temporary, err := temporaryFolder()
		if err != nil {
			return nil, err
		}
		path = temporary
	}
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	held, err := acquireLock(ctx, filepath.Join(path, lockName), cfg.Progress)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path, lock: held}
	if err := f.prepare(cfg.Ephemeral); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) prepare(ephemeral bool) error {
	if _, err := os.Stat(f.ephemeralMark()); err == nil {
		if err := f.discard(); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"initdb-*", "discarded-*"} {
		leftovers, err := filepath.Glob(filepath.Join(f.path, pattern))
		if err != nil {
			return fmt.Errorf("look for leftovers: %w", err)
		}
		for _, leftover := range leftovers {
			// A process of the killed program may still write there for a
			// moment; the names are never used again, so the rest goes next time.
			_ = os.RemoveAll(leftover)
		}
	}
	_ = os.Remove(f.data()) // succeeds when it is an empty folder: as good as none
	if !ephemeral {
		return nil
	}
	if _, err := os.Lstat(f.data()); err == nil {
		return fmt.Errorf("%s holds data that are to be kept, and an ephemeral server would delete them: "+
			"give it a folder of its own", f.data())
	}
	if err := os.WriteFile(f.ephemeralMark(), nil, 0o600); err != nil {
		return fmt.Errorf("mark the folder as ephemeral: %w", err)
	}
	f.ephemeral = true
	return nil
}

// discard removes ephemeral data. They are renamed first: a server whose
// program was killed a moment ago may still be writing to them.
func (f *folder) discard() error {
	trash, err := os.MkdirTemp(f.path, "discarded-*")
	if err != nil {
		return fmt.Errorf("remove ephemeral data: %w", err)
	}
	err = os.Rename(f.data(), filepath.Join(trash, "data"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove ephemeral data: %w", err)
	}
	_ = os.RemoveAll(trash)
	return errors.Join(removeFile(f.passwordFile()), removeFile(f.ephemeralMark()))
}

// close gives the folder up and, when it was ephemeral, leaves nothing in it.
func (f *folder) close() error {
	if !f.ephemeral {
		return f.lock.release()
	}
	err := errors.Join(f.discard(), removeFile(string(f.log())), removeFile(f.log().previous()), f.lock.remove())
	_ = os.Remove(f.path) // stays when something of others is in it
	return err
}

func (f *folder) readPassword() (string, error) {
	text, err := os.ReadFile(f.passwordFile())
	if err != nil {
		return "", fmt.Errorf("read the password of the data in %s (put it back, or delete the data to begin "+
			"with an empty database): %w", f.data(), err)
	}
	return strings.TrimSpace(string(text)), nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// DefaultDir is the place for the server of a project, given the project's
// folder: the project's own .intime/postgres for a normal user. For root it is
// a folder below /var/lib/intime (or /var/tmp) named after the project's path,
// because the user Postgres then runs as can seldom reach root's own folders.
// Nothing is created.
func DefaultDir(project string) string {
	if abs, err := filepath.Abs(project); err == nil {
		project = abs
	}
	base, ok := rootFolder()
	if !ok {
		return filepath.Join(project, ".intime", "postgres")
	}
	sum := sha256.Sum256([]byte(project))
	return filepath.Join(base, filepath.Base(project)+"-"+hex.EncodeToString(sum[:4]), "postgres")
}

func defaultCache() string {
	if base, ok := rootFolder(); ok {
		return filepath.Join(base, "cache")
	}
	if cache, err := os.UserCacheDir(); err == nil {
		return filepath.Join(cache, "intime", "postgres")
	}
	return filepath.Join(os.TempDir(), "intime-cache-"+strconv.Itoa(os.Getuid()))
}

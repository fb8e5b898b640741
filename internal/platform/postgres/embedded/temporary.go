package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const temporaryPrefix = "intime-postgres-"

// temporaryFolder makes a folder for an ephemeral server without one, after
// removing those of programs that were killed: a test run that is interrupted
// would otherwise leave some 50 MB each time.
func temporaryFolder() (string, error) {
	base := temporaryBase()
	sweep(base)
	path, err := os.MkdirTemp(base, temporaryPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("make a temporary folder: %w", err)
	}
	if err := os.Chmod(path, folderMode()); err != nil {
		return "", fmt.Errorf("make a temporary folder: %w", err)
	}
	return path, nil
}

// sweep is best effort: what cannot be removed now is tried again next time.
func sweep(base string) {
	paths, _ := filepath.Glob(filepath.Join(base, temporaryPrefix+"*"))
	for _, path := range paths {
		f := &folder{path: path, ephemeral: true}
		// Without the mark it is not ours, or its program is just starting.
		if _, err := os.Lstat(f.ephemeralMark()); err != nil || checkOwner(path) != nil {
			continue
		}
		held, err := tryLock(filepath.Join(path, lockName))
		if err != nil {
			continue
		}
		f.lock = held
		_ = f.close()
	}
}

// makeFolder creates a folder where it is missing, and refuses one of someone
// else.
func makeFolder(path string) error {
	if err := makeAll(path); err != nil {
		return err
	}
	return checkOwner(path)
}

// makeAll is os.MkdirAll, but what it makes can be passed through by the
// server's user, whatever the umask.
func makeAll(path string) error {
	err := os.Mkdir(path, folderMode())
	if errors.Is(err, os.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeAll(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, folderMode())
	}
	if errors.Is(err, os.ErrExist) {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", path)
		}
		return err
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, folderMode())
}

//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"
)

// tryLock returns errLocked when another holds the file.
func tryLock(path string) (*lock, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errLocked
			}
			return nil, err
		}
		if isCurrent(file, path) {
			return newLock(file), nil
		}
		// Its last holder removed it after we had opened it: what we locked
		// is a file nobody else will find.
		_ = file.Close()
	}
}

func isCurrent(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// remove deletes the file while it is still locked, see isCurrent.
func (l *lock) remove() error {
	return errors.Join(removeFile(l.file.Name()), l.release())
}

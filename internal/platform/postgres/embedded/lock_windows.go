package embedded

import (
	"errors"
	"os"
	"syscall"
)

const errSharing = syscall.Errno(32)

// tryLock returns errLocked when another holds the file. Opening it for writing
// without sharing that is the lock.
func tryLock(path string) (*lock, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, syscall.FILE_SHARE_READ,
		nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharing) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return newLock(os.NewFile(uintptr(handle), path)), nil
}

// remove deletes the file after closing it: Windows does not allow it before.
// Someone else may have locked it in between, and then it stays.
func (l *lock) remove() error {
	err := l.release()
	_ = os.Remove(l.file.Name())
	return err
}

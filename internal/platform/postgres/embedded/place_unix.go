//go:build unix

package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// rootFolder is where root keeps servers and binaries: root's home is closed to
// the user Postgres runs as. False for everyone else.
func rootFolder() (string, bool) {
	if os.Geteuid() != 0 {
		return "", false
	}
	const writable = 2
	for _, base := range []string{"/var/lib", "/var/tmp"} {
		if syscall.Access(base, writable) == nil {
			return filepath.Join(base, "intime"), true
		}
	}
	return filepath.Join(os.TempDir(), "intime"), true
}

func temporaryBase() string {
	if os.Geteuid() == 0 {
		return "/var/tmp"
	}
	return os.TempDir()
}

// folderMode lets the server's user pass through, but not list, what root makes.
func folderMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// checkOwner refuses a folder of another user, who could swap what we run or
// write there: /var/tmp and /tmp are open to everyone.
func checkOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 && int(owner) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to the one this program runs as (%d): use another folder",
			path, owner, os.Geteuid())
	}
	return nil
}

// environment is what postgres and initdb get: not the program's secrets, and
// no PGDATA or PGPORT of the person at the keyboard.
func environment() []string {
	env := []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

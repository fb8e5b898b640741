//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const exeSuffix = ""

// account is the user the server runs as; the zero value is our own.
type account struct {
	name     string
	uid, gid uint32
	switched bool
}

// accountFor picks the user: ourselves, unless we are root, which Postgres
// refuses to run as. Existing data decide, because a server wants to own them.
func accountFor(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if info, err := os.Stat(data); err == nil {
		owner := info.Sys().(*syscall.Stat_t)
		if owner.Uid == 0 {
			return account{}, fmt.Errorf("%s belongs to root, as which Postgres cannot run: give it to another user "+
				"(chown -R postgres %s)", data, data)
		}
		return account{name: fmt.Sprintf("user %d", owner.Uid), uid: owner.Uid, gid: owner.Gid, switched: true}, nil
	}
	// initdb wants a user with a passwd entry.
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
		}
	}
	return account{}, errors.New("root cannot run Postgres, and there is no user postgres or nobody to run it as: " +
		"create one (useradd --system postgres) or start this program as a normal user")
}

// command prepares a program to run as the account, in a process group of its
// own: Ctrl-C in the terminal must not stop the server before its clients.
func (a account) command(name string, arg ...string) *exec.Cmd {
	cmd := exec.Command(name, arg...) //nolint:noctx // A server outlives the context it was started in; run has its own way.
	cmd.Dir = "/"                     // our own may be closed to the account
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	tieAttributes(cmd.SysProcAttr)
	return cmd
}

// own gives a file to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkReach says which folder the account cannot pass through on the way to
// path. The error without it is a misleading "permission denied" for initdb.
func (a account) checkReach(path string) error {
	if !a.switched {
		return nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if !a.passes(info) {
			return fmt.Errorf("the server runs as %s here, which cannot pass through %s (mode %o) to reach %s: "+
				"allow it (chmod o+x %s) or use a folder elsewhere", a.name, dir, info.Mode().Perm(), path, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func (a account) passes(info fs.FileInfo) bool {
	bit := fs.FileMode(0o001)
	switch owner := info.Sys().(*syscall.Stat_t); {
	case owner.Uid == a.uid:
		bit = 0o100
	case owner.Gid == a.gid:
		bit = 0o010
	}
	return info.Mode()&bit != 0
}

func (p *process) shutdown(_ binaries, _, mode string) {
	signal := syscall.SIGINT
	if mode == "immediate" {
		signal = syscall.SIGQUIT
	}
	_ = p.cmd.Process.Signal(signal) // fails only when it has ended
}

// killGroup ends a command with the children it started.
func (p *process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

const exeSuffix = ".exe"

// account is always our own on Windows. Postgres refuses to run with
// administrator's rights there, and says so.
type account struct{}

func accountFor(string) (account, error) { return account{}, nil }

// command prepares a program in a process group of its own: Ctrl-C in the
// console must not stop the server before its clients.
func (account) command(name string, arg ...string) *exec.Cmd {
	cmd := exec.Command(name, arg...) //nolint:noctx // A server outlives the context it was started in; run has its own way.
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	return cmd
}

func (account) own(string) error        { return nil }
func (account) checkReach(string) error { return nil }

// shutdown asks through pg_ctl: Windows has no signals, and Postgres brings a
// substitute of its own.
func (p *process) shutdown(bin binaries, data, mode string) {
	err := account{}.command(bin.path("pg_ctl"), "stop", "-D", data, "-m", mode, "--no-wait").Run()
	if err != nil && mode == "immediate" {
		_ = p.cmd.Process.Kill()
	}
}

// killGroup ends the command; its job object ends the children it started.
func (p *process) killGroup() { _ = p.cmd.Process.Kill() }

func rootFolder() (string, bool) { return "", false }
func temporaryBase() string      { return os.TempDir() }
func folderMode() os.FileMode    { return 0o700 }
func checkOwner(string) error    { return nil }

// environment is what postgres and initdb get: not the program's secrets, and
// no PGDATA or PGPORT of the person at the keyboard.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "TEMP", "TMP", "USERPROFILE", "APPDATA"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

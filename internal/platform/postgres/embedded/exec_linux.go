package embedded

import (
	"os"
	"syscall"
)

// tieAttributes makes the kernel end the child when the program ends, also by
// kill -9. SIGINT is Postgres's fast shutdown.
func tieAttributes(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// tieToParent has nothing left to do: see tieAttributes.
func tieToParent(*os.Process) (release func()) { return func() {} }

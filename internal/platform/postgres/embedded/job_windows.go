package embedded

import (
	"os"
	"syscall"
	"unsafe"
)

const (
	jobExtendedLimits = 9      // JobObjectExtendedLimitInformation
	jobKillOnClose    = 0x2000 // JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
)

// jobLimits is JOBOBJECT_EXTENDED_LIMIT_INFORMATION.
type jobLimits struct {
	perProcessUserTime, perJobUserTime                         int64
	flags                                                      uint32
	minWorkingSet, maxWorkingSet                               uintptr
	activeProcesses                                            uint32
	affinity                                                   uintptr
	priorityClass, schedulingClass                             uint32
	ioCounters                                                 [6]uint64
	processMemory, jobMemory, peakProcessMemory, peakJobMemory uintptr
}

// tieToParent puts the child into a job object that ends with its last handle,
// which is ours and closes when this program ends, however it ends. Where
// Windows refuses, a killed program leaves its server, and the next start says
// so.
func tieToParent(child *os.Process) (release func()) {
	kernel := syscall.NewLazyDLL("kernel32.dll")
	job, _, _ := kernel.NewProc("CreateJobObjectW").Call(0, 0)
	if job == 0 {
		return func() {}
	}
	limits := jobLimits{flags: jobKillOnClose}
	set, _, _ := kernel.NewProc("SetInformationJobObject").Call(job, jobExtendedLimits,
		uintptr(unsafe.Pointer(&limits)), unsafe.Sizeof(limits)) //nolint:gosec // The call takes a pointer to the struct.
	if set != 0 {
		assign := kernel.NewProc("AssignProcessToJobObject")
		_ = child.WithHandle(func(handle uintptr) { _, _, _ = assign.Call(job, handle) })
	}
	return func() { _ = syscall.CloseHandle(syscall.Handle(job)) }
}

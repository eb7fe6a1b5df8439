package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// sandbox is the program and its limits.
type sandbox struct {
	Command             []string
	Workdir             string
	Namespace           string
	DropPrivileges      bool
	UID, GID            int
	ReadOnly, ReadWrite []string
	// Whether the program may not start without Landlock.
	Required bool
}

// The real one loses its own errors between fork and exec, and says this instead.
const failureBeforeExec = "Invalid argument (os error 22)"

const boundingSetFailure = "bounding set"

// The pipe that tells the supervisor why the program did not start.
const failurePipe = 3

// enterSandbox confines this process and becomes the program. It does so on one thread: exec keeps the state of that one.
func enterSandbox(text string) {
	runtime.LockOSThread()
	unix.CloseOnExec(failurePipe)
	var spec sandbox
	err := json.Unmarshal([]byte(text), &spec)
	if err == nil {
		err = spec.enter()
	}
	_, _ = unix.Write(failurePipe, []byte(err.Error()))
	os.Exit(1)
}

func (s sandbox) enter() error {
	namespace, err := unix.Open(s.Namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return systemError(err)
	}
	if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
		return systemError(err)
	}
	// Before the identity changes: root may open every path.
	ruleset, err := prepareLandlock(s.ReadOnly, s.ReadWrite)
	if err != nil && s.Required {
		return errorf("Failed to prepare sandbox: %w", err)
	}
	if s.Workdir != "" {
		if err := unix.Chdir(s.Workdir); err != nil {
			return systemError(err)
		}
	}
	if s.DropPrivileges {
		if err := dropPrivileges(s.UID, s.GID); err != nil {
			return err
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return errors.New(failureBeforeExec)
	}
	if err := confine(ruleset); err != nil {
		return errors.New(failureBeforeExec)
	}
	program, err := exec.LookPath(s.Command[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = syscall.ENOENT
		}
		return systemError(err)
	}
	return systemError(syscall.Exec(program, s.Command, os.Environ()))
}

// dropPrivileges keeps the supplementary groups, as the real one does. The raw system calls change this thread alone.
func dropPrivileges(uid, gid int) error {
	if gid != unix.Getegid() {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGID, uintptr(gid), 0, 0); errno != 0 {
			return errors.New(failureBeforeExec)
		}
	}
	for capability := uintptr(0); ; capability++ {
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, capability, 0, 0, 0)
		if err != nil {
			break
		}
		if held == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return errors.New(boundingSetFailure)
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETUID, uintptr(uid), 0, 0); errno != 0 {
		return errors.New(failureBeforeExec)
	}
	return nil
}

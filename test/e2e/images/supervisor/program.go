package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Variables that the program does not get.
var supervisorOnly = []string{
	"OPENSHELL_OCI_IMAGE_USER", "OPENSHELL_SANDBOX_UID", "OPENSHELL_SANDBOX_GID",
	"OPENSHELL_SANDBOX_TOKEN", "OPENSHELL_SANDBOX_TOKEN_FILE", "OPENSHELL_K8S_SA_TOKEN_FILE",
	"OPENSHELL_TLS_CA", "OPENSHELL_TLS_CERT", "OPENSHELL_TLS_KEY", "OPENSHELL_PROVIDER_SPIFFE_WORKLOAD_API_SOCKET",
}

// The exit code of a program that took longer than --timeout.
const timedOut = 124

// runProgram starts CMD in the sandbox, passes SIGTERM on, and returns its exit code.
func runProgram(options options, policy policy, who identity, network network) (int, error) {
	workdir, _ := options.get("workdir")
	_, interactive := options.get("interactive")
	checkPidLimit()
	logReport(workdir)
	failures, report, err := os.Pipe()
	if err != nil {
		return 0, systemError(err)
	}
	spec, err := json.Marshal(sandbox{
		Command:        options.command,
		Workdir:        workdir,
		Namespace:      network.path(),
		DropPrivileges: dropsPrivileges(),
		UID:            who.uid,
		GID:            who.gid,
		ReadOnly:       policy.Filesystem.ReadOnly,
		ReadWrite:      policy.writable(workdir),
		Required:       policy.Landlock.Compatibility == "hard_requirement",
	})
	if err != nil {
		return 0, err
	}
	stdio, err := programStdio()
	if err != nil {
		return 0, systemError(err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{options.command[0], becomeProgram, string(spec)}, &syscall.ProcAttr{
		Env:   programEnvironment(who),
		Files: []uintptr{stdio[0], stdio[1], stdio[2], report.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: !interactive},
	})
	if err != nil {
		return 0, systemError(err)
	}
	report.Close()
	exited := make(chan int, 1)
	go func() { exited <- reap(pid) }()
	// CMD has started when the other end is closed without a message.
	failure, _ := io.ReadAll(failures)
	if len(failure) > 0 {
		<-exited
		return failedStart(string(failure))
	}
	logEvent("PROC:LAUNCH", "INFO", fmt.Sprintf("%s(%d)", filepath.Base(options.command[0]), pid))
	return await(pid, exited, terminated, options)
}

func await(pid int, exited chan int, terminated chan os.Signal, options options) (int, error) {
	var timeout <-chan time.Time
	if text, given := options.get("timeout"); given && text != "0" {
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			usageError("invalid value '%s' for '--timeout <TIMEOUT>': invalid digit found in string", text)
		}
		timeout = time.After(time.Duration(seconds) * time.Second)
	}
	stopping := false
	for {
		select {
		case code := <-exited:
			if stopping {
				logInfo("openshell_supervisor_process::run", "Entrypoint exited after supervisor shutdown signal")
			}
			logEvent("PROC:TERMINATE", "INFO", fmt.Sprintf("unknown(0) [exit:%d]", code))
			return code, nil
		case <-terminated:
			logInfo("openshell_supervisor_process::run", "Received SIGTERM, shutting down supervisor process")
			stopping = true
			// Root needs CAP_KILL for a program of another user.
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				logWarning("openshell_supervisor_process::run", "failed to signal entrypoint process")
			}
		case <-timeout:
			_ = syscall.Kill(pid, syscall.SIGTERM)
			time.Sleep(100 * time.Millisecond)
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return timedOut, nil
		}
	}
}

// reap waits for every child, as PID 1 has to, until the program ends. Its exit code is 128 and the signal's number if a
// signal ended it.
func reap(program int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR || pid != program {
			continue
		}
		if status.Signaled() {
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	}
}

// failedStart returns the message for a program that could not be started. The real one reaps its own child in a race, and
// panics if it loses: for any of these failures now and then. The stand-in does so if it cannot empty the bounding set.
func failedStart(failure string) (int, error) {
	if failure != boundingSetFailure {
		return 0, errorf("%s", failure)
	}
	fmt.Fprint(os.Stderr, "\nthread 'main' (1) panicked at library/std/src/sys/process/unix/unix.rs:\n"+
		"wait() should either return Ok or panic\n"+
		"note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n")
	return 101, nil
}

// The program's ends of its pipes: Go closes files that nothing refers to.
var pipes []*os.File

// programStdio returns the program's standard streams: the supervisor's own, or from 0.0.111 on pipes that the supervisor
// reads into a buffer for a gateway.
func programStdio() ([3]uintptr, error) {
	if line == "0.0.110" {
		return [3]uintptr{0, 1, 2}, nil
	}
	stdin, typed, err := os.Pipe()
	if err != nil {
		return [3]uintptr{}, err
	}
	pipes = append(pipes, typed)
	streams := [3]uintptr{stdin.Fd()}
	pipes = append(pipes, stdin)
	for i := 1; i < len(streams); i++ {
		output, input, err := os.Pipe()
		if err != nil {
			return streams, err
		}
		go func() { _, _ = io.Copy(io.Discard, output) }()
		streams[i] = input.Fd()
		pipes = append(pipes, input)
	}
	return streams, nil
}

// programEnvironment returns the supervisor's variables without its own, and with those that lead to the proxy.
func programEnvironment(who identity) []string {
	set := map[string]string{"OPENSHELL_SANDBOX": "1", "NODE_USE_ENV_PROXY": "1"}
	for _, name := range []string{"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "grpc_proxy"} {
		set[name] = "http://" + proxyAddress
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		set[name] = "127.0.0.1,localhost,::1"
	}
	if line != "0.0.110" {
		set["HOME"], set["USER"], set["SHELL"], set["TERM"] = "/sandbox", strconv.Itoa(who.uid), "/bin/bash", "dumb"
	}
	var result []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, replaced := set[name]; !replaced && !slices.Contains(supervisorOnly, name) {
			result = append(result, variable)
		}
	}
	for name, value := range set {
		result = append(result, name+"="+value)
	}
	return result
}

func checkPidLimit() {
	const advice = "; configure the compute driver or container runtime to enforce a PID limit"
	content, err := os.ReadFile("/sys/fs/cgroup/pids.max")
	if err != nil {
		logWarning("openshell_supervisor_process::process", fmt.Sprintf("runtime cgroup pids.max is unavailable (%v)", systemError(err))+advice)
	} else if strings.TrimSpace(string(content)) == "max" {
		logWarning("openshell_supervisor_process::process", "runtime cgroup pids.max is unlimited"+advice)
	}
}

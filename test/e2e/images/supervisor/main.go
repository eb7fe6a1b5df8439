// Stands in for OpenShell's supervisor, with the command line that the webhook relies on:
//
//	copy-self DEST           copies this program
//	[OPTIONS] -- [CMD...]    prints what it runs as, one line of JSON, then becomes CMD
//
// The real one sets up a sandbox and keeps CMD as its child. Without CMD this one waits for a signal.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

type report struct {
	Supervisor string   `json:"supervisor"`
	UID        int      `json:"uid"`
	PID        int      `json:"pid"`
	Argv       []string `json:"argv"`
	Workdir    string   `json:"workdir"`
	// Whether a file can be written beside this program, and the errno where it cannot.
	ReadOnly   bool   `json:"readOnly"`
	WriteError string `json:"writeError"`
	// The effective capabilities, hexadecimal as in /proc/self/status.
	Capabilities string `json:"capabilities"`
}

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "copy-self" {
		return copySelf(args[1])
	}
	var command []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			command, args = args[i+1:], args[:i]
		case args[i] == "--workdir" && i+1 < len(args):
			if err := enter(args[i+1]); err != nil {
				return err
			}
			i++
		}
	}
	if err := printReport(); err != nil {
		return err
	}
	if len(command) == 0 {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
		<-end
		return nil
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, command, os.Environ())
}

func copySelf(destination string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(destination, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Close()
}

func enter(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.Chdir(folder)
}

func printReport() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	workdir, err := os.Getwd()
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	r := report{Supervisor: program, UID: os.Getuid(), PID: os.Getpid(), Argv: os.Args, Workdir: workdir}
	probe := filepath.Join(filepath.Dir(program), ".probe")
	var errno syscall.Errno
	if err := os.WriteFile(probe, nil, 0o600); err == nil {
		_ = os.Remove(probe)
	} else if errors.As(err, &errno) {
		r.WriteError = errno.Error()
		r.ReadOnly = errno == syscall.EROFS
	}
	for _, line := range strings.Split(string(status), "\n") {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			r.Capabilities = strings.TrimSpace(value)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

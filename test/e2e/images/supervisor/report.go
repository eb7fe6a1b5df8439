package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// report tells the tests what this program was started as. The real one has nothing like it.
type report struct {
	Supervisor string   `json:"supervisor"`
	Line       string   `json:"line"`
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

// logReport writes the report as a line of the log, level info.
func logReport(workdir string) {
	program, _ := os.Executable()
	r := report{Supervisor: program, Line: line, UID: os.Getuid(), PID: os.Getpid(), Argv: os.Args, Workdir: workdir}
	probe := filepath.Join(filepath.Dir(program), ".probe")
	var errno syscall.Errno
	if err := os.WriteFile(probe, nil, 0o600); err == nil {
		_ = os.Remove(probe)
	} else if errors.As(err, &errno) {
		r.WriteError = errno.Error()
		r.ReadOnly = errno == syscall.EROFS
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			r.Capabilities = strings.TrimSpace(value)
		}
	}
	text, _ := json.Marshal(r)
	logInfo("stand_in", string(text))
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The log's lines go to standard error if the level asks for them, and to a file.
var (
	level             = 0
	logFile io.Writer = io.Discard
)

const (
	warn = 2
	info = 3
)

var levels = map[string]int{"error": 1, "warn": warn, "info": info, "debug": 4, "trace": 5}

// startLog opens the log. The level holds for standard error alone, and is `warn` by default.
func startLog(options options) {
	name, given := options.get("log-level")
	if !given {
		name = "warn"
	}
	level = levels[name]
	file := filepath.Join("/var/log", "openshell."+time.Now().UTC().Format(time.DateOnly)+".log")
	_ = os.MkdirAll(filepath.Dir(file), 0o755)
	opened, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		logFile = opened
	} else {
		logWarning("openshell_sandbox", "Could not open /var/log for log rotation; using stderr-only logging")
	}
}

func logInfo(origin, message string) {
	logLine(info, "INFO "+origin+": "+message)
}

func logWarning(origin, message string) {
	logLine(warn, "WARN "+origin+": "+message)
}

// logEvent writes what the real one writes as an event of the Open Cybersecurity Schema Framework.
func logEvent(class, severity, message string) {
	logLine(info, fmt.Sprintf("OCSF %s [%s] %s", class, severity, message))
}

func logLine(needed int, text string) {
	line := time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " " + text + "\n"
	if level >= needed {
		_, _ = io.WriteString(os.Stderr, line)
	}
	_, _ = io.WriteString(logFile, line)
}

// systemError returns an error with the operating system's words and number, without Go's names for files and calls.
func systemError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errors.New(describe(errno))
	}
	return err
}

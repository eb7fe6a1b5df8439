// Stands in for OpenShell's supervisor of the 0.0.x line, in file mode: the same variables and options, the same order of
// steps, the same messages and exit codes. stand-in.test.ts holds the table of both.
//
//	copy-self DEST           copies this program
//	[OPTIONS] [--] CMD...    sets up the sandbox, and runs CMD in it
//
// It does not evaluate Rego, speak to a gateway, end TLS or set nftables rules. Its proxy denies everything.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The line that this program stands in for: -ldflags '-X main.line=0.0.111' makes another stand-in, which keeps the
// program's output to itself.
var line = "0.0.110"

// The first argument of the process that becomes CMD.
const becomeProgram = "become-program"

func main() {
	args := os.Args[1:]
	switch {
	case len(args) > 0 && args[0] == "copy-self":
		if len(args) < 2 {
			exit(errorf("usage: openshell-sandbox copy-self <DEST>"))
		}
		exit(copySelf(args[1]))
	case len(args) == 2 && args[0] == becomeProgram:
		enterSandbox(args[1])
	}
	options := parseOptions(args)
	startLog(options)
	code, err := supervise(options)
	if err != nil {
		exit(err)
	}
	os.Exit(code)
}

// supervise takes the steps of the real one in its order, and returns the exit code of CMD.
func supervise(options options) (int, error) {
	logInfo("openshell_sandbox", "Starting sandbox")
	policy, err := loadPolicy(options)
	if err != nil {
		return 0, err
	}
	identity, err := identityOfDriver()
	if err != nil {
		return 0, err
	}
	network, err := makeNetwork()
	if err != nil {
		return 0, err
	}
	defer network.remove()
	if err := startProxy(network, options); err != nil {
		return 0, err
	}
	if dropsPrivileges() {
		if err := prepareFiles(policy, identity); err != nil {
			return 0, err
		}
	}
	return runProgram(options, policy, identity, network)
}

func copySelf(destination string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if info, err := os.Stat(destination); err == nil && info.IsDir() {
		destination = filepath.Join(destination, filepath.Base(program))
	}
	if err := os.MkdirAll(filepath.Dir(destination), 0o755); err != nil {
		return systemError(err)
	}
	source, err := os.Open(program)
	if err != nil {
		return systemError(err)
	}
	defer source.Close()
	target, err := os.OpenFile(destination, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return systemError(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		return systemError(err)
	}
	if err := target.Chmod(0o755); err != nil {
		return systemError(err)
	}
	return target.Close()
}

func errorf(format string, values ...any) error {
	return fmt.Errorf(format, values...)
}

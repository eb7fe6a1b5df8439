package main

import (
	"fmt"
	"os"
	"strings"
)

// options come from the command line or else from their variables. A variable that is set and empty counts as given.
type options struct {
	values  map[string]string
	command []string
}

type option struct {
	variable string
	short    byte
	// A flag takes no value.
	flag bool
}

var knownOptions = map[string]option{
	"workdir":                            {short: 'w'},
	"timeout":                            {short: 't'},
	"interactive":                        {short: 'i', flag: true},
	"sandbox-id":                         {variable: "OPENSHELL_SANDBOX_ID"},
	"sandbox":                            {variable: "OPENSHELL_SANDBOX"},
	"openshell-endpoint":                 {variable: "OPENSHELL_ENDPOINT"},
	"policy-rules":                       {variable: "OPENSHELL_POLICY_RULES"},
	"policy-data":                        {variable: "OPENSHELL_POLICY_DATA"},
	"log-level":                          {variable: "OPENSHELL_LOG_LEVEL"},
	"ssh-socket-path":                    {variable: "OPENSHELL_SSH_SOCKET_PATH"},
	"inference-routes":                   {variable: "OPENSHELL_INFERENCE_ROUTES"},
	"health-check":                       {flag: true},
	"health-port":                        {},
	"mode":                               {},
	"proxy-uid":                          {variable: "OPENSHELL_PROXY_UID"},
	"proxy-gid":                          {variable: "OPENSHELL_PROXY_GID"},
	"sidecar-state-dir":                  {variable: "OPENSHELL_SIDECAR_STATE_DIR"},
	"sidecar-tls-dir":                    {variable: "OPENSHELL_PROXY_TLS_DIR"},
	"upstream-proxy":                     {},
	"upstream-no-proxy":                  {},
	"upstream-proxy-auth-file":           {},
	"upstream-proxy-auth-allow-insecure": {flag: true},
	"upstream-proxy-connect-by-hostname": {flag: true},
}

// get returns an option's value, and whether it is given.
func (o options) get(name string) (string, bool) {
	value, given := o.values[name]
	return value, given
}

// both returns two options' values, and whether both are given.
func (o options) both(first, second string) (string, string, bool) {
	a, hasA := o.values[first]
	b, hasB := o.values[second]
	return a, b, hasA && hasB
}

// parseOptions reads the command line and exits where it is wrong. The first word that is no option begins CMD.
func parseOptions(args []string) options {
	result := options{values: map[string]string{}}
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			result.command = args[i+1:]
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			result.command = args[i:]
			break
		}
		name, value, hasValue := nameOf(word)
		known, exists := knownOptions[name]
		if !exists {
			usageError("unexpected argument '%s' found", strings.SplitN(word, "=", 2)[0])
		}
		if _, twice := result.values[name]; twice {
			usageError("the argument '%s' cannot be used multiple times", described(name))
		}
		if known.flag && hasValue {
			usageError("unexpected value '%s' for '--%s' found; no more were expected", value, name)
		}
		if !known.flag && !hasValue {
			i++
			if i == len(args) || strings.HasPrefix(args[i], "-") && args[i] != "-" {
				usageError("a value is required for '%s' but none was supplied", described(name))
			}
			value = args[i]
		}
		result.values[name] = value
	}
	for name, known := range knownOptions {
		if _, given := result.values[name]; given || known.variable == "" {
			continue
		}
		if value, set := os.LookupEnv(known.variable); set {
			result.values[name] = value
		}
	}
	if len(result.command) == 0 {
		result.command = strings.Fields(os.Getenv("OPENSHELL_SANDBOX_COMMAND"))
	}
	if len(result.command) == 0 {
		result.command = []string{"/bin/bash"}
	}
	return result
}

func nameOf(word string) (name, value string, hasValue bool) {
	if long, isLong := strings.CutPrefix(word, "--"); isLong {
		return strings.Cut(long, "=")
	}
	for name, known := range knownOptions {
		if known.short != 0 && known.short == word[1] {
			return name, strings.TrimPrefix(word[2:], "="), len(word) > 2
		}
	}
	return "", "", false
}

func described(name string) string {
	if knownOptions[name].flag {
		return "--" + name
	}
	return fmt.Sprintf("--%s <%s>", name, strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
}

func usageError(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "error: "+format+"\n\n", values...)
	fmt.Fprint(os.Stderr, "Usage: openshell-sandbox [OPTIONS] [COMMAND]...\n\nFor more information, try '--help'.\n")
	os.Exit(2)
}

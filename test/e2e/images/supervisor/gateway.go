package main

import (
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

const fetchAttempts = 5

// fetchPolicy fails as the real one does without a gateway that accepts the pod. The stand-in never gets a policy from one.
func fetchPolicy(id, endpoint string) error {
	logInfo("openshell_sandbox", "Fetching sandbox policy via gRPC")
	wait := time.Second
	var err error
	for attempt := 1; ; attempt++ {
		err = connect(endpoint)
		if attempt == fetchAttempts {
			return errorf("Policy fetch failed after %d attempts: %w", fetchAttempts, err)
		}
		logWarning("openshell_sandbox", "Policy fetch failed, retrying")
		time.Sleep(wait)
		wait = min(2*wait, 4*time.Second)
	}
}

// connect asks for TLS files, then for the gateway, then for a token.
func connect(endpoint string) error {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" {
		return errorf("invalid gRPC endpoint")
	}
	if strings.HasPrefix(endpoint, "https://") {
		if err := checkTLSFiles(); err != nil {
			return err
		}
	}
	port := address.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[address.Scheme]
	}
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(address.Hostname(), port), 10*time.Second)
	if err != nil {
		return errorf("failed to connect to OpenShell server")
	}
	defer connection.Close()
	return checkToken()
}

func checkTLSFiles() error {
	files := []struct{ variable, what string }{
		{"OPENSHELL_TLS_CA", "CA cert"}, {"OPENSHELL_TLS_CERT", "client cert"}, {"OPENSHELL_TLS_KEY", "client key"},
	}
	for _, file := range files {
		if _, set := os.LookupEnv(file.variable); !set {
			return errorf("%s is required", file.variable)
		}
	}
	for _, file := range files {
		path := os.Getenv(file.variable)
		if _, err := os.ReadFile(path); err != nil {
			return errorf("failed to read %s from %s", file.what, path)
		}
	}
	return nil
}

func checkToken() error {
	if os.Getenv("OPENSHELL_SANDBOX_TOKEN") == "" {
		if path := os.Getenv("OPENSHELL_SANDBOX_TOKEN_FILE"); path != "" {
			if _, err := os.ReadFile(path); err != nil {
				return errorf("failed to read sandbox token from %s", path)
			}
		} else if path := os.Getenv("OPENSHELL_K8S_SA_TOKEN_FILE"); path != "" {
			if _, err := os.ReadFile(path); err != nil {
				return errorf("failed to read K8s SA token from %s", path)
			}
		} else {
			return errorf("no sandbox token source available — set one of OPENSHELL_SANDBOX_TOKEN, " +
				"OPENSHELL_SANDBOX_TOKEN_FILE, or OPENSHELL_K8S_SA_TOKEN_FILE")
		}
	}
	return errorf("the stand-in does not speak to gateways")
}

// checkUpstreamProxy checks the operator's options for the corporate proxy.
func checkUpstreamProxy(options options) error {
	invalid := func(format string, values ...any) error {
		return errorf("invalid upstream corporate proxy configuration: "+format, values...)
	}
	auxiliary := []string{
		"upstream-proxy-auth-file", "upstream-proxy-auth-allow-insecure", "upstream-proxy-connect-by-hostname", "upstream-no-proxy",
	}
	for _, name := range append([]string{"upstream-proxy"}, auxiliary...) {
		if value, given := options.get(name); given && !knownOptions[name].flag && strings.TrimSpace(value) == "" {
			return invalid("--%s must not be empty when set", name)
		}
	}
	if _, given := options.get("upstream-proxy"); !given {
		for _, name := range auxiliary {
			if _, given := options.get(name); given {
				return invalid("--%s is set but no upstream proxy is configured", name)
			}
		}
		return nil
	}
	file, hasFile := options.get("upstream-proxy-auth-file")
	_, allowed := options.get("upstream-proxy-auth-allow-insecure")
	switch {
	case allowed && !hasFile:
		return invalid("--upstream-proxy-auth-allow-insecure is set but no --upstream-proxy-auth-file is configured")
	case hasFile && !allowed:
		return invalid("--upstream-proxy-auth-file sends the credential as cleartext Basic auth over the plain-TCP proxy " +
			"connection; refusing without --upstream-proxy-auth-allow-insecure")
	case hasFile:
		if _, err := os.ReadFile(file); err != nil {
			return invalid("failed to open proxy auth file '%s': %w", file, systemError(err))
		}
	}
	return nil
}

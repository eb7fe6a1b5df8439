package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// policy holds the paths that the program may use. The identity of a policy counts for nothing: the variables replace it.
type policy struct {
	Filesystem struct {
		ReadOnly       []string `yaml:"read_only"`
		ReadWrite      []string `yaml:"read_write"`
		IncludeWorkdir *bool    `yaml:"include_workdir"`
	} `yaml:"filesystem_policy"`
	Landlock struct {
		Compatibility string `yaml:"compatibility"`
	} `yaml:"landlock"`
}

// Paths that every program gets besides the policy's, if they exist.
var (
	alwaysReadOnly  = []string{"/usr", "/lib", "/etc", "/app", "/var/log", "/proc", "/dev/urandom"}
	alwaysReadWrite = []string{"/tmp"}
)

// The values that switch off the rules for single programs.
var relaxedIdentity = []string{"relaxed", "disabled", "endpoint-only", "false", "0"}

// loadPolicy takes a pair of files before a gateway.
func loadPolicy(options options) (policy, error) {
	if rules, data, given := options.both("policy-rules", "policy-data"); given {
		return readPolicy(rules, data)
	}
	if id, endpoint, given := options.both("sandbox-id", "openshell-endpoint"); given {
		return policy{}, fetchPolicy(id, endpoint)
	}
	return policy{}, errorf(`Sandbox policy required. Provide one of:
- --policy-rules and --policy-data (or OPENSHELL_POLICY_RULES and OPENSHELL_POLICY_DATA env vars)
- --sandbox-id and --openshell-endpoint (or OPENSHELL_SANDBOX_ID and OPENSHELL_ENDPOINT env vars)`)
}

func readPolicy(rules, data string) (policy, error) {
	logEvent("CONFIG:LOADING", "INFO", "Loading OPA policy engine from local files [rules:"+rules+" data:"+data+"]")
	var result policy
	content, err := os.ReadFile(data)
	if err != nil {
		return result, errorf("failed to read YAML data from %s: %w", data, systemError(err))
	}
	if err := checkSyntax(rules); err != nil {
		return result, err
	}
	identity := os.Getenv("OPENSHELL_NETWORK_BINARY_IDENTITY")
	logEvent("CONFIG:CONFIGURED", "INFO", fmt.Sprintf(
		"OPA runtime binary identity mode configured [source:files require_binary_identity:%t] [source:files]",
		!slices.Contains(relaxedIdentity, identity)))
	var text string
	if yaml.Unmarshal(content, &text) == nil && text != "" {
		return result, errorf("failed to parse network middleware policy: invalid type: string %q, "+
			"expected struct MiddlewareValidationPolicyDef", text)
	}
	if err := yaml.Unmarshal(content, &result); err != nil {
		return result, errorf("failed to parse YAML data: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := checkRules(rules, startRules); err != nil {
		return result, err
	}
	result.addBaseline()
	return result, nil
}

func (p *policy) addBaseline() {
	for _, path := range alwaysReadOnly {
		if !slices.Contains(p.Filesystem.ReadOnly, path) && !slices.Contains(p.Filesystem.ReadWrite, path) && exists(path) {
			p.Filesystem.ReadOnly = append(p.Filesystem.ReadOnly, path)
		}
	}
	for _, path := range alwaysReadWrite {
		if !slices.Contains(p.Filesystem.ReadOnly, path) && !slices.Contains(p.Filesystem.ReadWrite, path) && exists(path) {
			p.Filesystem.ReadWrite = append(p.Filesystem.ReadWrite, path)
		}
	}
}

// writable returns the paths that the program may write to.
func (p *policy) writable(workdir string) []string {
	paths := slices.Clone(p.Filesystem.ReadWrite)
	include := p.Filesystem.IncludeWorkdir == nil || *p.Filesystem.IncludeWorkdir
	if include && workdir != "" && !slices.Contains(paths, workdir) {
		paths = append(paths, workdir)
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

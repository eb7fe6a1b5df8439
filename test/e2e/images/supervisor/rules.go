package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The rules that the supervisor asks for when it starts, and those that it asks for from 0.0.111 on, before its proxy
// listens. It asks for others only when a connection is made.
var (
	startRules = []string{"filesystem_policy", "landlock_policy", "process_policy"}
	proxyRules = []string{"policy_dns_eligible_endpoint_records"}
)

// checkSyntax finds the plain mistakes in Rego: no package, brackets or strings that do not end.
func checkSyntax(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return errorf("Failed to read %s. %w", file, systemError(err))
	}
	text := string(content)
	code, unfinished := withoutStrings(text)
	first := strings.TrimLeft(code, " \t\r\n")
	if !strings.HasPrefix(first, "package ") {
		return rulesError(file, text, len(code)-len(first), "expecting `package` Missing package declaration.")
	}
	if unfinished {
		return rulesError(file, text, len(text), "unmatched \"")
	}
	if strings.Count(code, "{") != strings.Count(code, "}") || strings.Count(code, "[") != strings.Count(code, "]") ||
		strings.Count(code, "(") != strings.Count(code, ")") {
		return rulesError(file, text, len(text), "expecting expression")
	}
	return nil
}

// checkRules looks for the rules that the supervisor asks for. Their values are taken to be those of the data.
func checkRules(file string, rules []string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return systemError(err)
	}
	code, _ := withoutStrings(string(content))
	if !regexp.MustCompile(`^package\s+openshell\.sandbox\s`).MatchString(strings.TrimLeft(code, " \t\r\n")) {
		return errorf("not a valid rule path")
	}
	for _, rule := range rules {
		if !regexp.MustCompile(`(?m)^(default )?` + rule + `\b`).MatchString(code) {
			return errorf("not a valid rule path")
		}
	}
	return nil
}

// withoutStrings blanks strings and comments, so that every other character keeps its place.
func withoutStrings(text string) (code string, unfinished bool) {
	result := []byte(text)
	var inside byte
	for i := 0; i < len(result); i++ {
		c := result[i]
		switch {
		case inside == 0 && (c == '"' || c == '`' || c == '#'):
			inside = c
			result[i] = ' '
		case inside == '#' && c == '\n', inside != 0 && inside != '#' && c == inside:
			inside = 0
			if c != '\n' {
				result[i] = ' '
			}
		case inside == '"' && c == '\\' && i+1 < len(result):
			result[i], result[i+1] = ' ', ' '
			i++
		case inside != 0 && c != '\n':
			result[i] = ' '
		}
	}
	return string(result), inside == '"' || inside == '`'
}

// rulesError points to a place in the file, as Rego's parsers do.
func rulesError(file, text string, offset int, message string) error {
	before := text[:offset]
	row := strings.Count(before, "\n") + 1
	column := offset - strings.LastIndex(before, "\n")
	lineText, _, _ := strings.Cut(text[offset-column+1:], "\n")
	number := fmt.Sprint(row)
	margin := strings.Repeat(" ", len(number))
	source := strings.TrimRight(number+" | "+lineText, " ")
	pointer := margin + " | " + strings.Repeat(" ", column-1) + "^"
	return errorf("\n--> %s:%d:%d\n%s |\n%s\n%s\nerror: %s", file, row, column, margin, source, pointer, message)
}

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"
)

// The columns that an error message gets, the frame before it included.
const messageWidth = 78

var breakable = regexp.MustCompile(`[ /]|[0-9A-Za-z]-`)

// exit ends this program with its error on standard error, framed and wrapped as by the real one.
func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	var lines []string
	for _, paragraph := range strings.Split(err.Error(), "\n") {
		lines = append(lines, wrap(paragraph, messageWidth-len("  × ")+1)...)
	}
	fmt.Fprintf(os.Stderr, "Error:   × %s\n\n", strings.Join(lines, "\n  │ "))
	os.Exit(1)
}

// wrap breaks a line after spaces, slashes, and hyphens within a word.
func wrap(text string, width int) []string {
	var lines []string
	current := ""
	for text != "" {
		word, rest := text, ""
		if end := breakable.FindStringIndex(text); end != nil {
			word, rest = text[:end[1]], text[end[1]:]
		}
		if current != "" && utf8.RuneCountInString(current)+utf8.RuneCountInString(strings.TrimRight(word, " ")) > width {
			lines = append(lines, strings.TrimRight(current, " "))
			current = ""
		}
		current += word
		text = rest
	}
	return append(lines, current)
}

// describe returns an error number in the words that Rust's standard library has for it.
func describe(errno syscall.Errno) string {
	text := errno.Error()
	return fmt.Sprintf("%s%s (os error %d)", strings.ToUpper(text[:1]), text[1:], int(errno))
}

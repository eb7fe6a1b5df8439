// Package uid reads the ranges of ids that OpenShift writes into annotations of namespaces.
package uid

import (
	"fmt"
	"strconv"
	"strings"
)

// Block is a range of ids, both ends included.
type Block struct {
	Start, End uint32
}

// ParseBlock reads "1000680000/10000" (start and size) or "1000680000-1000689999" (start and end).
func ParseBlock(in string) (Block, error) {
	sized := strings.Contains(in, "/")
	first, second, _ := strings.Cut(strings.Replace(in, "/", "-", 1), "-")
	start, err := strconv.ParseUint(first, 10, 32)
	if err != nil {
		return Block{}, fmt.Errorf("range %q: %w", in, err)
	}
	end, err := strconv.ParseUint(second, 10, 32)
	if err != nil {
		return Block{}, fmt.Errorf("range %q: %w", in, err)
	}
	if sized {
		end += start - 1
	}
	if end < start {
		return Block{}, fmt.Errorf("range %q is empty", in)
	}
	return Block{Start: uint32(start), End: uint32(end)}, nil
}

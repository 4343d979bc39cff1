package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// place is where something is written in a file. The zero place is nowhere.
type place struct{ line, column int }

// compare compares two places by their order in the file.
func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.line, other.line), cmp.Compare(p.column, other.column))
}

// places holds the place of each key and each list element of a file by its path,
// such as issuers[0].audiences[1].
type places map[string]place

// at returns the place of path. If the file has no such key, at returns the place
// of the mapping or the list where it would be.
func (p places) at(path string) place {
	for {
		if found, ok := p[path]; ok {
			return found
		}
		if path == "" {
			return place{1, 1}
		}
		path = parent(path)
	}
}

// find returns faults with their places.
func (p places) find(faults ...fault.Fault) []fileFault {
	all := make([]fileFault, len(faults))
	for i, f := range faults {
		all[i] = fileFault{p.at(f.Path), f}
	}
	return all
}

// parent returns the path of the mapping or the list that contains the value at
// path. If the last key is quoted, parent may return a part of the key, which is
// no path.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// contains reports whether the value at outer is or contains the one at path.
func contains(outer, path string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// fileFault is a fault with its place.
type fileFault struct {
	place
	fault.Fault
}

// fileError is all faults of one file.
type fileError struct {
	file   string
	faults []fileFault
}

// Error returns a line for each fault, in the order of the file:
// "FILE:LINE:COLUMN: path: problem; mend".
func (e *fileError) Error() string {
	ordered := slices.Clone(e.faults)
	slices.SortStableFunc(ordered, func(a, b fileFault) int { return a.compare(b.place) })
	lines := make([]string, len(ordered))
	for i, f := range ordered {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.file, f.line, f.column, sentence(f.Fault))
	}
	return strings.Join(lines, "\n")
}

// fileErrors is the errors of the configuration and of the key file.
type fileErrors []*fileError

func (e fileErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// count returns an error that says how many faults each file has.
func (e fileErrors) count() error {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = fmt.Sprintf("%d faults in %s", len(one.faults), one.file)
		if len(one.faults) == 1 {
			texts[i] = "1 fault in " + one.file
		}
	}
	return errors.New(strings.Join(texts, "\n"))
}

// sentence returns "path: problem; mend" in one line.
func sentence(f fault.Fault) string {
	text := f.Problem
	if f.Path != "" {
		text = f.Path + ": " + text
	}
	if f.Mend != "" {
		text += "; " + f.Mend
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

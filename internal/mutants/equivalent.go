package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// equivalents maps the keys of mutants that behave as the original does to the
// reason.
type equivalents map[string]string

// readEquivalents reads lines "room.function | what | reason", where the first
// two parts are a mutant's key as the summary prints it. Empty lines and lines
// that start with # are skipped; a file that does not exist lists nothing.
func readEquivalents(file string) (equivalents, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out := equivalents{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndex(line, " | ")
		if i < 0 || !strings.Contains(line[:i], " | ") || strings.TrimSpace(line[i+3:]) == "" {
			return nil, fmt.Errorf("%s:%d: want \"room.function | what | reason\"", file, n)
		}
		key := strings.TrimSpace(line[:i])
		if out[key] != "" {
			return nil, fmt.Errorf("%s:%d: listed before: %s", file, n, key)
		}
		out[key] = strings.TrimSpace(line[i+3:])
	}
	return out, nil
}

// stale returns the keys of the rooms given that no mutant has. With whole, all
// mutants were searched for, and every other key is stale too.
func (e equivalents) stale(all []mutant, rooms []string, whole bool) []string {
	known := map[string]bool{}
	for _, m := range all {
		known[m.key()] = true
	}
	var stale []string
	for key := range e {
		function, _, _ := strings.Cut(key, " | ")
		concerned := whole || slices.ContainsFunc(rooms, func(room string) bool {
			name, ok := strings.CutPrefix(function, room+".")
			return ok && !strings.Contains(name, "/")
		})
		if concerned && !known[key] {
			stale = append(stale, key)
		}
	}
	slices.Sort(stale)
	return stale
}

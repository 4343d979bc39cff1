package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// equivalents maps the keys of mutants that behave as the original does to the
// reason.
type equivalents map[string]string

// key names a mutant without its line, so that a list of them outlives edits.
func (m mutant) key() string { return path.Clean(m.file) + " | " + m.what }

// readEquivalents reads lines "file | what | reason", where what is as in the
// mutant's progress line. Empty lines and lines that start with # are skipped;
// a file that does not exist lists nothing.
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
			return nil, fmt.Errorf("%s:%d: want \"file | what | reason\"", file, n)
		}
		out[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+3:])
	}
	return out, nil
}

// without returns the listed keys of the packages given that no mutant has.
func (e equivalents) without(all []mutant, packages []string) []string {
	var stale []string
	for key := range e {
		file, _, _ := strings.Cut(key, " | ")
		concerned := slices.ContainsFunc(packages, func(p string) bool { return path.Clean(p) == path.Dir(file) })
		if concerned && !slices.ContainsFunc(all, func(m mutant) bool { return m.key() == key }) {
			stale = append(stale, key)
		}
	}
	slices.Sort(stale)
	return stale
}

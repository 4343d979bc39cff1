package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// state keeps verdicts in a file, one line each: verdict, digest of the room's
// files, and the mutant, separated by tabs. A nil state keeps nothing.
type state struct {
	mu      sync.Mutex
	file    *os.File
	digests map[string]string  // by room
	known   map[string]verdict // by digest and mutant
}

// openState reads the verdicts of a file and opens it for more.
func openState(file, dir string, rooms []string) (*state, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // a nil state is one that keeps nothing
	}
	s := &state{digests: map[string]string{}, known: map[string]verdict{}}
	for _, room := range rooms {
		digest, err := digestOf(filepath.Join(dir, filepath.FromSlash(room)))
		if err != nil {
			return nil, err
		}
		s.digests[room] = digest
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		v, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok && (v == string(killed) || v == string(timedOut) || v == string(notBuilt)) {
			s.known[rest] = verdict(v)
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	s.file, err = os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return s, err
}

// verdict returns what an earlier run found, unless the mutant survived then.
func (s *state) verdict(m mutant) (verdict, bool) {
	if s == nil {
		return "", false
	}
	v, ok := s.known[s.id(m)]
	return v, ok
}

// keep appends a verdict.
func (s *state) keep(m mutant, v verdict) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintf(s.file, "%s\t%s\n", v, s.id(m))
	return err
}

func (s *state) close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

func (s *state) id(m mutant) string { return s.digests[m.room()] + "\t" + m.String() }

// digestOf returns a digest of the files in a folder and in its testdata.
func digestOf(dir string) (string, error) {
	hash := sha256.New()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if filepath.Dir(rel) == "." && rel != "." && rel != "testdata" { // another room
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(name) //nolint:gosec // the folder is the user's own
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n%s", rel, len(text), text)
		return nil
	})
	return hex.EncodeToString(hash.Sum(nil)[:12]), err
}

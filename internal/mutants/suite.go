package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// suite is the tests of a package, built with all mutants in them.
type suite struct {
	folder string
	once   sync.Once
	err    error // of building and measuring it

	binary string
	tests  []measured // those that pass with the mutants built in, the fastest first
	unfit  []string   // the others, which pass without them
}

// measured is a test, example or fuzz target with its seeds.
type measured struct {
	name    string
	took    time.Duration
	reached map[string]bool // ids of mutants
}

// suite returns the tests of a folder. It builds and measures them when they
// are asked for first.
func (r *runner) suite(ctx context.Context, folder string) (*suite, error) {
	r.mu.Lock()
	s := r.suites[folder]
	if s == nil {
		s = &suite{folder: folder}
		r.suites[folder] = s
	}
	r.mu.Unlock()
	s.once.Do(func() { s.err = r.prepare(ctx, s) })
	return s, s.err
}

// prepare builds the binary of a suite and runs each of its tests.
func (r *runner) prepare(ctx context.Context, s *suite) error {
	s.binary = filepath.Join(r.tmp, strings.ReplaceAll(s.folder, "/", "-")+".test")
	out, err := r.goTool(ctx, "test", "-c", "-vet=off", "-overlay="+r.overlay, "-o", s.binary, "./"+s.folder)
	if err != nil {
		return fmt.Errorf("%s with its mutants: %w\n%s", s.folder, err, out)
	}
	if _, err := os.Stat(s.binary); err != nil {
		return nil //nolint:nilerr // a package without tests has no binary
	}
	_, out, err = r.runBinary(ctx, s, time.Minute, nil, "-test.list=.")
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(out) {
		name := strings.TrimSpace(line)
		if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names) // gate and gate_test may have tests of one name, which run together
	if err := r.measure(ctx, s, names); err != nil {
		return err
	}
	if len(s.unfit) == 0 {
		return nil
	}
	v, out, err := r.goTest(ctx, "", s.folder, s.unfit)
	if err == nil && v != survived {
		err = fmt.Errorf("tests of %s fail without a mutant:\n%s", s.folder, out)
	}
	return err
}

// measure runs the tests, each on its own.
func (r *runner) measure(ctx context.Context, s *suite, names []string) error {
	results := make([]measured, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { results[i], errs[i] = r.measureOne(ctx, s, name) })
	}
	wg.Wait()
	for _, test := range results {
		if test.reached == nil {
			s.unfit = append(s.unfit, test.name)
		} else {
			s.tests = append(s.tests, test)
		}
	}
	slices.SortStableFunc(s.tests, func(a, b measured) int { return int(a.took - b.took) })
	return errors.Join(errs...)
}

// measureOne runs a test. If it fails, reached is nil.
func (r *runner) measureOne(ctx context.Context, s *suite, name string) (measured, error) {
	file := filepath.Join(r.tmp, strings.ReplaceAll(s.folder, "/", "-")+"."+name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return measured{}, err
	}
	v, took, err := r.runTests(ctx, s, []string{name}, 10*time.Minute, reachedVariable+"="+file)
	if err != nil || v != survived {
		return measured{name: name}, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return measured{}, err
	}
	test := measured{name: name, took: took, reached: map[string]bool{}}
	for line := range strings.Lines(string(text)) {
		test.reached[strings.TrimSuffix(line, "\n")] = true
	}
	return test, os.Remove(file)
}

// judge runs the tests of a suite on a mutant.
func (r *runner) judge(ctx context.Context, s *suite, m mutant) (verdict, error) {
	if m.alone {
		return r.buildAlone(ctx, s, m, nil)
	}
	for _, batch := range s.batches(m) {
		var names []string
		var usual time.Duration
		for _, test := range batch {
			names = append(names, test.name)
			usual += test.took
		}
		v, _, err := r.runTests(ctx, s, names, r.limit(usual), activeVariable+"="+m.id())
		if err != nil || v != survived {
			return v, err
		}
	}
	if len(s.unfit) > 0 {
		return r.buildAlone(ctx, s, m, s.unfit)
	}
	return survived, nil
}

// batches returns the tests that reach a mutant, the fastest first. Each batch
// takes up to ten times as long as the one before, so that a mutant that a fast
// test kills does not wait for the slow ones.
func (s *suite) batches(m mutant) [][]measured {
	var out [][]measured
	var batch []measured
	var took time.Duration
	most := 100 * time.Millisecond
	for _, test := range s.tests {
		if !test.reached[m.id()] {
			continue
		}
		if len(batch) > 0 && took+test.took > most {
			out = append(out, batch)
			batch, took, most = nil, 0, 10*most
		}
		batch = append(batch, test)
		took += test.took
	}
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// limit returns the time limit of tests that usually take as long as given.
func (r *runner) limit(usual time.Duration) time.Duration {
	if r.timeout > 0 {
		return r.timeout
	}
	return max(10*usual, leastTimeout)
}

// runTests runs tests of a binary, and returns how long they took.
func (r *runner) runTests(ctx context.Context, s *suite, names []string, limit time.Duration, env string) (verdict, time.Duration, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return "", 0, ctx.Err()
	}
	start := time.Now()
	v, _, err := r.runBinary(ctx, s, limit, []string{env}, "-test.failfast", "-test.run=^("+strings.Join(names, "|")+")$")
	return v, time.Since(start), err
}

// runBinary runs a test binary in the folder of its package. The binary ends itself after
// limit, which it does not count before the first test begins. A binary that runs for
// twice as long is killed: it loops while its variables are initialized.
func (r *runner) runBinary(ctx context.Context, s *suite, limit time.Duration, env []string, args ...string) (verdict, string, error) {
	hard, cancel := context.WithTimeout(ctx, 2*limit) //nolint:mnd // twice
	defer cancel()
	cmd := exec.CommandContext(hard, s.binary, append(args, "-test.timeout="+limit.String())...)
	cmd.WaitDelay = time.Second
	cmd.Dir = filepath.Join(r.dir, filepath.FromSlash(s.folder))
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil && hard.Err() != nil && ctx.Err() == nil {
		return timedOut, string(out), nil
	}
	v, err := verdictOf(ctx, out, err)
	if err != nil {
		err = fmt.Errorf("tests of %s: %w\n%s", s.folder, err, out)
	}
	return v, string(out), err
}

// verdictOf returns what the end and the output of a test run say. An error
// means that the tests could not be run.
func verdictOf(ctx context.Context, out []byte, err error) (verdict, error) {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return survived, nil
	case !errors.As(err, &exit), exit.ExitCode() < 0: // ended by a signal
		return "", err
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return notBuilt, nil
	case bytes.Contains(out, []byte("panic: test timed out after ")):
		return timedOut, nil
	default:
		return killed, nil
	}
}

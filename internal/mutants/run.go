package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// verdict is what the tests said about a mutant.
type verdict string

const (
	killed   verdict = "killed"
	timedOut verdict = "killed by the time limit"
	survived verdict = "survived"
	notBuilt verdict = "not built" // it did not compile, so it says nothing about the tests
)

// leastTimeout is the least time limit for the tests of a package.
const leastTimeout = 10 * time.Second

// result is the verdict on one mutant.
type result struct {
	mutant  mutant
	verdict verdict
	took    time.Duration
	kept    bool // from an earlier run
}

// runner tests mutants.
type runner struct {
	dir      string
	timeout  time.Duration // 0: by what the tests usually take
	stdout   io.Writer
	allowed  equivalents
	state    *state
	total    int
	parallel int

	tmp     string        // folder of all that is built
	overlay string        // that builds all mutants in
	tests   []string      // folders whose tests judge what the own tests let pass
	slots   chan struct{} // one for each process that may run
	start   time.Time

	mu      sync.Mutex
	results []result
	suites  map[string]*suite // by folder
}

// build writes the instrumented files and sees that they compile. It marks the
// mutants of lines that do not.
func (r *runner) build(ctx context.Context, mutants []mutant, tests []string) error {
	r.suites = map[string]*suite{}
	r.slots = make(chan struct{}, r.parallel)
	var err error
	if r.tests, err = testFolders(ctx, r.dir, tests); err != nil {
		return err
	}
	if r.tmp, err = os.MkdirTemp("", "mutants"); err != nil {
		return err
	}
	if r.overlay, err = instrument(filepath.Join(r.tmp, "src"), r.dir, mutants); err != nil {
		return err
	}
	args := []string{"build", "-gcflags=-e", "-overlay=" + r.overlay}
	for _, m := range mutants {
		if own := "./" + m.room(); !slices.Contains(args, own) {
			args = append(args, own)
		}
	}
	out, err := r.goTool(ctx, args...)
	if err == nil {
		return nil
	}
	for i, m := range mutants {
		mutants[i].alone = strings.Contains(out, m.file+":"+strconv.Itoa(m.line)+":")
	}
	if r.overlay, err = instrument(filepath.Join(r.tmp, "src"), r.dir, mutants); err != nil {
		return err
	}
	if out, err = r.goTool(ctx, args...); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// clean removes what was built.
func (r *runner) clean() {
	_ = os.RemoveAll(r.tmp) // a left-over folder in the temporary folder harms nobody
}

// runAll tests the mutants, some at a time, and stops at the first that could
// not be tested.
func (r *runner) runAll(ctx context.Context, mutants []mutant) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.start = time.Now()
	queue := make(chan mutant)
	var wg sync.WaitGroup
	for range r.parallel {
		wg.Go(func() {
			for m := range queue {
				if err := r.one(ctx, m); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for _, m := range mutants {
		select {
		case queue <- m:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

// one tests a mutant, unless an earlier run did.
func (r *runner) one(ctx context.Context, m mutant) error {
	if v, ok := r.state.verdict(m); ok {
		r.note(result{mutant: m, verdict: v, kept: true})
		return nil
	}
	start := time.Now()
	v, err := r.test(ctx, m)
	if err != nil {
		return err
	}
	r.note(result{mutant: m, verdict: v, took: time.Since(start)})
	return r.state.keep(m, v)
}

// note stores a result and prints it.
func (r *runner) note(res result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, res)
	if res.kept {
		return
	}
	tried := 0
	for _, earlier := range r.results {
		if !earlier.kept {
			tried++
		}
	}
	left := time.Since(r.start) / time.Duration(tried) * time.Duration(r.total-len(r.results))
	fmt.Fprintf(r.stdout, "%d/%d (%s left) %s %s\n", len(r.results), r.total, left.Round(time.Second), res.verdict, res.mutant)
}

// test runs the tests of the mutant's own package, and if it survives and is
// not known to be equivalent, the others.
func (r *runner) test(ctx context.Context, m mutant) (verdict, error) {
	if m.broken {
		return notBuilt, nil
	}
	folders := []string{m.room()}
	if r.allowed[m.key()] == "" {
		folders = append(folders, slices.DeleteFunc(slices.Clone(r.tests), func(f string) bool { return f == m.room() })...)
	}
	for _, folder := range folders {
		s, err := r.suite(ctx, folder)
		if err != nil {
			return "", err
		}
		if v, err := r.judge(ctx, s, m); err != nil || v != survived {
			return v, err
		}
	}
	return survived, nil
}

// buildAlone builds a mutant without the others and runs the tests of a suite
// that are named, or all.
func (r *runner) buildAlone(ctx context.Context, s *suite, m mutant, names []string) (verdict, error) {
	tmp, err := os.MkdirTemp(r.tmp, "alone")
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(tmp, r.dir, m)
	if err != nil {
		return "", err
	}
	v, _, err := r.goTest(ctx, overlay, s.folder, names)
	return v, err
}

// writeOverlay writes the mutated file and the overlay that puts it in place
// of the original, and returns the overlay's name.
func writeOverlay(tmp, dir string, m mutant) (string, error) {
	original, err := filepath.Abs(filepath.Join(dir, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	mutated := filepath.Join(tmp, "mutated.go")
	overlay := filepath.Join(tmp, "overlay.json")
	config, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(mutated, m.source(), 0o600), os.WriteFile(overlay, config, 0o600))
}

// goTest builds and runs the tests of a folder that are named, or all.
func (r *runner) goTest(ctx context.Context, overlay, folder string, names []string) (verdict, string, error) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=" + max(r.timeout, 10*time.Minute).String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	if names != nil {
		args = append(args, "-run=^("+strings.Join(names, "|")+")$")
	}
	out, err := r.goTool(ctx, append(args, "./"+folder)...)
	v, noVerdict := verdictOf(ctx, []byte(out), err)
	if noVerdict == nil && v == killed && !strings.Contains(out, "FAIL") {
		noVerdict = err
	}
	if noVerdict != nil {
		return "", "", fmt.Errorf("go test ./%s: %w\n%s", folder, noVerdict, out)
	}
	return v, out, nil
}

// goTool runs the go tool.
func (r *runner) goTool(ctx context.Context, args ...string) (string, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// verdict is what the tests said about a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "survived"
	notBuilt verdict = "not built" // it did not compile, so it says nothing about the tests
)

// runner tests mutants.
type runner struct {
	dir     string
	tests   []string
	timeout time.Duration
	stdout  io.Writer
	total   int

	mu        sync.Mutex
	done      map[verdict]int
	survivors []mutant
}

// baseline sees that the tests pass without a mutant: otherwise they would
// kill every one.
func (r *runner) baseline(ctx context.Context, packages []string) error {
	v, out, err := r.goTest(ctx, "", append(slices.Clone(packages), r.tests...))
	if err == nil && v != survived {
		err = fmt.Errorf("the tests fail without a mutant:\n%s", out)
	}
	return err
}

// runAll tests the mutants, n at a time, and stops at the first that could not
// be tested.
func (r *runner) runAll(ctx context.Context, mutants []mutant, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.done = map[verdict]int{}
	queue := make(chan mutant)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for m := range queue {
				v, err := r.test(ctx, m)
				if err != nil {
					cancel(err)
					return
				}
				r.note(m, v)
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

func (r *runner) note(m mutant, v verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[v]++
	if v == survived {
		r.survivors = append(r.survivors, m)
	}
	fmt.Fprintf(r.stdout, "%d/%d %s %s\n", r.done[killed]+r.done[survived]+r.done[notBuilt], r.total, v, m)
}

// test runs the tests of the mutant's own package, and if it survives, the
// others.
func (r *runner) test(ctx context.Context, m mutant) (verdict, error) {
	tmp, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // a left-over folder in the temporary folder harms nobody

	overlay, err := writeOverlay(tmp, r.dir, m)
	if err != nil {
		return "", err
	}
	own := "./" + path.Dir(m.file)
	v, _, err := r.goTest(ctx, overlay, []string{own})
	if err != nil || v != survived {
		return v, err
	}
	rest := slices.DeleteFunc(slices.Clone(r.tests), func(p string) bool { return "./"+path.Clean(p) == own })
	if len(rest) == 0 {
		return survived, nil
	}
	v, _, err = r.goTest(ctx, overlay, rest)
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

// goTest runs tests. An error means that they could not be run.
func (r *runner) goTest(ctx context.Context, overlay string, packages []string) (verdict, string, error) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", r.timeout.String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case err == nil:
		return survived, string(out), nil
	case !errors.As(err, &exit):
		return "", "", err
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return notBuilt, string(out), nil
	case bytes.Contains(out, []byte("FAIL")):
		return killed, string(out), nil
	default:
		return "", "", fmt.Errorf("go test %s: %w\n%s", strings.Join(packages, " "), err, out)
	}
}

// summary prints the counts and the survivors, and returns the exit code.
func (r *runner) summary(allowed equivalents, stale []string) int {
	var unexpected []mutant
	for _, m := range r.survivors {
		if _, ok := allowed[m.key()]; !ok {
			unexpected = append(unexpected, m)
		}
	}
	slices.SortFunc(unexpected, func(a, b mutant) int {
		if a.file != b.file {
			return strings.Compare(a.file, b.file)
		}
		return a.start - b.start
	})
	fmt.Fprintf(r.stdout, "\n%d mutants, %d killed, %d survived (%d of them listed as equivalent), %d not built\n",
		r.total, r.done[killed], r.done[survived], r.done[survived]-len(unexpected), r.done[notBuilt])
	for _, m := range unexpected {
		fmt.Fprintf(r.stdout, "survived %s\n", m)
	}
	for _, key := range stale {
		fmt.Fprintf(r.stdout, "listed as equivalent, and there is no such mutant: %s\n", key)
	}
	if len(unexpected)+len(stale) > 0 {
		return 1
	}
	return 0
}

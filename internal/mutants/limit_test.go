package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestHardLimit checks that a test binary that does not end itself is killed, which counts as
// its time limit, and that the end of the command is none.
func TestHardLimit(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "loops")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, s := &runner{dir: dir}, &suite{binary: binary, folder: "."}
	if v, _, err := r.runBinary(t.Context(), s, 10*time.Millisecond, nil); v != timedOut || err != nil {
		t.Errorf("%q, %v, want %q", v, err, timedOut)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if v, _, err := r.runBinary(ctx, s, time.Minute, nil); v != "" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q, %v, want %v", v, err, context.DeadlineExceeded)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// everyRoom stands for all library packages of the module.
const everyRoom = "./..."

// expand returns the folders of the rooms. It replaces everyRoom by the
// packages of the module that are neither programs nor in skip.
func expand(ctx context.Context, dir string, rooms, skip []string) ([]string, error) {
	var out []string
	for _, room := range rooms {
		if room != everyRoom {
			out = append(out, path.Clean(filepath.ToSlash(room)))
			continue
		}
		listed, err := list(ctx, dir, `{{if and (ne .Name "main") .GoFiles}}{{.Dir}}{{end}}`, everyRoom)
		if err != nil {
			return nil, err
		}
		for _, name := range listed {
			if !slices.Contains(skip, name) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// testFolders returns the folders of the packages that match the patterns and
// have tests. Patterns whose folder does not exist are left out.
func testFolders(ctx context.Context, dir string, patterns []string) ([]string, error) {
	patterns = slices.DeleteFunc(patterns, func(pattern string) bool {
		info, err := os.Stat(filepath.Join(dir, strings.TrimSuffix(pattern, "/...")))
		return err != nil || !info.IsDir()
	})
	if len(patterns) == 0 {
		return nil, nil
	}
	return list(ctx, dir, "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}", patterns...)
}

// list runs go list with a format that prints the folder of a package or
// nothing. It returns the folders as slash-separated names, from dir.
func list(ctx context.Context, dir, format string, patterns ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-f", format}, patterns...)...)
	cmd.Dir = dir
	listed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	base, err := resolved(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(listed)) {
		rel, err := filepath.Rel(base, strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		out = append(out, filepath.ToSlash(rel))
	}
	return out, nil
}

// resolved returns the absolute name of a folder without symbolic links, as the
// go tool prints it.
func resolved(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

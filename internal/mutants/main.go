// Command mutants deletes the guards of a package one at a time and sees that
// some test fails: a check that can be deleted unnoticed is a check that no
// test asks for.
//
//	go run ./internal/mutants [flags] ./jose ./validator
//
// For each mutant it runs the tests of the mutant's own package, and if these
// pass, those that -tests names. It prints a line for each mutant and ends with
// those that survived. The exit code is 1 if one of them is not listed in
// equivalent.txt, and 2 if the tests could not be run or judged no mutant.
//
// Mutants go through the go tool's overlay: no file of the repository changes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, ".", os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command, with its working directory as an argument.
func run(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	tests := flags.String("tests", "./jose ./validator ./internal/differential/... ./cmd/sallyport/...",
		"packages whose tests judge a mutant that its own package's tests let pass; those that do not exist are left out")
	only := flags.String("run", "", "only mutants whose `file:line what` matches this expression")
	parallel := flags.Int("p", 2, "mutants tested at a time")
	timeout := flags.Duration("timeout", time.Minute, "time for one package's tests; running out of it kills the mutant")
	equivalents := flags.String("equivalent", "internal/mutants/equivalent.txt", "file of mutants that no test can tell from the original")
	list := flags.Bool("list", false, "print the mutants and run nothing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "mutants:", err)
		return 2
	}
	filter, err := regexp.Compile(*only)
	if err != nil {
		return fail(err)
	}
	all, err := findAll(dir, flags.Args())
	if err != nil {
		return fail(err)
	}
	allowed, err := readEquivalents(filepath.Join(dir, *equivalents))
	if err != nil {
		return fail(err)
	}
	stale := allowed.without(all, flags.Args())
	all = slices.DeleteFunc(all, func(m mutant) bool { return !filter.MatchString(m.String()) })
	if *list {
		for _, m := range all {
			fmt.Fprintln(stdout, m)
		}
		return 0
	}
	if len(all) == 0 {
		return fail(errors.New("no mutant is to be tested; see -list"))
	}
	r := runner{dir: dir, tests: existing(dir, strings.Fields(*tests)), timeout: *timeout, stdout: stdout, total: len(all)}
	if err := r.baseline(ctx, flags.Args()); err != nil {
		return fail(err)
	}
	if err := r.runAll(ctx, all, max(1, *parallel)); err != nil {
		return fail(err)
	}
	if r.done[notBuilt] == r.total {
		return fail(errors.New("no mutant was built, so that the tests judged none"))
	}
	return r.summary(allowed, stale)
}

// findAll finds the mutants of the packages in the folders given.
func findAll(dir string, packages []string) ([]mutant, error) {
	var all []mutant
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join(dir, pkg, "*.go"))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no Go files", pkg)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := find(path.Join(filepath.ToSlash(pkg), filepath.Base(file)), src)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// existing leaves out package patterns whose folder does not exist.
func existing(dir string, patterns []string) []string {
	return slices.DeleteFunc(patterns, func(pattern string) bool {
		info, err := os.Stat(filepath.Join(dir, strings.TrimSuffix(pattern, "/...")))
		return err != nil || !info.IsDir()
	})
}

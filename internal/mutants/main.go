// Command mutants deletes the guards of packages one at a time and sees that
// some test fails. A check that can be deleted unnoticed is a check that no
// test covers.
//
//	go run ./internal/mutants [flags] [room ...]
//
// A room is a folder such as ./jose. The default is ./..., which is every
// library package of the module.
//
// All mutants are built into the test binaries, and an environment variable says
// which one is active. Each test first runs on its own without a mutant. It must
// pass, and the mutants that it reaches are noted: those that would change what
// it does. A mutant is then judged by the tests of its own package that reach it,
// the fastest first. If these pass and the mutant is not listed in
// equivalent.txt, it is judged by the tests that -tests names. A mutant that no
// test reaches survives.
//
// Some tests pass without the mutants and fail when they are built in, since they
// count allocations. They run last, on a build of the mutant alone. So do all
// tests of a mutant that does not compile together with others.
//
// It prints a line for each mutant with the time left, and ends with the counts
// and the time of each room and the mutants that survived.
//
// With -state, verdicts are kept in a file. A run that was stopped goes on where
// it ended. A verdict counts as long as no file of its room changed; mutants that
// survived are always tried again.
//
// The exit code is 1 if a mutant survived that is not listed in equivalent.txt,
// or if an entry there matches no mutant or one that a test kills. It is 2 if not
// all mutants were tested, or if none was built.
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

// options are the flags of the command.
type options struct {
	tests, only, skip, equivalents, state string
	parallel                              int
	timeout                               time.Duration
	list                                  bool
	rooms                                 []string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.tests, "tests", "./internal/issuerkeys ./validator ./scopes ./middleware ./internal/differential/... ./cmd/sallyport/...",
		"packages whose tests judge a mutant that its own package's tests let pass; those that do not exist are left out")
	flags.StringVar(&o.only, "run", "", "only mutants whose `file:line what` matches this expression")
	flags.StringVar(&o.skip, "skip", "internal/archtest internal/issuertest internal/testkey internal/zero", "folders that "+everyRoom+" leaves out, since only tests use them")
	flags.IntVar(&o.parallel, "p", 2, "mutants tested at a time")
	flags.DurationVar(&o.timeout, "timeout", 0, "time for one package's tests; running out of it kills the mutant (default: 10 times what they take without a mutant, and at least 10s)")
	flags.StringVar(&o.equivalents, "equivalent", "internal/mutants/equivalent.txt", "file of mutants that no test can tell from the original")
	flags.StringVar(&o.state, "state", "", "file that keeps the verdicts, so that a stopped run goes on")
	flags.BoolVar(&o.list, "list", false, "print the mutants and run nothing")
	err := flags.Parse(args)
	o.rooms = flags.Args()
	if len(o.rooms) == 0 {
		o.rooms = []string{everyRoom}
	}
	return o, err
}

// run is the command, with its working directory as an argument.
func run(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	code, err := test(ctx, dir, o, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return 2
	}
	return code
}

// test tests the mutants that o asks for and returns the exit code.
func test(ctx context.Context, dir string, o options, stdout io.Writer) (code int, err error) {
	filter, err := regexp.Compile(o.only)
	if err != nil {
		return 0, err
	}
	whole := slices.Contains(o.rooms, everyRoom)
	rooms, err := expand(ctx, dir, o.rooms, strings.Fields(o.skip))
	if err != nil {
		return 0, err
	}
	all, err := findAll(dir, rooms)
	if err != nil {
		return 0, err
	}
	allowed, err := readEquivalents(filepath.Join(dir, o.equivalents))
	if err != nil {
		return 0, err
	}
	stale := allowed.stale(all, rooms, whole)
	all = slices.DeleteFunc(all, func(m mutant) bool { return !filter.MatchString(m.String()) })
	if o.list {
		for _, m := range all {
			fmt.Fprintf(stdout, "%s:%d: %s\n", m.file, m.line, m.key())
		}
		return 0, nil
	}
	if len(all) == 0 {
		return 0, errors.New("no mutant is to be tested; see -list")
	}
	kept, err := openState(o.state, dir, rooms)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, kept.close()) }()

	r := runner{
		dir: dir, timeout: o.timeout, stdout: stdout, allowed: allowed, state: kept, total: len(all), parallel: max(1, o.parallel),
	}
	if err := r.build(ctx, all, strings.Fields(o.tests)); err != nil {
		return 0, err
	}
	defer r.clean()
	if err := r.runAll(ctx, all); err != nil {
		r.summary(nil)
		return 0, fmt.Errorf("stopped after %d of %d mutants: %w", len(r.results), r.total, err)
	}
	if r.count("", notBuilt) == r.total {
		return 0, errors.New("no mutant was built, so that the tests judged none")
	}
	return r.summary(stale), nil
}

// findAll finds the mutants of the packages in the folders given.
func findAll(dir string, rooms []string) ([]mutant, error) {
	var all []mutant
	for _, room := range rooms {
		files, err := filepath.Glob(filepath.Join(dir, room, "*.go"))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no Go files", room)
		}
		repeats, numbers := map[string]int{}, 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := find(path.Join(room, filepath.Base(file)), src)
			if err != nil {
				return nil, err
			}
			for i := range found {
				found[i].number = numbers + i
				key := found[i].key()
				found[i].repeat = repeats[key]
				repeats[key]++
			}
			numbers += len(found)
			all = append(all, found...)
		}
	}
	return all, nil
}

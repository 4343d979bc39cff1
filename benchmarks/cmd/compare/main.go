// Command compare measures the cost of validating a token with Sallyport and with
// other libraries, in pairs with the floor.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

const usage = `Usage: compare [flags]

Measures the cost of validating a token with Sallyport and with other libraries,
in alternating pairs with the signature check of the standard library. Prints
tables, and writes latest.json, latest.md, latest.svg, samples.txt (for benchstat)
and the tables of docs/performance.md.
Run it on an idle machine: other programs widen the quartiles.

  go run ./benchmarks/cmd/compare          minutes; writes benchmarks/results
  go run ./benchmarks/cmd/compare -quick   under a minute; prints only

`

// Where a full run writes, from the root of the repository.
const (
	results = "benchmarks/results"
	page    = "docs/performance.md"
)

// retries is how often a step above its gate is measured again. A real loss shows
// every time; that of a busy machine does not.
const retries = 3

func main() {
	switch err := run(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	quick := flags.Bool("quick", false, "few pairs; writes no files unless -out is given")
	gate := flags.Bool("gate", false, "fail if Sallyport exceeds a gate, after up to 3 repetitions")
	out := flags.String("out", "", "`folder` for the files (default benchmarks/results, none with -quick and -only)")
	render := flags.Bool("render", false, "measure nothing, and write the pages from latest.json")
	only := flags.String("only", "", "measure the steps whose names match `regexp` (the progress shows the names); writes no files unless -out is given")
	pairs := flags.Int("pairs", 0, "pairs of each row at one CPU, instead of the default")
	block := flags.Duration("block", 0, "CPU time of one side of a pair, instead of the default")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; -help lists the flags", flags.Arg(0))
	}
	if *render {
		return renderPages(cmp.Or(*out, results))
	}
	options := benchmarks.Thorough()
	if *quick {
		options = benchmarks.Quick()
	} else if *out == "" && *only == "" {
		*out = results
	}
	if *only != "" {
		var err error
		if options.Only, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if *pairs < 0 || *block < 0 {
		return errors.New("-pairs and -block cannot be negative")
	}
	if *pairs > 0 {
		options.Pairs = *pairs
	}
	if *block > 0 {
		options.Block = *block
	}
	options.Progress = progress{time.Now()}
	measurement := benchmarks.NewMeasurement(options)
	if err := measurement.Run(); err != nil {
		return err
	}
	var excesses []benchmarks.Excess
	if *gate {
		var err error
		if excesses, err = insist(measurement); err != nil {
			return err
		}
		if names := measurement.Report.Ungated(); len(names) > 0 && *only == "" {
			return fmt.Errorf("no row of ours was measured for these gates: %q", names)
		}
	}
	report := &measurement.Report
	if err := report.WriteText(os.Stdout); err != nil {
		return err
	}
	if err := write(report, *out); err != nil {
		return err
	}
	for _, excess := range excesses {
		fmt.Println("GATE:", excess.What)
	}
	if len(excesses) > 0 {
		return fmt.Errorf("%d rows above their gates in %d further measurements; see the lines above, and whether the machine is busy", len(excesses), retries)
	}
	return nil
}

// write writes the files into dir, and the tables of the documentation if dir is the
// default. It writes nothing if dir is empty.
func write(report *benchmarks.Report, dir string) error {
	if dir == "" {
		return nil
	}
	if err := report.WriteFiles(dir); err != nil {
		return err
	}
	return writePage(report, dir)
}

func writePage(report *benchmarks.Report, dir string) error {
	if dir != results {
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("run it in the root of the repository, or give -out: %w", err)
	}
	text, err := report.Refresh(string(old))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

func renderPages(dir string) error {
	report, err := benchmarks.ReadReport(dir)
	if err != nil {
		return err
	}
	if err := report.WritePages(dir); err != nil {
		return err
	}
	return writePage(report, dir)
}

// insist repeats the steps above their gates, and returns those that still are.
func insist(m *benchmarks.Measurement) ([]benchmarks.Excess, error) {
	excesses := m.Report.Excesses()
	for range retries {
		again := make(map[string]bool)
		for _, excess := range excesses {
			if again[excess.Step] {
				continue
			}
			again[excess.Step] = true
			if err := m.Again(excess); err != nil {
				return nil, err
			}
		}
		excesses = m.Report.Excesses()
	}
	return excesses, nil
}

// progress writes lines with the time since the start.
type progress struct{ start time.Time }

func (p progress) Write(line []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%5.1f s  %s", time.Since(p.start).Seconds(), line)
}

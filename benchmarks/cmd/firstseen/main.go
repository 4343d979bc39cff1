// Command firstseen measures what judging a token costs that was not seen
// before, in pairs with the floor, and what refusing one costs.
//
//	go run ./benchmarks/cmd/firstseen            thorough, writes benchmarks/results
//	go run ./benchmarks/cmd/firstseen -quick     ten seconds, prints only
//	go run ./benchmarks/cmd/firstseen -gate      fails if a gate is not held
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/jose"
)

// retries is how often a row that exceeds its gate is measured again: a real
// loss stays, a busy machine does not.
const retries = 3

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	quick := flag.Bool("quick", false, "few pairs, ten seconds in all")
	gate := flag.Bool("gate", false, "fail if the cost of an algorithm exceeds its gate, after up to 3 repetitions")
	out := flag.String("out", "", "folder for latest.json and latest.md (default benchmarks/results, none with -quick)")
	pairs := flag.Int("pairs", 0, "pairs for each algorithm and subject")
	block := flag.Duration("block", 0, "CPU time of one side of a pair")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	options := benchmarks.Thorough()
	if *quick {
		options = benchmarks.Quick()
	} else if *out == "" {
		*out = "benchmarks/results"
	}
	if *pairs > 0 {
		options.Pairs = *pairs
	}
	if *block > 0 {
		options.Block = *block
	}
	start := time.Now()
	options.Progress = progress{start}
	report, err := benchmarks.FirstSeen(options)
	if err != nil {
		return err
	}
	var excesses []benchmarks.Excess
	if *gate {
		if excesses, err = insist(report, options); err != nil {
			return err
		}
	}
	if err := report.WriteText(os.Stdout); err != nil {
		return err
	}
	if *out != "" {
		if err := report.WriteFiles(*out); err != nil {
			return err
		}
	}
	for _, excess := range excesses {
		fmt.Println("GATE:", excess.What)
	}
	if len(excesses) > 0 {
		return fmt.Errorf("%d gates not held", len(excesses))
	}
	return nil
}

// insist measures again what exceeds its gate, and returns what still does.
func insist(report *benchmarks.Report, options benchmarks.Options) ([]benchmarks.Excess, error) {
	excesses := report.Excesses()
	for range retries {
		again := make(map[jose.Algorithm]bool)
		for _, excess := range excesses {
			again[excess.Algorithm] = true
		}
		for a := range again {
			if err := report.Remeasure(a, options); err != nil {
				return nil, err
			}
		}
		excesses = report.Excesses()
	}
	return excesses, nil
}

// progress writes lines with the time that passed.
type progress struct{ start time.Time }

func (p progress) Write(line []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%5.1f s  %s", time.Since(p.start).Seconds(), line)
}

// Command opaque measures what opaque tokens cost: a token that the issuer has to be asked
// about, and tokens with an answer in the cache while random tokens are presented.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

const usage = `Usage: opaque [flags]

Measures a token that has to be asked about, in CPU time beside a plain call of net/http
to the same server on a loopback address; and the time that tokens with an answer in the
cache take while random tokens are presented, beside the same without them.

  go run ./benchmarks/cmd/opaque

`

func main() {
	switch err := run(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "opaque:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("opaque", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	pairs := flags.Int("pairs", 101, "pairs of blocks for each client; 0 leaves the clients out")
	block := flags.Int("block", 50, "requests in a block")
	tokens := flags.Int("tokens", 1_000_000, "random tokens in all; 0 leaves them out")
	callers := flags.Int("callers", 1000, "callers that present random tokens at once")
	pause := flags.Duration("pause", 5*time.Millisecond, "between two tokens of such a caller")
	window := flags.Duration("window", time.Second, "how long random tokens are presented, and not presented, in turn")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *pairs > 0 {
		if err := misses(*pairs, *block); err != nil {
			return err
		}
	}
	if *tokens == 0 {
		return nil
	}
	return flood(benchmarks.Flood{Tokens: *tokens, Callers: *callers, Pause: *pause, Window: *window})
}

func misses(pairs, block int) error {
	all, err := benchmarks.Misses(pairs, block)
	if err != nil {
		return err
	}
	fmt.Printf("A token that has to be asked about: µs of CPU time with the server on loopback, and what is added to a plain call, medians of %d pairs [quartiles]\n", pairs)
	for _, m := range all {
		fmt.Printf("  %-32s %6.1f [%.1f–%.1f]   added %6.1f [%.1f–%.1f]\n", m.Name, m.Took.Median, m.Took.Q1, m.Took.Q3, m.Added.Median, m.Added.Q1, m.Added.Q3)
	}
	return nil
}

func flood(f benchmarks.Flood) error {
	r, err := f.Run()
	if err != nil {
		return err
	}
	fmt.Printf("Tokens in the cache with a flood of random tokens, over the same without: %d pairs of windows of %v, medians [quartiles]\n", r.Windows, f.Window)
	fmt.Printf("  p50 ratio %.2f [%.2f–%.2f]\n", r.P50.Median, r.P50.Q1, r.P50.Q3)
	fmt.Printf("  p99 ratio %.2f [%.2f–%.2f]: %.1f µs over %.1f µs\n", r.P99.Median, r.P99.Q1, r.P99.Q3, r.FloodP99.Median/1e3, r.QuietP99.Median/1e3)
	fmt.Printf("  %d random tokens: %d asked about in %d requests, at most %d at once; %d refused because too many wait\n",
		r.Inactive+r.Overloaded, r.Inactive, r.Requests, r.AtOnce, r.Overloaded)
	fmt.Printf("  heap %d kB before and %d kB after; %d and %d goroutines; %d uses of tokens in the cache, all accepted\n",
		r.Heap[0]>>10, r.Heap[1]>>10, r.Goroutines[0], r.Goroutines[1], r.Uses)
	return nil
}

// Command streams measures many open gRPC streams behind grpcauth: what they need while
// nothing happens, and what unary calls notice when all of them end at once.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

const usage = `Usage: streams [flags]

Opens gRPC streams over sockets on a loopback address, with client and server in this
process: without a gate, behind one whose key is forbidden then, and behind one whose
tokens expire together. Prints goroutines, memory and CPU time of open streams, when the
clients learn of the end, and how long unary calls on another connection take before the
end and while it lasts.

  go run ./benchmarks/cmd/streams                     about a minute
  go run ./benchmarks/cmd/streams -plot streams.svg   a picture of the expiry, too

`

func main() {
	switch err := run(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("streams", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	count := flags.Int("streams", 10_000, "streams that are open at once")
	seconds := flags.Float64("seconds", 5, "how long nothing happens, for the CPU time and for unary calls before the end")
	picture := flags.String("plot", "", "write an SVG of the expiry to `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *count < 1 || *seconds < 0.5 {
		return errors.New("-streams is at least 1, -seconds at least 0.5, and there are no arguments; -help lists the flags")
	}
	report, err := benchmarks.Streams{
		Count: *count, Quiet: time.Duration(*seconds * float64(time.Second)), Progress: progress{time.Now()},
	}.Run()
	if err != nil {
		return err
	}
	show(&report)
	if *picture == "" {
		return nil
	}
	svg, err := report.SVG()
	if err != nil {
		return err
	}
	return os.WriteFile(*picture, svg, 0o644)
}

func show(r *benchmarks.StreamsReport) {
	fmt.Printf("%d open gRPC streams, client and server in one process, %s, %d CPUs, %s, load averages before: %s\n",
		r.Count, r.Machine.CPU, r.Machine.CPUs, r.Machine.Go, r.Machine.Load)
	fmt.Printf("  %-12s %.2f goroutines, %5.0f bytes of heap, %5.0f bytes of stacks a stream; %.2f %% of a CPU while nothing happens\n",
		"no gate", r.Plain.Goroutines, r.Plain.Heap, r.Plain.Stacks, 100*r.Plain.CPU)
	fmt.Printf("  %-12s %.2f goroutines, %5.0f bytes of heap, %5.0f bytes of stacks a stream; %.2f %% of a CPU while nothing happens\n",
		"gate", r.Gated.Goroutines, r.Gated.Heap, r.Gated.Stacks, 100*r.Gated.CPU)
	fmt.Printf("  %-12s %+.2f goroutines, %+.0f bytes of heap, %+.0f bytes of stacks a stream; %+.2f %% of a CPU\n", "difference",
		r.Gated.Goroutines-r.Plain.Goroutines, r.Gated.Heap-r.Plain.Heap, r.Gated.Stacks-r.Plain.Stacks, 100*(r.Gated.CPU-r.Plain.CPU))
	showEnd("all tokens expire", &r.Expiry)
	showEnd("their key is forbidden", &r.Key)
}

func showEnd(what string, m *benchmarks.MassEnd) {
	fmt.Printf("%s: the clients have the status after %.2f s (first), %.2f s (median), %.2f s (last); codes %v; %.2f s of CPU time; %d goroutines left\n",
		what, m.First.Seconds(), m.Median.Seconds(), m.Last.Seconds(), m.Codes, m.CPU.Seconds(), m.Goroutines)
	for _, row := range []struct {
		name  string
		calls benchmarks.Latency
	}{{"before", m.Before}, {"meanwhile", m.During}} {
		fmt.Printf("  unary calls %-10s p50 %6.2f ms   p99 %6.2f ms   max %6.2f ms   (%d calls)\n", row.name, ms(row.calls.P50), ms(row.calls.P99), ms(row.calls.Max), row.calls.Calls)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// progress writes lines with the time since the start.
type progress struct{ start time.Time }

func (p progress) Write(line []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%5.1f s  %s", time.Since(p.start).Seconds(), line)
}

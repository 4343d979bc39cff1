// Command fleet simulates the processes of a service in virtual time, and prints how many
// requests a second they send to the issuer whose keys they fetch.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

const usage = `Usage: fleet [flags]

Simulates processes that fetch the keys of one issuer, in virtual time, with the code that
decides it in a real process. Prints the requests for the key set that arrive at the issuer,
in phases of each scenario:

  startup   all processes start at the same moment
  steady    the processes started at different times, and nothing happens
  rollout   a rolling deploy replaces all of them
  rotation  a key is published a TTL before its use, and later one at its first use
  flood     tokens with made-up kids arrive at all processes
  outage    the issuer fails, and comes back

  go run ./benchmarks/cmd/fleet                             all of them, about half a minute
  go run ./benchmarks/cmd/fleet -scenario steady,rotation -ttl 5m
  go run ./benchmarks/cmd/fleet -plot fleet.svg -json fleet.json

The same seed gives the same figures. Progress goes to standard error.

`

func main() {
	switch err := run(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// result is what -json writes.
type result struct {
	Command string                    `json:"command"`
	Fleet   string                    `json:"fleet"`
	Reports []*benchmarks.FleetReport `json:"scenarios"`
}

func run(args []string) error {
	fleet := benchmarks.DefaultFleet
	fleet.Progress = progress{time.Now()}
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&fleet.Replicas, "replicas", fleet.Replicas, "processes of the service")
	flags.DurationVar(&fleet.TTL, "ttl", fleet.TTL, "how long the issuer lets its key set be fresh (max-age)")
	flags.Uint64Var(&fleet.Seed, "seed", fleet.Seed, "of the random numbers")
	flags.BoolVar(&fleet.OnDemand, "ondemand", fleet.OnDemand, "the processes do not call Run, so requests cause the fetches")
	flags.Float64Var(&fleet.Traffic, "traffic", fleet.Traffic, "requests a second at each process")
	flags.DurationVar(&fleet.Lifetime, "lifetime", fleet.Lifetime, "of tokens; with -traffic it decides when the first token of a new key arrives")
	flags.DurationVar(&fleet.Latency, "latency", fleet.Latency, "from a request for the key set to its answer")
	flags.DurationVar(&fleet.Rollout, "rollout", fleet.Rollout, "how long the rolling deploy takes")
	flags.DurationVar(&fleet.Outage, "outage", fleet.Outage, "how long the outage lasts")
	flags.DurationVar(&fleet.Flood, "flood", fleet.Flood, "how long the flood lasts")
	flags.Float64Var(&fleet.Kids, "kids", fleet.Kids, "made-up kids a second in the flood, over all processes")
	names := flags.String("scenario", "all", "`names` separated by commas: "+strings.Join(benchmarks.FleetScenarios(), ", "))
	picture := flags.String("plot", "", "write an SVG with a panel for each scenario to `file`")
	data := flags.String("json", "", "write all figures, with the requests in each 10 s, to `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag; -help lists the flags", flags.Arg(0))
	}
	if *names == "all" {
		*names = strings.Join(benchmarks.FleetScenarios(), ",")
	}
	out := result{
		Command: strings.Join(append([]string{"go run ./benchmarks/cmd/fleet"}, args...), " "),
		Fleet:   fmt.Sprintf("%d processes, TTL %v, seed %d", fleet.Replicas, fleet.TTL, fleet.Seed),
	}
	fmt.Println(out.Fleet)
	for name := range strings.SplitSeq(*names, ",") {
		report, err := fleet.Run(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if err := report.WriteText(os.Stdout); err != nil {
			return err
		}
		out.Reports = append(out.Reports, report)
	}
	return out.write(*picture, *data)
}

// write writes the files that were asked for.
func (r *result) write(picture, data string) error {
	if picture != "" {
		svg, err := benchmarks.FleetSVG(r.Reports)
		if err != nil {
			return err
		}
		if err := os.WriteFile(picture, svg, 0o644); err != nil {
			return err
		}
	}
	if data == "" {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(data, append(text, '\n'), 0o644)
}

// progress writes lines with the time since the start.
type progress struct{ start time.Time }

func (p progress) Write(line []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%5.1f s  %s", time.Since(p.start).Seconds(), line)
}

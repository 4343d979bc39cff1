package benchmarks

import (
	"fmt"
	"io"
	"time"
)

// FleetReport is the result of simulating one scenario.
type FleetReport struct {
	Scenario string       `json:"scenario"`
	Title    string       `json:"title"`
	Phases   []FleetPhase `json:"phases"`
	Marks    []FleetMark  `json:"marks,omitempty"`
	Buckets  []int        `json:"requests_per_10_s"` // at the issuer, from the start on
}

// FleetPhase is what arrives at the issuer in a part of the time. Rates are requests a
// second.
type FleetPhase struct {
	Name     string  `json:"name"`
	From     float64 `json:"from_s"`
	To       float64 `json:"to_s"`
	Requests int     `json:"requests"`
	Mean     float64 `json:"mean_per_s"`
	Peak     float64 `json:"peak_10_s_per_s"` // in the busiest 10 s
	Second   int     `json:"peak_1_s"`        // in the busiest second
	Ratio    float64 `json:"peak_over_mean"`  // Peak over Mean
}

// FleetMark is a moment of a scenario.
type FleetMark struct {
	Name string  `json:"name"`
	At   float64 `json:"at_s"`
}

func (r *fleetRun) mark(name string, at time.Duration) {
	r.report.Marks = append(r.report.Marks, FleetMark{name, at.Seconds()})
}

// phase plans that the requests from one time to another are reported.
func (r *fleetRun) phase(name string, from, to time.Duration) {
	r.report.Phases = append(r.report.Phases, FleetPhase{Name: name, From: from.Seconds(), To: to.Seconds()})
}

// count sets the counts of the report.
func (r *fleetRun) count() {
	r.report.Buckets = sums(r.second[:int(r.end/time.Second)])
	for i := range r.report.Phases {
		p := &r.report.Phases[i]
		counts := r.second[int(p.From):int(p.To)]
		for _, n := range counts {
			p.Requests += int(n)
			p.Second = max(p.Second, int(n))
		}
		for _, n := range sums(counts) {
			p.Peak = max(p.Peak, float64(n)/FleetBucket.Seconds())
		}
		p.Mean = float64(p.Requests) / (p.To - p.From)
		if p.Mean > 0 {
			p.Ratio = p.Peak / p.Mean
		}
	}
}

// sums returns the sums of the counts of seconds over each bucket. The last bucket may
// be shorter.
func sums(counts []int32) []int {
	const width = int(FleetBucket / time.Second)
	all := make([]int, 0, len(counts)/width+1)
	for i, n := range counts {
		if i%width == 0 {
			all = append(all, 0)
		}
		all[len(all)-1] += int(n)
	}
	return all
}

// WriteText writes the report as a table.
func (r *FleetReport) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s: %s\n  %-42s %15s %10s %12s %10s %10s\n", r.Scenario, r.Title,
		"requests a second at the issuer", "minutes", "mean", "busiest 10 s", "over mean", "busiest s"); err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	for _, p := range r.Phases {
		if _, err := fmt.Fprintf(w, "  %-42s %7.1f–%7.1f %10.1f %12.1f %10.2f %10d\n", p.Name, p.From/60, p.To/60, p.Mean, p.Peak, p.Ratio, p.Second); err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
	}
	return nil
}

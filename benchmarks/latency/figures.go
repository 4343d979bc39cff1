package latency

import (
	"fmt"
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// Figure is a percentile of a report.
type Figure struct {
	Name    string
	Percent float64
}

// Figures are the percentiles of a report.
var Figures = []Figure{{"p50", 50}, {"p95", 95}, {"p99", 99}, {"p99.9", 99.9}}

// Row is one server at one load, over one protocol.
type Row struct {
	Protocol string  `json:"protocol"`
	Traffic  string  `json:"traffic"`
	Subject  string  `json:"subject"`
	Ours     bool    `json:"ours,omitempty"`
	Load     int     `json:"load"` // percent of the saturation; 0 if the rate was given
	Rate     float64 `json:"rate"` // requests that were due in a second

	// Percentiles are by the names of [Figures].
	Percentiles map[string]Percentile `json:"percentiles"`
	// CPU is the CPU time of the server in seconds for 1 000 requests; zero if it is not
	// known.
	CPU benchmarks.Quartiles `json:"cpuSecondsPer1000"`
	// Late is how late requests were sent, in microseconds: 99 % of a window were earlier.
	Late benchmarks.Quartiles `json:"lateMicros"`
	// Unanswered is the share of requests without an answer when the window and the time
	// to drain were over: the server cannot do this rate. Their latency counts as the time
	// until then.
	Unanswered float64  `json:"unanswered"`
	Failed     int      `json:"failed"` // requests with another answer than 200
	Windows    []Window `json:"windows"`
	// Histogram is the histogram of all windows in nanoseconds, as HdrHistogram V2.
	Histogram string `json:"histogram"`
}

// Percentile is one percentile over all windows of a row, in microseconds.
type Percentile struct {
	Micros benchmarks.Quartiles `json:"micros"`
	// Added and Ratio compare each window with that of the server without auth in the same
	// round.
	Added benchmarks.Quartiles `json:"addedMicros"`
	Ratio benchmarks.Quartiles `json:"ratio"`
}

// Window is one window of a row.
type Window struct {
	Micros     map[string]float64 `json:"micros"` // by the names of [Figures]
	CPU        float64            `json:"cpuSecondsPer1000"`
	Late       float64            `json:"lateMicros"`
	Requests   int                `json:"requests"`
	Unanswered int                `json:"unanswered"`
	Failed     int                `json:"failed"`

	histogram *hdrhistogram.Histogram
}

// newHistogram returns a histogram of nanoseconds with three significant digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(100, int64(10*time.Minute), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 100), h.HighestTrackableValue())) // in range
}

// newWindow returns the figures of samples. cpu is the CPU time of the server, or 0.
func newWindow(samples []sample, cpu time.Duration) Window {
	latencies, late := newHistogram(), newHistogram()
	w := Window{Requests: len(samples), Micros: make(map[string]float64, len(Figures)), histogram: latencies}
	for _, s := range samples {
		record(latencies, s.latency)
		record(late, s.late)
		switch s.status {
		case http.StatusOK:
		case 0:
			w.Unanswered++
		default:
			w.Failed++
		}
	}
	for _, f := range Figures {
		w.Micros[f.Name] = float64(latencies.ValueAtPercentile(f.Percent)) / 1e3
	}
	w.CPU = cpu.Seconds() / float64(len(samples)) * 1000
	w.Late = float64(late.ValueAtPercentile(99)) / 1e3
	return w
}

// sum fills in the figures of a row from its windows and those without auth.
func (r *Row) sum(base []Window) error {
	all := newHistogram()
	var cpu, late []float64
	requests, unanswered := 0, 0
	for i := range r.Windows {
		w := &r.Windows[i]
		all.Merge(w.histogram)
		cpu, late = append(cpu, w.CPU), append(late, w.Late)
		requests += w.Requests
		unanswered += w.Unanswered
		r.Failed += w.Failed
	}
	r.CPU, r.Late = benchmarks.QuartilesOf(cpu), benchmarks.QuartilesOf(late)
	r.Unanswered = float64(unanswered) / float64(max(1, requests))
	r.Percentiles = make(map[string]Percentile, len(Figures))
	for _, f := range Figures {
		var micros, added, ratio []float64
		for i, w := range r.Windows {
			m, b := w.Micros[f.Name], base[i].Micros[f.Name]
			micros, added, ratio = append(micros, m), append(added, m-b), append(ratio, m/b)
		}
		r.Percentiles[f.Name] = Percentile{benchmarks.QuartilesOf(micros), benchmarks.QuartilesOf(added), benchmarks.QuartilesOf(ratio)}
	}
	text, err := all.EncodeV2()
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	r.Histogram = string(text)
	return nil
}

// key names a row.
func (r *Row) key() string {
	return fmt.Sprintf("%s\n%s\n%s\n%d", r.Protocol, r.Traffic, r.Subject, r.Load)
}

// where names a row in words.
func (r *Row) where() string {
	if r.Load == 0 {
		return fmt.Sprintf("%s, %.0f requests/s, %s", r.Protocol, r.Rate, r.Subject)
	}
	return fmt.Sprintf("%s at %d %% of saturation (%.0f requests/s), %s", r.Protocol, r.Load, r.Rate, r.Subject)
}

// overloaded reports whether the server cannot do the rate.
func (r *Row) overloaded() bool { return r.Unanswered > 0.001 }

package benchmarks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Report is the outcome of [FirstSeen].
type Report struct {
	Time        time.Time    `json:"time"`
	Go          string       `json:"go"`
	Platform    string       `json:"platform"`
	CPUs        int          `json:"cpus"`
	Pairs       int          `json:"pairs"`
	BlockMillis int64        `json:"blockMillis"`
	Rows        []Row        `json:"firstSeen"`
	Scaling     []ScalingRow `json:"scaling"`
	Refusals    []RefusalRow `json:"refusals"`
}

// Row is one subject under one algorithm.
type Row struct {
	Comparison

	Algorithm        string      `json:"algorithm"`
	Subject          string      `json:"subject"`
	TokenBytes       int         `json:"tokenBytes"`
	FloorAllocations Allocations `json:"floorAllocations"`
	Allocations      Allocations `json:"allocations"`
}

// ScalingRow is the throughput of two goroutines over that of one.
type ScalingRow struct {
	Algorithm string    `json:"algorithm"`
	Subject   string    `json:"subject"`
	Factor    Quartiles `json:"factor"`
}

// RefusalRow is the cost of refusing one kind of token.
type RefusalRow struct {
	Name        string      `json:"name"`
	Reason      string      `json:"reason"`
	Early       bool        `json:"early"`
	Nanos       Quartiles   `json:"nanos"`
	Allocations Allocations `json:"allocations"`
}

// Excess is a gate that was not held.
type Excess struct {
	Algorithm jose.Algorithm
	What      string
}

// Excesses holds the rows of Sallyport against the gates.
func (r *Report) Excesses() []Excess {
	var all []Excess
	for _, row := range r.Rows {
		a, err := jose.ParseAlgorithm(row.Algorithm)
		if err != nil || row.Subject != Sallyport.Name {
			continue
		}
		if row.Ratio.Median > Gate(a) {
			all = append(all, Excess{a, fmt.Sprintf("%s costs %.3f × the floor; the gate is %.2f", a, row.Ratio.Median, Gate(a))})
		}
		if above := row.Allocations.Count - row.FloorAllocations.Count; above > gateFactor*AllocationBudget {
			all = append(all, Excess{a, fmt.Sprintf("%s makes %.0f allocations above the floor's; the gate is %d", a, above, gateFactor*AllocationBudget)})
		}
	}
	return all
}

// table is rows of cells under a heading.
type table struct {
	heading []string
	rows    [][]string
}

func (r *Report) firstSeenTable() table {
	t := table{heading: []string{"algorithm", "subject", "floor µs", "subject µs", "ratio [q1–q3]", "allocs floor / subject", "bytes", "budget", "gate"}}
	for _, row := range r.Rows {
		budget, gate := "", ""
		if a, err := jose.ParseAlgorithm(row.Algorithm); err == nil && row.Subject == Sallyport.Name {
			budget = fmt.Sprintf("%.2f, +%d", Budgets[a], AllocationBudget)
			gate = fmt.Sprintf("%.2f, +%d", Gate(a), gateFactor*AllocationBudget)
		}
		t.rows = append(t.rows, []string{
			row.Algorithm, row.Subject, micros(row.FloorNanos), micros(row.SubjectNanos), spread(row.Ratio, "%.3f"),
			fmt.Sprintf("%.0f / %.0f", row.FloorAllocations.Count, row.Allocations.Count),
			fmt.Sprintf("%.0f", row.Allocations.Bytes), budget, gate,
		})
	}
	return t
}

func (r *Report) scalingTable() table {
	t := table{heading: []string{"algorithm", "subject", "throughput at 2 CPUs / 1 CPU [q1–q3]", "budget"}}
	for _, row := range r.Scaling {
		budget := ""
		if row.Subject == Sallyport.Name {
			budget = "1.9"
		}
		t.rows = append(t.rows, []string{row.Algorithm, row.Subject, spread(row.Factor, "%.2f"), budget})
	}
	return t
}

func (r *Report) refusalTable() table {
	t := table{heading: []string{"refused token", "reason", "µs [q1–q3]", "allocs", "bytes", "budget µs"}}
	for _, row := range r.Refusals {
		budget := ""
		if row.Early {
			budget = "3"
		}
		scaled := Quartiles{row.Nanos.Q1 / 1e3, row.Nanos.Median / 1e3, row.Nanos.Q3 / 1e3}
		t.rows = append(t.rows, []string{
			row.Name, row.Reason, spread(scaled, "%.2f"),
			fmt.Sprintf("%.0f", row.Allocations.Count), fmt.Sprintf("%.0f", row.Allocations.Bytes), budget,
		})
	}
	return t
}

func micros(nanos float64) string { return fmt.Sprintf("%.1f", nanos/1e3) }

// spread writes the median and, in brackets, the outer quartiles.
func spread(q Quartiles, format string) string {
	return fmt.Sprintf(format+" ["+format+"–"+format+"]", q.Median, q.Q1, q.Q3)
}

func (r *Report) tables() []table {
	return []table{r.firstSeenTable(), r.scalingTable(), r.refusalTable()}
}

// WriteText writes aligned tables.
func (r *Report) WriteText(w io.Writer) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range r.tables() {
		fmt.Fprintln(tabs)
		for _, row := range append([][]string{t.heading}, t.rows...) {
			fmt.Fprintln(tabs, strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
		if err := tabs.Flush(); err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
	}
	return nil
}

// Markdown is the report for reading.
func (r *Report) Markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# First-seen tokens\n\nMeasured %s with %s on %s, %d CPUs: %d pairs of %d ms each, CPU time, median and quartiles.\n",
		r.Time.Format("2006-01-02 15:04 MST"), r.Go, r.Platform, r.CPUs, r.Pairs, r.BlockMillis)
	b.WriteString("The floor is the standard library's hash and signature check on the token already split and decoded.\n")
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n| %s |\n|%s\n", strings.Join(t.heading, " | "), strings.Repeat("---|", len(t.heading)))
		for _, row := range t.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
	}
	b.WriteString("\nWhat the subjects check:\n\n")
	for _, subject := range Subjects {
		fmt.Fprintf(&b, "- %s: %s\n", subject.Name, subject.Checks)
	}
	return b.Bytes()
}

// WriteFiles writes latest.json and latest.md into dir, which it makes.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	for name, content := range map[string][]byte{"latest.json": append(data, '\n'), "latest.md": r.Markdown()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
	}
	return nil
}

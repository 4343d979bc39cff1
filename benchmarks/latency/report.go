package latency

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// Report is the result of a [Measurement].
type Report struct {
	Time       time.Time           `json:"time"`
	Machine    benchmarks.Machine  `json:"machine"`
	Modules    []benchmarks.Module `json:"modules"`
	Options    Options             `json:"options"`
	Saturation []Saturation        `json:"saturation"`
	Rows       []Row               `json:"rows"`
	// Faults is a measurement of its own, which may be of another day.
	Faults *FaultReport `json:"faults,omitempty"`
}

// Saturation is how many requests a second the server without auth answers.
type Saturation struct {
	Protocol string               `json:"protocol"`
	Rate     benchmarks.Quartiles `json:"rate"`
}

// put adds a row, or replaces the row with the same name.
func (r *Report) put(row Row) {
	for i := range r.Rows {
		if r.Rows[i].key() == row.key() {
			r.Rows[i] = row
			return
		}
	}
	r.Rows = append(r.Rows, row)
}

// Keep takes over from an older report what r did not measure: loads or faults. With rows,
// it takes over the rows that r did not measure too.
func (r *Report) Keep(old *Report, rows bool) {
	if r.Faults == nil {
		r.Faults = old.Faults
	} else if rows && old.Faults != nil {
		added := r.Faults.Rows
		r.Faults.Rows = slices.DeleteFunc(old.Faults.Rows, func(row FaultRow) bool {
			return slices.ContainsFunc(added, func(other FaultRow) bool { return other.Name == row.Name && other.Protocol == row.Protocol })
		})
		r.Faults.Rows = append(r.Faults.Rows, added...)
	}
	if len(r.Rows) == 0 {
		r.Time, r.Machine, r.Options, r.Saturation, r.Rows = old.Time, old.Machine, old.Options, old.Saturation, old.Rows
		return
	}
	if !rows {
		return
	}
	added, saturation := r.Rows, r.Saturation
	r.Rows = old.Rows
	for _, row := range added {
		r.put(row)
	}
	r.Saturation = slices.DeleteFunc(old.Saturation, func(s Saturation) bool {
		return slices.ContainsFunc(saturation, func(other Saturation) bool { return other.Protocol == s.Protocol })
	})
	r.Saturation = append(r.Saturation, saturation...)
}

// The files of a report.
const (
	jsonFile = "p95.json"
	pageFile = "p95.md"
	htmlFile = "report.html"
)

// ReadReport reads the report that was written into dir.
func ReadReport(dir string) (*Report, error) {
	text, err := os.ReadFile(filepath.Join(dir, jsonFile))
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("latency: %s: %w", jsonFile, err)
	}
	return &r, nil
}

// WriteFiles writes the report into dir: for programs, and the pages and plots.
func (r *Report) WriteFiles(dir string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, jsonFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	return r.WritePages(dir)
}

// WritePages writes the pages and plots into dir. The page in HTML has the plots of other
// reports in dir, too.
func (r *Report) WritePages(dir string) error {
	files := map[string][]byte{pageFile: []byte(r.Markdown())}
	plots := r.plots()
	for _, p := range plots {
		svg, err := p.svg()
		if err != nil {
			return err
		}
		files[p.file] = svg
	}
	page, err := r.html(dir, plots, files)
	if err != nil {
		return err
	}
	files[htmlFile] = page
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
	}
	return nil
}

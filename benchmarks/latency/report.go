package latency

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// The files of a report.
const (
	jsonFile = "p95.json"
	pageFile = "p95.md"
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

// WritePages writes the pages and plots into dir.
func (r *Report) WritePages(dir string) error {
	files := map[string][]byte{pageFile: []byte(r.Markdown())}
	for _, p := range r.plots() {
		svg, err := p.svg()
		if err != nil {
			return err
		}
		files[p.file] = svg
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
	}
	return nil
}

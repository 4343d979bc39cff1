package benchmarks

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Report is the result of a [Measurement].
type Report struct {
	Time     time.Time `json:"time"`
	Machine  Machine   `json:"machine"`
	Modules  []Module  `json:"modules"`
	Options  Options   `json:"options"`
	Subjects []Info    `json:"subjects"`

	FirstSeen  []Row        `json:"firstSeen"`  // as ratios to the floor
	Throughput []ScalingRow `json:"throughput"` // of tokens not seen before
	Layers     []Row        `json:"layers"`     // as ratios to the floor
	Rejects    []Row        `json:"rejects"`    // as ratios to the floor of a good token
	Refusals   []RefusalRow `json:"refusals"`   // of Sallyport, all kinds

	Repeat           []Row        `json:"repeat"` // as ratios to SHA-256 of the tokens
	RepeatThroughput []ScalingRow `json:"repeatThroughput"`

	Observed     []ObservedRow `json:"observed,omitempty"` // by hooks
	Calls        []CallRow     `json:"calls"`              // of gRPC
	Interceptors []Info        `json:"interceptors"`
}

// Info describes a subject.
type Info struct {
	Name    string `json:"name"`
	Module  string `json:"module,omitempty"`
	Version string `json:"version,omitempty"`
	Checks  string `json:"checks"`
	Adapter string `json:"adapter,omitempty"`
}

func describe(s Subject, modules []Module) Info {
	info := Info{Name: s.Name, Module: s.Module, Checks: s.Checks, Adapter: s.Adapter}
	for _, m := range modules {
		if m.Path == s.Module {
			info.Version = m.Version
		}
	}
	return info
}

// Row is the cost of one subject in one case at a number of CPUs.
type Row struct {
	Comparison

	Case             string      `json:"case"`
	Subject          string      `json:"subject"`
	Ours             bool        `json:"ours"`
	Repeat           bool        `json:"repeat,omitempty"` // the tokens were seen before
	CPUs             int         `json:"cpus"`
	TokenBytes       int         `json:"tokenBytes"`
	FloorAllocations Allocations `json:"floorAllocations"`
	Allocations      Allocations `json:"allocations"`
}

// Names in rows of throughput of what subjects are compared with.
const (
	floorName  = "floor"
	digestName = "SHA-256"
)

// ScalingRow is the throughput of two CPUs as a ratio to that of one.
type ScalingRow struct {
	Case    string    `json:"case"`
	Subject string    `json:"subject"`
	Ours    bool      `json:"ours"`
	Factor  Quartiles `json:"factor"`
}

// RefusalRow is the cost of refusing one kind of token.
type RefusalRow struct {
	Name        string      `json:"name"`
	Reason      string      `json:"reason"`
	Early       bool        `json:"early"`
	Slow        string      `json:"slow,omitempty"` // why it may take longer than other early ones
	Nanos       Quartiles   `json:"nanos"`
	Allocations Allocations `json:"allocations"`
}

func (r Row) key() string        { return fmt.Sprintf("%s\n%s\n%d", r.Case, r.Subject, r.CPUs) }
func (r ScalingRow) key() string { return r.Case + "\n" + r.Subject }
func (r RefusalRow) key() string { return r.Name }

// put adds a row, or replaces the row with the same name.
func put[R interface{ key() string }](rows *[]R, row R) {
	for i := range *rows {
		if (*rows)[i].key() == row.key() {
			(*rows)[i] = row
			return
		}
	}
	*rows = append(*rows, row)
}

// find returns the row of a subject, if there is one.
func find(rows []Row, c, subject string, cpus int) (Row, bool) {
	for _, row := range rows {
		if row.Case == c && row.Subject == subject && row.CPUs == cpus {
			return row, true
		}
	}
	return Row{}, false
}

// Budgets are the highest ratios to the floor for tokens that were not seen before.
var Budgets = map[jose.Algorithm]float64{jose.RS256: 1.08, jose.PS256: 1.08, jose.ES256: 1.05, jose.EdDSA: 1.05}

// Further budgets. Throughput is a ratio of two CPUs to one.
const (
	AllocationBudget       = 8 // for a token not seen before, besides those of the floor
	ThroughputBudget       = 1.9
	EarlyBudget            = 3 * time.Microsecond // for a refusal before the signature check
	RepeatBudget           = 1.8                  // for a token seen before, as a ratio to SHA-256
	RepeatAllocationBudget = 2
	RepeatThroughputBudget = 1.8
	CallBudget             = 2 * time.Microsecond // that a token seen before adds to a gRPC call
	CallAllocationBudget   = 6                    // for the same
)

// A gate must not fail because of noise, so it is twice the budget.
const (
	gateFactor              = 2
	firstSeenAllocationGate = gateFactor * AllocationBudget
	repeatGate              = gateFactor * RepeatBudget
	callDirectGate          = 6   // for a repeat token, as a ratio to SHA-256; 2 µs are about 3
	callGate                = 1.3 // for the same, as a ratio to a call without interceptor; 2 µs are about 1.03
)

// Gate returns the ratio to the floor above which [Report.Excesses] reports a row. It
// allows twice as much above the floor as the budget.
func Gate(a jose.Algorithm) float64 { return 1 + gateFactor*(Budgets[a]-1) }

// Excess is a row of ours above its gate.
type Excess struct {
	Step string // that measures it again
	What string
}

// Excesses returns our rows that are above their gates.
func (r *Report) Excesses() []Excess {
	var all []Excess
	for _, row := range r.FirstSeen {
		a, err := jose.ParseAlgorithm(row.Case)
		if err != nil || !row.Ours || row.CPUs != 1 {
			continue
		}
		step := stepName(firstSeen, row.Case, row.Subject)
		if row.Ratio.Median > Gate(a) {
			all = append(all, Excess{step, fmt.Sprintf("%s costs %.3f × the floor; the gate is %.2f", step, row.Ratio.Median, Gate(a))})
		}
		if above := row.Allocations.Count - row.FloorAllocations.Count; above > firstSeenAllocationGate {
			all = append(all, Excess{step, fmt.Sprintf("%s makes %.0f allocations above the floor's; the gate is %d", step, above, firstSeenAllocationGate)})
		}
	}
	for _, row := range r.Repeat {
		if !row.Ours || row.CPUs != 1 {
			continue
		}
		step := stepName(repeat, row.Case, row.Subject)
		if row.Ratio.Median > repeatGate {
			all = append(all, Excess{step, fmt.Sprintf("%s costs %.2f × SHA-256 of the token; the gate is %.1f", step, row.Ratio.Median, repeatGate)})
		}
		if row.Allocations.Count > RepeatAllocationBudget {
			all = append(all, Excess{step, fmt.Sprintf("%s makes %.0f allocations; the gate is %d", step, row.Allocations.Count, RepeatAllocationBudget)})
		}
	}
	return slices.Concat(all, r.callExcesses(), r.observedExcesses())
}

// Ungated returns the names of the gates for which no row of ours was measured, so
// that [Report.Excesses] says nothing about them.
func (r *Report) Ungated() []string {
	measured := func(rows []Row, c string) bool {
		return slices.ContainsFunc(rows, func(row Row) bool {
			return row.Ours && row.CPUs == 1 && (c == "" || row.Case == c) && row.Ratio.Median > 0
		})
	}
	var names []string
	for a := range Budgets {
		if !measured(r.FirstSeen, a.String()) {
			names = append(names, firstSeen+": "+a.String())
		}
	}
	slices.Sort(names)
	if !measured(r.Repeat, "") {
		names = append(names, repeat)
	}
	if !slices.ContainsFunc(r.Calls, func(row CallRow) bool { return row.Ours && row.Repeat && row.Call.Ratio.Median > 0 }) {
		names = append(names, grpcCall)
	}
	return names
}

// WriteSamples writes a line for each pair in the format of Go benchmarks, for
// benchstat.
func (r *Report) WriteSamples(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/sallyport-auth/sallyport/benchmarks\ncpu: %s\n", r.Machine.OS, r.Machine.Arch, r.Machine.CPU)
	for _, group := range []struct {
		name, cases string
		rows        []Row
	}{{"FirstSeen", "alg", r.FirstSeen}, {"Layer", "alg", r.Layers}, {"Reject", "token", r.Rejects}, {"Repeat", "tokens", r.Repeat}} {
		for _, row := range group.rows {
			for _, nanos := range row.samples {
				fmt.Fprintf(&b, "Benchmark%s/%s=%s/by=%s-%d\t1\t%.1f ns/op\t%.0f B/op\t%.0f allocs/op\n",
					group.name, group.cases, slug(row.Case), slug(row.Subject), row.CPUs, nanos, row.Allocations.Bytes, row.Allocations.Count)
			}
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	return nil
}

// slug returns name in a form that the name of a benchmark can contain.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.'
		return !letter
	}), "_")
}

// WriteFiles makes dir and writes latest.json, samples.txt and the pages into it.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("benchmarks: the folder for results; name another one with -out: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	var samples strings.Builder
	if err := r.WriteSamples(&samples); err != nil {
		return err
	}
	if err := writeFile(dir, reportFile, append(data, '\n')); err != nil {
		return err
	}
	if err := writeFile(dir, "samples.txt", []byte(samples.String())); err != nil {
		return err
	}
	return r.WritePages(dir)
}

const reportFile = "latest.json"

// WritePages writes latest.md and latest.svg into dir.
func (r *Report) WritePages(dir string) error {
	picture, err := r.SVG()
	if err != nil {
		return err
	}
	if err := writeFile(dir, "latest.svg", picture); err != nil {
		return err
	}
	return writeFile(dir, "latest.md", r.Markdown())
}

func writeFile(dir, name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	return nil
}

// ReadReport returns the report that [Report.WriteFiles] wrote into dir, without its
// samples.
func ReadReport(dir string) (*Report, error) {
	data, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		return nil, fmt.Errorf("benchmarks: no earlier run to read; make bench makes one: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("benchmarks: %s: %w", reportFile, err)
	}
	return r, nil
}

package benchmarks

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sallyport-auth/sallyport/jose"
)

// table is rows of cells under a heading.
type table struct {
	title   string
	about   string
	heading []string
	rows    [][]string
}

// Marks of cells.
const (
	overBudget = " ‡" // ours and over its budget
	beatsUs    = " †" // costs less than ours, with quartiles that do not meet
)

func (r *Report) tables() []table {
	all := []table{r.firstSeenTable(1), r.firstSeenTable(2), r.rejectTable(), r.layerTable(), r.repeatTable(), r.observedTable(), r.callTable(), r.refusalTable()}
	return slices.DeleteFunc(all, func(t table) bool { return len(t.rows) == 0 })
}

// cell returns the ratio of a row with its marks, or a dash if it was not measured.
func (r *Report) cell(rows []Row, c, subject string, cpus int) string {
	row, ok := find(rows, c, subject, cpus)
	if !ok {
		return "–"
	}
	format := "%.2f"
	if row.Ratio.Median < 0.1 {
		format = "%.3f"
	}
	text := spread(row.Ratio, format)
	if budget, ok := row.budget(); ok && row.Ratio.Median > budget {
		text += overBudget
	}
	if r.beaten(rows, row) {
		text += beatsUs
	}
	return text
}

// budget returns the ratio that a row must not exceed.
func (r Row) budget() (ratio float64, ok bool) {
	if !r.Ours {
		return 0, false
	}
	a, err := jose.ParseAlgorithm(r.Case)
	if err != nil {
		return 0, false
	}
	return Budgets[a], true
}

// beaten reports whether a row costs less than that of Sallyport in the same case,
// with quartiles that do not meet.
func (r *Report) beaten(rows []Row, row Row) bool {
	ours, ok := find(rows, row.Case, Subjects[0].Name, row.CPUs)
	return ok && !row.Ours && row.Ratio.Q3 < ours.Ratio.Q1
}

// subjectsByRatio returns the subjects of a case, the cheapest first.
func subjectsByRatio(rows []Row, c string, cpus int) []Row {
	var some []Row
	for _, row := range rows {
		if row.Case == c && row.CPUs == cpus {
			some = append(some, row)
		}
	}
	slices.SortStableFunc(some, func(a, b Row) int { return cmp.Compare(a.Ratio.Median, b.Ratio.Median) })
	return some
}

func (r *Report) firstSeenTable(cpus int) table {
	t := table{
		title:   "First-seen tokens, one CPU",
		about:   "Ratio to the floor: median of the pairs [quartiles]. Budget: RS256, PS256 1.08, ES256, EdDSA 1.05, 8 allocations above the floor's.",
		heading: []string{"", "RS256", "PS256", "ES256", "EdDSA", "allocations RS256", "bytes RS256"},
	}
	if cpus == 2 {
		t.title = "First-seen tokens, two CPUs"
		t.about = "As above, both sides of a pair with two goroutines on two CPUs; and the throughput at two CPUs over that at one, by the clock on the wall (where the floor itself gains less than 1.9, the machine was busy, and the column says nothing). Budget: 1.9."
		t.heading = append(t.heading[:5:5], "throughput RS256")
	}
	first := jose.RS256.String()
	sorted := subjectsByRatio(r.FirstSeen, first, cpus)
	if len(sorted) == 0 {
		return t
	}
	t.rows = append(t.rows, r.floorCells(cpus, sorted[0]))
	for _, row := range sorted {
		cells := []string{name(row.Subject, row.Ours)}
		for _, a := range Algorithms {
			cells = append(cells, r.cell(r.FirstSeen, a.String(), row.Subject, cpus))
		}
		if cpus == 2 {
			cells = append(cells, throughputCell(r.Throughput, first, row.Subject, ThroughputBudget))
		} else {
			cells = append(cells, row.allocationCell(AllocationBudget), fmt.Sprintf("%.0f", row.Allocations.Bytes))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

func (r *Report) floorCells(cpus int, first Row) []string {
	cells := []string{"floor"}
	for _, a := range Algorithms {
		nanos := 0.0
		if row, ok := find(r.FirstSeen, a.String(), first.Subject, cpus); ok {
			nanos = row.FloorNanos
		}
		cells = append(cells, fmt.Sprintf("1.00 (%s µs)", micros(nanos)))
	}
	if cpus == 2 {
		return append(cells, throughputCell(r.Throughput, first.Case, floorName, 0))
	}
	return append(cells, fmt.Sprintf("%.0f", first.FloorAllocations.Count), fmt.Sprintf("%.0f", first.FloorAllocations.Bytes))
}

// allocationCell returns the allocations, with a mark if they exceed those of the
// floor by more than allowed.
func (r Row) allocationCell(budget float64) string {
	text := fmt.Sprintf("%.0f", r.Allocations.Count)
	if r.Ours && r.Allocations.Count-r.FloorAllocations.Count > budget {
		text += overBudget
	}
	return text
}

func throughputCell(rows []ScalingRow, c, subject string, budget float64) string {
	for _, row := range rows {
		if row.Case != c || row.Subject != subject {
			continue
		}
		text := spread(row.Factor, "%.2f")
		if gainsTooLittle(rows, row, budget) {
			text += overBudget
		}
		return text
	}
	return "–"
}

// gainsTooLittle reports whether a row of ours gains less from the second CPU than its
// budget demands, while the floor gains enough. If the floor does not gain enough
// either, the machine was busy and the row means nothing.
func gainsTooLittle(rows []ScalingRow, row ScalingRow, budget float64) bool {
	if !row.Ours || row.Factor.Median >= budget {
		return false
	}
	for _, floor := range rows {
		if floor.Case == row.Case && (floor.Subject == floorName || floor.Subject == digestName) {
			return floor.Factor.Median >= budget
		}
	}
	return true
}

func (r *Report) rejectTable() table {
	t := table{
		title: "Refused tokens, one CPU",
		about: "RS256: ratio to the floor of a good token [quartiles], µs, allocations. " +
			"go-oidc fetches the keys for every unknown kid and every bad signature, here from a server on loopback in the same process, whose work is in the figure; " +
			"\"keys by URL\" is Sallyport with the same server; an unknown kid then waits for the next fetch, and the figure is without the wait.",
		heading: []string{""},
	}
	cases := casesOf(r.Rejects)
	t.heading = append(t.heading, cases...)
	if len(cases) == 0 {
		return t
	}
	for _, row := range subjectsByRatio(r.Rejects, cases[0], 1) {
		cells := []string{name(row.Subject, row.Ours)}
		for _, c := range cases {
			cell := r.cell(r.Rejects, c, row.Subject, 1)
			if one, ok := find(r.Rejects, c, row.Subject, 1); ok {
				cell += fmt.Sprintf(", %s µs, %.0f", micros(one.SubjectNanos), one.Allocations.Count)
			}
			cells = append(cells, cell)
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

func (r *Report) layerTable() table {
	t := table{
		title:   "Layers, one CPU",
		about:   "What each part of the work costs, as ratio to the floor [quartiles]. They do unequal work.",
		heading: []string{"", "RS256", "ES256", "allocations RS256", "checks"},
	}
	for _, s := range Layers {
		row, ok := find(r.Layers, jose.RS256.String(), s.Name, 1)
		if !ok {
			continue
		}
		t.rows = append(t.rows, []string{
			s.Name, r.cell(r.Layers, jose.RS256.String(), s.Name, 1), r.cell(r.Layers, jose.ES256.String(), s.Name, 1),
			fmt.Sprintf("%.0f", row.Allocations.Count), s.Checks,
		})
	}
	return t
}

func (r *Report) repeatTable() table {
	t := table{
		title: "Tokens seen before",
		about: fmt.Sprintf("Ratio to SHA-256 of the same tokens [quartiles]; throughput at two CPUs over that at one, as above. "+
			"Budget: %.1f, %d allocations, throughput %.1f.", RepeatBudget, RepeatAllocationBudget, RepeatThroughputBudget),
		heading: []string{"tokens", "", "one CPU", "two CPUs", "throughput", "SHA-256's throughput", "SHA-256 ns", "ns", "allocations"},
	}
	for _, row := range r.Repeat {
		if row.CPUs != 1 {
			continue
		}
		ratio := r.cell(r.Repeat, row.Case, row.Subject, 1)
		if row.Ours && row.Ratio.Median > RepeatBudget {
			ratio += overBudget
		}
		allocations := fmt.Sprintf("%.0f", row.Allocations.Count)
		if row.Ours && row.Allocations.Count > RepeatAllocationBudget {
			allocations += overBudget
		}
		t.rows = append(t.rows, []string{
			row.Case, name(row.Subject, row.Ours), ratio, r.cell(r.Repeat, row.Case, row.Subject, 2),
			throughputCell(r.RepeatThroughput, row.Case, row.Subject, RepeatThroughputBudget),
			throughputCell(r.RepeatThroughput, row.Case, digestName, 0),
			fmt.Sprintf("%.0f", row.FloorNanos), fmt.Sprintf("%.0f", row.SubjectNanos), allocations,
		})
	}
	return t
}

func (r *Report) refusalTable() table {
	t := table{
		title: "All that Sallyport refuses",
		about: fmt.Sprintf("RS256, one CPU, µs [quartiles]. Budget: %.0f µs for what is refused before the signature is checked.",
			EarlyBudget.Seconds()*1e6),
		heading: []string{"token", "reason", "µs", "allocations", "bytes", "signature checked"},
	}
	for _, row := range r.Refusals {
		text := spread(Quartiles{row.Nanos.Q1 / 1e3, row.Nanos.Median / 1e3, row.Nanos.Q3 / 1e3}, "%.2f")
		checked := "yes"
		if row.Early {
			checked = "no"
			if row.Nanos.Median > float64(EarlyBudget) {
				text += overBudget
			}
		}
		t.rows = append(t.rows, []string{
			row.Name, row.Reason, text,
			fmt.Sprintf("%.0f", row.Allocations.Count), fmt.Sprintf("%.0f", row.Allocations.Bytes), checked,
		})
	}
	return t
}

// losses returns sentences for the marks: where another library costs less, and where
// Sallyport exceeds a budget.
func (r *Report) losses() []string {
	var all []string
	for _, rows := range [][]Row{r.FirstSeen, r.Rejects} {
		for _, row := range rows {
			ours, _ := find(rows, row.Case, Subjects[0].Name, row.CPUs)
			if r.beaten(rows, row) {
				all = append(all, fmt.Sprintf("%s, %s: %s costs %s, Sallyport %s. It checks: %s.",
					row.Case, cpus(row.CPUs), row.Subject, spread(row.Ratio, "%.3f"), spread(ours.Ratio, "%.3f"), r.checks(row.Subject)))
			}
		}
	}
	for _, row := range r.FirstSeen {
		if budget, ok := row.budget(); ok && row.Ratio.Median > budget {
			all = append(all, fmt.Sprintf("%s, %s: %s is at %.3f, its budget at %.2f: %.1f µs for everything but the signature instead of %.1f.",
				row.Case, cpus(row.CPUs), row.Subject, row.Ratio.Median, budget, (row.Ratio.Median-1)*row.FloorNanos/1e3, (budget-1)*row.FloorNanos/1e3))
		}
	}
	for _, row := range r.Throughput {
		if gainsTooLittle(r.Throughput, row, ThroughputBudget) {
			all = append(all, fmt.Sprintf("%s, throughput: %s gains %.2f from the second CPU, its budget is %.1f; the floor gained %s in the same run.",
				row.Case, row.Subject, row.Factor.Median, ThroughputBudget, throughputCell(r.Throughput, row.Case, floorName, 0)))
		}
	}
	for _, row := range r.Repeat {
		if row.Ours && row.Ratio.Median > RepeatBudget {
			all = append(all, fmt.Sprintf("%s, %s: %s is at %.2f × SHA-256, its budget at %.1f.", row.Case, cpus(row.CPUs), row.Subject, row.Ratio.Median, RepeatBudget))
		}
	}
	all = append(all, r.callLosses()...)
	for _, row := range r.RepeatThroughput {
		if gainsTooLittle(r.RepeatThroughput, row, RepeatThroughputBudget) {
			all = append(all, fmt.Sprintf("%s, throughput: %s gains %.2f from the second CPU, its budget is %.1f; SHA-256 gained %s in the same run.",
				row.Case, row.Subject, row.Factor.Median, RepeatThroughputBudget, throughputCell(r.RepeatThroughput, row.Case, digestName, 0)))
		}
	}
	for _, row := range r.Refusals {
		if row.Early && row.Nanos.Median > float64(EarlyBudget) {
			all = append(all, fmt.Sprintf("%s: refused in %s µs, the budget is %.0f: %s.",
				row.Name, micros(row.Nanos.Median), EarlyBudget.Seconds()*1e6, cmp.Or(row.Slow, "no reason is known")))
		}
	}
	return all
}

func (r *Report) checks(subject string) string {
	for _, info := range r.Subjects {
		if info.Name == subject {
			return info.Checks
		}
	}
	return "unknown"
}

func cpus(n int) string {
	if n == 1 {
		return "one CPU"
	}
	return "two CPUs"
}

func micros(nanos float64) string { return fmt.Sprintf("%.1f", nanos/1e3) }

// spread returns the median and, in brackets, the outer quartiles.
func spread(q Quartiles, format string) string {
	return fmt.Sprintf(format+" ["+format+"–"+format+"]", q.Median, q.Q1, q.Q3)
}

// name returns the name of a subject, in bold type if it is ours.
func name(subject string, ours bool) string {
	if ours {
		return "**" + subject + "**"
	}
	return subject
}

// WriteText writes aligned tables.
func (r *Report) WriteText(w io.Writer) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range r.tables() {
		fmt.Fprintf(w, "\n%s\n%s\n\n", t.title, t.about)
		for _, row := range append([][]string{t.heading}, t.rows...) {
			fmt.Fprintln(tabs, strings.ReplaceAll(strings.TrimRight(strings.Join(row, "\t"), "\t"), "**", ""))
		}
		if err := tabs.Flush(); err != nil {
			return fmt.Errorf("benchmarks: %w", err)
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", legend)
	return err
}

const legend = beatsUs + " costs less than Sallyport, so clearly that the quartiles do not meet;" + overBudget + " ours, and over its budget."

// Markdown returns the report as a page.
func (r *Report) Markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# What validating a token costs

Measured %s on %s (%s/%s, %d CPUs, load averages before: %s) with %s, by `+"`make bench`"+`:
alternating pairs in one process, %d pairs of a row at one CPU and %d at two, %v of CPU time for the floor's side of each,
CPU time of the process with its garbage collection. The floor is the standard library's hash and signature check on
the token already split and decoded. A shared machine is noisy: read the ratios and their quartiles.
[What it means](../../docs/performance.md).

![ratios to the floor](latest.svg)

%s
`, r.Time.Format("2006-01-02 15:04 MST"), cmp.Or(r.Machine.CPU, "an unknown CPU"), r.Machine.OS, r.Machine.Arch, r.Machine.CPUs,
		cmp.Or(r.Machine.Load, "not known"), r.Machine.Go, r.Options.Pairs, r.Options.PairsAtTwo, r.Options.Block, strings.TrimSpace(legend))
	b.WriteString("\n## Where Sallyport loses, or exceeds its budget\n\n")
	losses := r.losses()
	for _, loss := range losses {
		fmt.Fprintf(&b, "- %s\n", loss)
	}
	if len(losses) == 0 {
		b.WriteString("Nowhere in this run.\n")
	}
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", t.title, t.about, t.markdown())
	}
	b.WriteString("\n## What was compared\n\n| subject | version | checks | added by the adapter, as the documentation tells users to |\n|---|---|---|---|\n")
	for _, info := range slices.Concat(r.Subjects, r.Interceptors) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", info.Name, info.Version, info.Checks, info.Adapter)
	}
	return b.Bytes()
}

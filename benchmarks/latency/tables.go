package latency

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// The budget of the project itself: what the middleware may add to the 95th percentile
// of requests with repeat tokens.
const (
	ownFigure = "p95"
	ownRatio  = 1.10
	ownLoad   = 70
)

// Marks of cells.
const (
	overBudget = " ‡"
	beatsUs    = " †"
	overloaded = " ∞"
)

const legend = "Quartiles are in brackets." +
	overBudget + " ours, and over its budget." +
	beatsUs + " adds less than Sallyport with repeat tokens, so clearly that the quartiles do not meet." +
	overloaded + " more than one request in a thousand had no answer in time: the server cannot do this rate, and its figures depend on the length of the windows."

// Markdown returns the report as a page.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("# Latency under load\n\n")
	b.WriteString(r.Circumstances() + "\n\n" + legend + "\n")
	for _, protocol := range r.protocols() {
		fmt.Fprintf(&b, "\n## %s\n", protocol)
		for _, load := range r.loads(protocol) {
			rows := r.rows(protocol, load)
			fmt.Fprintf(&b, "\n%s\n\n%s", r.loadTitle(rows[0]), r.loadTable(rows).markdown())
		}
	}
	if losses := r.Losses(); len(losses) > 0 {
		b.WriteString("\n## Budgets and losses\n\n")
		for _, loss := range losses {
			b.WriteString("- " + loss + "\n")
		}
	}
	b.WriteString(r.Faults.markdown())
	return b.String()
}

// Circumstances returns a sentence about when and where the report was made.
func (r *Report) Circumstances() string {
	o := r.Options
	text := fmt.Sprintf("%s, %d CPUs for client and server together", r.Machine.Go, r.Machine.CPUs)
	if r.Machine.CPU != "" {
		text = r.Machine.CPU + ", " + text
	}
	text += fmt.Sprintf(", %s. Medians of %d alternating windows of %v", r.Time.Format("2006-01-02"), o.Windows, o.Window)
	if r.Machine.Load != "" {
		text += "; load averages before the run: " + strings.Join(strings.Fields(r.Machine.Load), ", ")
	}
	var b strings.Builder
	b.WriteString(text)
	for _, s := range r.Saturation {
		fmt.Fprintf(&b, ". %s without auth is saturated at %.0f requests/s", s.Protocol, s.Rate.Median)
	}
	return b.String() + "."
}

func (r *Report) protocols() []string {
	var all []string
	for _, row := range r.Rows {
		if !slices.Contains(all, row.Protocol) {
			all = append(all, row.Protocol)
		}
	}
	return all
}

func (r *Report) loads(protocol string) []int {
	var all []int
	for _, row := range r.Rows {
		if row.Protocol == protocol && !slices.Contains(all, row.Load) {
			all = append(all, row.Load)
		}
	}
	slices.Sort(all)
	return all
}

// rows returns the rows of one protocol at one load.
func (r *Report) rows(protocol string, load int) []Row {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row Row) bool { return row.Protocol != protocol || row.Load != load })
}

func (r *Report) loadTitle(row Row) string {
	if row.Load == 0 {
		return fmt.Sprintf("At %.0f requests/s:", row.Rate)
	}
	return fmt.Sprintf("At %d %% of the saturation, %.0f requests/s:", row.Load, row.Rate)
}

// loadTable returns a table of rows of one protocol and load.
func (r *Report) loadTable(rows []Row) table {
	heading := []string{"", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "added p50 ms", "added p95 ms", "p95 over no auth", "CPU s / 1 000"}
	var cells [][]string
	for _, row := range rows {
		name := row.Subject
		if row.Ours {
			name = "**" + name + "**"
		}
		if row.Subject == noAuth && row.Traffic != trafficJWT && row.Traffic != trafficOwn {
			name += ", " + row.Traffic
		}
		if row.overloaded() {
			name += overloaded
		}
		line := []string{name}
		for _, f := range Figures {
			line = append(line, millis(row.Percentiles[f.Name].Micros.Median))
		}
		cpu := "–"
		if row.CPU.Median > 0 {
			cpu = fmt.Sprintf("%.4f", row.CPU.Median)
		}
		if row.Subject == noAuth {
			cells = append(cells, append(line, "", "", "", cpu))
			continue
		}
		p50, p95 := row.Percentiles["p50"], row.Percentiles["p95"]
		ratio := spread(p95.Ratio, 1, "%.2f")
		if row.missesOwnBudget() {
			ratio += overBudget
		}
		if r.beats(row) {
			ratio += beatsUs
		}
		cells = append(cells, append(line, spreadMillis(p50.Added), spreadMillis(p95.Added), ratio, cpu))
	}
	return table{heading, cells}
}

// table is cells under a heading. A cell may have Markdown's ** around its text.
type table struct {
	Heading []string
	Cells   [][]string
}

func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.Heading, " | "), strings.Repeat("---|", len(t.Heading)))
	for _, line := range t.Cells {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
	}
	return b.String()
}

// millis returns microseconds as milliseconds.
func millis(micros float64) string { return fmt.Sprintf(millisFormat(micros), micros/1e3) }

// millisFormat returns the format of milliseconds, with three digits of the largest of
// micros.
func millisFormat(micros ...float64) string {
	largest := 0.0
	for _, n := range micros {
		largest = max(largest, math.Abs(n))
	}
	switch {
	case largest >= 100_000:
		return "%.0f"
	case largest >= 10_000:
		return "%.1f"
	case largest >= 1_000:
		return "%.2f"
	default:
		return "%.3f"
	}
}

// spreadMillis is spread for microseconds as milliseconds.
func spreadMillis(q benchmarks.Quartiles) string {
	return spread(q, 1e3, millisFormat(q.Q1, q.Median, q.Q3))
}

func spread(q benchmarks.Quartiles, unit float64, format string) string {
	return fmt.Sprintf(format+" ["+format+"–"+format+"]", q.Median/unit, q.Q1/unit, q.Q3/unit)
}

// missesOwnBudget reports whether a row of ours exceeds the budget of the project.
func (r *Row) missesOwnBudget() bool {
	return r.Subject == RepeatName && r.Load == ownLoad && r.Percentiles[ownFigure].Ratio.Median > ownRatio
}

// beats reports whether a peer adds less than Sallyport does, with quartiles that do not
// meet.
func (r *Report) beats(peer Row) bool {
	if peer.Ours || peer.Subject == noAuth || peer.Traffic != trafficJWT {
		return false
	}
	i := slices.IndexFunc(r.Rows, func(row Row) bool {
		return row.Subject == RepeatName && row.Protocol == peer.Protocol && row.Load == peer.Load
	})
	return i >= 0 && peer.Percentiles[ownFigure].Added.Q3 < r.Rows[i].Percentiles[ownFigure].Added.Q1
}

// Losses returns sentences: where Sallyport exceeds its budget, and where a peer adds
// less.
func (r *Report) Losses() []string {
	var all []string
	for _, row := range r.Rows {
		p := row.Percentiles[ownFigure]
		switch {
		case row.missesOwnBudget():
			text := fmt.Sprintf("%s: %s is %s × that without auth; the budget is %.2f.", row.where(), ownFigure, spread(p.Ratio, 1, "%.2f"), ownRatio)
			if added := r.addedCPU(row); added > 0 {
				text += fmt.Sprintf(" The server uses %.1f µs more CPU for a request. Client and server share %d CPUs, so that more work lengthens the queues of both.", added, r.Machine.CPUs)
			}
			all = append(all, text)
		case r.beats(row):
			all = append(all, fmt.Sprintf("%s adds %s ms to %s, less than Sallyport.", row.where(), millis(p.Added.Median), ownFigure))
		}
	}
	return all
}

// addedCPU returns how many microseconds of CPU more than without auth the server of a row
// uses for a request, or 0 if that was not measured.
func (r *Report) addedCPU(row Row) float64 {
	for _, base := range r.Rows {
		if base.Subject == noAuth && base.Protocol == row.Protocol && base.Load == row.Load && base.Traffic == row.Traffic && base.CPU.Median > 0 {
			return (row.CPU.Median - base.CPU.Median) * 1e3
		}
	}
	return 0
}

// Text returns a few lines for a terminal: what each server adds.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Circumstances())
	for _, protocol := range r.protocols() {
		for _, load := range r.loads(protocol) {
			rows := r.rows(protocol, load)
			fmt.Fprintf(&b, "\n%s. %s\n", protocol, r.loadTitle(rows[0]))
			for _, row := range rows {
				fmt.Fprintf(&b, "  %-60s %s\n", row.Subject, row.line())
			}
		}
	}
	b.WriteString(r.Faults.text())
	return b.String()
}

// line returns the figures of a row.
func (r *Row) line() string {
	var b strings.Builder
	for _, f := range Figures {
		fmt.Fprintf(&b, "%s %s  ", f.Name, short(r.Percentiles[f.Name].Micros.Median))
	}
	if r.CPU.Median > 0 {
		fmt.Fprintf(&b, "%.4f CPU s/1000  ", r.CPU.Median)
	}
	if r.Subject != noAuth {
		p := r.Percentiles[ownFigure]
		fmt.Fprintf(&b, "%s %+.0f µs, × %s", ownFigure, p.Added.Median, spread(p.Ratio, 1, "%.2f"))
	} else {
		fmt.Fprintf(&b, "sent late by %.0f µs at p99", r.Late.Median)
	}
	if r.overloaded() {
		fmt.Fprintf(&b, "; %.1f %% without an answer in time", 100*r.Unanswered)
	}
	return b.String()
}

func short(micros float64) string {
	return time.Duration(micros * 1e3).Round(time.Microsecond).String()
}

package latency

import (
	"fmt"
	"image/color"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// FaultReport is valid requests before, during and after faults.
type FaultReport struct {
	Time       time.Time          `json:"time"`
	Machine    benchmarks.Machine `json:"machine"`
	Options    Options            `json:"options"` // Window is the length of each of the three phases
	Saturation []Saturation       `json:"saturation,omitempty"`
	Rows       []FaultRow         `json:"rows"`
}

// FaultRow is one fault with one server.
type FaultRow struct {
	Name     string  `json:"name"`
	About    string  `json:"about"`
	Protocol string  `json:"protocol"`
	Server   string  `json:"server"`
	Rate     float64 `json:"rate"`            // valid requests that are due in a second
	Flood    float64 `json:"flood,omitempty"` // other requests in a second
	// Answers are how many of the other requests had each status, 0 for none.
	Answers map[int]int `json:"answers,omitempty"`

	Before FaultPhase `json:"before"`
	During FaultPhase `json:"during"`
	After  FaultPhase `json:"after"`
	// Ratio is the 99th percentile of valid requests during the fault over that before it,
	// of each run.
	Ratio benchmarks.Quartiles `json:"ratio"`
	// Timeline is the medians of all runs.
	Timeline []FaultPoint `json:"timeline"`

	runs [][]sample
}

// FaultPhase is the valid requests of one phase, over all runs.
type FaultPhase struct {
	P50    benchmarks.Quartiles `json:"p50Micros"`
	P99    benchmarks.Quartiles `json:"p99Micros"`
	Failed int                  `json:"failed"` // with another status than 200, or no answer
}

// FaultPoint is the valid requests of a short time.
type FaultPoint struct {
	Part float64 `json:"part"` // of a phase, since the begin of the fault
	P50  float64 `json:"p50Micros"`
	P99  float64 `json:"p99Micros"`
}

// faultRatio is the budget of floods: the highest ratio of the 99th percentile of valid
// requests to that before.
const faultRatio = 2

// points is how many points of the time line a phase has.
const points = 20

// sum fills in the figures from the runs.
func (r *FaultRow) sum() {
	phases := []*FaultPhase{&r.Before, &r.During, &r.After}
	p99 := make([][]float64, len(phases))
	for n, phase := range phases {
		var p50 []float64
		for _, run := range r.runs {
			w := newWindow(part(run, n, len(phases)), 0)
			p50, p99[n] = append(p50, w.Micros["p50"]), append(p99[n], w.Micros["p99"])
			phase.Failed += w.Failed + w.Unanswered
		}
		phase.P50, phase.P99 = benchmarks.QuartilesOf(p50), benchmarks.QuartilesOf(p99[n])
	}
	var ratios []float64
	for i := range r.runs {
		ratios = append(ratios, p99[1][i]/p99[0][i])
	}
	r.Ratio = benchmarks.QuartilesOf(ratios)
	for n := range len(phases) * points {
		var low, high []float64
		for _, run := range r.runs {
			w := newWindow(part(run, n, len(phases)*points), 0)
			low, high = append(low, w.Micros["p50"]), append(high, w.Micros["p99"])
		}
		at := (float64(n)+0.5)/points - 1
		r.Timeline = append(r.Timeline, FaultPoint{at, benchmarks.QuartilesOf(low).Median, benchmarks.QuartilesOf(high).Median})
	}
}

// part returns the n-th of equal parts of samples.
func part(samples []sample, n, parts int) []sample {
	return samples[n*len(samples)/parts : max((n+1)*len(samples)/parts, n*len(samples)/parts+1)]
}

// isFlood reports whether the budget of floods holds for a row.
func (r *FaultRow) isFlood() bool {
	return r.Name == floodKids || r.Name == floodSignatures
}

// missesBudget reports whether a flood slows down valid requests too much.
func (r *FaultRow) missesBudget() bool {
	return r.isFlood() && r.Server != noAuth && r.Ratio.Median > faultRatio
}

func (r *FaultReport) markdown() string {
	if r == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Faults\n\n%s\n\n%s", r.circumstances(), r.table().markdown())
	b.WriteString("\nWhat happens:\n\n")
	for _, about := range r.abouts() {
		b.WriteString("- " + about + "\n")
	}
	return b.String()
}

// abouts returns a sentence for each fault.
func (r *FaultReport) abouts() []string {
	var all []string
	for _, row := range r.Rows {
		if about := row.Name + ": " + row.About + "."; !slices.Contains(all, about) {
			all = append(all, about)
		}
	}
	return all
}

func (r *FaultReport) circumstances() string {
	text := fmt.Sprintf("Valid requests before, during and after a fault, %v each: medians of %d runs with quartiles, %s, %d CPUs for everything, %s.",
		r.Options.Window, r.Options.Windows, r.Machine.Go, r.Machine.CPUs, r.Time.Format("2006-01-02"))
	var b strings.Builder
	b.WriteString(text)
	for _, s := range r.Saturation {
		fmt.Fprintf(&b, " %s without auth is saturated at %.0f requests/s.", s.Protocol, s.Rate.Median)
	}
	return b.String() + overBudget + " a flood that slows valid requests down by more than its budget of 2."
}

// table returns the figures of all faults.
func (r *FaultReport) table() table {
	var cells [][]string
	for _, row := range r.Rows {
		name := row.Server
		if row.Server != noAuth {
			name = "**" + name + "**"
		}
		ratio := spread(row.Ratio, 1, "%.2f")
		if row.missesBudget() {
			ratio += overBudget
		}
		flood := "–"
		if row.Flood > 0 {
			flood = fmt.Sprintf("%.0f", row.Flood)
		}
		cells = append(cells, []string{
			row.Name, row.Protocol, name, fmt.Sprintf("%.0f", row.Rate), flood, row.answers(),
			millis(row.Before.P99.Median), millis(row.During.P99.Median), millis(row.After.P99.Median), ratio, fmt.Sprint(row.During.Failed),
		})
	}
	return table{[]string{"fault", "", "", "valid/s", "others/s", "their answers", "p99 before, ms", "during", "after", "during over before", "valid ones refused"}, cells}
}

// answers returns the shares of the answers to the other requests.
func (r *FaultRow) answers() string {
	total := 0
	for _, n := range r.Answers {
		total += n
	}
	if total == 0 {
		return "–"
	}
	var all []string
	for _, status := range slices.Sorted(maps.Keys(r.Answers)) {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "none"
		}
		all = append(all, fmt.Sprintf("%s %.0f %%", name, 100*float64(r.Answers[status])/float64(total)))
	}
	return strings.Join(all, ", ")
}

func (r *FaultReport) text() string {
	if r == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", r.circumstances())
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "  %-22s %-9s %-10s %6.0f/s, others %6.0f/s (%s)  p99 %s, %s, %s  × %s; %d valid ones refused\n",
			row.Name, row.Protocol, row.Server, row.Rate, row.Flood, row.answers(),
			short(row.Before.P99.Median), short(row.During.P99.Median), short(row.After.P99.Median), spread(row.Ratio, 1, "%.2f"), row.During.Failed)
	}
	return b.String()
}

// plots returns a figure for each protocol.
func (r *FaultReport) plots() []figure {
	if r == nil {
		return nil
	}
	var all []figure
	for _, protocol := range Protocols {
		var names []string
		for _, row := range r.Rows {
			if row.Protocol == protocol && !slices.Contains(names, row.Name) {
				names = append(names, row.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		lines := (len(names) + 1) / 2
		all = append(all, figure{
			file: "p95-faults-" + slug(protocol) + ".svg", title: "Valid requests under faults, over " + protocol,
			about: "Medians of all runs. The fault lasts for the shaded time.",
			width: plotWidth, height: vg.Length(lines)*2.6*vg.Inch + 0.4*vg.Inch,
			draw: func(canvas draw.Canvas) error { return r.draw(canvas, protocol, names) },
		})
	}
	return all
}

// draw draws one panel for each fault.
func (r *FaultReport) draw(canvas draw.Canvas, protocol string, names []string) error {
	var k key
	below := 0.35 * vg.Inch
	cells := tiles(draw.Crop(canvas, 0, 0, below, 0), len(names))
	seen := make(map[string]bool)
	for i, name := range names {
		p := newPlot()
		p.Title.Text = name
		p.X.Label.Text, p.Y.Label.Text = "seconds since the fault began", "ms"
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
		low, high := math.Inf(1), 0.0
		for _, row := range r.Rows {
			if row.Name == name && row.Protocol == protocol {
				for _, point := range row.Timeline {
					low, high = min(low, point.P50/1e3), max(high, point.P99/1e3)
				}
			}
		}
		phase := r.Options.Window.Seconds()
		p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return quarters(phase, low, high) })
		shaded, err := plotter.NewPolygon(plotter.XYs{{X: 0, Y: low / 1.2}, {X: phase, Y: low / 1.2}, {X: phase, Y: high * 1.2}, {X: 0, Y: high * 1.2}})
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		shaded.Color, shaded.Width = shade, 0
		p.Add(shaded)
		for _, row := range r.Rows {
			if row.Name != name || row.Protocol != protocol {
				continue
			}
			for _, line := range row.lines(phase) {
				p.Add(line.line)
				if !seen[line.name] {
					seen[line.name] = true
					k = append(k, entry{line.name, line.line})
				}
			}
		}
		p.Draw(cells[i])
	}
	k.draw(draw.Crop(canvas, 0, 0, 0, below-canvas.Max.Y+canvas.Min.Y))
	return nil
}

// quarters marks each quarter of a phase, and labels each half.
func quarters(phase, low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for n := -4; n <= 8; n++ {
		at := float64(n) * phase / 4
		if at < low-phase/100 || at > high+phase/100 {
			continue
		}
		label := ""
		if n%2 == 0 {
			label = strconv.FormatFloat(at, 'g', -1, 64)
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: label})
	}
	return ticks
}

// faultLine is a line of a panel, with its name in the legend.
type faultLine struct {
	name string
	line *plotter.Line
}

// lines returns the time lines of a row.
func (r *FaultRow) lines(phase float64) []faultLine {
	series := make([]plotter.XYs, 2)
	for _, point := range r.Timeline {
		series[0] = append(series[0], plotter.XY{X: point.Part * phase, Y: point.P99 / 1e3})
		series[1] = append(series[1], plotter.XY{X: point.Part * phase, Y: point.P50 / 1e3})
	}
	var all []faultLine
	for i, name := range []string{"p99", "p50"} {
		line := &plotter.Line{XYs: series[i], LineStyle: plotter.DefaultLineStyle}
		var c color.Color = hue(1)
		if r.Server == noAuth {
			c = hue(0)
		}
		line.LineStyle = draw.LineStyle{Color: c, Width: []vg.Length{2, 1}[i]}
		all = append(all, faultLine{r.Server + ", " + name, line})
	}
	return all
}

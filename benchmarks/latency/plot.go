package latency

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a plot with its file.
type figure struct {
	file, title, about string
	width, height      vg.Length
	draw               func(canvas draw.Canvas) error
}

// Colours of plots stand for variables of CSS, so that plots follow the reader's choice of
// light or dark.
var (
	paper = color.RGBA{1, 0, 0, 255}
	ink   = color.RGBA{1, 1, 0, 255}
	faint = color.RGBA{1, 2, 0, 255}
	shade = color.RGBA{1, 3, 0, 255}
)

// hue returns the i-th colour of lines.
func hue(i uint8) color.RGBA { return color.RGBA{2, i % hues, 0, 255} }

const hues = 9

// Theme is the CSS of the colours, for light and for dark.
const Theme = `:root{color-scheme:light dark;--paper:#ffffff;--ink:#1f2328;--faint:#d8dde3;--shade:#fbe3dc;` +
	`--h0:#6e7781;--h1:#0072b2;--h2:#d55e00;--h3:#009e73;--h4:#cc3377;--h5:#8250df;--h6:#b58900;--h7:#1b9aaa;--h8:#7a4a2b}` +
	`@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--faint:#30363d;--shade:#3b1f1a;` +
	`--h0:#9aa4af;--h1:#58a6ff;--h2:#ff9552;--h3:#3fcf9f;--h4:#ff7eb6;--h5:#bc8cff;--h6:#e3c04b;--h7:#56d4dd;--h8:#d0a07a}}`

var sentinel = regexp.MustCompile(`#(0[12])(0[0-9])00`)

// svg returns the plot as a file.
func (f *figure) svg() ([]byte, error) {
	canvas := vgsvg.New(f.width, f.height)
	area := draw.New(canvas)
	area.SetColor(paper)
	area.Fill(area.Path())
	if err := f.draw(draw.Crop(area, 6, -10, 6, -6)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("latency: %s: %w", f.file, err)
	}
	svg := themed(b.String())
	// The file does not contain the fonts, and few machines have them.
	svg = strings.ReplaceAll(svg, "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	i := strings.Index(svg, "<svg")
	j := i + strings.Index(svg[i:], ">") + 1
	return []byte(svg[:j] + "\n<title>" + f.title + "</title>\n<style>" + Theme + "</style>" + svg[j:]), nil
}

// themed replaces the colours that stand for variables.
func themed(svg string) string {
	return sentinel.ReplaceAllStringFunc(svg, func(c string) string {
		n := c[4] - '0'
		if c[2] == '2' {
			return fmt.Sprintf("var(--h%d)", n)
		}
		return "var(--" + []string{"paper", "ink", "faint", "shade"}[n%4] + ")"
	})
}

// newPlot returns an empty plot in our style.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = paper
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Label.TextStyle, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
		style.Color = ink
	}
	p.Title.TextStyle.Font.Size = 12
	p.Title.Padding = 6
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = ink, ink
		axis.Width, axis.Tick.Width = 0.5, 0.5
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	grid.Horizontal.Width, grid.Vertical.Width = 0.5, 0.5
	p.Add(grid)
	return p
}

const (
	plotWidth   = 11 * vg.Inch
	panelHeight = 3.7 * vg.Inch
)

// plots returns the plots of the report.
func (r *Report) plots() []figure {
	var all []figure
	for _, protocol := range r.protocols() {
		loads := r.loads(protocol)
		lines := (len(loads) + 1) / 2
		all = append(all, figure{
			file:  loadsFile(protocol),
			title: "Latency over " + protocol,
			about: "How long requests took: each line is one server, and a point says below which time that share of the requests was.",
			width: plotWidth, height: vg.Length(lines)*panelHeight + 0.9*vg.Inch,
			draw: func(canvas draw.Canvas) error { return r.drawLoads(canvas, protocol, loads) },
		})
	}
	return append(all, r.Faults.plots()...)
}

// loadsFile is the file of the plot of a protocol.
func loadsFile(protocol string) string { return "p95-" + slug(protocol) + ".svg" }

func slug(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		default:
			return '-'
		}
	}, strings.NewReplacer("/", "", ".", "").Replace(strings.ToLower(name)))
}

// drawLoads draws one panel for each load, and one legend below.
func (r *Report) drawLoads(canvas draw.Canvas, protocol string, loads []int) error {
	var key key
	below := 0.8 * vg.Inch
	cells := tiles(draw.Crop(canvas, 0, 0, below, 0), len(loads))
	seen := make(map[string]bool)
	for i, load := range loads {
		p := newPlot()
		rows := r.rows(protocol, load)
		p.Title.Text = strings.TrimSuffix(r.loadTitle(rows[0]), ":")
		p.X.Label.Text, p.Y.Label.Text = "share of requests that were faster", "ms"
		p.X.Scale, p.X.Tick.Marker = plot.LinearScale{}, plot.ConstantTicks(shares)
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
		for _, row := range rows {
			if row.Subject == noAuth && row.Traffic != trafficJWT && row.Traffic != trafficOwn {
				continue
			}
			line, err := row.curve()
			if err != nil {
				return err
			}
			line.LineStyle = row.lineStyle()
			p.Add(line)
			if !seen[row.Subject] {
				seen[row.Subject] = true
				key = append(key, entry{row.Subject, line})
			}
		}
		p.X.Min, p.X.Max = 0, depth(99.99)
		p.Draw(cells[i])
	}
	key.draw(draw.Crop(canvas, 0, 0, 0, below-canvas.Max.Y+canvas.Min.Y))
	return nil
}

// depth is the place of a percentile on the axis: each further nine is as far as the one
// before.
func depth(percent float64) float64 { return -math.Log10(1 - percent/100) }

var shares = []plot.Tick{
	{Value: 0, Label: "0"},
	{Value: depth(50), Label: "50 %"},
	{Value: depth(95), Label: "95 %"},
	{Value: depth(99), Label: "99 %"},
	{Value: depth(99.9), Label: "99.9 %"},
	{Value: depth(99.99), Label: "99.99 %"},
}

// decades marks 1, 2 and 5 in each power of ten.
func decades(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, digit := range []float64{1, 2, 5} {
			if v := digit * power; v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
			}
		}
	}
	return ticks
}

// curve returns the distribution of a row.
func (r *Row) curve() (*plotter.Line, error) {
	h, err := hdrhistogram.Decode([]byte(r.Histogram))
	if err != nil {
		return nil, fmt.Errorf("latency: the histogram of %s: %w", r.where(), err)
	}
	var points plotter.XYs
	for d := 0.0; d <= depth(99.99); d += 0.02 {
		percent := 100 * (1 - math.Pow(10, -d))
		points = append(points, plotter.XY{X: d, Y: max(1e-3, float64(h.ValueAtPercentile(percent))/1e6)})
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("latency: the plot of %s: %w", r.where(), err)
	}
	return line, nil
}

// subjectHues gives subjects the same colour in all plots.
var subjectHues = map[string]uint8{noAuth: 0, RepeatName: 1, GuardedName: 1, firstSeenName: 7, opaqueName: 3, mixName: 5}

// lineStyle returns a thick line for ours, and dashes for what is not.
func (r *Row) lineStyle() draw.LineStyle {
	i, ok := subjectHues[r.Subject]
	if !ok {
		i = []uint8{2, 4, 6, 8}[peerNumber(r)%4]
	}
	style := draw.LineStyle{Color: hue(i), Width: 1.2}
	switch {
	case r.Ours:
		style.Width = 2
	case r.Subject != noAuth:
		style.Dashes = []vg.Length{5, 3}
	}
	return style
}

// peerNumber returns the place of a peer among the peers of its protocol.
func peerNumber(r *Row) int {
	n := 0
	for _, c := range contenders(r.Protocol, trafficJWT) {
		if c.name == r.Subject {
			return n
		}
		if !c.ours && c.door != noAuth {
			n++
		}
	}
	return n
}

// key is the legend of several panels.
type key []entry

type entry struct {
	name string
	line plot.Thumbnailer
}

// keyColumns is how many columns a legend has.
const keyColumns = 3

// draw draws the legend from the top of the canvas.
func (k key) draw(canvas draw.Canvas) {
	height := (len(k) + keyColumns - 1) / keyColumns
	width := (canvas.Max.X - canvas.Min.X) / keyColumns
	for column := 0; column*height < len(k); column++ {
		l := plot.NewLegend()
		l.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
		l.TextStyle.Color = ink
		l.Padding, l.ThumbnailWidth, l.Left, l.Top = 3, 22, true, true
		for _, e := range k[column*height : min(len(k), (column+1)*height)] {
			l.Add(e.name, e.line)
		}
		l.Draw(draw.Crop(canvas, vg.Length(column)*width, 0, 0, 0))
	}
}

// tiles divides a canvas into two columns, or one if there is one tile.
func tiles(canvas draw.Canvas, count int) []draw.Canvas {
	columns := min(2, count)
	lines := (count + columns - 1) / columns
	width, height := canvas.Max.X-canvas.Min.X, canvas.Max.Y-canvas.Min.Y
	var all []draw.Canvas
	for i := range count {
		column, line := vg.Length(i%columns), vg.Length(i/columns)
		w, h := width/vg.Length(columns), height/vg.Length(lines)
		all = append(all, draw.Crop(canvas, column*w+4, -(width-(column+1)*w)-4, height-(line+1)*h+4, -line*h-4))
	}
	return all
}

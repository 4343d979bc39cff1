package benchmarks

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/sallyport-auth/sallyport/jose"
)

const (
	plotWidth  = 9 * vg.Inch
	plotHeight = 5.2 * vg.Inch
)

// SVG returns a plot of the ratios of first-seen tokens at one CPU, with a mark at the
// median and a line between the quartiles.
func (r *Report) SVG() ([]byte, error) {
	canvas := vgsvg.New(plotWidth, plotHeight)
	if err := r.plot(draw.New(canvas)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	// The file does not contain the fonts, and few machines have them.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

var marks = []struct {
	color color.RGBA
	shape draw.GlyphDrawer
}{ // tell the algorithms apart without colours too
	{color.RGBA{0, 114, 178, 255}, draw.CircleGlyph{}},
	{color.RGBA{230, 159, 0, 255}, draw.SquareGlyph{}},
	{color.RGBA{0, 158, 115, 255}, draw.TriangleGlyph{}},
	{color.RGBA{204, 51, 119, 255}, draw.PyramidGlyph{}},
}

func (r *Report) plot(canvas draw.Canvas) error {
	sorted := subjectsByRatio(r.FirstSeen, jose.RS256.String(), 1)
	sorted = slices.DeleteFunc(sorted, func(row Row) bool { return row.Repeat })
	slices.Reverse(sorted) // the cheapest is on top
	p := plot.New()
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	}
	p.Title.TextStyle.Font.Size = 13
	p.Title.Text = "First-seen access token: CPU time over that of the bare signature check"
	p.X.Label.Text = fmt.Sprintf("ratio to the floor (less is better): median and quartiles of %d pairs, %s", r.Options.Pairs, r.Machine.Go)
	p.X.Min = 1
	p.X.Tick.Marker = plot.TickerFunc(halves)
	p.Y.Tick.Width, p.Y.Tick.Length = 0, 8 // a gap
	p.X.Padding, p.Title.Padding = 0, 8
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	grid.Vertical.Color = color.Gray{220}
	p.Add(grid)
	p.Legend.Top = true
	p.Legend.Padding = 2

	names := make([]string, len(sorted))
	for i, row := range sorted {
		names[i] = row.Subject
	}
	for i, a := range Algorithms {
		if _, ok := find(r.FirstSeen, a.String(), Subjects[0].Name, 1); !ok {
			continue
		}
		points, lines, err := r.series(a, sorted, 0.24-0.16*float64(i))
		if err != nil {
			return err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: marks[i].color, Radius: 3.5, Shape: marks[i].shape}
		lines.LineStyle = draw.LineStyle{Color: marks[i].color, Width: 1.5}
		lines.CapWidth = 0
		p.Add(lines, points)
		p.Legend.Add(a.String(), points)
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))-0.4
	p.X.Max *= 1.04
	p.Draw(draw.Crop(canvas, 4, -8, 4, -4))
	return nil
}

// halves marks every half.
func halves(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for value := math.Ceil(2*low) / 2; value <= high; value += 0.5 {
		ticks = append(ticks, plot.Tick{Value: value, Label: fmt.Sprintf("%.1f", value)})
	}
	return ticks
}

// series are the medians and quartiles under one algorithm, moved up a bit so
// that those of several algorithms stand in line.
func (r *Report) series(a jose.Algorithm, subjects []Row, up float64) (*plotter.Scatter, *plotter.XErrorBars, error) {
	var data struct {
		plotter.XYs
		plotter.XErrors
	}
	for i, subject := range subjects {
		row, ok := find(r.FirstSeen, a.String(), subject.Subject, 1)
		if !ok {
			continue
		}
		data.XYs = append(data.XYs, plotter.XY{X: row.Ratio.Median, Y: float64(i) + up})
		data.XErrors = append(data.XErrors, struct{ Low, High float64 }{row.Ratio.Median - row.Ratio.Q1, row.Ratio.Q3 - row.Ratio.Median})
	}
	points, err := plotter.NewScatter(data.XYs)
	if err != nil {
		return nil, nil, fmt.Errorf("benchmarks: plot of %s: %w", a, err)
	}
	lines, err := plotter.NewXErrorBars(data)
	if err != nil {
		return nil, nil, fmt.Errorf("benchmarks: plot of %s: %w", a, err)
	}
	return points, lines, nil
}

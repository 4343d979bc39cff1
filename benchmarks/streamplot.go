package benchmarks

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG returns a plot of the mass expiry: how long unary calls take, and how many streams
// have ended, over the time since the tokens expired.
func (r *StreamsReport) SVG() ([]byte, error) {
	canvas := vgsvg.New(plotWidth, plotHeight)
	area := draw.New(canvas)
	middle := area.Min.Y + (area.Max.Y-area.Min.Y)/2
	calls, err := r.Expiry.callPlot()
	if err != nil {
		return nil, err
	}
	calls.Title.Text = fmt.Sprintf("%d gRPC streams whose tokens expire in one second, %s", r.Count, r.Machine.Go)
	ends, err := r.Expiry.endPlot(r.Count)
	if err != nil {
		return nil, err
	}
	low, high := -2*r.Expiry.Last.Seconds(), 2*r.Expiry.Last.Seconds()
	for _, p := range []*plot.Plot{calls, ends} {
		p.X.Min, p.X.Max = low, high
		p.Add(plotter.NewGrid())
		for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Label.TextStyle, &p.Y.Tick.Label} {
			style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
		}
	}
	calls.Draw(draw.Crop(area, 4, -8, middle-area.Min.Y, -4))
	ends.Draw(draw.Crop(area, 4, -8, 4, middle-area.Max.Y))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return b.Bytes(), nil
}

// callPlot shows the time of every unary call.
func (m *MassEnd) callPlot() (*plot.Plot, error) {
	var points plotter.XYs
	for _, probe := range m.probes {
		points = append(points, plotter.XY{X: probe.at.Sub(m.event).Seconds(), Y: float64(probe.took.Microseconds()) / 1e3})
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: plot of calls: %w", err)
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: color.RGBA{0, 114, 178, 255}, Radius: 1.2, Shape: draw.CircleGlyph{}}
	p := plot.New()
	p.Y.Label.Text = "unary call, ms"
	p.Add(scatter)
	return p, nil
}

// endPlot shows how many streams have ended.
func (m *MassEnd) endPlot(count int) (*plot.Plot, error) {
	points := plotter.XYs{{X: -2 * m.Last.Seconds(), Y: 0}}
	for i, at := range m.ends {
		points = append(points, plotter.XY{X: at, Y: float64(i + 1)})
	}
	points = append(points, plotter.XY{X: 2 * m.Last.Seconds(), Y: float64(count)})
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: plot of ends: %w", err)
	}
	line.LineStyle = draw.LineStyle{Color: color.RGBA{204, 51, 119, 255}, Width: vg.Points(1.5)}
	p := plot.New()
	p.X.Label.Text = "seconds after the tokens expired"
	p.Y.Label.Text = "streams ended"
	p.Add(line)
	return p, nil
}

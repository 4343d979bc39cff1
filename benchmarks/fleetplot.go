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

const (
	fleetPanelHeight = 2.1 * vg.Inch
	leastRate        = 0.1 // the logarithmic axis has no 0
)

// FleetSVG returns a plot of the requests a second at the issuer over time, with a panel
// for each report, one below the other. The axis of the rates is logarithmic and the
// same for all.
func FleetSVG(reports []*FleetReport) ([]byte, error) {
	canvas := vgsvg.New(plotWidth, fleetPanelHeight*vg.Length(len(reports)))
	if err := drawFleet(draw.New(canvas), reports); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

func drawFleet(area draw.Canvas, reports []*FleetReport) error {
	highest := 10 * leastRate
	for _, r := range reports {
		for _, n := range r.Buckets {
			highest = max(highest, float64(n)/FleetBucket.Seconds())
		}
	}
	for i, r := range reports {
		p, err := r.plot(2*highest, i == len(reports)-1)
		if err != nil {
			return err
		}
		top := fleetPanelHeight * vg.Length(i)
		p.Draw(draw.Crop(area, 4, -8, area.Max.Y-area.Min.Y-top-fleetPanelHeight+4, -top-4))
	}
	return nil
}

func (r *FleetReport) plot(highest float64, last bool) (*plot.Plot, error) {
	var points plotter.XYs
	width := FleetBucket.Minutes()
	for i, n := range r.Buckets {
		rate := max(float64(n)/FleetBucket.Seconds(), leastRate)
		points = append(points, plotter.XY{X: float64(i) * width, Y: rate}, plotter.XY{X: float64(i+1) * width, Y: rate})
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: plot of %s: %w", r.Scenario, err)
	}
	line.LineStyle = draw.LineStyle{Color: color.RGBA{0, 114, 178, 255}, Width: vg.Points(1)}
	p := plot.New()
	p.Title.Text = r.Scenario + ": " + r.Title
	p.Y.Label.Text = "requests/s"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	if last {
		p.X.Label.Text = "minutes"
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{230}, color.Gray{230}
	p.Add(grid, line)
	for i, mark := range r.Marks {
		row := 1 + float64(3*(i%2)) // so that names of marks side by side do not overlap
		if err := addMark(p, mark, highest, 1.4*leastRate*row); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max = 0, float64(len(r.Buckets))*width
	p.Y.Min, p.Y.Max = leastRate, highest
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Label.TextStyle, &p.Y.Tick.Label} {
		style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 10}
	}
	return p, nil
}

// addMark draws a line at a moment, with its name at the height y.
func addMark(p *plot.Plot, mark FleetMark, highest, y float64) error {
	x := mark.At / 60
	line, err := plotter.NewLine(plotter.XYs{{X: x, Y: leastRate}, {X: x, Y: highest}})
	if err != nil {
		return fmt.Errorf("benchmarks: mark %s: %w", mark.Name, err)
	}
	line.LineStyle = draw.LineStyle{Color: color.RGBA{204, 51, 119, 255}, Width: vg.Points(1), Dashes: []vg.Length{vg.Points(4), vg.Points(3)}}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{mark.Name}})
	if err != nil {
		return fmt.Errorf("benchmarks: mark %s: %w", mark.Name, err)
	}
	labels.Offset.X = vg.Points(4)
	labels.TextStyle[0].Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
	labels.TextStyle[0].Color = color.RGBA{150, 30, 90, 255}
	p.Add(line, labels)
	return nil
}

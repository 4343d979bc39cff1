package latency

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// page is the report as one page of HTML that needs no other file.
type page struct {
	Theme         template.CSS
	Circumstances string
	Legend        string
	Losses        []string
	Protocols     []pageProtocol
	Faults        *pageFaults
	Others        []pagePlot
}

type pageProtocol struct {
	Name  string
	Plot  pagePlot
	Loads []pageTable
}

type pageTable struct {
	Title string
	Table htmlTable
}

type pageFaults struct {
	Circumstances string
	Abouts        []string
	Plots         []pagePlot
	Table         htmlTable
}

// pagePlot is a plot as SVG.
type pagePlot struct {
	Title, About string
	SVG          template.HTML
	Fixed        bool // the colours are for a light page
}

type htmlTable struct {
	Heading []string
	Cells   [][]htmlCell
}

type htmlCell struct {
	Text string
	Bold bool
}

func (t table) html() htmlTable {
	all := htmlTable{Heading: t.Heading}
	for _, line := range t.Cells {
		var cells []htmlCell
		for _, cell := range line {
			cells = append(cells, htmlCell{strings.ReplaceAll(cell, "**", ""), strings.HasPrefix(cell, "**")})
		}
		all.Cells = append(all.Cells, cells)
	}
	return all
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sallyport: latency under load</title>
<style>
{{.Theme}}
body{margin:0 auto;max-width:75rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1,h2,h3{line-height:1.25}
h2{margin-top:3rem;border-bottom:1px solid var(--faint)}
a{color:var(--h1)}
figure{margin:1.5rem 0}
figure svg{width:100%;height:auto;display:block}
figure.fixed{background:#fff;padding:.5rem;border-radius:4px}
figcaption{font-size:.9rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;margin:.5rem 0 1.5rem}
th,td{border-bottom:1px solid var(--faint);padding:.25rem .75rem .25rem 0;text-align:right;white-space:nowrap}
th{vertical-align:bottom}
th:first-child,td:first-child{text-align:left}
</style>
</head>
<body>
<h1>Latency under load</h1>
<p>What validation of a token adds to a request, with Sallyport and with other Go libraries, over connections on a loopback address.
Requests are due at a constant rate, whether or not earlier ones were answered, and a latency counts from when the request was due.
Made from p95.json by <code>make bench-report</code>.</p>
{{with .Circumstances}}<p>{{.}}</p>{{end}}
<p>{{.Legend}}</p>
{{with .Losses}}<h2>Budgets and losses</h2>
<ul>{{range .}}
<li>{{.}}</li>{{end}}
</ul>{{end}}
{{range .Protocols}}
<h2>{{.Name}}</h2>
{{template "plot" .Plot}}
{{range .Loads}}<h3>{{.Title}}</h3>
{{template "table" .Table}}{{end}}{{end}}
{{with .Faults}}
<h2>Faults</h2>
<p>{{.Circumstances}}</p>
{{range .Plots}}{{template "plot" .}}{{end}}
{{template "table" .Table}}
<ul>{{range .Abouts}}
<li>{{.}}</li>{{end}}
</ul>{{end}}
{{range .Others}}
<h2>{{.Title}}</h2>
{{template "plot" .}}{{end}}
</body>
</html>
{{define "plot"}}<figure{{if .Fixed}} class="fixed"{{end}}>{{.SVG}}{{with .About}}<figcaption>{{.}}</figcaption>{{end}}</figure>
{{end}}
{{define "table"}}<div class="scroll"><table>
<tr>{{range .Heading}}<th>{{.}}</th>{{end}}</tr>{{range .Cells}}
<tr>{{range .}}<td>{{if .Bold}}<strong>{{.Text}}</strong>{{else}}{{.Text}}{{end}}</td>{{end}}</tr>{{end}}
</table></div>
{{end}}`))

// others are plots of other measurements that the page shows if they are in its folder.
var others = []struct{ file, title, about string }{
	{"latest.svg", "First-seen tokens", "CPU time of validating a token that was not seen before. The figures are in latest.md."},
	{"fleet.svg", "A fleet and its issuer", "Requests that arrive at the issuer of 10 000 simulated replicas. The figures are in fleet.json."},
}

// html returns the report as a page. files has the plots.
func (r *Report) html(dir string, plots []figure, files map[string][]byte) ([]byte, error) {
	p := page{Theme: template.CSS(Theme), Legend: legend, Losses: r.Losses()} //nolint:gosec // a constant
	if len(r.Rows) > 0 {
		p.Circumstances = r.Circumstances()
	}
	inline := func(f figure) pagePlot {
		return pagePlot{f.title, f.about, inlineSVG(files[f.file]), false}
	}
	for _, protocol := range r.protocols() {
		i := slices.IndexFunc(plots, func(f figure) bool { return f.file == loadsFile(protocol) })
		section := pageProtocol{Name: protocol, Plot: inline(plots[i])}
		for _, load := range r.loads(protocol) {
			rows := r.rows(protocol, load)
			section.Loads = append(section.Loads, pageTable{strings.TrimSuffix(r.loadTitle(rows[0]), ":"), r.loadTable(rows).html()})
		}
		p.Protocols = append(p.Protocols, section)
	}
	if r.Faults != nil {
		p.Faults = &pageFaults{Circumstances: r.Faults.circumstances(), Abouts: r.Faults.abouts(), Table: r.Faults.table().html()}
		for _, f := range r.Faults.plots() {
			p.Faults.Plots = append(p.Faults.Plots, inline(f))
		}
	}
	for _, other := range others {
		svg, err := os.ReadFile(filepath.Join(dir, other.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		p.Others = append(p.Others, pagePlot{other.title, other.about, inlineSVG(svg), !bytes.Contains(svg, []byte("prefers-color-scheme"))})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("latency: the page: %w", err)
	}
	return b.Bytes(), nil
}

var (
	svgHead = regexp.MustCompile(`(?s)^.*?<svg\b`)
	svgSize = regexp.MustCompile(`<svg\s+width="[^"]*"\s+height="[^"]*"`)
)

// inlineSVG returns the SVG of our own file for a page: without the head of a file, and as
// wide as the page.
func inlineSVG(svg []byte) template.HTML {
	text := svgHead.ReplaceAll(svg, []byte("<svg"))
	return template.HTML(svgSize.ReplaceAll(text, []byte("<svg"))) //nolint:gosec // written by this program
}

// The tables of the documentation are between <!-- NAME: from p95.json --> and
// <!-- end -->, where NAME is latency or faults.
const (
	pageMark = ": from p95.json -->\n"
	pageEnd  = "<!-- end -->"
)

// Refresh returns a page of documentation with new tables.
func (r *Report) Refresh(text string) (string, error) {
	tables := map[string]string{"latency": r.latencyExcerpt()}
	if r.Faults != nil {
		tables["faults"] = r.Faults.circumstances() + "\n\n" + r.Faults.table().markdown()
	}
	for name, t := range tables {
		if t == "" {
			continue
		}
		begin := "<!-- " + name + pageMark
		before, rest, found := strings.Cut(text, begin)
		_, after, ended := strings.Cut(rest, pageEnd)
		if !found || !ended {
			return "", fmt.Errorf("latency: the page has no %q with an end", strings.TrimSpace(begin))
		}
		text = before + begin + t + pageEnd + after
	}
	return text, nil
}

// latencyExcerpt returns, for the documentation, what each server adds to the 95th
// percentile at the load of the budget.
func (r *Report) latencyExcerpt() string {
	if len(r.Rows) == 0 {
		return ""
	}
	heading := []string{""}
	var names []string
	for _, protocol := range r.protocols() {
		heading = append(heading, protocol+", added ms", "over no auth")
		for _, row := range r.rows(protocol, ownLoad) {
			if row.Subject != noAuth && !slices.Contains(names, row.Subject) {
				names = append(names, row.Subject)
			}
		}
	}
	var cells [][]string
	for _, name := range names {
		line := []string{name}
		for _, protocol := range r.protocols() {
			added, ratio := "", ""
			for _, row := range r.rows(protocol, ownLoad) {
				if row.Subject != name {
					continue
				}
				if row.Ours {
					line[0] = "**" + name + "**"
				}
				p := row.Percentiles[ownFigure]
				added, ratio = millis(p.Added.Median), fmt.Sprintf("%.2f", p.Ratio.Median)
				if row.overloaded() {
					ratio += overloaded
				}
			}
			line = append(line, added, ratio)
		}
		cells = append(cells, line)
	}
	return r.Circumstances() + "\n\n" + table{heading, cells}.markdown()
}

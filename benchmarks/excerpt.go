package benchmarks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
)

// Refresh returns a page of documentation with new tables. A table is between
// <!-- NAME: from latest.json --> and <!-- end -->, where NAME is first-seen, refused
// or layers.
func (r *Report) Refresh(page string) (string, error) {
	for name, t := range map[string]table{"first-seen": r.firstSeenExcerpt(), "refused": r.refusedExcerpt(), "layers": r.layerExcerpt()} {
		begin := "<!-- " + name + ": from latest.json -->\n"
		before, rest, found := strings.Cut(page, begin)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			return "", fmt.Errorf("benchmarks: the page has no %q with an end", strings.TrimSpace(begin))
		}
		page = before + begin + t.markdown() + "<!-- end -->" + after
	}
	return page, nil
}

func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.heading, " | "), strings.Repeat("---|", len(t.heading)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// median returns the ratio of a row, or a dash if it was not measured.
func median(rows []Row, c, subject string) string {
	row, ok := find(rows, c, subject, 1)
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.2f", row.Ratio.Median)
}

func (r *Report) firstSeenExcerpt() table {
	t := table{heading: []string{""}}
	for _, a := range Algorithms {
		t.heading = append(t.heading, a.String())
	}
	t.heading = append(t.heading, "allocations RS256")
	sorted := subjectsByRatio(r.FirstSeen, jose.RS256.String(), 1)
	if len(sorted) > 0 {
		floor := r.floorCells(1, sorted[0])
		t.rows = append(t.rows, floor[:len(floor)-1])
	}
	for _, row := range sorted {
		cells := []string{name(row.Subject, row.Ours)}
		for _, a := range Algorithms {
			cells = append(cells, median(r.FirstSeen, a.String(), row.Subject))
		}
		t.rows = append(t.rows, append(cells, fmt.Sprintf("%.0f", row.Allocations.Count)))
	}
	return t
}

func (r *Report) refusedExcerpt() table {
	t := table{heading: []string{""}}
	cases := casesOf(r.Rejects)
	t.heading = append(t.heading, cases...)
	if len(cases) == 0 {
		return t
	}
	for _, row := range subjectsByRatio(r.Rejects, cases[0], 1) {
		cells := []string{name(row.Subject, row.Ours)}
		for _, c := range cases {
			cell := median(r.Rejects, c, row.Subject)
			if one, ok := find(r.Rejects, c, row.Subject, 1); ok {
				cell += " (" + micros(one.SubjectNanos) + " µs)"
			}
			cells = append(cells, cell)
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

func (r *Report) layerExcerpt() table {
	t := table{heading: []string{"", "checks", "RS256", "ES256", "allocations RS256"}}
	for _, s := range Layers {
		if row, ok := find(r.Layers, jose.RS256.String(), s.Name, 1); ok {
			t.rows = append(t.rows, []string{
				s.Name, s.Checks, median(r.Layers, row.Case, s.Name), median(r.Layers, jose.ES256.String(), s.Name),
				fmt.Sprintf("%.0f", row.Allocations.Count),
			})
		}
	}
	return t
}

// casesOf returns the cases of rows, in their order.
func casesOf(rows []Row) []string {
	var cases []string
	for _, row := range rows {
		if !slices.Contains(cases, row.Case) {
			cases = append(cases, row.Case)
		}
	}
	return cases
}

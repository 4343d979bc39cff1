package latency

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/benchmarks"
)

// Budget is the highest ratio that a percentile of a row may have to that without auth.
type Budget struct {
	Subject string  // of the row
	Figure  string  // one of [Figures]
	Ratio   float64 // such as 1.10, which allows 10 % more
	Load    int     // percent of the saturation; 0 means every load
	// Sure means that a row is above the budget only if three quarters of its rounds are.
	// Otherwise the median counts.
	Sure bool
}

// above reports whether a ratio is above the budget.
func (b Budget) above(ratio benchmarks.Quartiles) bool {
	if b.Sure {
		return ratio.Q1 > b.Ratio
	}
	return ratio.Median > b.Ratio
}

// ParseBudget reads a budget such as p95=1.10, p95=1.10@70 or "Sallyport, first seen:
// p95=1.5". Without a name it is for subject.
func ParseBudget(text, subject string) (Budget, error) {
	b := Budget{Subject: subject}
	rest := text
	if i := strings.LastIndex(text, ":"); i >= 0 {
		b.Subject, rest = strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
	}
	rest, load, hasLoad := strings.Cut(rest, "@")
	name, ratio, ok := strings.Cut(rest, "=")
	if !ok || !slices.ContainsFunc(Figures, func(f Figure) bool { return f.Name == name }) {
		return b, fmt.Errorf("latency: the budget %q is not one such as p95=1.10 or p99=2@70", text)
	}
	b.Figure = name
	var err error
	if b.Ratio, err = strconv.ParseFloat(ratio, 64); err != nil || !(b.Ratio > 0) {
		return b, fmt.Errorf("latency: the budget %q: %q is not a ratio such as 1.10", text, ratio)
	}
	if hasLoad {
		if b.Load, err = strconv.Atoi(load); err != nil || b.Load < 1 {
			return b, fmt.Errorf("latency: the budget %q: %q is not a load in percent", text, load)
		}
	}
	return b, nil
}

// Excess is a row above a budget.
type Excess struct {
	Row  Row
	What string
}

// Excesses returns the rows above a budget. A budget that no row is measured for is an
// error.
func (r *Report) Excesses(budgets []Budget) ([]Excess, error) {
	var all []Excess
	var missing error
	for _, b := range budgets {
		found := false
		for _, row := range r.Rows {
			if row.Subject != b.Subject || b.Load != 0 && row.Load != b.Load {
				continue
			}
			found = true
			p := row.Percentiles[b.Figure]
			if !b.above(p.Ratio) && !row.overloaded() {
				continue
			}
			what := fmt.Sprintf("%s: %s is %s × that without auth (%.0f µs, %+.0f µs); the budget is %.2f",
				row.where(), b.Figure, spread(p.Ratio, 1, "%.2f"), p.Micros.Median, p.Added.Median, b.Ratio)
			if row.overloaded() {
				what += fmt.Sprintf("; %.1f %% of the requests had no answer in time", 100*row.Unanswered)
			}
			all = append(all, Excess{row, what})
		}
		if !found {
			missing = errors.Join(missing, fmt.Errorf("latency: no row %q was measured for its budget", b.Subject))
		}
	}
	return all, missing
}

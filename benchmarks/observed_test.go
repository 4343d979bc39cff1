package benchmarks

import (
	"strings"
	"testing"
)

// TestObservedGates checks that each bound of the observation has its gate.
func TestObservedGates(t *testing.T) {
	row := func(c, subject string, added, ratio, allocations float64) ObservedRow {
		r := ObservedRow{Case: c, Subject: subject, Added: Quartiles{Median: added}, Allocations: Allocations{Count: allocations}}
		r.Ratio.Median = ratio
		return r
	}
	for _, tt := range []struct {
		row  ObservedRow
		want string // part of what is reported; "": nothing is
	}{
		{row(checkCase, "metrics", 100, 1.1, 0), ""},
		{row(checkCase, "metrics", 130, 1.1, 0), "adds 130 ns"},
		{row(checkCase, "metrics", 50, 1.1, 1), "adds 1.0 allocations"},
		{row(checkCase, "metrics and audit", 900, 1.9, 1), ""},
		{row(requestCase, "metrics and audit", 900, 1.2, 1), ""},
		{row(requestCase, "metrics and audit", 900, 1.3, 1), "leaves 77 % of the throughput"},
	} {
		all := (&Report{Observed: []ObservedRow{tt.row}}).observedExcesses()
		switch {
		case tt.want == "" && len(all) > 0:
			t.Errorf("%+v: %v", tt.row, all)
		case tt.want != "" && (len(all) != 1 || !strings.Contains(all[0].What, tt.want) || all[0].Step != stepName(observed, tt.row.Case, tt.row.Subject)):
			t.Errorf("%+v: %v, want %q", tt.row, all, tt.want)
		}
	}
}

// TestObservedRuns checks that what is measured works: each side of each case passes.
func TestObservedRuns(t *testing.T) {
	m := NewMeasurement(Options{Pairs: 1, Block: 1, Tokens: 1})
	defer m.release()
	for _, c := range []string{checkCase, requestCase} {
		for _, o := range Observers {
			if err := m.observe(c, o); err != nil {
				t.Errorf("%s, %s: %v", c, o.Name, err)
			}
		}
	}
	if len(m.Report.Observed) != 2*len(Observers) || len(m.Report.observedTable().rows) != 2*len(Observers) {
		t.Errorf("%d rows", len(m.Report.Observed))
	}
}

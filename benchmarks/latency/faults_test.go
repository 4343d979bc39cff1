package latency

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/benchmarks"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// Valid requests are served under every fault, and those of floods get what they must.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	o := tiny(HTTP1).UnderFaults()
	o.Window, o.Windows, o.Rate, o.Flood = 500*time.Millisecond, 1, 50, 100
	m := NewMeasurement(o)
	defer m.Close()
	if err := m.RunFaults(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{floodKids: 0, floodSignatures: http.StatusUnauthorized}
	for _, row := range m.Report.Faults.Rows {
		if failed := row.Before.Failed + row.During.Failed + row.After.Failed; failed > 0 {
			t.Errorf("%s, %s: %d valid requests failed", row.Name, row.Server, failed)
		}
		if row.Ratio.Median <= 0 || len(row.Timeline) != 3*points {
			t.Errorf("%s, %s: a ratio of %g and %d points", row.Name, row.Server, row.Ratio.Median, len(row.Timeline))
		}
		if (row.Flood > 0) != (len(row.Answers) > 0) {
			t.Errorf("%s, %s: %g other requests a second, answers %v", row.Name, row.Server, row.Flood, row.Answers)
		}
		if status, ok := want[row.Name]; ok && row.Server != noAuth && (row.Answers[http.StatusOK] > 0 || status != 0 && row.Answers[status] == 0) {
			t.Errorf("%s: answers %v", row.Name, row.Answers)
		}
		if _, ok := want[row.Name]; ok && row.Server == noAuth && row.Answers[http.StatusOK] == 0 {
			t.Errorf("%s, without auth: answers %v", row.Name, row.Answers)
		}
	}
	if names := FaultNames(); len(m.Report.Faults.Rows) != len(names)+2 {
		t.Errorf("%d rows of %d faults, two of them with two servers", len(m.Report.Faults.Rows), len(names))
	}
	checkPages(t, &m.Report)
}

func TestUnknownFault(t *testing.T) {
	o := tiny(HTTP1)
	o.Only = regexp.MustCompile("earthquake")
	m := NewMeasurement(o)
	defer m.Close()
	if err := m.RunFaults(context.Background()); err == nil {
		t.Error("no error")
	}
}

// The tokens of floods differ from a good token in nothing else.
func TestFloodTokens(t *testing.T) {
	issuer := testissuer.New(t)
	good := issuer.Sign(testissuer.Token{})
	parts := strings.Split(good, ".")
	for kind, same := range map[string][3]bool{floodTokens: {true, true, true}, floodSignatures: {true, true, false}, floodKids: {false, true, false}} {
		o := floodOrder{Kind: kind, Tokens: []string{good}}
		for i, part := range strings.Split(o.token(7), ".") {
			if (part == parts[i]) != same[i] {
				t.Errorf("%s: part %d is the same: %t", kind, i, part == parts[i])
			}
			if kind != floodTokens && i == 2 && len(part) != len(parts[2]) {
				t.Errorf("%s: a signature of %d characters, want %d", kind, len(part), len(parts[2]))
			}
		}
		if kind == floodKids && o.token(0) == o.token(1) {
			t.Error("two requests have one kid")
		}
	}
}

// A run does not lose what it did not measure.
func TestKeep(t *testing.T) {
	row := func(protocol string, rate float64) Row {
		return Row{Protocol: protocol, Subject: noAuth, Load: 70, Rate: rate}
	}
	fault := func(name string, rate float64) FaultRow { return FaultRow{Name: name, Protocol: HTTP1, Rate: rate} }
	old := func() *Report {
		return &Report{
			Rows: []Row{row(HTTP1, 1), row(GRPC, 1)}, Saturation: []Saturation{{Protocol: HTTP1}, {Protocol: GRPC}},
			Faults: &FaultReport{Rows: []FaultRow{fault("rotation", 1), fault("issuer down", 1)}},
		}
	}
	for name, c := range map[string]struct {
		report Report
		add    bool
		rows   []float64
		faults []float64
	}{
		"faults":      {Report{Faults: &FaultReport{Rows: []FaultRow{fault("rotation", 2)}}}, false, []float64{1, 1}, []float64{2}},
		"faults, add": {Report{Faults: &FaultReport{Rows: []FaultRow{fault("rotation", 2)}}}, true, []float64{1, 1}, []float64{1, 2}},
		"loads":       {Report{Rows: []Row{row(HTTP1, 2)}}, false, []float64{2}, []float64{1, 1}},
		"loads, add":  {Report{Rows: []Row{row(HTTP1, 2)}, Saturation: []Saturation{{Protocol: HTTP1}}}, true, []float64{2, 1}, []float64{1, 1}},
	} {
		r := c.report
		r.Keep(old(), c.add)
		var rows, faults []float64
		for _, row := range r.Rows {
			rows = append(rows, row.Rate)
		}
		for _, row := range r.Faults.Rows {
			faults = append(faults, row.Rate)
		}
		if !slices.Equal(rows, c.rows) || !slices.Equal(faults, c.faults) {
			t.Errorf("%s: rows %v, faults %v; want %v, %v", name, rows, faults, c.rows, c.faults)
		}
		if c.add && len(r.Saturation) != 2 {
			t.Errorf("%s: %d saturations", name, len(r.Saturation))
		}
	}
}

// The tables of the documentation have their places, and are written there again.
func TestRefresh(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := map[string]Percentile{"p95": {Added: benchmarks.Quartiles{Median: 12}, Ratio: benchmarks.Quartiles{Median: 1.03}}}
	r := &Report{
		Rows: []Row{
			{Protocol: HTTP1, Subject: noAuth, Load: 70, Percentiles: p},
			{Protocol: HTTP1, Subject: RepeatName, Ours: true, Load: 70, Percentiles: p},
		},
		Faults: &FaultReport{Rows: []FaultRow{{Name: "rotation", Server: "Sallyport"}}},
	}
	once, err := r.Refresh(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"| **Sallyport, repeat** | 0.012 | 1.03 |", "| rotation |"} {
		if !strings.Contains(once, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	if twice, err := r.Refresh(once); err != nil || twice != once {
		t.Errorf("the page changes when it is written again: %v", err)
	}
	if _, err := r.Refresh("a page without places"); err == nil {
		t.Error("a page without places: no error")
	}
}

// A flood leaves room for valid requests unless its rate is given.
func TestFloodLeavesRoom(t *testing.T) {
	for _, row := range []struct{ given, saturation, want float64 }{
		{0, 1_000_000, 10_000}, {0, 20_000, 400}, {0, 0, 10_000}, {700, 20_000, 700}, {700, 0, 700},
	} {
		o := Options{Flood: row.given}
		if got := o.floodOf(row.saturation); got != row.want {
			t.Errorf("-flood %g at a saturation of %g: %g requests a second, want %g", row.given, row.saturation, got, row.want)
		}
	}
}

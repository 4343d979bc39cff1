package benchmarks

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// hasty are options of a measurement whose results mean nothing.
func hasty() Options {
	return Options{Pairs: 1, PairsAtTwo: 1, CallPairs: 1, Block: 50 * time.Microsecond, Rounds: 1, Window: time.Millisecond, Tokens: 20}
}

func rehearse(t *testing.T, o Options) *Measurement {
	t.Helper()
	m := NewMeasurement(o)
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMeasurement checks that every subject is in every table that it belongs to, and in
// every file.
func TestMeasurement(t *testing.T) {
	m := rehearse(t, hasty())
	r := &m.Report
	cpus := 1
	if m.twoCPUs {
		cpus = 2
	}
	for name, sizes := range map[string][2]int{
		"first seen":          {len(r.FirstSeen), len(Algorithms) * (len(Subjects) + 1) * cpus},
		"throughput":          {len(r.Throughput), (len(Subjects) + 1) * (cpus - 1)},
		"layers":              {len(r.Layers), 2 * len(Layers)},
		"rejects":             {len(r.Rejects), 3 * len(everyone())},
		"repeat":              {len(r.Repeat), (3*len(Repeats) + 1) * cpus},
		"gRPC calls":          {len(r.Calls), len(callCases()) * (len(Doors) + 1)},
		"repeats' throughput": {len(r.RepeatThroughput), 3 * (len(Repeats) + 1) * (cpus - 1)},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s: %d rows, want %d", name, sizes[0], sizes[1])
		}
	}
	for _, row := range slices.Concat(r.FirstSeen, r.Layers, r.Rejects, r.Repeat) {
		if row.Ratio.Median <= 0 || row.FloorNanos <= 0 {
			t.Errorf("%s, %s: not measured: %+v", row.Case, row.Subject, row.Comparison)
		}
	}
	if names := r.Ungated(); len(names) > 0 {
		t.Errorf("gates without a row: %q", names)
	}

	dir := filepath.Join(t.TempDir(), "new")
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var again Report
	if err := json.Unmarshal([]byte(read("latest.json")), &again); err != nil || len(again.FirstSeen) != len(r.FirstSeen) {
		t.Errorf("latest.json: %v, %d rows", err, len(again.FirstSeen))
	}
	svg := xml.NewDecoder(strings.NewReader(read("latest.svg")))
	for {
		if _, err := svg.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("latest.svg: %v", err)
		}
	}
	for _, s := range Subjects {
		for _, name := range []string{"latest.md", "latest.svg"} {
			if !strings.Contains(read(name), s.Name) {
				t.Errorf("%s does not name %s", name, s.Name)
			}
		}
	}
	if strings.Contains(read("latest.svg"), "Sallyport, repeat") {
		t.Error("latest.svg shows a repeat among the first-seen tokens")
	}
	line := regexp.MustCompile(`^Benchmark(FirstSeen|Layer|Reject|Repeat)/[a-z]+=[\w.]+/by=[\w.]+-[12]\t1\t[\d.]+ ns/op\t\d+ B/op\t\d+ allocs/op$`)
	lines := strings.Split(strings.TrimSpace(read("samples.txt")), "\n")
	for _, text := range lines[4:] { // below goos, goarch, pkg and cpu
		if !line.MatchString(text) {
			t.Fatalf("samples.txt: %q", text)
		}
	}
	if want := len(r.FirstSeen) + len(r.Layers) + len(r.Rejects) + len(r.Repeat); len(lines)-4 != want {
		t.Errorf("samples.txt: %d samples, want %d", len(lines)-4, want)
	}
}

// TestAgain checks that a step that is measured again replaces its row.
func TestAgain(t *testing.T) {
	o := hasty()
	o.Only = regexp.MustCompile(`^first seen: EdDSA: Sallyport$`)
	m := NewMeasurement(o)
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	rows := len(m.Report.FirstSeen)
	m.Report.FirstSeen[0].Ratio.Median = 100
	excesses := m.Report.Excesses()
	if rows == 0 || len(excesses) == 0 {
		t.Fatalf("%d rows, excesses %v", rows, excesses)
	}
	if err := m.Again(excesses[0]); err != nil {
		t.Fatal(err)
	}
	if row := m.Report.FirstSeen[0]; len(m.Report.FirstSeen) != rows || row.Ratio.Median == 100 {
		t.Errorf("%d rows, the first %v; want %d and a new ratio", len(m.Report.FirstSeen), row.Ratio, rows)
	}
	if err := m.Again(Excess{Step: "nothing"}); err == nil {
		t.Error("a step that does not exist was repeated")
	}
}

func TestOnlyMatchesNothing(t *testing.T) {
	o := hasty()
	o.Only = regexp.MustCompile(`HS256`)
	if err := NewMeasurement(o).Run(); err == nil {
		t.Error("measured nothing, without an error")
	}
}

func ratioRow(c, subject string, ours bool, ratio, allocations float64) Row {
	return Row{
		Case: c, Subject: subject, Ours: ours, CPUs: 1, FloorAllocations: Allocations{Count: 9},
		Comparison: Comparison{Ratio: Quartiles{ratio - 0.01, ratio, ratio + 0.01}}, Allocations: Allocations{Count: allocations},
	}
}

func callRow(c string, repeats bool, direct, call, allocations float64) CallRow {
	return CallRow{
		Case: c, Subject: "Sallyport", Ours: true, Repeat: repeats, Allocations: Allocations{Count: allocations},
		Direct: Comparison{Ratio: Quartiles{direct, direct, direct}}, Call: Comparison{Ratio: Quartiles{call, call, call}},
		Added: Quartiles{1000, 1000 * call, 2000 * call},
	}
}

func TestExcesses(t *testing.T) {
	const ours, cached = "Sallyport", "Sallyport, repeat"
	twoCPUs := ratioRow("RS256", ours, true, 9, 99)
	twoCPUs.CPUs = 2
	report := &Report{
		FirstSeen: []Row{
			ratioRow("RS256", ours, true, 1.159, 9+16),
			ratioRow("PS256", ours, true, 1.161, 9+16),
			ratioRow("ES256", ours, true, 1.099, 9+17),
			ratioRow("EdDSA", ours, true, 1.2, 9+17),
			ratioRow("RS256", "jwx", false, 9, 99),
			twoCPUs,
		},
		Repeat: []Row{
			ratioRow("one", cached, true, 3.59, 2),
			ratioRow("two", cached, true, 3.61, 2),
			ratioRow("three", cached, true, 1, 3),
			ratioRow("three", "map", false, 9, 9),
		},
		Calls: []CallRow{
			callRow("one", true, 5.9, 1.29, 6),
			callRow("two", true, 6.1, 1.31, 7),
			callRow("three", false, 99, 9, 99),
		},
	}
	var got []string
	for _, excess := range report.Excesses() {
		if !strings.HasPrefix(excess.What, excess.Step) {
			t.Errorf("step %q of %q", excess.Step, excess.What)
		}
		got = append(got, excess.What)
	}
	want := []string{
		"first seen: PS256: Sallyport costs 1.161 ", "first seen: ES256: Sallyport makes 17 ",
		"first seen: EdDSA: Sallyport costs 1.200 ", "first seen: EdDSA: Sallyport makes 17 ",
		"repeat: two: Sallyport, repeat costs 3.61 ", "repeat: three: Sallyport, repeat makes 3 ",
		"gRPC call: two: Sallyport costs 6.10 ", "gRPC call: two: Sallyport costs 1.31 ", "gRPC call: two: Sallyport makes 7 ",
	}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestUngated(t *testing.T) {
	const ours = "Sallyport"
	twoCPUs := ratioRow("ES256", ours, true, 1, 9)
	twoCPUs.CPUs = 2
	report := &Report{FirstSeen: []Row{
		ratioRow("RS256", ours, true, 1, 9), ratioRow("PS256", "jwx", false, 1, 9), twoCPUs, ratioRow("EdDSA", ours, true, math.NaN(), 9),
	}}
	want := []string{"first seen: ES256", "first seen: EdDSA", "first seen: PS256", "repeat", "gRPC call"}
	if got := report.Ungated(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	report.FirstSeen = append(report.FirstSeen,
		ratioRow("PS256", ours, true, 1, 9), ratioRow("ES256", ours, true, 1, 9), ratioRow("EdDSA", ours, true, 1, 9))
	report.Repeat = []Row{ratioRow("one", ours, true, 1, 2)}
	report.Calls = []CallRow{callRow("one", true, 1, 1, 1)}
	if got := report.Ungated(); len(got) != 0 {
		t.Errorf("%q, want none", got)
	}
}

// TestLosses checks that the page marks and lists subjects that cost less than Sallyport and
// rows of ours over a budget, but not noise and rows within their budget.
func TestLosses(t *testing.T) {
	const ours = "Sallyport"
	rs := jose.RS256.String()
	report := &Report{
		Subjects:   []Info{{Name: "swift", Checks: "the signature"}},
		FirstSeen:  []Row{ratioRow(rs, ours, true, 1.09, 9), ratioRow(rs, "swift", false, 1.05, 9), ratioRow(rs, "close", false, 1.086, 9), ratioRow(rs, "slow", false, 2, 9)},
		Throughput: []ScalingRow{{Case: rs, Subject: floorName, Factor: Quartiles{1.8, 1.9, 2}}, {Case: rs, Subject: ours, Ours: true, Factor: Quartiles{1.6, 1.7, 1.8}}},
		RepeatThroughput: []ScalingRow{ // the second one on a busy machine
			{Case: "one token", Subject: digestName, Factor: Quartiles{1.7, 1.8, 1.9}},
			{Case: "one token", Subject: ours, Ours: true, Factor: Quartiles{1.6, 1.7, 1.8}},
			{Case: "two", Subject: digestName, Factor: Quartiles{1.6, 1.7, 1.8}},
			{Case: "two", Subject: ours, Ours: true, Factor: Quartiles{1, 1, 1}},
		},
		Repeat: []Row{ratioRow("one token", ours, true, 1.9, 0), ratioRow("one token", "map", false, 1.955, 0)},
		Calls: []CallRow{
			callRow("a call", true, 2, 1.9, 2), callRow("another", true, 2, 2.1, 2), callRow("new", false, 2, 9, 2),
			{Case: "a call", Subject: "swift", Direct: Comparison{Ratio: Quartiles{1.8, 1.9, 1.99}}},
			{Case: "a call", Subject: "close", Direct: Comparison{Ratio: Quartiles{1.8, 1.9, 2}}},
		},
		Refusals: []RefusalRow{
			{Name: "fast", Early: true, Nanos: Quartiles{2900, 2999, 3001}},
			{Name: "late", Nanos: Quartiles{9000, 9000, 9000}},
			{Name: "slow", Early: true, Slow: "of dots", Nanos: Quartiles{3000, 3001, 3002}},
		},
	}
	want := []string{
		"RS256, one CPU: swift costs 1.050 [1.040–1.060], Sallyport 1.090 [1.080–1.100]. It checks: the signature.",
		"RS256, one CPU: Sallyport is at 1.090, its budget at 1.08: 0.0 µs for everything but the signature instead of 0.0.",
		"RS256, throughput: Sallyport gains 1.70 from the second CPU, its budget is 1.9; the floor gained 1.90 [1.80–2.00] in the same run.",
		"one token, one CPU: Sallyport is at 1.90 × SHA-256, its budget at 1.8.",
		"gRPC call, another: Sallyport adds 2.1 µs, its budget is 2.",
		"gRPC call, a call: swift costs 1.90 × SHA-256, Sallyport 2.00.",
		"one token, throughput: Sallyport gains 1.70 from the second CPU, its budget is 1.8; SHA-256 gained 1.80 [1.70–1.90] in the same run.",
		"slow: refused in 3.0 µs, the budget is 3: of dots.",
	}
	if got := report.losses(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	text := string(report.Markdown())
	for _, row := range []string{
		"| **Sallyport** | 1.09 [1.08–1.10] ‡ |", "| swift | 1.05 [1.04–1.06] † |", "| close | 1.09 [1.08–1.10] |", "| slow | 2.00 [1.99–2.01] |",
		"| one token | **Sallyport** | 1.90 [1.89–1.91] ‡ |", "| one token | map | 1.96 [1.95–1.97] |",
		"| slow |  | 3.00 [3.00–3.00] ‡ |", "| late |  | 9.00 [9.00–9.00] |",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the page has no row %s\n%s", row, text)
		}
	}
	if strings.Index(text, "| swift") > strings.Index(text, "| **Sallyport") {
		t.Error("Sallyport stands above a cheaper one")
	}
	if nowhere := string((&Report{}).Markdown()); !strings.Contains(nowhere, "Nowhere in this run") {
		t.Error("no losses, and the page does not say so")
	}
}

// TestPagesAreOfTheLastRun checks that the documentation has the tables of the last run.
func TestPagesAreOfTheLastRun(t *testing.T) {
	r, err := ReadReport("results")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := r.Refresh(string(page))
	if err != nil {
		t.Fatal(err)
	}
	latest, err := os.ReadFile("results/latest.md")
	if err != nil {
		t.Fatal(err)
	}
	if fresh != string(page) || string(latest) != string(r.Markdown()) {
		t.Error("docs/performance.md or results/latest.md are not of results/latest.json: make bench ARGS=-render")
	}
	if !strings.Contains(fresh, "| **Sallyport** |") || !strings.Contains(fresh, "| jose.Key.Verify |") {
		t.Error("the tables of docs/performance.md are empty")
	}
}

func TestRefresh(t *testing.T) {
	const begin = "<!-- layers: from latest.json -->\n"
	whole := "a\n<!-- first-seen: from latest.json -->\nold\n<!-- end -->\nb\n" + begin + "old\n<!-- end -->\nc\n<!-- refused: from latest.json -->\n<!-- end -->\nd\n"
	r := &Report{Layers: []Row{ratioRow("RS256", "jose.Key.Verify", false, 1.5, 7)}}
	fresh, err := r.Refresh(whole)
	if err != nil {
		t.Fatal(err)
	}
	row := "| jose.Key.Verify | " + Layers[0].Checks + " | 1.50 | – | 7 |\n<!-- end -->\nc\n"
	if strings.Contains(fresh, "old") || !strings.Contains(fresh, row) || !strings.HasPrefix(fresh, "a\n") || !strings.HasSuffix(fresh, "-->\nd\n") {
		t.Errorf("%s", fresh)
	}
	if again, err := r.Refresh(fresh); err != nil || again != fresh {
		t.Errorf("a second time: %v\n%s", err, again)
	}
	if _, err := r.Refresh(strings.Replace(whole, begin, "", 1)); err == nil {
		t.Error("a page without a place for a table was refreshed")
	}
}

func TestReadReportWithoutRun(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadReport(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "latest.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReport(dir); err == nil {
		t.Error("half a file was read")
	}
}

func TestMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, row := range []struct {
		text      string
		cpu, load string
	}{
		{"processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: Other\n", "Some CPU: fast", "processor : 0"},
		{"0.50 1.25 2.00 1/100 4711\n", "", "0.50 1.25 2.00"},
		{"", "", ""},
	} {
		if err := os.WriteFile(file, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if cpu, averages := cpuModel(file), load(file); cpu != row.cpu || averages != row.load {
			t.Errorf("%q: %q and %q, want %q and %q", row.text, cpu, averages, row.cpu, row.load)
		}
	}
	if none := filepath.Join(t.TempDir(), "none"); cpuModel(none) != "" || load(none) != "" {
		t.Error("something was read from a file that is not there")
	}
}

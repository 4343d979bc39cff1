package benchmarks

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

func TestQuartilesOf(t *testing.T) {
	for _, row := range []struct {
		name   string
		sample []float64
		want   Quartiles
	}{
		{"none", nil, Quartiles{0, 0, 0}},
		{"one", []float64{3}, Quartiles{3, 3, 3}},
		{"two", []float64{4, 2}, Quartiles{2.5, 3, 3.5}},
		{"odd", []float64{5, 1, 4, 2, 3}, Quartiles{2, 3, 4}},
		{"even", []float64{1, 2, 3, 4}, Quartiles{1.75, 2.5, 3.25}},
		{"outlier", []float64{1, 1, 1, 1, 1000}, Quartiles{1, 1, 1}},
	} {
		if got := QuartilesOf(row.sample); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	sample := []float64{2, 1}
	QuartilesOf(sample)
	if sample[0] != 2 {
		t.Error("the sample was sorted in place")
	}
}

// The ratio is that of pairs, so a machine that slows down halfway does not
// show in it.
func TestComparedIsPairwise(t *testing.T) {
	got := compared([]float64{10, 10, 10, 40, 40}, []float64{11, 11, 11, 44, 44})
	for _, value := range []float64{got.Ratio.Q1, got.Ratio.Median, got.Ratio.Q3} {
		if math.Abs(value-1.1) > 1e-9 {
			t.Errorf("ratio %v, want 1.1 throughout", got.Ratio)
		}
	}
	if got.FloorNanos != 10 || got.SubjectNanos != 11 {
		t.Errorf("medians %v and %v, want 10 and 11", got.FloorNanos, got.SubjectNanos)
	}
}

func TestCompareRunsBothEquallyOften(t *testing.T) {
	var sequence []byte
	calls := make(map[byte]int)
	mark := func(name byte) func() error {
		return func() error {
			calls[name]++
			if len(sequence) == 0 || sequence[len(sequence)-1] != name {
				sequence = append(sequence, name)
			}
			for range 1000 { // something to measure
				calls[name] += 0
			}
			return nil
		}
	}
	if _, err := Compare(mark('f'), mark('s'), 4, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	// Calibration and warm-up, then fs sf fs sf, in which equal neighbours merge.
	if got, want := string(sequence), "fs"+"fsfsf"; got != want {
		t.Errorf("sequence %s, want %s", got, want)
	}
	const pairs, warmUp = 4, 1
	if block := calls['s'] / (pairs + warmUp); calls['s'] != block*(pairs+warmUp) || calls['f'] < block*pairs {
		t.Errorf("%v runs: not in blocks of one length", calls)
	}
}

func TestCompareReportsFailure(t *testing.T) {
	broken := errors.New("broken")
	good := func() error { return nil }
	bad := func() error { return broken }
	for _, sides := range [][2]func() error{{good, bad}, {bad, good}} {
		if _, err := Compare(sides[0], sides[1], 2, time.Microsecond); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
	if _, err := Scaling(bad, 1, time.Millisecond); !errors.Is(err, broken) {
		t.Errorf("Scaling: %v, want %v", err, broken)
	}
	if _, err := AllocationsOf(bad); !errors.Is(err, broken) {
		t.Errorf("AllocationsOf: %v, want %v", err, broken)
	}
}

func TestAllocationsOf(t *testing.T) {
	var sink []*[64]byte
	got, err := AllocationsOf(func() error {
		sink = []*[64]byte{new([64]byte), new([64]byte)}
		return nil
	})
	if err != nil || got.Count != 3 || got.Bytes < 128+16 || len(sink) != 2 {
		t.Errorf("%v (%v), want 3 allocations of 144 bytes", got, err)
	}
}

func TestExcesses(t *testing.T) {
	row := func(a jose.Algorithm, subject string, ratio, allocations float64) Row {
		return Row{
			Algorithm: a.String(), Subject: subject, FloorAllocations: Allocations{Count: 9},
			Comparison: Comparison{Ratio: Quartiles{Median: ratio}}, Allocations: Allocations{Count: allocations},
		}
	}
	report := &Report{Rows: []Row{
		row(jose.RS256, Sallyport.Name, 1.159, 9+16),
		row(jose.PS256, Sallyport.Name, 1.161, 9+16),
		row(jose.ES256, Sallyport.Name, 1.099, 9+17),
		row(jose.EdDSA, Sallyport.Name, 1.2, 9+17),
		row(jose.RS256, "jwx", 9, 99),
	}}
	var got []string
	for _, excess := range report.Excesses() {
		got = append(got, excess.What)
	}
	want := []string{"PS256 costs", "ES256 makes", "EdDSA costs", "EdDSA makes"}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

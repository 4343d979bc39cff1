package benchmarks

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
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

// TestComparedIsPairwise checks that the ratio is that of pairs, so that it does not
// change if the machine slows down halfway.
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

// TestCompareIsFair checks that both sides run in turn, equally often, over the same
// tokens.
func TestCompareIsFair(t *testing.T) {
	for cpus := 1; cpus <= 2; cpus++ {
		var (
			mu       sync.Mutex
			sequence []byte
			tokens   = make(map[byte][]int)
			procs    int
		)
		side := func(name byte) Run {
			return func(i int) error {
				mu.Lock()
				defer mu.Unlock()
				tokens[name] = append(tokens[name], i)
				if len(sequence) == 0 || sequence[len(sequence)-1] != name {
					sequence = append(sequence, name)
				}
				procs = runtime.GOMAXPROCS(0)
				return nil
			}
		}
		const pairs = 4
		before := runtime.GOMAXPROCS(0)
		if _, err := (Pairs{Count: pairs, Block: 200 * time.Microsecond, CPUs: cpus}).Compare(side('f'), side('s')); err != nil {
			t.Fatal(err)
		}
		if procs != cpus || runtime.GOMAXPROCS(0) != before {
			t.Errorf("GOMAXPROCS was %d with %d CPUs, and is %d after %d", procs, cpus, runtime.GOMAXPROCS(0), before)
		}
		// Calibration and warm-up, then fs sf fs sf, where equal neighbours are merged.
		if got, want := string(sequence), "fs"+"fsfsf"; got != want {
			t.Errorf("%d CPUs: sequence %s, want %s", cpus, got, want)
		}
		measured := len(tokens['s']) / (pairs + 1) * pairs // the first block is the warm-up
		last := func(name byte) []int { return slices.Sorted(slices.Values(tokens[name][len(tokens[name])-measured:])) }
		if !slices.Equal(last('f'), last('s')) {
			t.Errorf("%d CPUs: the sides used different tokens", cpus)
		}
	}
}

func TestCompareReportsFailure(t *testing.T) {
	broken := errors.New("broken")
	good := func(int) error { return nil }
	bad := func(int) error { return broken }
	late := func(i int) error { // fails in the second goroutine
		if i >= stride {
			return broken
		}
		return nil
	}
	pairs := Pairs{Count: 2, Block: time.Microsecond, CPUs: 2}
	for _, sides := range [][2]Run{{good, bad}, {bad, good}, {good, late}} {
		if _, err := pairs.Compare(sides[0], sides[1]); !errors.Is(err, broken) {
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
	got, err := AllocationsOf(func(int) error {
		sink = []*[64]byte{new([64]byte), new([64]byte)}
		return nil
	})
	if err != nil || got.Count != 3 || got.Bytes < 128+16 || len(sink) != 2 {
		t.Errorf("%v (%v), want 3 allocations of 144 bytes", got, err)
	}
}

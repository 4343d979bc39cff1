package benchmarks

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Quartiles of a sample.
type Quartiles struct {
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
}

// QuartilesOf interpolates linearly between the order statistics. An empty
// sample gives zeros.
func QuartilesOf(sample []float64) Quartiles {
	sorted := slices.Sorted(slices.Values(sample))
	at := func(q float64) float64 {
		if len(sorted) == 0 {
			return 0
		}
		position := q * float64(len(sorted)-1)
		i := int(position)
		if i+1 == len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (position-float64(i))*(sorted[i+1]-sorted[i])
	}
	return Quartiles{Q1: at(0.25), Median: at(0.5), Q3: at(0.75)}
}

// Comparison is the cost of a subject beside that of the floor.
type Comparison struct {
	FloorNanos   float64   `json:"floorNanos"` // CPU time of one run, median
	SubjectNanos float64   `json:"subjectNanos"`
	Ratio        Quartiles `json:"ratio"` // of the pairs
}

// compared makes a Comparison of the CPU times of one run, pair by pair.
func compared(floor, subject []float64) Comparison {
	ratios := make([]float64, len(floor))
	for i := range floor {
		ratios[i] = subject[i] / floor[i]
	}
	return Comparison{
		FloorNanos:   QuartilesOf(floor).Median,
		SubjectNanos: QuartilesOf(subject).Median,
		Ratio:        QuartilesOf(ratios),
	}
}

// Compare runs floor and subject in turn, pairs times, each for about block of
// CPU time and equally often. Who goes first alternates, so that a drift of
// the machine's speed favours neither.
func Compare(floor, subject func() error, pairs int, block time.Duration) (Comparison, error) {
	n, err := runsPer(block, floor)
	if err != nil {
		return Comparison{}, err
	}
	if _, err := timed(n, subject); err != nil { // warms up
		return Comparison{}, err
	}
	floors, subjects := make([]float64, pairs), make([]float64, pairs)
	for i := range pairs {
		first, second := floor, subject
		firstTimes, secondTimes := floors, subjects
		if i%2 == 1 {
			first, second = second, first
			firstTimes, secondTimes = secondTimes, firstTimes
		}
		if firstTimes[i], err = timed(n, first); err != nil {
			return Comparison{}, err
		}
		if secondTimes[i], err = timed(n, second); err != nil {
			return Comparison{}, err
		}
	}
	return compared(floors, subjects), nil
}

// timed is the CPU time of one of n runs of f, in nanoseconds.
func timed(n int, f func() error) (float64, error) {
	start := cpuTime()
	for range n {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return float64(cpuTime()-start) / float64(n), nil
}

// runsPer is how often f runs in about d of CPU time.
func runsPer(d time.Duration, f func() error) (int, error) {
	for n := 1; ; n *= 2 {
		one, err := timed(n, f)
		if err != nil {
			return 0, err
		}
		if spent := one * float64(n); spent > float64(d)/4 {
			return max(1, int(float64(d)/one)), nil
		}
	}
}

// cpuTime is the CPU time of this process, all threads.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // the arguments are constants
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Allocations is the heap use of one run.
type Allocations struct {
	Count float64 `json:"count"`
	Bytes float64 `json:"bytes"`
}

// AllocationsOf averages over some runs, which no other goroutine should
// overlap.
func AllocationsOf(f func() error) (Allocations, error) {
	const runs = 200
	if err := f(); err != nil {
		return Allocations{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if err := f(); err != nil {
			return Allocations{}, err
		}
	}
	runtime.ReadMemStats(&after)
	return Allocations{
		Count: float64((after.Mallocs - before.Mallocs) / runs), // whole: a stray one of the runtime is not ours
		Bytes: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// Scaling is how much more two goroutines get done than one, by the clock on
// the wall. It says nothing on a machine that is busy with something else;
// compare it with the floor's.
func Scaling(f func() error, rounds int, window time.Duration) (Quartiles, error) {
	factors := make([]float64, rounds)
	for i := range factors {
		one, err := rate(f, 1, window)
		if err != nil {
			return Quartiles{}, err
		}
		two, err := rate(f, 2, window)
		if err != nil {
			return Quartiles{}, err
		}
		factors[i] = two / one
	}
	return QuartilesOf(factors), nil
}

// rate is how many runs a second goroutines achieve together.
func rate(f func() error, goroutines int, window time.Duration) (float64, error) {
	var (
		wg    sync.WaitGroup
		rates = make([]float64, goroutines)
		errs  = make([]error, goroutines)
	)
	for g := range goroutines {
		wg.Go(func() {
			// Written once each: the slices share cache lines.
			rates[g], errs[g] = rateAlone(f, window)
		})
	}
	wg.Wait()
	sum := 0.0
	for g := range goroutines {
		if errs[g] != nil {
			return 0, fmt.Errorf("benchmarks: %w", errs[g])
		}
		sum += rates[g]
	}
	return sum, nil
}

func rateAlone(f func() error, window time.Duration) (float64, error) {
	const batch = 16 // between looks at the clock
	start := time.Now()
	runs := 0
	for time.Since(start) < window {
		for range batch {
			if err := f(); err != nil {
				return 0, err
			}
		}
		runs += batch
	}
	return float64(runs) / time.Since(start).Seconds(), nil
}

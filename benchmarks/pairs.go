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

// Comparison is the cost of a subject beside that of what it is held against.
type Comparison struct {
	FloorNanos   float64   `json:"floorNanos"` // CPU time of one run, median
	SubjectNanos float64   `json:"subjectNanos"`
	Ratio        Quartiles `json:"ratio"` // of the pairs

	samples []float64 // the subject's, pair by pair
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
		samples:      subject,
	}
}

// Pairs says how to compare.
type Pairs struct {
	Count int
	Block time.Duration // CPU time of one side of a pair, on each CPU
	CPUs  int           // how many goroutines run each side at once, and GOMAXPROCS meanwhile
}

// Compare runs floor and subject in turn, each equally often over the same
// tokens, the floor for about a block of CPU time. Who goes first alternates,
// so that a drift of the machine's speed favours neither.
func (p Pairs) Compare(floor, subject Run) (Comparison, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(p.CPUs))
	n, err := runsPer(p.Block, floor)
	if err != nil {
		return Comparison{}, err
	}
	if _, err := timed(p.CPUs, 0, n, subject); err != nil { // warms up
		return Comparison{}, err
	}
	floors, subjects := make([]float64, p.Count), make([]float64, p.Count)
	for i := range p.Count {
		first, second := floor, subject
		firstTimes, secondTimes := floors, subjects
		if i%2 == 1 {
			first, second = second, first
			firstTimes, secondTimes = secondTimes, firstTimes
		}
		start := i * n
		if firstTimes[i], err = timed(p.CPUs, start, n, first); err != nil {
			return Comparison{}, err
		}
		if secondTimes[i], err = timed(p.CPUs, start, n, second); err != nil {
			return Comparison{}, err
		}
	}
	return compared(floors, subjects), nil
}

// timed is the CPU time, in nanoseconds, of one of n runs of f from start on in
// each of some goroutines.
func timed(goroutines, start, n int, f Run) (float64, error) {
	before := cpuTime()
	err := together(goroutines, func(g int) error {
		from := start + g*stride
		for i := from; i < from+n; i++ {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	})
	return float64(cpuTime()-before) / float64(n*goroutines), err
}

// stride keeps goroutines away from each other's tokens, if there are many.
const stride = 3571

// together runs f in some goroutines, of which this one is the first.
func together(goroutines int, f func(g int) error) error {
	if goroutines == 1 {
		return f(0)
	}
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines - 1 {
		wg.Go(func() { errs[g+1] = f(g + 1) })
	}
	errs[0] = f(0)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// runsPer is how often f runs in about d of CPU time.
func runsPer(d time.Duration, f Run) (int, error) {
	for n := 1; ; n *= 2 {
		one, err := timed(1, 0, n, f)
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
func AllocationsOf(f Run) (Allocations, error) {
	const runs = 100
	if err := f(0); err != nil {
		return Allocations{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range runs {
		if err := f(i); err != nil {
			return Allocations{}, err
		}
	}
	runtime.ReadMemStats(&after)
	return Allocations{
		Count: float64((after.Mallocs - before.Mallocs) / runs), // whole: a stray one of the runtime is not ours
		Bytes: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// Scaling is how much more two CPUs get done than one, by the clock on the
// wall. It says nothing on a machine that is busy with something else; compare
// it with the floor's.
func Scaling(f Run, rounds int, window time.Duration) (Quartiles, error) {
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

// rate is how many runs a second as many goroutines as CPUs achieve together.
func rate(f Run, cpus int, window time.Duration) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cpus))
	rates := make([]float64, cpus)
	err := together(cpus, func(g int) error {
		alone, err := rateAlone(f, g*stride, window)
		rates[g] = alone // once: the slice shares cache lines
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("benchmarks: %w", err)
	}
	sum := 0.0
	for _, alone := range rates {
		sum += alone
	}
	return sum, nil
}

func rateAlone(f Run, from int, window time.Duration) (float64, error) {
	const batch = 16 // between looks at the clock
	start := time.Now()
	i := from
	for time.Since(start) < window {
		for range batch {
			if err := f(i); err != nil {
				return 0, err
			}
			i++
		}
	}
	return float64(i-from) / time.Since(start).Seconds(), nil
}

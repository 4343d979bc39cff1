package benchmarks

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Quartiles are the quartiles of a sample.
type Quartiles struct {
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
}

// micros returns q, which is in nanoseconds, in microseconds.
func (q Quartiles) micros() Quartiles { return Quartiles{q.Q1 / 1e3, q.Median / 1e3, q.Q3 / 1e3} }

// QuartilesOf returns the quartiles of a sample. It interpolates linearly between the
// order statistics. The quartiles of an empty sample are zero.
func QuartilesOf(sample []float64) Quartiles {
	sorted := slices.Sorted(slices.Values(sample))
	return Quartiles{Q1: percentile(sorted, 0.25), Median: percentile(sorted, 0.5), Q3: percentile(sorted, 0.75)}
}

// percentile returns the value below which the fraction q of a sorted sample is, or 0 if
// the sample is empty.
func percentile(sorted []float64, q float64) float64 {
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

// Comparison is the cost of a subject and of the floor, or what replaces the floor.
type Comparison struct {
	FloorNanos   float64   `json:"floorNanos"` // CPU time of one run, median
	SubjectNanos float64   `json:"subjectNanos"`
	Ratio        Quartiles `json:"ratio"` // of the pairs

	floors, samples []float64 // of the floor and the subject, for each pair
}

// added returns how much more the subject took than the floor, in nanoseconds.
func (c Comparison) added() Quartiles {
	differences := make([]float64, len(c.samples))
	for i := range differences {
		differences[i] = c.samples[i] - c.floors[i]
	}
	return QuartilesOf(differences)
}

// compared returns the Comparison of CPU times of one run, for each pair.
func compared(floor, subject []float64) Comparison {
	ratios := make([]float64, len(floor))
	for i := range floor {
		ratios[i] = subject[i] / floor[i]
	}
	return Comparison{
		FloorNanos:   QuartilesOf(floor).Median,
		SubjectNanos: QuartilesOf(subject).Median,
		Ratio:        QuartilesOf(ratios),
		floors:       floor,
		samples:      subject,
	}
}

// Pairs configures a comparison in pairs.
type Pairs struct {
	Count int
	Block time.Duration // CPU time of one side of a pair, on each CPU
	CPUs  int           // goroutines that run each side at once; also GOMAXPROCS meanwhile
}

// Compare runs floor and subject in turn, equally often over the same tokens, so often
// that the floor takes about a block of CPU time. They take turns in being first, so
// that a change in the speed of the machine favours neither.
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

// timed returns the CPU time of one run of f, in nanoseconds. It runs f n times, from
// start on, in each of several goroutines.
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

// stride separates the tokens of goroutines, if there are many tokens.
const stride = 3571

// together runs f in several goroutines, one of which is the calling one.
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

// runsPer returns how often f runs in about d of CPU time.
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

// cpuTime returns the CPU time of all threads of this process.
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

// AllocationsOf returns the average heap use of several runs. No other goroutine
// should run meanwhile.
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
		Count: float64((after.Mallocs - before.Mallocs) / runs), // rounded down: the runtime allocates now and then, too
		Bytes: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// Scaling returns the throughput of two CPUs as a ratio to that of one. It measures
// real time, so it means nothing on a busy machine; compare it with the Scaling of
// the floor.
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

// rate returns the runs per second of all goroutines together, one on each CPU.
func rate(f Run, cpus int, window time.Duration) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cpus))
	rates := make([]float64, cpus)
	err := together(cpus, func(g int) error {
		alone, err := rateAlone(f, g*stride, window)
		rates[g] = alone // stored once, because elements of the slice share cache lines
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
	const batch = 16 // runs between readings of the clock
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

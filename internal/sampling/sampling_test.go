package sampling_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/sampling"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func newSampler(limits sampling.Limits) *sampling.Sampler[string] {
	return sampling.New(limits, "other", start)
}

// sample returns how many of n events of key at the given time pass, and adds to counts
// what is told.
func sample(s *sampling.Sampler[string], key string, n int, at time.Duration, counts map[string]uint64) (passed int) {
	for range n {
		passes, told := s.Sample(key, start.Add(at))
		if passes {
			passed++
		}
		add(counts, told)
	}
	return passed
}

func add(counts map[string]uint64, told []sampling.Dropped[string]) {
	for _, d := range told {
		counts[d.Key] += d.Count
	}
}

// TestSample covers R-OB-07 and A12: how many events of a key pass in a window, and that
// the next event of any key tells once what was dropped.
func TestSample(t *testing.T) {
	tests := []struct {
		name          string
		limits        sampling.Limits
		events        int
		passed        int
		dropped       uint64
		passedInNext  int
		droppedInNext uint64
	}{
		{"fewer than First", sampling.Limits{First: 5, Window: time.Minute, Keys: 4}, 4, 4, 0, 4, 0},
		{"as many as First", sampling.Limits{First: 5, Window: time.Minute, Keys: 4}, 5, 5, 0, 5, 0},
		{"one more", sampling.Limits{First: 5, Window: time.Minute, Keys: 4}, 6, 5, 1, 5, 1},
		{"a flood", sampling.Limits{First: 5, Window: time.Minute, Keys: 4}, 1000, 5, 995, 5, 995},
		{"one in ten", sampling.Limits{First: 5, Every: 10, Window: time.Minute, Keys: 4}, 1000, 5 + 99, 896, 5 + 99, 896},
		{"every one", sampling.Limits{First: 5, Every: 1, Window: time.Minute, Keys: 4}, 1000, 1000, 0, 1000, 0},
		{"limits that are too small", sampling.Limits{First: -1, Every: -1, Window: -1, Keys: -1}, 3, 1, 2, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, counts := newSampler(tt.limits), map[string]uint64{}
			if passed := sample(s, "a", tt.events, time.Second/2, counts); passed != tt.passed {
				t.Errorf("%d passed, want %d", passed, tt.passed)
			}
			if len(counts) != 0 {
				t.Errorf("told before the window has ended: %v", counts)
			}
			sample(s, "b", 1, time.Minute, counts)
			if counts["a"] != tt.dropped {
				t.Errorf("%d dropped, want %d", counts["a"], tt.dropped)
			}
			if passed := sample(s, "a", tt.events, time.Minute, counts); passed != tt.passedInNext {
				t.Errorf("%d passed in the next window, want %d", passed, tt.passedInNext)
			}
			add(counts, s.Due(start.Add(2*time.Minute)))
			if got := counts["a"] - tt.dropped; got != tt.droppedInNext {
				t.Errorf("%d dropped in the next window, want %d", got, tt.droppedInNext)
			}
			add(counts, s.Due(start.Add(3*time.Minute)))
			add(counts, s.Flush())
			if counts["a"] != tt.dropped+tt.droppedInNext {
				t.Errorf("told twice: %v", counts)
			}
		})
	}
}

// TestWindow checks the window that is told with a count.
func TestWindow(t *testing.T) {
	s := newSampler(sampling.Limits{First: 1, Window: time.Minute, Keys: 1})
	sample(s, "a", 3, 150*time.Second, nil)
	told := s.Due(start.Add(time.Hour))
	want := sampling.Dropped[string]{Key: "a", Count: 2, From: start.Add(2 * time.Minute), To: start.Add(3 * time.Minute)}
	if len(told) != 1 || told[0] != want {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestClockSetBack checks that events of an earlier time count in the latest window, also
// before the start.
func TestClockSetBack(t *testing.T) {
	s, counts := newSampler(sampling.Limits{First: 2, Window: time.Minute, Keys: 4}), map[string]uint64{}
	passed := sample(s, "a", 1, 5*time.Minute, counts)
	passed += sample(s, "a", 3, time.Minute, counts)
	passed += sample(s, "a", 3, -time.Hour, counts)
	if passed != 2 || len(counts) != 0 {
		t.Errorf("%d passed, want 2; told %v", passed, counts)
	}
	add(counts, s.Due(start.Add(6*time.Minute)))
	if counts["a"] != 5 {
		t.Errorf("%d dropped, want 5", counts["a"])
	}
}

// TestFlush checks that Flush tells the window that has not ended, and that events after it
// are told on their own.
func TestFlush(t *testing.T) {
	s, counts := newSampler(sampling.Limits{First: 2, Window: time.Minute, Keys: 4}), map[string]uint64{}
	sample(s, "a", 10, 0, counts)
	add(counts, s.Flush())
	if counts["a"] != 8 {
		t.Errorf("%d dropped, want 8", counts["a"])
	}
	if passed := sample(s, "a", 10, time.Second, counts); passed != 2 {
		t.Errorf("%d passed after Flush, want 2", passed)
	}
	add(counts, s.Due(start.Add(time.Minute)))
	if counts["a"] != 16 {
		t.Errorf("%d dropped in all, want 16", counts["a"])
	}
}

// TestKeys covers R-OB-07: the number of keys is bounded, and the events of further keys
// count under the other key.
func TestKeys(t *testing.T) {
	s, counts := newSampler(sampling.Limits{First: 1, Window: time.Minute, Keys: 3}), map[string]uint64{}
	passed := 0
	for i := range 1000 {
		passed += sample(s, fmt.Sprintf("key %d", i), 2, 0, counts)
	}
	if passed != 4 { // one of each of the three keys, and one of the others
		t.Errorf("%d passed, want 4", passed)
	}
	add(counts, s.Flush())
	if len(counts) != 4 || counts["key 0"] != 1 || counts["key 2"] != 1 || counts["other"] != 2*997-1 {
		t.Errorf("told %v", counts)
	}
}

// TestExact covers A12: with many goroutines, and windows that end meanwhile, produced is
// written plus told.
func TestExact(t *testing.T) {
	const goroutines, events = 8, 5000
	s := newSampler(sampling.Limits{First: 3, Every: 100, Window: time.Second, Keys: 3})
	var passed, told atomic.Uint64
	tell := func(all []sampling.Dropped[string]) {
		for _, d := range all {
			told.Add(d.Count)
		}
	}
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range events {
				passes, dropped := s.Sample(fmt.Sprint("key", (g+i)%5), start.Add(time.Duration(i)*time.Millisecond))
				if passes {
					passed.Add(1)
				}
				tell(dropped)
				if i%1000 == 999 {
					tell(s.Flush())
				}
			}
		})
	}
	all.Wait()
	tell(s.Flush())
	if got := passed.Load() + told.Load(); got != goroutines*events {
		t.Errorf("%d passed and %d told, %d in all, want %d", passed.Load(), told.Load(), got, goroutines*events)
	}
}

// TestAllocations checks that an event of a known key allocates nothing.
func TestAllocations(t *testing.T) {
	s := newSampler(sampling.Limits{First: 1, Window: time.Minute, Keys: 3})
	s.Sample("a", start)
	if n := testing.AllocsPerRun(100, func() { s.Sample("a", start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSample(b *testing.B) {
	s := newSampler(sampling.Limits{First: 1, Window: time.Minute, Keys: 3})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Sample("a", start)
		}
	})
}

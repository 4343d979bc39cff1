package benchmarks

import (
	"sync/atomic"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// For benchstat: `go test -bench FirstSeen/alg=RS256 -count 10 ./benchmarks`,
// then `benchstat -col /by`. On a noisy machine, cmd/compare compares better,
// because it runs the subjects in pairs.

// run benchmarks f and fails if f does.
func run(b *testing.B, f Run) {
	b.Helper()
	if err := f(0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = f(i)
	}
}

func benchMaterial(b *testing.B, a jose.Algorithm, tokens int) *Material {
	b.Helper()
	m, err := NewMaterial(a, tokens)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	return m
}

// sides benchmarks the floor, or what replaces it, and the subjects.
func sides(b *testing.B, m *Material, prefix, against string, floor Run, subjects []Subject, bench func(*testing.B, Run)) {
	b.Helper()
	b.Run(prefix+"/by="+against, func(b *testing.B) { bench(b, floor) })
	for _, s := range subjects {
		b.Run(prefix+"/by="+slug(s.Name), func(b *testing.B) {
			f, err := s.Prepare(m)
			if err != nil {
				b.Fatal(err)
			}
			if err := seeAll(f, m); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			bench(b, f)
		})
	}
}

func unseen(b *testing.B, subjects []Subject, bench func(*testing.B, Run)) {
	b.Helper()
	for _, a := range Algorithms {
		m := benchMaterial(b, a, distinct)
		floor, err := m.Floor()
		if err != nil {
			b.Fatal(err)
		}
		sides(b, m, "alg="+a.String(), "floor", floor, subjects, bench)
	}
}

func BenchmarkFirstSeen(b *testing.B) { unseen(b, Subjects, run) }

func BenchmarkLayer(b *testing.B) { unseen(b, Layers, run) }

// BenchmarkFirstSeenParallel shows with -cpu 1,2 how throughput grows with CPUs.
func BenchmarkFirstSeenParallel(b *testing.B) {
	unseen(b, Subjects, func(b *testing.B, f Run) {
		b.Helper()
		b.ReportAllocs()
		var goroutines atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for i := int(goroutines.Add(1)) * stride; pb.Next(); i++ {
				_ = f(i)
			}
		})
	})
}

func BenchmarkRepeat(b *testing.B) {
	for _, w := range workloads(10_000) {
		m := benchMaterial(b, w.algorithm, w.tokens)
		sides(b, m, "tokens="+slug(w.name), "SHA_256", m.Digest(), Repeats, run)
	}
}

// BenchmarkReject measures refusals: those that all subjects are compared by, and all
// of Sallyport.
func BenchmarkReject(b *testing.B) {
	m := benchMaterial(b, jose.RS256, 1)
	rejects, err := Rejects(m)
	if err != nil {
		b.Fatal(err)
	}
	for _, reject := range rejects {
		subjects := Subjects[:1]
		if reject.Compared {
			subjects = everyone()
		}
		for _, s := range subjects {
			b.Run("token="+slug(reject.Name)+"/by="+slug(s.Name), func(b *testing.B) {
				f, err := reject.RunBy(s, m)
				if err != nil {
					b.Fatal(err)
				}
				run(b, f)
			})
		}
	}
}

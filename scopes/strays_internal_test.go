package scopes

import (
	"math/rand/v2"
	"testing"
)

// TestStraysCount shows over random histories that the total is what its parts
// say, and that nothing is kept of principals without strays.
func TestStraysCount(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newStrays()
	want := map[uint64]int{}
	check := func() {
		t.Helper()
		total := 0
		for principal, n := range want {
			total += min(n, maxOwnStrays)
			if s.of[principal] != n {
				t.Fatalf("principal %d has %d strays, want %d", principal, s.of[principal], n)
			}
		}
		if s.total != total || len(s.of) != len(want) || int(s.any.Load()) != len(want) {
			t.Fatalf("%d strays of %d principals (%d), want %d of %d", s.total, len(s.of), s.any.Load(), total, len(want))
		}
	}
	for range 20_000 {
		principal := uint64(random.IntN(5))
		if n := want[principal]; n > 0 && random.IntN(20) < 9 {
			s.add(principal, -1)
			want[principal]--
		} else {
			s.add(principal, 1)
			want[principal]++
		}
		if want[principal] == 0 {
			delete(want, principal)
		}
		check()
	}
	for principal, n := range want {
		for range n {
			s.add(principal, -1)
		}
		delete(want, principal)
		check()
	}
}

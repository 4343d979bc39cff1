package scopes

import (
	"math/rand/v2"
	"testing"
)

// TestLateRunsCount shows over random histories that the total is the sum of its
// parts, and that principals without late runs are forgotten.
func TestLateRunsCount(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newLateRuns()
	want := map[uint64]int{}
	check := func() {
		t.Helper()
		total := 0
		for principal, n := range want {
			total += min(n, maxOwnLateRuns)
			if s.of[principal] != n {
				t.Fatalf("principal %d has %d late runs, want %d", principal, s.of[principal], n)
			}
		}
		if s.total != total || len(s.of) != len(want) || int(s.any.Load()) != len(want) {
			t.Fatalf("%d late runs of %d principals (%d), want %d of %d", s.total, len(s.of), s.any.Load(), total, len(want))
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

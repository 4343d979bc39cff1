package benchmarks

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestDoors checks that every interceptor accepts good tokens over a real connection, and
// refuses what it must: that of Sallyport with UNAUTHENTICATED, others with any error.
func TestDoors(t *testing.T) {
	for _, d := range Doors {
		t.Run(slug(d.Name), func(t *testing.T) {
			for _, a := range callAlgorithms {
				for _, seen := range []bool{false, true} {
					doorOpens(t, d, material(t, a, 3), seen)
				}
			}
		})
	}
}

func doorOpens(t *testing.T, d Door, m *Material, seen bool) {
	t.Helper()
	interceptor, err := d.Prepare(m, seen)
	if err != nil {
		t.Fatal(err)
	}
	server, err := newCallServer(interceptor)
	if err != nil {
		t.Fatal(err)
	}
	defer server.close()
	for name, run := range map[string]Run{"over a connection": server.calls(m), "direct": direct(interceptor, m)} {
		for i := range 4 { // one more than the number of tokens
			if err := run(i); err != nil {
				t.Errorf("%s, %s: %v", m.Algorithm, name, err)
			}
		}
	}
	now := time.Now()
	header, claims := m.Header(), Claims(now, 0)
	for name, parts := range map[string][2]string{
		"expired":        {header, Claims(now.Add(-2*time.Hour), 0)},
		"wrong audience": {header, strings.ReplaceAll(claims, "api.example.com", "api.example.org")},
		"wrong issuer":   {header, strings.Replace(claims, "/realms/main", "/realms/evil", 1)},
		"unknown kid":    {strings.Replace(header, "2026-11-a", "2026-11-b", 1), claims},
	} {
		token, err := m.Sign(parts[0], parts[1])
		if err != nil {
			t.Fatal(err)
		}
		doorRefuses(t, d, name, server.calls(m.With(token))(0))
	}
	doorRefuses(t, d, "bad signature", server.calls(m.With(m.Tokens[0][:len(m.Tokens[0])-8]+"AAAAAAAA"))(0))
}

// doorRefuses checks the answer to a token that must be refused.
func doorRefuses(t *testing.T, d Door, name string, err error) {
	t.Helper()
	if code := status.Code(err); code != codes.Unauthenticated && (code == codes.OK || d.Ours) {
		t.Errorf("%s: %v, want UNAUTHENTICATED", name, err)
	}
}

// TestCallAllocations holds the budget of a repeat token: how much the interceptor of
// Sallyport allocates more than none.
func TestCallAllocations(t *testing.T) {
	for _, a := range callAlgorithms {
		m := material(t, a, 1)
		var counts []float64
		for _, d := range Doors {
			interceptor, err := d.Prepare(m, true)
			if err != nil {
				t.Fatal(err)
			}
			run := direct(interceptor, m)
			if err := seeAll(run, m); err != nil {
				t.Fatal(err)
			}
			counts = append(counts, testing.AllocsPerRun(100, func() { _ = run(0) }))
			t.Logf("%s: %s: %.0f allocations", a, d.Name, counts[len(counts)-1])
		}
		if counts[0] > CallAllocationBudget {
			t.Errorf("%s: %.0f allocations, the budget is %d", a, counts[0], CallAllocationBudget)
		}
		for i, count := range counts[1:] {
			if count <= counts[0] {
				t.Errorf("%s: %s makes %.0f allocations, Sallyport %.0f", a, Doors[i+1].Name, count, counts[0])
			}
		}
	}
}

func BenchmarkCall(b *testing.B) {
	for _, a := range callAlgorithms {
		for _, c := range callCases() {
			if c.algorithm != a {
				continue
			}
			m := benchMaterial(b, a, c.tokens())
			for _, d := range Doors {
				interceptor, err := d.Prepare(m, c.seen)
				if err != nil {
					b.Fatal(err)
				}
				b.Run("case="+slug(c.name())+"/by="+slug(d.Name), func(b *testing.B) { run(b, direct(interceptor, m)) })
			}
		}
	}
}

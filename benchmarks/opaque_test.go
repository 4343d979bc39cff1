package benchmarks

import (
	"testing"
	"time"
)

// TestAskers checks that all clients accept the answer that they are measured with, and
// that Sallyport asks about each token once.
func TestAskers(t *testing.T) {
	server := newIntrospector()
	defer server.Close()
	for _, a := range askers {
		ask, err := a.prepare(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask("token-1"); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	all, err := Misses(1, 1)
	if err != nil || len(all) != len(askers) {
		t.Errorf("%v, %v; want a row for each client", all, err)
	}
}

// TestFlood runs a short flood: each random token is asked about or refused, and no known
// token is refused or asked about.
func TestFlood(t *testing.T) {
	const tokens = 1000
	r, err := Flood{Tokens: tokens, Callers: 50, Window: 20 * time.Millisecond}.Run()
	if err != nil {
		t.Fatal(err)
	}
	if r.Inactive+r.Overloaded != tokens || r.Requests != r.Inactive || r.AtOnce == 0 || r.AtOnce > 24 || r.Uses == 0 || r.Windows == 0 {
		t.Errorf("%+v", r)
	}
}

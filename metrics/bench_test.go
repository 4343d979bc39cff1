package metrics_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// BenchmarkCheck measures a check of a token in the cache, without and with metrics. The
// budget is in benchmarks, which compares them in pairs.
func BenchmarkCheck(b *testing.B) {
	issuer := issuertest.New(b)
	p := issuer.Bearer(nil)
	trace, _ := switchOn(b)
	for name, trace := range map[string]*middleware.Trace{"off": nil, "on": trace} {
		b.Run(name, func(b *testing.B) {
			route, err := issuer.Guard(b, middleware.Config{Trace: trace}).Route("GET /orders/{id}", scopes.Authenticated())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if route.Check(b.Context(), p, scopes.Operation{}).Denial() != nil {
					b.Fatal("denied")
				}
			}
		})
	}
}

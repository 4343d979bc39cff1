package metrics_test

import (
	"runtime"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
)

// TestForgetAndReturn (A11) checks that the counts of a Validator go on, and count once, if its Guard is forgotten and another Guard gets it after a scrape.
func TestForgetAndReturn(t *testing.T) {
	collector := metrics.NewCollector()
	registry := register(t, collector)
	issuer := issuertest.New(t)
	v := issuer.Validator(t, issuer.Fetched)
	configure := func() *middleware.Guard {
		return issuertest.Guard(t, middleware.Config{Trace: collector.Trace(), Validator: v})
	}
	fetches := func(when string) {
		t.Helper()
		page := scrape(t, registry)
		if n := page.sum("sallyport_key_fetches_total"); n != 1 {
			t.Errorf("%s: %v fetches, want 1", when, n)
		}
		if n := page.sum("sallyport_key_fetch_duration_seconds_count"); n != 1 {
			t.Errorf("%s: %v durations, want 1", when, n)
		}
	}
	guard := configure()
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	fetches("at first")
	for range 3 {
		collector.Forget(guard)
		fetches("without a guard")
		guard = configure()
		fetches("with another guard")
	}
	runtime.KeepAlive(guard)
}

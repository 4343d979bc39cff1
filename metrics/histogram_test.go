package metrics_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDurations (A8) checks that durations of the repeat path and of slow issuers can both
// be read, from the classic histogram and from the native one.
func TestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		route, err := issuer.Guard(t, middleware.Config{}).Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		token := route.Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}).Token()
		collector := metrics.NewCollector()
		registry := register(t, collector)
		observe := func(took time.Duration) {
			collector.Trace().Decided(t.Context(), middleware.Decision{
				Route: "x", Transport: "http", Issuer: issuer.URL(), Token: token, Source: validator.Verified, Start: time.Now().Add(-took),
			})
		}
		for _, row := range []struct {
			took          time.Duration
			within, above string // bounds of the bucket
		}{{300 * time.Nanosecond, "5e-07", "2.5e-07"}, {3 * time.Second, "5", "2.5"}, {30 * time.Second, "40", "20"}} {
			bucket := func(le string) float64 {
				return scrape(t, registry).values()[`sallyport_validation_duration_seconds_bucket{source="verified",le="`+le+`"}`]
			}
			within, above := bucket(row.within), bucket(row.above)
			for range 100 {
				observe(row.took)
			}
			if n, m := bucket(row.within)-within, bucket(row.above)-above; n != 100 || m != 0 {
				t.Errorf("%v: %v within %s s, %v within %s s", row.took, n, row.within, m, row.above)
			}
		}
		for range 100_000 { // of all sizes
			observe(time.Duration(100 * math.Pow(4e8, rand.Float64())))
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		native := 0
		for _, family := range families {
			if family.GetName() != "sallyport_validation_duration_seconds" {
				continue
			}
			for _, m := range family.GetMetric() {
				h := m.GetHistogram()
				if len(h.GetBucket()) < 20 || h.GetSchema() < 1 && h.GetSampleCount() == 0 {
					t.Errorf("%d classic buckets, schema %d", len(h.GetBucket()), h.GetSchema())
				}
				if n := len(h.GetPositiveDelta()); n > 160 {
					t.Errorf("%d native buckets", n)
				} else if n > native {
					native = n
				}
			}
		}
		if native < 50 {
			t.Errorf("%d native buckets", native)
		}
	})
}

// TestFetchBuckets (A8) checks that the buckets of the histograms by issuer are there
// before the first event, and end above the time limits of fetches.
func TestFetchBuckets(t *testing.T) {
	registry := everything(t)
	for _, family := range []string{"sallyport_key_fetch_duration_seconds", "sallyport_introspection_duration_seconds"} {
		page := scrape(t, registry)
		for _, le := range []string{`le="0.005"`, `le="1"`, `le="40"`, `le="+Inf"`} {
			if !page.has(family+"_bucket", le) {
				t.Errorf("%s has no bucket %s", family, le)
			}
		}
		if !strings.Contains(string(page), "# TYPE "+family+" histogram\n") {
			t.Errorf("%s is no histogram", family)
		}
	}
}

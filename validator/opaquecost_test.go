package validator_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// remembered returns a Validator of a new issuer, and a token of that many bytes whose
// answer is in its cache for five minutes.
func remembered(tb testing.TB, bytes int) (*validator.Validator, validator.Presentation) {
	tb.Helper()
	is := issuertest.New(tb)
	v := issuertest.Validator(tb, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(cache(5 * time.Minute))}})
	p := issuertest.Bearer(is.Opaque(testissuer.Token{Text: strings.Repeat("t", bytes)}))
	hits(tb, v, p, "")
	return v, p
}

// hits presents p until the verdict comes from the cache, and checks that it stays so.
func hits(tb testing.TB, v *validator.Validator, p validator.Presentation, want validator.Reason) {
	tb.Helper()
	for range 2 {
		_, _ = v.Validate(tb.Context(), p)
	}
	if done := v.Inspect(tb.Context(), p); done.Reason != want || done.Source != validator.Cached {
		tb.Fatalf("reason %q, source %q; want %q from the cache", done.Reason, done.Source, want)
	}
}

// TestAllocationsOfAnswers (R-OP-07): an answer in the cache costs no allocation, for an
// opaque token, for a JWT on a route that demands an answer, and for a token that is not
// active.
func TestAllocationsOfAnswers(t *testing.T) {
	hybrid := newHybridIssuer(t, cache(5*time.Minute))
	opaque := newOpaqueIssuer(t, cache(5*time.Minute))
	for _, row := range []struct {
		name string
		v    *validator.Validator
		p    validator.Presentation
		want validator.Reason
	}{
		{"an opaque token", opaque.v, opaque.OpaqueBearer(nil), ""},
		{"an opaque token on a route with a demand", opaque.v, within(opaque.OpaqueBearer(nil), time.Minute), ""},
		{"a JWT on a route with a demand", hybrid.v, within(hybrid.Bearer(nil), time.Minute), ""},
		{"an opaque token that is not active", opaque.v, issuertest.Bearer("unknown"), validator.Inactive},
	} {
		t.Run(row.name, func(t *testing.T) {
			hits(t, row.v, row.p, row.want)
			ctx := context.Background()
			if got := testing.AllocsPerRun(100, func() { _, _ = row.v.Validate(ctx, row.p) }); got != 0 {
				t.Errorf("%v allocations, want 0", got)
			}
		})
	}
}

// BenchmarkRepeatOpaque measures an opaque token whose answer is in the cache, beside
// SHA-256 of the same token. x-sha256 is the median of alternating pairs.
func BenchmarkRepeatOpaque(b *testing.B) {
	ctx := context.Background()
	for _, bytes := range []int{48, 850} {
		v, p := remembered(b, bytes)
		text := []byte(p.Token)
		name := fmt.Sprintf("%d bytes/", bytes)
		sum := func(int) { sha256.Sum256(text) }
		validate := func(int) { _, _ = v.Validate(ctx, p) }
		serial(b, name+"sha256", sum)
		serial(b, name+"validate", validate)
		b.Run(name+"pairs", func(b *testing.B) { reportRatio(b, sum, validate) })
		hits(b, v, p, "")
	}
}

// reportRatio reports the ratio of do to floor, of alternating pairs of batches.
func reportRatio(b *testing.B, floor, do func(i int)) {
	b.Helper()
	const batch = 200
	var ratios []float64
	for at := 0; b.Loop(); at += batch {
		below, above := timed(at, batch, floor), timed(at, batch, do)
		ratios = append(ratios, float64(above)/float64(below))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-sha256")
	b.ReportMetric(ratios[len(ratios)/4], "x-lower-quartile")
	b.ReportMetric(ratios[len(ratios)*3/4], "x-upper-quartile")
	b.ReportMetric(0, "ns/op") // of a pair of batches: means nothing
}

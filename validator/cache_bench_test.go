package validator_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// benchClaims are claims of everyday size, 414 bytes with n of five digits: two
// audiences, six scopes, four roles.
func benchClaims(n int) object {
	return object{
		{"iss", `"` + testIssuer + `"`},
		{"aud", `["` + testAudience + `","https://billing.example.com"]`},
		{"sub", `"248289761001-9f3c"`},
		{"client_id", `"web-frontend-7d1c"`},
		{"exp", "1700003600"},
		{"iat", "1699999940"},
		{"nbf", "1699999940"},
		{"jti", fmt.Sprintf(`"01HF5ZB8Q2-%05d"`, n)},
		{"scope", `"orders:read orders:write invoices:read profile email offline"`},
		{"roles", `["customer","reviewer","editor","support-agent"]`},
	}
}

// benchTokens are distinct tokens of one key. Only Ed25519 signs quickly enough
// for many.
func benchTokens(n int, pad string) []validator.Presentation {
	tokens := make([]validator.Presentation, n)
	for i := range tokens {
		claims := benchClaims(i)
		if pad != "" {
			claims = claims.with("pad", `"`+pad+`"`)
		}
		tokens[i] = bearer(testKey.token(claims))
	}
	return tokens
}

// hot makes a validator that keeps all of the tokens, among those in use.
func hot(tb testing.TB, tokens []validator.Presentation) *validator.Validator {
	tb.Helper()
	config := baseConfig()
	config.Cache.Entries = max(1000, 2*len(tokens)) // no shard gets more than its places
	v := issuertest.Validator(tb, config)
	for range 2 {
		for i := range tokens {
			if _, err := v.Validate(at(0), tokens[i]); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if kept, _ := validator.CacheSize(v); kept != len(tokens) {
		tb.Fatalf("%d of %d tokens are kept", kept, len(tokens))
	}
	return v
}

// BenchmarkRepeat is a token that was verified before: one that is hot, and ten
// thousand in turn. x-sha256 is the ratio to SHA-256 of the same token, by the
// median of alternating pairs.
func BenchmarkRepeat(b *testing.B) {
	ctx := at(0)
	for _, n := range []int{1, 10_000} {
		tokens := benchTokens(n, strings.Repeat("p", 90))
		texts := make([][]byte, n)
		for i := range tokens {
			texts[i] = []byte(tokens[i].Token)
		}
		v := hot(b, tokens)
		name := fmt.Sprintf("%d of %d bytes/", n, len(texts[0]))
		sum := func(i int) { sha256.Sum256(texts[i%n]) }
		validate := func(i int) { _, _ = v.Validate(ctx, tokens[i%n]) }
		serial(b, name+"sha256", sum)
		serial(b, name+"validate", validate)
		b.Run(name+"pairs", func(b *testing.B) { reportRatio(b, sum, validate) })
		parallel(b, name+"sha256-parallel", sum)
		parallel(b, name+"validate-parallel", validate)
	}
}

// BenchmarkFirstSeen is what the cache adds to a first sight: the digest, a
// look-up in vain, and the entry, with another that gives way.
func BenchmarkFirstSeen(b *testing.B) {
	ctx := at(0)
	signer := rsaSigner(jose.RS256, "rs256")
	for _, row := range []struct {
		name   string
		tokens []validator.Presentation
	}{
		{"Ed25519", benchTokens(20_000, "")},
		{"RS256", manyOf(signer, 5000)},
	} {
		made := map[string]*validator.Validator{}
		for _, name := range []string{"Off", "Cached"} {
			config := baseConfig()
			config.Issuers[0].Keys = keysOf(testKey, signer)
			config.Cache.Off = name == "Off"
			config.Cache.Entries = 640 // and nothing comes again before it is gone
			made[name] = issuertest.Validator(b, config)
		}
		next := 0 // goes on from one run to the next
		seen := func(v *validator.Validator) func(int) {
			return func(int) {
				_, _ = v.Validate(ctx, row.tokens[next%len(row.tokens)])
				next++
			}
		}
		off, cached := seen(made["Off"]), seen(made["Cached"])
		serial(b, row.name+"/Off", off)
		serial(b, row.name+"/Cached", cached)
		b.Run(row.name+"/pairs", func(b *testing.B) {
			var added []float64
			for b.Loop() {
				const batch = 20
				without, with := timed(0, batch, off), timed(0, batch, cached)
				added = append(added, float64(with-without)/batch)
			}
			slices.Sort(added)
			b.ReportMetric(added[len(added)/2], "added-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// manyOf signs distinct tokens with one key.
func manyOf(s *signer, n int) []validator.Presentation {
	tokens := make([]validator.Presentation, n)
	for i := range tokens {
		tokens[i] = bearer(s.token(benchClaims(i)))
	}
	return tokens
}

// serial runs do one after the other.
func serial(b *testing.B, name string, do func(i int)) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			do(i)
		}
	})
}

// parallel runs do on all processors, each somewhere else.
func parallel(b *testing.B, name string, do func(i int)) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		var worker atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for i := int(worker.Add(1)) * 7919; pb.Next(); i++ {
				do(i)
			}
		})
	})
}

// timed is how long do takes for so many in a row.
func timed(from, n int, do func(i int)) time.Duration {
	start := time.Now()
	for i := range n {
		do(from + i)
	}
	return time.Since(start)
}

// memory measures what the entries of all tokens take, each, and what the cache
// thinks that they take.
func memory(tb testing.TB, tokens []validator.Presentation) (measured, estimated float64) {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := hot(tb, tokens)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept, estimate := validator.CacheSize(v)
	runtime.KeepAlive(v)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(kept), float64(estimate) / float64(kept)
}

// BenchmarkMemory tells what an entry takes.
func BenchmarkMemory(b *testing.B) {
	for _, pad := range []int{0, 90, 200, 1500} {
		tokens := benchTokens(10_000, strings.Repeat("p", pad))
		b.Run(fmt.Sprintf("%d bytes", len(tokens[0].Token)), func(b *testing.B) {
			var measured, estimated float64
			for b.Loop() {
				measured, estimated = memory(b, tokens)
			}
			b.ReportMetric(measured, "B/entry")
			b.ReportMetric(estimated, "estimated-B/entry")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestMemory: what the cache thinks that an entry takes is what it takes. The
// header stays with the claims in memory, and some issuers put certificates
// there.
func TestMemory(t *testing.T) {
	long := make([]validator.Presentation, 2000)
	header := testKey.header().with("x5c", `["`+strings.Repeat("c", 2000)+`"]`).text()
	for i := range long {
		long[i] = bearer(testKey.Sign(header, benchClaims(i).text()))
	}
	for _, tokens := range [][]validator.Presentation{
		benchTokens(2000, ""), benchTokens(2000, strings.Repeat("p", 200)), benchTokens(2000, strings.Repeat("p", 1500)), long,
	} {
		measured, estimated := memory(t, tokens)
		t.Logf("%d bytes of token: %.0f, estimated %.0f", len(tokens[0].Token), measured, estimated)
		if math.Abs(measured-estimated) > measured/5 {
			t.Errorf("%d bytes of token take %.0f, and not %.0f", len(tokens[0].Token), measured, estimated)
		}
	}
}

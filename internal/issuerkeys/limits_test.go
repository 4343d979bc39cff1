package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// limit is one field of Limits with its bounds and a function that measures its
// effect.
type limit struct {
	smallest, largest int64
	fallback          int64
	// custom is a value whose effect is measured besides that of the default,
	// and with what the other limits are meanwhile.
	custom int64
	with   jwkscache.Limits
	effect func(t *testing.T, limits jwkscache.Limits) int64
}

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
)

var limitRows = map[string]limit{
	"FetchTimeout": {
		smallest: second, largest: 30 * second, fallback: 5 * second, custom: 2 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			keys := openSite(t, new(site), within(limits), func(b *issuerkeys.Binding) { b.HTTPClient.Transport = stuck{} })
			start := time.Now()
			wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
			return int64(time.Since(start))
		},
	},
	"MetadataTimeout": {
		smallest: second, largest: 30 * second, fallback: 5 * second, custom: 2 * second, with: jwkscache.Limits{FetchTimeout: 30 * time.Second},
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			keys := bindTo(t, jwkscache.Discovered(), within(limits), func(b *issuerkeys.Binding) {
				b.Locate = func(ctx context.Context) (string, error) {
					<-ctx.Done()
					return "", ctx.Err()
				}
			})
			start := time.Now()
			wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
			return int64(time.Since(start) - limits.FetchTimeout)
		},
	},
	"DocumentBytes": {
		smallest: 1 << 10, largest: 4 << 20, fallback: 1 << 20, custom: 3 << 20,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			document := setOf(jwk(t, "a"))
			return largest(1, 5<<20, func(n int64) bool {
				return n <= 1000 || serves(t, limits, document+strings.Repeat(" ", int(n)-len(document)))
			})
		},
	},
	"Keys": {
		smallest: 1, largest: 1000, fallback: 1000, custom: 3,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			usable := jwk(t, "a")
			return largest(0, 1100, func(n int64) bool {
				unusable := strings.Repeat(`,{"kty":"AKP"}`, int(n)/2)
				return n == 0 || serves(t, limits, setOf(usable+strings.Repeat(","+usable, int(n)-1-int(n)/2)+unusable))
			})
		},
	},
	"RSABits": {
		smallest: 2048, largest: 8192, fallback: 4096, custom: 5000,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			return largest(2047, 9000, func(n int64) bool { return usesRSA(t, limits, int(n), 65537) })
		},
	},
	"RSAExponent": {
		smallest: 65537, largest: 1<<31 - 1, fallback: 65537, custom: 1<<20 + 1,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			return largest(1, 1<<32, func(n int64) bool { return usesRSA(t, limits, 2048, n|1) })
		},
	},
	"MinFresh": {
		smallest: 10 * second, largest: hour, fallback: minute, custom: 20 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			return int64(freshFor(t, limits, "Cache-Control: max-age=1"))
		},
	},
	"MaxFresh": {
		smallest: minute, largest: 24 * hour, fallback: 24 * hour, custom: 2 * hour,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			return int64(freshFor(t, limits, "Cache-Control: max-age=1000000"))
		},
	},
	"DefaultFresh": {
		smallest: 10 * second, largest: 24 * hour, fallback: 10 * minute, custom: 3 * hour,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 { return int64(freshFor(t, limits)) },
	},
	"Stale": {
		smallest: second, largest: 24 * hour, fallback: hour, custom: 10 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			return int64(outage(t, limits) - 10*time.Minute)
		},
	},
	"MaxAge": {
		smallest: minute, largest: 24 * hour, fallback: 24 * hour, custom: 30 * minute,
		with: jwkscache.Limits{Stale: 24 * time.Hour},
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			fresh := freshFor(t, limits, "Cache-Control: max-age=86400")
			wantSpan(t, "usable for", outage(t, limits), fresh)
			return int64(fresh)
		},
	},
	"MaxBackoff": {
		smallest: second, largest: hour, fallback: minute, custom: 8 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 { return int64(longestPause(t, limits)) },
	},
	"MaxRetryAfter": {
		smallest: second, largest: hour, fallback: 5 * minute, custom: 2 * minute,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			s := new(site)
			s.answers(200, setOf(jwk(t, "a")))
			keys := openSite(t, s, within(limits))
			wants(t, "warm", keys.Warm(t.Context()), nil)
			advance(11 * time.Minute)
			s.answers(503, "", "Retry-After: 86400")
			wants(t, "stale", find(t, keys, "a"), nil)
			synctest.Wait()
			return int64(s.firstAfter(t, func() { wants(t, "a known kid", find(t, keys, "a"), nil) }))
		},
	},
	"FilePoll": {
		smallest: second, largest: hour, fallback: 5 * second, custom: 90 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			path := filepath.Join(t.TempDir(), "jwks.json")
			write(t, path, setOf(jwk(t, "a")))
			keys := bindTo(t, jwkscache.File(path), within(limits))
			wants(t, "warm", keys.Warm(t.Context()), nil)
			start := time.Now()
			write(t, path, setOf(jwk(t, "b")))
			for !keys.Status().Fetched.After(start) && time.Since(start) < 2*time.Hour {
				advance(time.Second)
				_ = find(t, keys, "a")
				synctest.Wait()
			}
			took := time.Since(start)
			wants(t, "the key that is gone", find(t, keys, "a"), jose.ErrUnknownKey)
			return int64(took)
		},
	},
	"UnknownInterval": {
		smallest: second, largest: minute, fallback: second, custom: 3 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 { return int64(floodPauses(t, limits)[0]) },
	},
	"FruitlessInterval": {
		smallest: second, largest: 5 * minute, fallback: 5 * second, custom: 17 * second,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			pauses := floodPauses(t, limits)
			return int64(pauses[len(pauses)-1])
		},
	},
	"Fruitless": {
		smallest: 1, largest: 100, fallback: 10, custom: 4,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			n := int64(1) // the first fetch has no pause before it
			for _, pause := range floodPauses(t, limits) {
				if pause == time.Second {
					n++
				}
			}
			return n
		},
	},
	"Waiters": {
		smallest: 1, largest: 100_000, fallback: 1000, custom: 7,
		effect: func(t *testing.T, limits jwkscache.Limits) int64 {
			keys := openSite(t, new(site), within(limits), func(b *issuerkeys.Binding) { b.HTTPClient.Transport = stuck{} })
			var mu sync.Mutex
			refused := 0
			var all sync.WaitGroup
			const callers = 1500
			start := time.Now()
			for range callers {
				all.Go(func() {
					wants(t, "a token", find(t, keys, "a"), issuerkeys.ErrUnavailable)
					mu.Lock()
					defer mu.Unlock()
					if time.Since(start) == 0 { // at once
						refused++
					}
				})
			}
			synctest.Wait()
			waiting := keys.Status().Waiting
			all.Wait()
			if waiting != callers-refused {
				t.Errorf("%d decisions to wait, and %d callers wait", waiting, callers-refused)
			}
			return callers - int64(refused)
		},
	},
}

// within sets limits.
func within(limits jwkscache.Limits) func(*issuerkeys.Binding) {
	return func(b *issuerkeys.Binding) { b.Limits = limits }
}

// stuck is a transport that returns when its context ends.
type stuck struct{}

func (stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// largest returns the largest n for which right holds, if it holds for all smaller
// ones.
func largest(low, high int64, right func(int64) bool) int64 {
	for low+1 < high {
		if middle := (low + high) / 2; right(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// serves reports whether a document is accepted.
func serves(t *testing.T, limits jwkscache.Limits, document string) bool {
	t.Helper()
	s := new(site)
	s.answers(200, document)
	err := openSite(t, s, within(limits)).Warm(t.Context())
	if err != nil && !errors.Is(err, issuerkeys.ErrUnavailable) {
		t.Error(err)
	}
	return err == nil
}

// usesRSA reports whether an RSA key of that size and exponent is used. The modulus
// is random.
func usesRSA(t *testing.T, limits jwkscache.Limits, bits int, exponent int64) bool {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	document := fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","n":%q,"e":%q}]}`,
		encode(modulus.SetBit(modulus, 0, 1).Bytes()), encode(big.NewInt(exponent).Bytes()))
	keys, err := issuerkeys.Open(jwkscache.Static([]byte(document)), issuerkeys.Binding{Issuer: "https://issuer.example", Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return len(keys.Status().Keys) == 1
}

// freshFor returns how long a response with those fields is fresh.
func freshFor(t *testing.T, limits jwkscache.Limits, fields ...string) time.Duration {
	t.Helper()
	s := new(site)
	s.answers(200, setOf(jwk(t, "a")), fields...)
	keys := openSite(t, s, within(limits))
	wants(t, "warm", keys.Warm(t.Context()), nil)
	start := time.Now()
	fresh := keys.Status().FreshUntil.Sub(start)
	advance(fresh - 1)
	wants(t, "fresh", find(t, keys, "a"), nil)
	synctest.Wait()
	s.wantVisits(t, "while fresh", 1)
	advance(1)
	_ = find(t, keys, "a")
	synctest.Wait()
	s.wantVisits(t, "after it", 2)
	return fresh
}

// outage returns how long a set serves in an outage.
func outage(t *testing.T, limits jwkscache.Limits) time.Duration {
	t.Helper()
	s := new(site)
	s.answers(200, setOf(jwk(t, "a")))
	keys := openSite(t, s, within(limits))
	wants(t, "warm", keys.Warm(t.Context()), nil)
	s.down()
	start := time.Now()
	usable := keys.Status().UsableUntil.Sub(start)
	advance(usable - 1)
	wants(t, "the last instant", find(t, keys, "a"), nil)
	wants(t, "ready", keys.Ready(), nil)
	advance(1)
	wants(t, "after it", find(t, keys, "a"), issuerkeys.ErrUnavailable)
	wants(t, "not ready", keys.Ready(), issuerkeys.ErrUnavailable)
	return time.Since(start)
}

// longestPause returns the longest of many pauses between fetches of Run, without
// jitter.
func longestPause(t *testing.T, limits jwkscache.Limits) time.Duration {
	t.Helper()
	s := new(site)
	keys := openSite(t, s, within(limits))
	go keys.Run(t.Context())
	advance(6 * time.Hour)
	visits := s.visited()
	longest := time.Duration(0)
	for i := range len(visits) - 1 {
		longest = max(longest, visits[i+1].at.Sub(visits[i].at))
	}
	return longest
}

// floodPauses returns the pauses between the first fetches for made-up kids.
func floodPauses(t *testing.T, limits jwkscache.Limits) (pauses []time.Duration) {
	t.Helper()
	s := new(site)
	s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=86400")
	keys := openSite(t, s, within(limits))
	wants(t, "warm", keys.Warm(t.Context()), nil)
	advance(time.Hour)
	for i := 0; len(s.visited()) < 15; i++ {
		wants(t, "a made-up kid", find(t, keys, fmt.Sprint(i)), jose.ErrUnknownKey)
		advance(100 * time.Millisecond)
	}
	visits := s.visited()[1:]
	for i := range len(visits) - 1 {
		pauses = append(pauses, visits[i+1].at.Sub(visits[i].at))
	}
	return pauses
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestLimitsEffects shows the effect of every field of Limits, with its default and
// with another value (R-JK-04, R-JK-08, R-JK-10, R-JK-12).
func TestLimitsEffects(t *testing.T) {
	fields := reflect.TypeFor[jwkscache.Limits]()
	for field := range fields.Fields() {
		row, ok := limitRows[field.Name]
		if !ok {
			t.Errorf("nothing is known of Limits.%s", field.Name)
			continue
		}
		for _, value := range []int64{0, row.custom} {
			want := value
			if value == 0 {
				want = row.fallback
			}
			t.Run(fmt.Sprintf("%s=%d", field.Name, value), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					limits := row.with
					reflect.ValueOf(&limits).Elem().FieldByIndex(field.Index).SetInt(value)
					got := row.effect(t, limits)
					if field.Name == "MaxBackoff" && got > want*3/4 && got <= want { // jitter
						return
					}
					if got != want {
						t.Errorf("%d, want %d", got, want)
					}
				})
			})
		}
	}
	if len(limitRows) != fields.NumField() {
		t.Errorf("%d rows for %d fields", len(limitRows), fields.NumField())
	}
}

// TestLimitsBounds shows that a value out of bounds is a fault that has the name of
// the field, the value and the bounds.
func TestLimitsBounds(t *testing.T) {
	// pairs are fields that must not be less than another.
	pairs := map[string]string{"MinFresh": "MaxFresh", "UnknownInterval": "FruitlessInterval"}
	for name, row := range limitRows {
		for _, c := range []struct {
			value int64
			good  bool
		}{
			{row.smallest, true},
			{row.largest, true},
			{row.smallest - 1, false},
			{row.largest + 1, false},
			{-1, false},
			{-row.largest, false},
		} {
			if c.value == 0 { // which is the default
				continue
			}
			var limits jwkscache.Limits
			if above, ok := pairs[name]; ok {
				reflect.ValueOf(&limits).Elem().FieldByName(above).SetInt(limitRows[above].largest)
			}
			field := reflect.ValueOf(&limits).Elem().FieldByName(name)
			field.SetInt(c.value)
			_, err := issuerkeys.Open(jwkscache.URL(siteURL), issuerkeys.Binding{Limits: limits})
			if (err == nil) != c.good {
				t.Errorf("%s %v: %v", name, field, err)
			}
			want := fmt.Sprintf("jwkscache: KeyLimits.%s is %v; allowed are ", name, field)
			if err != nil && strings.Count(err.Error(), want) != 1 {
				t.Errorf("%s %v: the error does not say so: %v", name, field, err)
			}
		}
	}
}

// TestLimitsAgree shows that MinFresh may not exceed MaxFresh, nor UnknownInterval
// FruitlessInterval.
func TestLimitsAgree(t *testing.T) {
	for _, row := range []struct {
		limits jwkscache.Limits
		good   bool
	}{
		{jwkscache.Limits{MinFresh: time.Minute, MaxFresh: time.Minute}, true},
		{jwkscache.Limits{MinFresh: time.Minute + 1, MaxFresh: time.Minute}, false},
		{jwkscache.Limits{MinFresh: time.Hour}, true},
		{jwkscache.Limits{MaxFresh: time.Minute}, true},
		{jwkscache.Limits{UnknownInterval: 3 * time.Second, FruitlessInterval: 3 * time.Second}, true},
		{jwkscache.Limits{UnknownInterval: 3*time.Second + 1, FruitlessInterval: 3 * time.Second}, false},
		{jwkscache.Limits{UnknownInterval: 6 * time.Second}, false}, // more than the default of the other
		{jwkscache.Limits{FruitlessInterval: time.Second}, true},
	} {
		_, err := issuerkeys.Open(jwkscache.URL(siteURL), issuerkeys.Binding{Limits: row.limits})
		if (err == nil) != row.good || err != nil && !strings.Contains(err.Error(), " and exceeds ") {
			t.Errorf("%+v: %v", row.limits, err)
		}
	}
	// What has no bounds of its own is held to those of others.
	synctest.Test(t, func(t *testing.T) {
		wantSpan(t, "DefaultFresh over MaxFresh", freshFor(t, jwkscache.Limits{DefaultFresh: time.Hour, MaxFresh: 10 * time.Minute}), 10*time.Minute)
	})
	synctest.Test(t, func(t *testing.T) {
		wantSpan(t, "DefaultFresh under MinFresh", freshFor(t, jwkscache.Limits{DefaultFresh: 10 * time.Second}), time.Minute)
	})
	synctest.Test(t, func(t *testing.T) {
		wantSpan(t, "MinFresh over MaxAge", freshFor(t, jwkscache.Limits{MinFresh: time.Hour, MaxAge: time.Minute}, "Cache-Control: no-store"), time.Minute)
	})
}

// TestOpenReportsEveryFault shows that all faults of the limits, of the names of
// keys and of the source are reported at once, with paths relative to
// validator.Issuer.
func TestOpenReportsEveryFault(t *testing.T) {
	limits := jwkscache.Limits{MinFresh: time.Hour, MaxFresh: time.Minute}
	want := []string{"KeyLimits.MinFresh", "ForbiddenKeys[0]", "ForbiddenKeys[1].KeyID", "ForbiddenKeys[3].Thumbprint", "Keys"}
	for field := range reflect.TypeFor[jwkscache.Limits]().Fields() {
		if field.Name != "MinFresh" && field.Name != "MaxFresh" {
			reflect.ValueOf(&limits).Elem().FieldByIndex(field.Index).SetInt(-7)
			want = append(want, "KeyLimits."+field.Name)
		}
	}
	slices.Sort(want)
	for source, problem := range map[jwkscache.Source]string{
		jwkscache.URL("http://issuer.example/"): "fetch: URL must be https",
		jwkscache.Discovered():                  "is no source of keys",
		jwkscache.File(""):                      "has an empty path",
		nil:                                     "is no source of keys",
	} {
		keys, err := issuerkeys.Open(source, issuerkeys.Binding{
			Issuer: issuer, Limits: limits,
			Forbidden: []jwkscache.KeyName{{}, {KeyID: strings.Repeat("x", 257)}, {KeyID: "good"}, {Thumbprint: "x"}},
		})
		if keys != nil || err == nil {
			t.Fatalf("%v, %v", keys, err)
		}
		var paths []string
		for _, f := range fault.All(err) {
			paths = append(paths, f.Path)
			if f.Path == "Keys" && !strings.Contains(f.Problem, problem) {
				t.Errorf("%v: the problem is %q, want %q", source, f.Problem, problem)
			}
		}
		if slices.Sort(paths); !slices.Equal(paths, want) {
			t.Errorf("%v: faults of %q, want %q", source, paths, want)
		}
	}
}

package validator_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// inactiveServer is a transport to a server that knows no token. It costs far less than a
// request to testissuer.
type inactiveServer struct {
	takes time.Duration // each answer; needs a synctest bubble

	underWay, most, requests atomic.Int64
}

func (s *inactiveServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests.Add(1)
	for n := s.underWay.Add(1); ; {
		most := s.most.Load()
		if n <= most || s.most.CompareAndSwap(most, n) {
			break
		}
	}
	defer s.underWay.Add(-1)
	if s.takes > 0 {
		time.Sleep(s.takes)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"active":false}`)), Request: r,
	}, nil
}

// strangers present random tokens to a Validator: n tokens in all, from so many callers.
// A caller that is refused waits for pause, if it is not 0.
func strangers(t *testing.T, v *validator.Validator, n, callers int, pause time.Duration) (inactive, overloaded int64) {
	t.Helper()
	var left, notActive, tooMany atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				_, err := v.Validate(t.Context(), issuertest.Bearer(rand.Text()))
				switch {
				case validator.ReasonOf(err) == validator.Inactive:
					notActive.Add(1)
				case validator.ReasonOf(err) == validator.Unavailable && errors.Is(err, introspect.Overloaded):
					tooMany.Add(1)
				default:
					t.Errorf("a random token: %v", causeOf(err))
				}
				if pause > 0 {
					time.Sleep(pause)
				}
			}
		})
	}
	all.Wait()
	return notActive.Load(), tooMany.Load()
}

// heapInUse returns the bytes of the heap that are reachable.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestRandomTokens (R-IN-14) presents random tokens. The requests that are under way stay
// within the part of Limits.Concurrency for tokens that were not active before, and tokens
// with an answer in the cache are accepted all the time without a request.
func TestRandomTokens(t *testing.T) {
	const n = 10_000
	for _, row := range []struct {
		name       string
		callers    int
		overloaded bool // some tokens are not asked about
	}{
		{"as many callers as may wait", 200, false},
		{"more callers than may wait", 1000, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := newOpaqueIssuer(t)
				server := &inactiveServer{takes: time.Millisecond}
				v := besideStrangers(t, good, server)
				known := make([]validator.Presentation, 50)
				for i := range known {
					known[i] = issuertest.Bearer(good.Opaque(testissuer.Token{Prefix: "good_"}))
					wantVerdict(t, "first", v, known[i], "", validator.Introspected, "")
				}
				goroutines, used := runtime.NumGoroutine(), 0
				ctx, cancel := context.WithCancel(t.Context())
				var user sync.WaitGroup
				user.Go(func() {
					for ; ctx.Err() == nil; used++ {
						wantVerdict(t, "a token in use", v, known[used%len(known)], "", validator.Cached, "") //nolint:contextcheck // the end of ctx ends the loop, not the call
						time.Sleep(100 * time.Microsecond)
					}
				})
				inactive, overloaded := strangers(t, v, n, row.callers, time.Millisecond)
				cancel()
				user.Wait()
				synctest.Wait()

				if most := server.most.Load(); most != 24 { // three quarters of 32
					t.Errorf("%d requests at once, want 24", most)
				}
				if server.requests.Load() != inactive || inactive+overloaded != n {
					t.Errorf("%d requests, %d tokens not active, %d not asked about", server.requests.Load(), inactive, overloaded)
				}
				if (overloaded > 0) != row.overloaded {
					t.Errorf("%d tokens were refused because too many wait", overloaded)
				}
				if used == 0 || good.asked() != len(known) {
					t.Errorf("%d uses of tokens in the cache, %d requests for them, want %d", used, good.asked(), len(known))
				}
				for range 10_000 { // goroutines of the runtime and of other tests count, too, and end
					if runtime.NumGoroutine() <= goroutines {
						return
					}
					time.Sleep(time.Millisecond)
				}
				t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), goroutines)
			})
		})
	}
}

// besideStrangers returns a Validator that asks good about tokens with the prefix good_,
// and server about all others.
func besideStrangers(t *testing.T, good *opaqueIssuer, server *inactiveServer) *validator.Validator {
	t.Helper()
	return issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		good.OpaqueConfig(cache(5*time.Minute), func(config *validator.Issuer) { config.Opaque.Prefix, config.Grants = "good_", allScopes }),
		issuertest.At(t, "https://other.test").OpaqueConfig(func(config *validator.Issuer) {
			config.HTTPClient, config.Grants = &http.Client{Transport: server}, allScopes
		}),
	}})
}

// TestRandomTokensMemory (R-IN-14): neither memory nor the number of goroutines grows with
// the number of random tokens. There is no synctest bubble, because it keeps memory itself.
func TestRandomTokensMemory(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	v := besideStrangers(t, newOpaqueIssuer(t), &inactiveServer{})
	strangers(t, v, 20_000, 200, 0) // fills what is bounded
	before, goroutines := heapInUse(), runtime.NumGoroutine()
	strangers(t, v, n, 200, 0)
	if grown := heapInUse() - before; grown > 512<<10 {
		t.Errorf("the heap grew by %d bytes with %d tokens", grown, n)
	}
	if now := runtime.NumGoroutine(); now > goroutines+5 { // some are about to end
		t.Errorf("%d goroutines, before %d", now, goroutines)
	}
	if kept, _ := validator.CacheSize(v); kept != 0 {
		t.Errorf("%d tokens in the cache, want none", kept)
	}
	if refused := validator.NegativesSize(v); refused != validator.MaxNegatives {
		t.Errorf("%d refused tokens are remembered, want %d", refused, validator.MaxNegatives)
	}
}

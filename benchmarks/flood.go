package benchmarks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// Flood is a measurement of tokens with an answer in the cache while random tokens are
// presented, against testissuer on a loopback address in the same process.
type Flood struct {
	Tokens  int           // random tokens, in all
	Callers int           // that present them at once
	Window  time.Duration // of one phase; those with and without the flood alternate
	Pause   time.Duration // between two tokens of a caller
}

// FloodReport is the result of a Flood. The ratios are of a window with the flood to the
// one before it without.
type FloodReport struct {
	Windows    int
	P50, P99   Quartiles // ratios
	QuietP99   Quartiles // ns
	FloodP99   Quartiles // ns
	Inactive   int64     // random tokens that the issuer was asked about
	Overloaded int64     // random tokens that were refused because too many wait
	Requests   int64     // for random tokens
	AtOnce     int64     // requests
	Goroutines [2]int    // before and after
	Heap       [2]uint64 // bytes before and after, with what is bounded full
	Uses       int       // of tokens in the cache, each accepted
}

// counting is a transport that counts requests.
type counting struct {
	next                     http.RoundTripper
	requests, underWay, most atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	for n := c.underWay.Add(1); ; {
		if most := c.most.Load(); n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	defer c.underWay.Add(-1)
	return c.next.RoundTrip(r)
}

// flood is a Flood under way.
type flood struct {
	Flood

	v                    *validator.Validator
	known                []validator.Presentation
	left                 atomic.Int64
	inactive, overloaded atomic.Int64
	failed               atomic.Pointer[error]
	uses                 int
}

// Run measures.
func (o Flood) Run() (FloodReport, error) {
	issuer, err := testissuer.Start(testissuer.Config{Audience: Audience})
	if err != nil {
		return FloodReport{}, fmt.Errorf("benchmarks: %w", err)
	}
	defer issuer.Close()
	transport := &counting{next: issuer.Transport()}
	f := &flood{Flood: o}
	if f.v, err = validator.New(validator.Config{Logger: slog.New(slog.DiscardHandler), Issuers: []validator.Issuer{{
		URL: issuer.URL(), Audiences: []string{Audience}, InsecureAllowHTTP: true, HTTPClient: &http.Client{Transport: transport},
		Opaque: &introspect.Client{
			Endpoint: issuer.IntrospectionURL(), ID: testissuer.ClientID,
			Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)},
			Cache:          introspect.Cache{TTL: 5 * time.Minute},
		},
	}}}); err != nil {
		return FloodReport{}, fmt.Errorf("benchmarks: %w", err)
	}
	f.known = make([]validator.Presentation, 100)
	for i := range f.known {
		f.known[i] = validator.Presentation{Scheme: validator.Bearer, Token: issuer.Opaque(testissuer.Token{})}
	}
	if err := f.ask(); err != nil {
		return FloodReport{}, err
	}
	f.left.Store(10_000)
	f.present(context.Background()) // fills what is bounded
	return f.measure(transport)
}

// ask asks the issuer about the known tokens again, so that their answers last.
func (f *flood) ask() error {
	for _, p := range f.known {
		p.Demands.ActiveWithin = time.Millisecond
		for range 2 {
			if _, err := f.v.Validate(context.Background(), p); err != nil {
				return fmt.Errorf("benchmarks: a known token: %w", err)
			}
		}
	}
	return nil
}

func (f *flood) measure(transport *counting) (FloodReport, error) {
	r := FloodReport{Goroutines: [2]int{runtime.NumGoroutine()}, Heap: [2]uint64{heap()}}
	f.left.Store(int64(f.Tokens))
	f.inactive.Store(0)
	f.overloaded.Store(0)
	var p50, p99, quiet, flooded []float64
	requests := int64(0)
	for f.left.Load() > 0 && f.failed.Load() == nil {
		if err := f.ask(); err != nil {
			return r, err
		}
		before := transport.requests.Load()
		without := f.window(false)
		if transport.requests.Load() != before {
			return r, errors.New("benchmarks: the issuer was asked about tokens in the cache")
		}
		with := f.window(true)
		requests += transport.requests.Load() - before
		p50, p99 = append(p50, with[0]/without[0]), append(p99, with[1]/without[1])
		quiet, flooded = append(quiet, without[1]), append(flooded, with[1])
	}
	if err := f.failed.Load(); err != nil {
		return r, *err
	}
	r.Windows, r.P50, r.P99, r.QuietP99, r.FloodP99 = len(p99), QuartilesOf(p50), QuartilesOf(p99), QuartilesOf(quiet), QuartilesOf(flooded)
	r.Inactive, r.Overloaded, r.Requests, r.AtOnce, r.Uses = f.inactive.Load(), f.overloaded.Load(), requests, transport.most.Load(), f.uses
	r.Goroutines[1], r.Heap[1] = runtime.NumGoroutine(), heap()
	return r, nil
}

// window uses known tokens for one window, and returns the median and the 99th percentile
// of the time that one use takes, in nanoseconds.
func (f *flood) window(withFlood bool) [2]float64 {
	ctx, cancel := context.WithTimeout(context.Background(), f.Window)
	defer cancel()
	var strangers sync.WaitGroup
	if withFlood {
		strangers.Go(func() { f.present(ctx) })
	}
	var took []float64
	for ctx.Err() == nil && f.failed.Load() == nil {
		start := time.Now()
		_, err := f.v.Validate(context.Background(), f.known[len(took)%len(f.known)])
		took = append(took, float64(time.Since(start)))
		if err != nil {
			f.fail(fmt.Errorf("benchmarks: a known token: %w", err))
		}
		time.Sleep(100 * time.Microsecond) // as a server between requests
	}
	strangers.Wait()
	f.uses += len(took)
	slices.Sort(took)
	return [2]float64{percentile(took, 0.5), percentile(took, 0.99)}
}

// present presents random tokens until ctx ends or none is left.
func (f *flood) present(ctx context.Context) {
	var all sync.WaitGroup
	for range f.Callers {
		all.Go(func() {
			for ctx.Err() == nil && f.left.Add(-1) >= 0 { //nolint:contextcheck // a call that has begun is measured to its end
				_, err := f.v.Validate(context.Background(), validator.Presentation{Scheme: validator.Bearer, Token: rand.Text()})
				switch {
				case validator.ReasonOf(err) == validator.Inactive:
					f.inactive.Add(1)
				case errors.Is(err, introspect.Overloaded):
					f.overloaded.Add(1)
				default:
					f.fail(fmt.Errorf("benchmarks: a random token: %w", err))
				}
				time.Sleep(f.Pause)
			}
		})
	}
	all.Wait()
}

func (f *flood) fail(err error) { f.failed.CompareAndSwap(nil, &err) }

// heap returns the bytes of the heap that are reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

package issuerkeys_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// flightBound is the longest time that a caller waits for a fetch: twice the fetch
// timeout, for the metadata and the set, and a second for a transport that ignores
// its context.
const flightBound = 11 * time.Second

// journal records the calls of FetchStart and FetchDone.
type journal struct {
	mu     sync.Mutex
	starts []begun
	dones  []jwkscache.FetchDone
	gains  []time.Time // when a fetch brought a new key
}

// keep is a change of a Binding that adds the hooks of j.
func (j *journal) keep(b *issuerkeys.Binding) {
	b.Trace = b.Trace.Join(&jwkscache.Trace{
		FetchStart: func(_, cause string) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.starts = append(j.starts, begun{cause, time.Now()})
		},
		FetchDone: func(_ string, done jwkscache.FetchDone) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.dones = append(j.dones, done)
			if len(done.Added) > 0 {
				j.gains = append(j.gains, time.Now())
			}
		},
	})
}

// began returns when the fetches of a cause began.
func (j *journal) began(cause string) []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var at []time.Time
	for _, s := range j.starts {
		if s.cause == cause {
			at = append(at, s.at)
		}
	}
	return at
}

// gained reports whether a fetch returned a new key between two instants.
func (j *journal) gained(first, last time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.gains, func(at time.Time) bool { return !at.Before(first) && !at.After(last) })
}

// last returns the result of the last fetch, after its hook was called.
func (j *journal) last() jwkscache.FetchDone {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.dones) == 0 {
		return jwkscache.FetchDone{}
	}
	return j.dones[len(j.dones)-1]
}

// begun is the beginning of a fetch.
type begun struct {
	cause string
	at    time.Time
}

func limited(l jwkscache.Limits) func(*issuerkeys.Binding) {
	return func(b *issuerkeys.Binding) { b.Limits = l }
}

func over(f transport) func(*issuerkeys.Binding) {
	return func(b *issuerkeys.Binding) { b.HTTPClient = &http.Client{Transport: f} }
}

// inMemory starts an issuer inside the bubble of the test.
func inMemory(t *testing.T, cacheControl string) *issuertest.Issuer {
	t.Helper()
	issuer := issuertest.Start(t, testissuer.Config{CacheControl: cacheControl})
	return issuer
}

// atOnce fails the test unless do takes no time.
func atOnce(t *testing.T, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took != 0 {
		t.Errorf("%s took %v", what, took)
	}
}

func wantState(t *testing.T, what string, keys *issuerkeys.Keys, want string) {
	t.Helper()
	if s := keys.Status(); s.State != want {
		t.Errorf("%s: %s, want %s (%v)", what, s.State, want, s.LastError)
	}
}

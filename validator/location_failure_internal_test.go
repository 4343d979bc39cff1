package validator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestFailureMeanwhile covers R-DI-07: a caller that waits for a fetch of other members does not repeat a fetch of its own that began
// and failed meanwhile.
func TestFailureMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		behave := func(delay time.Duration) {
			for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
				p.Behave(e, testissuer.Behaviour{Delay: delay, Status: 503})
			}
		}
		behave(900 * time.Millisecond)
		keys, endpoints := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := p.keyURL(t.Context())
			keys <- err
		}()
		synctest.Wait()
		behave(0)
		go func() {
			_, err := p.endpoints(t.Context())
			endpoints <- err
		}()
		synctest.Wait()
		p.wantFetched(t, "while the endpoints wait for the fetch of the keys", 1)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = p.endpoints(gone) // waits for nothing, and begins a fetch
		synctest.Wait()
		fetched := p.fetched()
		if <-keys == nil || <-endpoints == nil {
			t.Error("a fetch that failed has found something")
		}
		p.wantFetched(t, "after the fetch of the keys", fetched)
		if fetched != 2 {
			t.Errorf("%d fetches, want one of the keys and one of the endpoints", fetched)
		}
	})
}

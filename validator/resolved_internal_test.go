package validator

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestPlacesOfAcceptedIssuers checks that requests for an issuer with an accepted token
// still wait for its resolution when those for other issuers have taken all their
// places.
func TestPlacesOfAcceptedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiters, strangers = 6, 4
		shared, err := issuerkeys.NewShared(jwkscache.SharedLimits{Waiters: waiters})
		if err != nil {
			t.Fatal(err)
		}
		r := &resolvedIssuers{common: opener{shared: shared}}
		var flights []*detached.Flight // one for each issuer
		ended := make(chan error, 2*waiters)
		wait := func(n int, accepted bool) (refused int) {
			for range n {
				f := detached.NewFlight()
				flights = append(flights, f)
				go func() { ended <- r.wait(t.Context(), f, 2*waiters, accepted) }()
			}
			synctest.Wait()
			for ; len(ended) > 0; refused++ {
				if err := <-ended; !errors.Is(err, detached.ErrWaiters) {
					t.Errorf("a request ends with %v", err)
				}
			}
			return refused
		}
		if refused := wait(strangers+1, false); refused != 1 {
			t.Errorf("%d requests for other issuers are refused, want 1", refused)
		}
		if refused := wait(waiters-strangers+1, true); refused != 1 {
			t.Errorf("%d requests for accepted issuers are refused, want 1", refused)
		}
		for _, f := range flights {
			f.Land(nil)
		}
		synctest.Wait()
		if len(ended) != waiters {
			t.Errorf("%d requests have waited, want %d", len(ended), waiters)
		}
	})
}

// TestBytesOfWhatIsNotDerived checks that scopes which are the claim itself count once
// in the memory of the cache, with the claims.
func TestBytesOfWhatIsNotDerived(t *testing.T) {
	claims := &tokenClaims{scope: "read write", roles: "admin"}
	for derivesNothing, want := range map[bool]int{true: 0, false: len("read writeadmin")} {
		if got := (&checkedIssuer{derivesNothing: derivesNothing}).derivedBytes(claims); got != want {
			t.Errorf("derives nothing: %t: %d bytes, want %d", derivesNothing, got, want)
		}
	}
}

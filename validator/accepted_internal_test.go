package validator

import (
	"context"
	"fmt"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/snapshot"
)

// TestAcceptedIssuersMemory shows that no more issuers are remembered than the file
// can hold.
func TestAcceptedIssuersMemory(t *testing.T) {
	accepted := newAcceptedIssuers("", nil, nil)
	for i := range snapshot.MaxAcceptedIssuers + 5 {
		accepted.Add(fmt.Sprint(i))
	}
	if n := len(accepted.known); n != snapshot.MaxAcceptedIssuers {
		t.Errorf("%d are remembered", n)
	}
}

// TestKnownIssuerRemovesNone checks that an issuer which is remembered already takes no
// place, so that no other is forgotten for it.
func TestKnownIssuerRemovesNone(t *testing.T) {
	accepted := newAcceptedIssuers("", nil, nil)
	var known []snapshot.IssuerDigest
	for i := range snapshot.MaxAcceptedIssuers {
		accepted.Add(fmt.Sprint(i))
		known = append(known, snapshot.DigestIssuer(fmt.Sprint(i)))
	}
	accepted.take(known[:100])
	for i := range snapshot.MaxAcceptedIssuers {
		if !accepted.Has(fmt.Sprint(i)) {
			t.Fatalf("issuer %d was forgotten", i)
		}
	}
}

// TestAcceptedIssuersWithoutFile checks that Load reads nothing, and waits for nothing,
// if there is no file.
func TestAcceptedIssuersWithoutFile(t *testing.T) {
	accepted := newAcceptedIssuers("", nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := accepted.Load(ctx); err != nil || accepted.loading != nil {
		t.Errorf("%v, reading: %t", err, accepted.loading != nil)
	}
}

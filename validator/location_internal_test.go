package validator

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestLocationKeepsWhatIsNeeded shows that of a long list of protected resources
// only those of this API are kept, and whether there was a list.
func TestLocationKeepsWhatIsNeeded(t *testing.T) {
	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprintf("https://api-%d.test", i))
	}
	l := location{issuer: "https://issuer.test", audiences: []string{"https://api-7.test", "https://other.test"}}
	for name, row := range map[string]struct {
		resources, kept []string
		lists           bool
	}{
		"no list":    {nil, nil, true},
		"an empty":   {[]string{}, []string{}, false},
		"a long one": {many, []string{"https://api-7.test"}, true},
		"another":    {[]string{"https://api-8.test"}, []string{}, false},
	} {
		l.learn(&discovery.Metadata{Issuer: l.issuer, JWKSURI: "https://issuer.test/jwks", ProtectedResources: row.resources}, time.Now())
		if got := l.known.ProtectedResources; !slices.Equal(got, row.kept) || (got == nil) != (row.kept == nil) || l.listsAudience() != row.lists {
			t.Errorf("%s: %q are kept, lists: %v", name, got, l.listsAudience())
		}
		if l.known.JWKSURI != "https://issuer.test/jwks" {
			t.Errorf("%s: %+v", name, l.known)
		}
	}
}

// TestLocationWithoutAudiences shows that an issuer without Audiences, which has ClientIDs,
// lacks no audience in the list of protected resources.
func TestLocationWithoutAudiences(t *testing.T) {
	l := location{issuer: "https://issuer.test"}
	l.learn(&discovery.Metadata{Issuer: l.issuer, ProtectedResources: []string{"https://api.test"}}, time.Now())
	if !l.listsAudience() {
		t.Error("an audience is missing")
	}
}

// TestTransportOfSlowIssuers checks that connecting to an issuer may take as long as its
// metadata and keys may.
func TestTransportOfSlowIssuers(t *testing.T) {
	for _, limits := range []jwkscache.Limits{{FetchTimeout: 20 * time.Second}, {MetadataTimeout: 20 * time.Second}} {
		is := &checkedIssuer{Issuer: Issuer{URL: "https://issuer.test", KeyLimits: limits}}
		is.openLocation(nil)
		if transport, ok := is.client.Transport.(*http.Transport); !ok || transport.TLSHandshakeTimeout != 20*time.Second {
			t.Errorf("%+v: %+v", limits, is.client.Transport)
		}
	}
}

package discovery_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/discovery"
)

// TestMetadataIsACopy checks that the issuer, the URLs and the authentication methods
// do not keep the document, of up to 1 MiB, in memory.
func TestMetadataIsACopy(t *testing.T) {
	const issuer = "https://issuer.test"
	for member, need := range map[string]discovery.Need{
		`"jwks_uri":"https://issuer.test/jwks"`:                                                                                         discovery.Keys,
		`"introspection_endpoint":"https://issuer.test/introspect"`:                                                                     discovery.Introspection,
		`"token_endpoint":"https://issuer.test/token"`:                                                                                  discovery.Token,
		`"jwks_uri":"https://issuer.test/jwks","access_token_issuer":"urn:a"`:                                                           discovery.Keys,
		`"introspection_endpoint":"https://issuer.test/introspect","introspection_endpoint_auth_methods_supported":["private_key_jwt"]`: discovery.Introspection,
	} {
		wantNotKept(t, issuer, member, need)
	}
}

// wantNotKept checks that documents with a member are not kept with what was found in
// them.
func wantNotKept(t *testing.T, issuer, member string, need discovery.Need) {
	t.Helper()
	document := fmt.Sprintf(`{"issuer":%q,%s%s}`, issuer, member, strings.Repeat(" ", 1<<20-200))
	client := discovery.New(discovery.Config{HTTPClient: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(document)), Request: r,
		}, nil
	})}})
	var kept []*discovery.Metadata
	before := heap()
	for range 20 {
		metadata, err := client.Discover(t.Context(), issuer, need)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, metadata)
	}
	if grown := heap() - before; grown > 10<<20 {
		t.Errorf("%s: %d MiB are kept", member, grown>>20)
	}
	runtime.KeepAlive(kept)
}

// heap returns the number of bytes in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

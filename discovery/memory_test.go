package discovery_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/discovery"
)

// TestMetadataIsACopy shows that the issuer and the key URL do not keep the
// document in memory, which may have 1 MiB.
func TestMetadataIsACopy(t *testing.T) {
	const issuer = "https://issuer.test"
	document := fmt.Sprintf(`{"issuer":%q,"jwks_uri":"https://issuer.test/jwks"%s}`, issuer, strings.Repeat(" ", 1<<20-100))
	client := discovery.New(discovery.Config{HTTPClient: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(document)), Request: r,
		}, nil
	})}})
	var kept []*discovery.Metadata
	before := heap()
	for range 20 {
		metadata, err := client.Discover(t.Context(), issuer)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, metadata)
	}
	if grown := heap() - before; grown > 10<<20 {
		t.Errorf("%d MiB are kept", grown>>20)
	}
	runtime.KeepAlive(kept)
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

package jose_test

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestSetIsACopy checks that a set does not keep the document, of up to 1 MiB, in
// memory: neither by a key that is used nor by one that is ignored.
func TestSetIsACopy(t *testing.T) {
	for _, key := range []string{
		`{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		`{"kty":"OKP","crv":"Ed448","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		document := slices.Concat([]byte(`{"keys":[`+key+`]`), bytes.Repeat([]byte(" "), 1<<20), []byte("}"))
		var kept []*jose.Set
		before := heap()
		for range 20 {
			set, err := jose.ParseSet(document, []jose.Algorithm{jose.EdDSA})
			if err != nil || len(set.Keys())+len(set.Ignored()) != 1 {
				t.Fatal(err)
			}
			kept = append(kept, set)
		}
		if grown := heap() - before; grown > 10<<20 {
			t.Errorf("%d MiB are kept of %s", grown>>20, key)
		}
		runtime.KeepAlive(kept)
	}
}

// heap returns the number of bytes in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

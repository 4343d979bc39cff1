package validator_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCacheHoldsNoToken (D9): whoever reads the memory of the process finds the
// claims of cached tokens, and neither a token nor its signature. Dead memory
// may show through in places, such as behind the end of what got it next; what
// is kept is found of every token.
func TestCacheHoldsNoToken(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	claims := func(n int) object { return baseClaims.with("jti", fmt.Sprintf(`"jti-of-token-%d"`, n)) }
	const tokens = 64
	control := testKey.token(claims(tokens)) // held by the test
	apart(func() {
		for n := range tokens {
			p := bearer(testKey.token(claims(n)))
			for range 3 {
				if _, err := v.Validate(at(0), p); err != nil {
					t.Error(err)
				}
			}
		}
	})
	memory := heapDump(t)
	if n, _ := validator.CacheSize(v); n != tokens {
		t.Errorf("%d tokens are kept", n)
	}
	if !bytes.Contains(memory, parts(control)[0]) || !bytes.Contains(memory, parts(control)[1]) {
		t.Error("a token that is held is not found")
	}
	runtime.KeepAlive(control)
	var found [3]int
	for n := range tokens {
		if !bytes.Contains(memory, fmt.Appendf(nil, `"jti-of-token-%d"`, n)) {
			t.Error("the claims of a cached token are not found")
		}
		for i, part := range parts(testKey.token(claims(n))) { // an Ed25519 signature is the same every time
			if bytes.Contains(memory, part) {
				found[i]++
			}
		}
	}
	for i, part := range []string{"payload as sent", "signature as sent", "signature"} {
		if found[i] > tokens/4 {
			t.Errorf("the %s of %d tokens is in memory", part, found[i])
		}
	}
	t.Logf("shows through: %v of %d", found, tokens)
}

// apart runs f in a goroutine, whose stack is gone when it has ended.
func apart(f func()) {
	var group sync.WaitGroup
	group.Go(f)
	group.Wait()
}

// parts are what would give a token away: its payload and its signature, as
// sent, and the signature decoded.
func parts(token string) [][]byte {
	segments := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		panic(err)
	}
	return [][]byte{[]byte(segments[1][len(segments[1])-100:]), []byte(segments[2]), signature}
}

// heapDump is the memory of the process: what is reachable, and stacks.
func heapDump(t *testing.T) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // also of what pools let go
	debug.WriteHeapDump(file.Fd())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return memory
}

package middleware

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/validator"
)

// TestTokenIsUnchanged covers R-BT-01: a token of any form of the b64token grammar (RFC
// 6750 §2.1) goes to the validator byte for byte, with its padding.
func TestTokenIsUnchanged(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	tokens := []string{
		"a", "=", "a=", "a==", "a====", letters, letters + "==", "+", "/", "~", ".", "-", "_", "..", "a.b", "a.b.c", "a.b.c.d.e", ".a", "a.",
		"ory_at_a.b", "Bearer", "bearer", "DPoP", "Bearer.a", "+//+", "%", strings.Repeat("a", 1<<20), strings.Repeat("+/~.", 1<<18-1) + "abc=",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		token := make([]byte, 1+random.IntN(60))
		for i := range token {
			token[i] = letters[random.IntN(len(letters))]
		}
		tokens = append(tokens, string(token)+strings.Repeat("=", random.IntN(3)))
	}
	for _, token := range tokens {
		for scheme, want := range map[string]validator.Scheme{"Bearer ": validator.Bearer, "bearer    ": validator.Bearer, "DPoP ": validator.DPoP} {
			p, err := credentials(http.Header{"Authorization": {scheme + token}})
			if err != nil || p.Token != token || p.Scheme != want {
				t.Errorf("%s%.80q became %v %.80q: %v", scheme, token, p.Scheme, p.Token, err)
			}
		}
	}
}

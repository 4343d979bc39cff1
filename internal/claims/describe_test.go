package claims_test

import (
	"encoding/base64"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// headerOf returns the header of a token with this JSON in it.
func headerOf(t *testing.T, text string) jose.Header {
	t.Helper()
	u, err := jose.ParseCompact(base64.RawURLEncoding.EncodeToString([]byte(text)) + ".e30.AAAA")
	if err != nil {
		t.Fatal(err)
	}
	return u.UnverifiedHeader()
}

// TestDescribeType: a header with typ, without it, and with one of another type.
func TestDescribeType(t *testing.T) {
	for text, want := range map[string]string{
		`{"alg":"ES256","typ":"JWT"}`: `typ "JWT"`,
		`{"alg":"ES256","typ":1}`:     "typ, which is no string",
		`{"alg":"ES256"}`:             "no typ",
	} {
		if got := claims.DescribeType(headerOf(t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestDescribeReplica: the claim that differs is named, not one that is the same.
func TestDescribeReplica(t *testing.T) {
	members, err := strictjson.ParseObject(`{"iss":"https://a","sub":"b"}`, strictjson.TokenLimits, nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"alg":"ES256","iss":"https://b"}`:             "another iss in the header than in the claims",
		`{"alg":"ES256","iss":"https://a","sub":"c"}`:   "another sub in the header than in the claims",
		`{"alg":"ES256","iss":"https://a","aud":"api"}`: "aud in the header and not in the claims",
		`{"alg":"ES256","iss":"https://a","sub":"b"}`:   "",
	} {
		if got := claims.DescribeReplica(headerOf(t, text), members).Found; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

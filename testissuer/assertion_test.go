package testissuer_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion signs the claims of a good assertion with changes.
func assertion(tb testing.TB, k testkey.Key, changes members) string {
	tb.Helper()
	now := time.Now().Unix()
	claims := changed(members{"iss": "api", "sub": "api", "aud": "https://issuer.test", "iat": now, "exp": now + 60, "jti": "1"}, changes)
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return k.Sign(`{"alg":"`+k.Algorithm.String()+`"}`, string(payload))
}

// asserted introspects a token with an assertion.
func asserted(tb testing.TB, issuer *testissuer.Issuer, text string, more url.Values) string {
	tb.Helper()
	f := form{public: true, values: url.Values{
		"token": {issuer.Opaque(testissuer.Token{})}, "client_assertion": {text}, "client_assertion_type": {assertionType},
	}}
	maps.Copy(f.values, more)
	return outcome(tb, post(tb, issuer, f))
}

// TestAssertions checks each rule of RFC 7523 §3 that the issuer has.
func TestAssertions(t *testing.T) {
	own, other := testkey.Of(jose.ES256, "a"), testkey.Of(jose.ES256, "b")
	client := testissuer.Client{ID: "api", Key: own.Private.Public()}
	ahead := func(d time.Duration) func(*testissuer.Client) {
		return func(c *testissuer.Client) { c.Ahead = d }
	}
	const start = 946684800 // of the bubble
	tests := []struct {
		name    string
		key     testkey.Key
		changes members
		more    url.Values
		client  func(*testissuer.Client)
		want    string
	}{
		{name: "good", want: "active"},
		{name: "without iat", changes: members{"iat": nil}, want: "active"},
		{name: "with client_id", more: url.Values{"client_id": {"api"}}, want: "active"},
		{name: "with another client_id", more: url.Values{"client_id": {"x"}}, want: denied},
		{name: "without type", more: url.Values{"client_assertion_type": {""}}, want: denied},
		{name: "another key", key: other, want: denied},
		{name: "no JWT", more: url.Values{"client_assertion": {"x"}}, want: denied},
		{name: "another iss", changes: members{"iss": "x"}, want: denied},
		{name: "another sub", changes: members{"sub": "x"}, want: denied},
		{name: "another client", changes: members{"sub": "x", "iss": "x"}, want: denied},
		{name: "another aud", changes: members{"aud": "https://issuer.test/"}, want: denied},
		{name: "aud of the endpoint", changes: members{"aud": "https://issuer.test/introspect"}, want: denied},
		{name: "aud as an array", changes: members{"aud": []string{"https://issuer.test"}}, want: denied},
		{name: "no aud", changes: members{"aud": nil}, want: denied},
		{name: "no exp", changes: members{"exp": nil}, want: denied},
		{name: "exp as text", changes: members{"exp": "x"}, want: denied},
		{name: "expired", changes: members{"exp": start}, want: denied},
		{name: "exp far ahead", changes: members{"exp": start + 301}, want: denied},
		{name: "exp 5 minutes ahead", changes: members{"exp": start + 300}, want: "active"},
		{name: "iat ahead", changes: members{"iat": start + 1}, want: denied},
		{name: "nbf ahead", changes: members{"nbf": start + 1}, want: denied},
		{name: "nbf", changes: members{"nbf": start}, want: "active"},
		{name: "no jti", changes: members{"jti": nil}, want: denied},
		{name: "server behind", client: ahead(-3 * time.Second), want: denied},
		{name: "server behind, iat back", client: ahead(-3 * time.Second), changes: members{"iat": start - 3}, want: "active"},
		{name: "server ahead", client: ahead(20 * time.Second), want: "active"},
		{name: "server far ahead", client: ahead(time.Minute), want: denied},
		{
			name: "token endpoint", changes: members{"aud": "https://issuer.test/token"}, want: "active",
			client: func(c *testissuer.Client) { c.Audiences = []string{"x", "https://issuer.test/token"} },
		},
		{
			name: "aud as an array, empty audience", changes: members{"aud": []string{"https://issuer.test"}}, want: denied,
			client: func(c *testissuer.Client) { c.Audiences = []string{""} },
		},
		{name: "issuer in place of token endpoint", client: func(c *testissuer.Client) { c.Audiences = []string{"https://issuer.test/token"} }, want: denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client
				if tt.client != nil {
					tt.client(&c)
				}
				issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{c, {ID: "x", Secret: "x"}}})
				k := tt.key
				if k.Private == nil {
					k = own
				}
				if got := asserted(t, issuer, assertion(t, k, tt.changes), tt.more); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestAssertionOnce checks that an assertion counts once, at whichever endpoint, also
// if it is signed again.
func TestAssertionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testkey.Of(jose.ES256, "a")
		issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{
			{ID: "api", Key: k.Private.Public()}, {ID: "other", Key: k.Private.Public()},
		}})
		for _, want := range []string{"active", denied, denied} {
			if got := asserted(t, issuer, assertion(t, k, nil), nil); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			time.Sleep(10 * time.Second)
		}
		if got := asserted(t, issuer, assertion(t, k, members{"iss": "other", "sub": "other"}), nil); got != "active" {
			t.Errorf("the same jti of another client: %s", got)
		}
		time.Sleep(time.Minute)
		if got := asserted(t, issuer, assertion(t, k, nil), nil); got != "active" {
			t.Errorf("after its end: %s", got)
		}
	})
}

// TestAssertionKeys checks that the public keys of every algorithm can be registered.
func TestAssertionKeys(t *testing.T) {
	for a := jose.RS256; a.Valid(); a++ {
		k := testkey.Of(a, "a")
		issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{{ID: "api", Key: k.Private.Public()}}})
		if got := asserted(t, issuer, assertion(t, k, nil), nil); got != "active" {
			t.Errorf("%s: %s", a, got)
		}
	}
}

package testissuer_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// form is a request with a form. Its zero fields are those of the default client.
type form struct {
	url    string // "" means the introspection endpoint
	values url.Values
	header http.Header
	public bool // without authentication
	client *http.Client
}

// post sends a form and fails the test if that fails.
func post(tb testing.TB, issuer *testissuer.Issuer, f form) answer {
	tb.Helper()
	a, err := send(tb, issuer, f)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// send sends a form.
func send(tb testing.TB, issuer *testissuer.Issuer, f form) (answer, error) {
	tb.Helper()
	if f.url == "" {
		f.url = issuer.IntrospectionURL()
	}
	if f.client == nil {
		f.client = issuer.Client()
	}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, f.url, strings.NewReader(f.values.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !f.public {
		request.SetBasicAuth(testissuer.ClientID, testissuer.ClientSecret)
	}
	maps.Copy(request.Header, f.header)
	return do(f.client, request)
}

// ask introspects a token as the default client.
func ask(tb testing.TB, issuer *testissuer.Issuer, token string) answer {
	tb.Helper()
	return post(tb, issuer, form{values: url.Values{"token": {token}}})
}

// isActive reports whether a good answer says that the token is active.
func isActive(tb testing.TB, issuer *testissuer.Issuer, token string) bool {
	tb.Helper()
	a := ask(tb, issuer, token)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		tb.Errorf("%v", a)
	}
	active := object(tb, a.body)["active"].(bool)
	if !active && a.body != `{"active":false}` {
		tb.Errorf("an inactive answer says more: %s", a.body)
	}
	return active
}

func TestIntrospection(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	good := testissuer.Token{Scope: "a b"}
	for name, token := range map[string]string{
		"opaque": issuer.Opaque(good), "JWT": issuer.Sign(good),
		"of an unpublished key": issuer.Sign(testissuer.Token{Scope: "a b", Key: issuer.AddKey(testissuer.Key{Unpublished: true})}),
	} {
		members := object(t, ask(t, issuer, token).body)
		want := map[string]any{
			"active": true, "token_type": "Bearer", "iss": issuer.URL(), "sub": "user-1", "client_id": "client-1",
			"aud": audience, "scope": "a b",
		}
		for member, value := range want {
			if members[member] != value {
				t.Errorf("%s: %s is %v, want %v", name, member, members[member], value)
			}
		}
		if len(members) != len(want)+3 || members["jti"] == "" || members["exp"].(float64)-members["iat"].(float64) != 300 {
			t.Errorf("%s: %v", name, members)
		}
	}
	for name, token := range map[string]string{
		"expired":         issuer.Opaque(testissuer.Token{Lifetime: -time.Second}),
		"expired JWT":     issuer.Sign(testissuer.Token{Lifetime: -time.Second}),
		"not yet valid":   issuer.Opaque(testissuer.Token{Claims: map[string]any{"nbf": time.Now().Unix() + 60}}),
		"forged":          issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey}),
		"tampered":        issuer.Sign(testissuer.Token{Forgery: testissuer.Tampered}),
		"alg none":        issuer.Sign(testissuer.Token{Forgery: testissuer.NoneAlgorithm}),
		"no claims":       issuer.Sign(testissuer.Token{RawClaims: "x"}),
		"another issuer":  inMemory(t, testissuer.Config{}).Opaque(testissuer.Token{}),
		"another issuers": inMemory(t, testissuer.Config{}).Sign(testissuer.Token{}),
	} {
		if isActive(t, issuer, token) {
			t.Errorf("%s: is active", name)
		}
	}
}

// basic returns the Authorization field of client_secret_basic, without form encoding.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

package testissuer_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// granted returns the answer of the token endpoint to the default client.
func granted(tb testing.TB, issuer *testissuer.Issuer, more url.Values) map[string]any {
	tb.Helper()
	f := form{url: issuer.TokenURL(), values: url.Values{"grant_type": {"client_credentials"}}}
	maps.Copy(f.values, more)
	return object(tb, post(tb, issuer, f).body)
}

// asBearer introspects a token with an access token.
func asBearer(tb testing.TB, issuer *testissuer.Issuer, access string) string {
	tb.Helper()
	return outcome(tb, post(tb, issuer, form{
		values: url.Values{"token": {issuer.Opaque(testissuer.Token{})}},
		header: http.Header{"Authorization": {"Bearer " + access}},
	}))
}

// TestBearer checks that a client with a BearerLifetime introspects with tokens of the
// token endpoint alone, as long as they live (RFC 7662 §2.1).
func TestBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{
			{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, BearerLifetime: 2 * time.Second},
			{ID: "other", Secret: "x"},
		}})
		answer := granted(t, issuer, nil)
		access := answer["access_token"].(string)
		if answer["token_type"] != "Bearer" || answer["expires_in"] != 2.0 || len(answer) != 3 {
			t.Errorf("%v", answer)
		}
		if got := asBearer(t, issuer, access); got != "active" {
			t.Error(got)
		}
		if got := outcome(t, ask(t, issuer, "x")); got != denied {
			t.Errorf("with the secret: %s", got)
		}
		if a := post(t, issuer, form{url: issuer.RevocationURL(), values: url.Values{"token": {"x"}}}); a.status != 200 {
			t.Errorf("revocation with the secret: %v", a)
		}
		if a := post(t, issuer, form{url: issuer.RevocationURL(), values: url.Values{"token": {"x"}}, header: http.Header{"Authorization": {"Bearer " + access}}}); a.status != 401 {
			t.Errorf("revocation with the access token: %v", a)
		}
		time.Sleep(2 * time.Second)
		revoked := granted(t, issuer, nil)["access_token"].(string)
		issuer.Revoke(revoked)
		jwt := issuer.Sign(testissuer.Token{Claims: map[string]any{"client_id": testissuer.ClientID, "sub": testissuer.ClientID}})
		foreign := object(t, post(t, issuer, form{
			url: issuer.TokenURL(), values: url.Values{"grant_type": {"client_credentials"}}, header: http.Header{"Authorization": {basic("other", "x")}},
		}).body)["access_token"].(string)
		for name, token := range map[string]string{
			"expired": access, "revoked": revoked, "unknown": "x", "of a user": issuer.Opaque(testissuer.Token{}), "JWT": jwt, "of another client": foreign,
		} {
			if got := asBearer(t, issuer, token); got != denied {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
}

// TestGrant checks the tokens of the token endpoint (RFC 6749 §4.4).
func TestGrant(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	answer := granted(t, issuer, url.Values{"scope": {"a b"}, "resource": {"https://api.test/x"}})
	m := object(t, post(t, issuer, form{values: url.Values{"token": {answer["access_token"].(string)}}}).body)
	if answer["scope"] != "a b" || m["scope"] != "a b" || m["aud"] != "https://api.test/x" || m["sub"] != "api" || m["client_id"] != "api" || answer["expires_in"] != 300.0 {
		t.Errorf("%v, %v", answer, m)
	}
	if m := object(t, ask(t, issuer, granted(t, issuer, nil)["access_token"].(string)).body); m["aud"] != issuer.URL() || m["scope"] != nil {
		t.Errorf("%v", m)
	}
	if answer := granted(t, issuer, url.Values{"grant_type": {"password"}}); answer["error"] != "unsupported_grant_type" {
		t.Errorf("%v", answer)
	}
	if got := issuer.Received(testissuer.TokenEndpoint); len(got) != 3 || got[0].Form.Get("resource") != "https://api.test/x" || got[0].Client != "api" {
		t.Errorf("%v", got)
	}
}

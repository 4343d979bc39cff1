package scopes_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecideByTheKey (R-OP-06) checks that a policy refuses a Token that is held while
// its key is forbidden, and permits it again once the key is permitted.
func TestDecideByTheKey(t *testing.T) {
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{{
		URL: mainIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(testkey.Set(testKey)), Grants: []string{"a"},
	}}})
	token, err := v.Validate(at(0), issuertest.Bearer(signed(t, claims{"scope": "a"})))
	if err != nil {
		t.Fatal(err)
	}
	wants := func(what string, want validator.Reason) {
		t.Helper()
		for _, policy := range []scopes.Policy{scopes.All("a"), scopes.Authenticated(), scopes.Optional(scopes.All("a"))} {
			var got validator.Reason
			if refusal := decide(policy, token); refusal != nil {
				got = refusal.Reason
			}
			if got != want {
				t.Errorf("%s, %s: %q, want %q", what, policy, got, want)
			}
		}
	}
	_, key := token.Key()
	wants("published", "")
	for range 2 {
		if err := v.ForbidKey(t.Context(), mainIssuer, key); err != nil {
			t.Fatal(err)
		}
		wants("forbidden", validator.UnknownKey)
		if err := v.PermitKey(t.Context(), mainIssuer, key); err != nil {
			t.Fatal(err)
		}
		wants("permitted again", "")
	}
}

package middleware_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMuxContract covers R-SC-10: the contract is that of the live routes, under
// the guard's hierarchy, with the audiences of all issuers.
func TestMuxContract(t *testing.T) {
	issuer := testissuer.New(t)
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{
		{URL: issuer.URL(), Audiences: []string{"https://b.test", "https://a.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: []string{validator.AllScopes}},
		{URL: "https://second.test", Audiences: []string{"https://a.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: []string{"read"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Hierarchy: scopes.Hierarchy{"write": {"read"}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := guard.NewMux()
	mux.Handle("GET /b", scopes.All("read"), new(handler))
	mux.Handle("GET /a", scopes.Public(), new(handler))
	before, err := mux.Contract().JSON()
	if err != nil {
		t.Fatal(err)
	}
	contract := mux.Contract()
	if !slices.Equal(contract.Audiences, []string{"https://a.test", "https://b.test"}) || len(contract.Routes) != 2 ||
		contract.Routes[0].Route != "GET /a" || !slices.Equal(contract.Routes[1].Requires.ImpliedBy["read"], []string{"write"}) {
		t.Errorf("%+v", contract)
	}
	mux.Handle("POST /b", scopes.All("write"), new(handler))
	if err := mux.Contract().Drift(before); err == nil || !strings.Contains(err.Error(), `+ POST /b: All("write")`) {
		t.Errorf("a new route: %v", err)
	}
}

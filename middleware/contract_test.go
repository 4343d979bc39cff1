package middleware_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMuxContract covers R-SC-10: the contract is that of the live routes, under
// the guard's hierarchy, with the audiences of all issuers.
func TestMuxContract(t *testing.T) {
	issuer := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		issuer.Config(func(c *validator.Issuer) {
			c.Audiences, c.Grants = []string{"https://b.test", "https://a.test"}, []string{validator.AllScopes}
		}),
		issuer.Config(func(c *validator.Issuer) {
			c.URL, c.Audiences, c.Grants = "https://second.test", []string{"https://a.test"}, []string{"read"}
		}),
	}})
	guard := issuertest.Guard(t, middleware.Config{Validator: v, Hierarchy: scopes.Hierarchy{"write": {"read"}}})
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

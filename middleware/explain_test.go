package middleware_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestExplain: the verdict is that of Check, hooks are called once, and the policy comes
// last.
func TestExplain(t *testing.T) {
	issuer := issuertest.New(t)
	calls := 0
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(context.Context, middleware.Decision) { calls++ }}})
	route := func(policy scopes.Policy) *middleware.Route {
		r, err := guard.Route("any", policy)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	read := issuer.Bearer(issuertest.Claims{"scope": "read"})
	entra := issuer.Bearer(issuertest.Claims{"scp": "write"})
	for _, row := range []struct {
		name                string
		route               *middleware.Route
		p                   validator.Presentation
		checks              int
		last                validator.Judgement // its flags and reason
		found, wanted, mend string
	}{
		{"permitted", route(scopes.All("read")), read, 21, validator.Judgement{Reached: true, Passed: true}, `All("read")`, "", ""},
		{"a scope is missing", route(scopes.All("read", "write")), read, 21, validator.Judgement{Reached: true, Reason: validator.InsufficientScope}, `scope "read"`, `scope "read", "write"`, "ask the issuer"},
		{"scp is not mapped", route(scopes.All("write")), entra, 21, validator.Judgement{Reached: true, Reason: validator.InsufficientScope}, "scope none", `scope "write"`, "no Mapping of the issuer reads it"},
		{"acr", route(scopes.ACR("gold")), read, 21, validator.Judgement{Reached: true, Reason: validator.StepUpRequired}, "no acr that counts", `acr "gold"`, "acr_values"},
		{"auth_time", route(scopes.MaxAuthAge(60e9)), read, 21, validator.Judgement{Reached: true, Reason: validator.StepUpRequired}, "no auth_time", "auth_time at most 60 s ago", ""},
		{"forbidden", route(scopes.Issuers("https://other.example")), read, 21, validator.Judgement{Reached: true, Reason: validator.Forbidden}, `iss "` + issuer.URL() + `", client_id`, "Issuers", ""},
		{"demands", route(scopes.Audience("https://api.test")), read, 21, validator.Judgement{Reached: true, Passed: true}, "Audience", "", ""},
		{"a token that is not valid", route(scopes.All("read")), issuer.Bearer(issuertest.Claims{"aud": "x", "scope": "read"}), 21, validator.Judgement{}, "valid tokens only", "", ""},
		{"no token", route(scopes.All("read")), validator.Presentation{}, 20, validator.Judgement{}, "valid tokens only", "", ""},
		{"public", route(scopes.Public()), read, 1, validator.Judgement{Reached: true, Passed: true}, "Public()", "", ""},
		{"anonymous", route(scopes.Optional(scopes.All("read"))), validator.Presentation{}, 1, validator.Judgement{Reached: true, Passed: true}, "Optional", "", ""},
		{"unlisted", guard.Unlisted(), read, 21, validator.Judgement{Reached: true, Reason: validator.Forbidden}, "no route for the request", "a route", ""},
		{"nil", nil, read, 1, validator.Judgement{Reached: true, Reason: validator.Unavailable}, "not made by New", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := row.route.Check(t.Context(), row.p, scopes.Operation{})
			calls = 0
			verdict, all := row.route.Explain(t.Context(), row.p, scopes.Operation{})
			if got, want := verdict.Denial(), want.Denial(); (got == nil) != (want == nil) || got != nil && (got.Reason != want.Reason || got.Status != want.Status) {
				t.Errorf("%v, and Check says %v", got, want)
			}
			if want := 1; row.route != nil && calls != want {
				t.Errorf("%d decisions were reported", calls)
			}
			if len(all) != row.checks {
				t.Errorf("%d checks, want %d: %+v", len(all), row.checks, all)
			}
			last := all[len(all)-1]
			if last.Check != "policy" || last.Reached != row.last.Reached || last.Passed != row.last.Passed || last.Reason != row.last.Reason {
				t.Errorf("the last check is %+v", last)
			}
			if !strings.Contains(last.Found, row.found) || !strings.Contains(last.Wanted, row.wanted) || !strings.Contains(last.Mend, row.mend) {
				t.Errorf("the policy says %+v", last)
			}
			failed := false
			for _, j := range all {
				failed = failed || j.Reached && !j.Passed
			}
			if failed != (verdict.Denial() != nil) {
				t.Errorf("%v, and %+v", verdict.Denial(), all)
			}
		})
	}
}

package middleware_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// opaqueAPI is an API whose tokens are opaque, in front of an issuer in memory. Make it
// in a bubble of synctest.
type opaqueAPI struct {
	*issuertest.Issuer

	t     *testing.T
	guard *middleware.Guard
	mux   *middleware.Mux

	mu        sync.Mutex
	held      *validator.Token // that the handler found last
	decisions []middleware.Decision
}

// newOpaqueAPI returns an API that introspects all tokens.
func newOpaqueAPI(t *testing.T) *opaqueAPI {
	t.Helper()
	issuer := issuertest.New(t)
	return newAPI(t, issuer, issuer.OpaqueConfig())
}

// newHybridAPI returns an API that validates JWTs and can introspect them.
func newHybridAPI(t *testing.T) *opaqueAPI {
	t.Helper()
	issuer := issuertest.New(t)
	return newAPI(t, issuer, issuer.HybridConfig())
}

func newAPI(t *testing.T, issuer *issuertest.Issuer, config validator.Issuer) *opaqueAPI {
	t.Helper()
	return newAPIOf(t, issuer, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}}))
}

// newAPIOf returns an API with this Validator.
func newAPIOf(t *testing.T, issuer *issuertest.Issuer, v *validator.Validator) *opaqueAPI {
	t.Helper()
	api := &opaqueAPI{Issuer: issuer, t: t}
	api.guard = issuertest.Guard(t, middleware.Config{
		Validator: v,
		Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
			api.mu.Lock()
			defer api.mu.Unlock()
			api.decisions = append(api.decisions, d)
		}},
	})
	api.mux = api.guard.NewMux()
	return api
}

// handle adds a route whose handler keeps the Token.
func (api *opaqueAPI) handle(path string, policy scopes.Policy) {
	api.mux.HandleFunc("GET "+path, policy, func(_ http.ResponseWriter, r *http.Request) {
		api.mu.Lock()
		defer api.mu.Unlock()
		api.held = middleware.TokenFrom(r.Context())
	})
}

// get serves a request with a token, or with none if it is "", and returns the answer
// and the only Decision.
func (api *opaqueAPI) get(path, token string) (*http.Response, middleware.Decision) {
	api.t.Helper()
	r := request()
	r.URL.Path = path
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	api.forget()
	response := serve(api.mux, r)
	api.mu.Lock()
	defer api.mu.Unlock()
	if len(api.decisions) != 1 {
		api.t.Fatalf("%s: %d decisions", path, len(api.decisions))
	}
	return response, api.decisions[0]
}

// forget forgets the decisions and the Token.
func (api *opaqueAPI) forget() {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.decisions, api.held = nil, nil
}

// visit is one request, with what is expected of it.
type visit struct {
	after  time.Duration // since the visit before
	path   string
	token  string
	status int
	source validator.Source
	calls  int // of the introspection endpoint, in all
}

// visits serves the requests in turn.
func (api *opaqueAPI) visits(all ...visit) {
	api.t.Helper()
	for i, v := range all {
		time.Sleep(v.after)
		response, decision := api.get(v.path, v.token)
		calls := api.Requests(testissuer.Introspection)
		if response.StatusCode != v.status || decision.Source != v.source || calls != v.calls {
			api.t.Errorf("visit %d, %s: status %d, source %q, %d calls (%v); want %d, %q, %d",
				i, v.path, response.StatusCode, decision.Source, calls, causeOf(decision.Denial), v.status, v.source, v.calls)
		}
		if (decision.Denial == nil) != (v.status == http.StatusOK) || (api.held != nil) != (v.status == http.StatusOK && v.token != "") {
			api.t.Errorf("visit %d, %s: %+v, and the handler got %v", i, v.path, decision, api.held)
		}
	}
}

func causeOf(d *middleware.Denial) error {
	if d == nil {
		return nil
	}
	return d.Cause()
}

// TestOpaqueToken covers R-IN-10: handlers get the Token of an introspected token, and
// policies decide about it, like about that of a JWT.
func TestOpaqueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.All("read"))
		api.handle("/admin", scopes.All("admin"))
		good := api.Opaque(testissuer.Token{Scope: "read write"})
		for range 2 { // from the issuer, and from the cache
			response, decision := api.get("/orders", good)
			if response.StatusCode != http.StatusOK || api.held.Issuer() != api.URL() || api.held.Subject() != "user-1" || api.held.ClientID() != "client-1" ||
				!api.held.HasScope("read") || !api.held.HasScope("write") || api.held.HasScope("admin") || api.held.Expiry().IsZero() {
				t.Errorf("%d, %v", response.StatusCode, api.held)
			}
			if decision.Token != api.held || decision.Client != "client-1" || decision.Issuer != api.URL() || decision.Kind != "" {
				t.Errorf("%+v", decision)
			}
		}
		response, decision := api.get("/admin", good)
		if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="admin"`) {
			t.Errorf("no scope: %d, %s", response.StatusCode, challenge)
		}
		if api.held != nil || decision.Token == nil || decision.Source != validator.Cached {
			t.Errorf("no scope: %+v", decision)
		}
		if response, _ := api.get("/none", good); response.StatusCode != http.StatusNotFound {
			t.Errorf("an unlisted path: %d", response.StatusCode)
		}
	})
}

// TestOpaqueShapes covers R-BT-01 and R-IN-03: the issuer is asked about the token byte
// for byte as the client sent it, whatever it looks like.
func TestOpaqueShapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.All("read"))
		for _, text := range []string{
			"a", "a=", "a==", "+/~.-_", "ory_at_a.b", "x.y.z", "a.b.c.d.e", "..", "a//b++c", "a%2Bb", strings.Repeat("a/+", 5461) + "=", // 16384 bytes
			"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.BBBB.CCCC", api.Sign(testissuer.Token{Scope: "read"}) + "~",
		} {
			isToken := !strings.Contains(text, "%")
			if isToken {
				api.Opaque(testissuer.Token{Scope: "read", Text: text})
			}
			before := api.Requests(testissuer.Introspection)
			response, _ := api.get("/orders", text)
			if !isToken {
				if response.StatusCode != http.StatusBadRequest || api.Requests(testissuer.Introspection) != before {
					t.Errorf("%q: %d", text, response.StatusCode)
				}
				continue
			}
			received := api.Received(testissuer.Introspection)
			if response.StatusCode != http.StatusOK || len(received) != before+1 || received[before].Form.Get("token") != text {
				t.Errorf("%.40q: %d, asked %d times", text, response.StatusCode, len(received)-before)
			}
		}
	})
}

// TestOpaqueRefusals covers R-IN-04, R-IN-05 and R-IN-11, with a situation where nobody
// could tell why introspection refused: the Decision says whether the issuer was asked
// now or before, or why it gave no verdict. Only a verdict is answered with 401.
func TestOpaqueRefusals(t *testing.T) {
	for _, row := range []struct {
		name   string
		fault  testissuer.Fault
		status int
		want   middleware.Decision // Source and Kind
		after  string              // Retry-After
		again  validator.Source    // of the next request
	}{
		{"not active", testissuer.InactiveWithClaims, 401, middleware.Decision{Source: validator.Introspected}, "", validator.Cached},
		{"active as a string", testissuer.ActiveString, 401, middleware.Decision{Source: validator.Introspected}, "", validator.Introspected},
		{"another audience", testissuer.AudienceOther, 401, middleware.Decision{Source: validator.Introspected}, "", validator.Cached},
		{"refresh token", testissuer.RefreshToken, 401, middleware.Decision{Source: validator.Introspected}, "", validator.Cached},
		{"HTML", testissuer.AnswerHTML, 503, middleware.Decision{Kind: introspect.NotAnAnswer}, "1", ""},
		{"204", testissuer.StatusNoContent, 503, middleware.Decision{Kind: introspect.NotAnAnswer}, "1", ""},
		{"400", testissuer.StatusBadRequest, 503, middleware.Decision{Kind: introspect.RequestRefused}, "1", ""},
		{"401", testissuer.StatusUnauthorized, 503, middleware.Decision{Kind: introspect.CredentialsRefused}, "1", ""},
		{"403", testissuer.StatusForbidden, 503, middleware.Decision{Kind: introspect.CredentialsRefused}, "1", ""},
		{"500", testissuer.StatusError, 503, middleware.Decision{Kind: introspect.ServerError}, "1", ""},
		{"429", testissuer.StatusThrottled, 503, middleware.Decision{Kind: introspect.Throttled}, "5", ""},
		{"503", testissuer.StatusUnavailable, 503, middleware.Decision{Kind: introspect.Throttled}, "5", ""},
		{"slow", testissuer.Slow, 503, middleware.Decision{Kind: introspect.TimedOut}, "1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newOpaqueAPI(t)
				api.handle("/orders", scopes.Authenticated())
				token := api.Opaque(testissuer.Token{Fault: row.fault})
				response, decision := api.get("/orders", token)
				if response.StatusCode != row.status || decision.Source != row.want.Source || decision.Kind != row.want.Kind || decision.Issuer != api.URL() {
					t.Errorf("%d, source %q, kind %q, issuer %q: %v", response.StatusCode, decision.Source, decision.Kind, decision.Issuer, causeOf(decision.Denial))
				}
				after, challenges := response.Header.Get("Retry-After"), response.Header.Values("WWW-Authenticate")
				if after != row.after || (len(challenges) == 1) != (row.status == http.StatusUnauthorized) {
					t.Errorf("Retry-After %q, challenges %q", after, challenges)
				}
				if body, err := io.ReadAll(response.Body); err != nil || strings.Contains(string(body), "introspect") {
					t.Errorf("%s, %v", body, err)
				}
				if _, decision := api.get("/orders", token); decision.Source != row.again || decision.Denial == nil {
					t.Errorf("again: source %q, %v", decision.Source, decision.Denial)
				}
			})
		})
	}
}

// TestThrottledIssuer: callers are told the rest of the time for which the issuer wants
// no requests (R-IN-11).
func TestThrottledIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.Authenticated())
		throttled := api.Opaque(testissuer.Token{Fault: testissuer.StatusThrottled})
		api.visits(visit{0, "/orders", throttled, 503, "", 1})
		time.Sleep(50 * time.Millisecond) // before the first probe
		response, decision := api.get("/orders", api.Opaque(testissuer.Token{}))
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "5" || decision.Kind != introspect.Throttled || decision.Denial.RetryAfter != 5*time.Second {
			t.Errorf("%d, Retry-After %q, %+v", response.StatusCode, response.Header.Get("Retry-After"), decision)
		}
		api.visits(visit{3 * time.Second, "/orders", api.Opaque(testissuer.Token{}), 200, validator.Introspected, 2})
	})
}

// TestOptionalOpaque: a request without credentials passes without a call, and one with
// a token that is refused, or cannot be judged, does not pass as anonymous (R-IN-11).
func TestOptionalOpaque(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/optional", scopes.Optional(scopes.All("read")))
		api.handle("/each", scopes.Optional(scopes.FreshlyActive(0)))
		good, weak, bad := api.Opaque(testissuer.Token{Scope: "read"}), api.Opaque(testissuer.Token{}), api.Opaque(testissuer.Token{})
		api.Revoke(bad)
		api.visits(
			visit{0, "/optional", "", 200, "", 0},
			visit{0, "/each", "", 200, "", 0},
			visit{0, "/optional", good, 200, validator.Introspected, 1},
			visit{0, "/optional", weak, 403, validator.Introspected, 2},
			visit{0, "/optional", bad, 401, validator.Introspected, 3},
			visit{0, "/optional", "unknown", 401, validator.Introspected, 4},
			visit{0, "/each", good, 200, validator.Introspected, 5},
		)
		api.Down(true)
		api.visits(
			visit{0, "/optional", "", 200, "", 5},
			visit{0, "/optional", good, 200, validator.Cached, 5},
			visit{0, "/optional", "other", 503, "", 5},
			visit{0, "/each", good, 503, "", 5},
			visit{0, "/each", "", 200, "", 5},
		)
	})
}

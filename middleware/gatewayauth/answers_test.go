package gatewayauth_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// slow is the cause of an outage that lasts.
type slow struct{}

func (slow) Error() string             { return "CANARY" }
func (slow) RetryAfter() time.Duration { return 90 * time.Second }

// refusals returns a Denial of every Class that a method can have.
func (b *backend) refusals(t *testing.T) map[string]*middleware.Denial {
	t.Helper()
	all := map[string]*middleware.Denial{}
	route := func(policy scopes.Policy) *middleware.Route {
		made, err := b.guard.Route("test", policy)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	for _, reason := range []validator.Reason{
		validator.NoCredentials, validator.MalformedRequest, validator.MalformedToken, validator.Revoked, validator.Expired, validator.BadProof,
		validator.NonceRequired, validator.Unavailable,
	} {
		all[string(reason)] = route(scopes.All("orders:read", "orders:write")).Refuse(t.Context(), reason)
	}
	all["outage"] = route(scopes.Authenticated()).Refuse(t.Context(), validator.Refuse(validator.Unavailable, slow{}))
	for _, policy := range []scopes.Policy{
		scopes.All("a", "b"), scopes.ACR("urn:mfa", "urn:hw"), scopes.MaxAuthAge(5 * time.Minute), scopes.And(scopes.All("a"), scopes.ACR("urn:mfa"), scopes.MaxAuthAge(time.Hour)),
		scopes.Issuers("https://other.test"), scopes.SenderConstrained(),
	} {
		all[policy.String()] = route(policy).Check(t.Context(), b.issuer.Bearer(nil), scopes.Operation{}).Denial()
	}
	mux := b.guard.NewMux()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/nowhere", nil)
	if err != nil {
		t.Fatal(err)
	}
	all["not found"] = mux.Match(r).Check(t.Context(), b.issuer.Bearer(nil), scopes.Operation{}).Denial()
	return all
}

// TestAnswers covers R-GR-06 and R-GR-09: the answer to every class of refusal, of a unary call and of a stream, is that of the HTTP guard in status, in all
// fields and in the body, and nothing of the server's metadata is in it, even if the client takes trailers.
func TestAnswers(t *testing.T) {
	b := newBackend(t)
	front := b.front(t, gatewayauth.Config{})
	classes := map[middleware.Class]bool{}
	for name, denial := range b.refusals(t) {
		if denial == nil {
			t.Fatalf("%s: is not refused", name)
		}
		classes[denial.Class] = true
		b.gate.forced.Store(denial)
		status, header, body := denial.Response()
		for _, request := range [][2]string{{"GET", "/v1/orders/1"}, {"POST", "/v1/orders"}, {"DELETE", "/v1/orders/1"}, {"GET", "/v1/orders/1/watch"}} {
			for _, te := range []string{"", "trailers"} {
				got := call(t, request[0], front+request[1], "{}", "Te", te)
				if got.status != status || !maps.EqualFunc(got.header, header, slices.Equal) || got.body != string(body) || len(got.trailer) != 0 {
					t.Errorf("%s, %s, TE %q:\n%d %q %q, want\n%d %q %q", name, request, te, got.status, got.header, got.body, status, header, body)
				}
			}
		}
	}
	if len(classes) != 11 { // all but that of 405, which is of HTTP
		t.Errorf("tested are %v", slices.Sorted(maps.Keys(classes)))
	}
	if n := b.calls.Load(); n != 0 {
		t.Errorf("the handlers ran %d times", n)
	}
}

// TestBody shows that the body is configured as that of a Guard, and nothing else of
// the answer with it.
func TestBody(t *testing.T) {
	b := newBackend(t)
	denial := b.refusals(t)[string(validator.Expired)]
	b.gate.forced.Store(denial)
	for _, row := range []struct {
		name       string
		config     gatewayauth.Config
		kind, body string
	}{
		{"none", gatewayauth.Config{NoBody: true}, "", ""},
		{"own", gatewayauth.Config{DenialBody: func(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("X-Other", "a")
			w.WriteHeader(http.StatusOK)
			_, _ = fmt.Fprintf(w, "%s %s %q", r.Method, d.Class, d.Reason)
		}}, "text/plain", `GET expired_token ""`},
		{"own without type", gatewayauth.Config{DenialBody: func(w http.ResponseWriter, _ *http.Request, _ *middleware.Denial) {
			_, _ = w.Write([]byte("{}"))
		}}, "application/problem+json", "{}"},
		{"own that is empty", gatewayauth.Config{DenialBody: func(http.ResponseWriter, *http.Request, *middleware.Denial) {}}, "", ""},
		{"the Denial's", gatewayauth.Config{DenialBody: func(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
			d.ServeHTTP(w, r)
		}}, "application/problem+json", `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{"panics", gatewayauth.Config{DenialBody: func(w http.ResponseWriter, _ *http.Request, _ *middleware.Denial) {
			_, _ = w.Write([]byte("half"))
			panic("CANARY")
		}}, "application/problem+json", `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
	} {
		front := b.front(t, row.config)
		for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
			got := call(t, http.MethodGet, front+path, "")
			if got.status != http.StatusUnauthorized || got.header.Get("Content-Type") != row.kind || got.body != row.body || got.header["X-Other"] != nil ||
				!slices.Equal(got.header["Www-Authenticate"], denial.Challenges) || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: %+v", row.name, path, got)
			}
		}
	}
}

// TestNothingOfTheCause covers R-GR-09: the cause of a refusal is not in the answer.
func TestNothingOfTheCause(t *testing.T) {
	b := newBackend(t)
	b.gate.forced.Store(b.refusals(t)["outage"])
	front := b.front(t, gatewayauth.Config{})
	for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
		if got := fmt.Sprintf("%+v", call(t, http.MethodGet, front+path, "")); strings.Contains(got, "CANARY") || strings.Contains(got, "cause") || strings.Contains(got, "X-Secret") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestZeroDenial shows that a Denial that no Guard made refuses, and says that
// nothing was determined unless it has a status of its own that refuses.
func TestZeroDenial(t *testing.T) {
	for name, row := range map[string]struct {
		denial *middleware.Denial
		want   int
	}{
		"nil":                  {nil, 503},
		"zero":                 {&middleware.Denial{}, 503},
		"a reason only":        {&middleware.Denial{Reason: validator.Forbidden}, 503},
		"a status that passes": {&middleware.Denial{Reason: validator.Forbidden, Status: 200}, 503},
		"a redirect":           {&middleware.Denial{Status: 302}, 503},
		"informational":        {&middleware.Denial{Status: 100}, 503},
		"below 400":            {&middleware.Denial{Status: 399}, 503},
		"400":                  {&middleware.Denial{Status: 400}, 400},
		"599":                  {&middleware.Denial{Status: 599}, 599},
		"no status at all":     {&middleware.Denial{Status: 600}, 503},
		"negative":             {&middleware.Denial{Status: -1}, 503},
		"a refusal":            {&middleware.Denial{Reason: validator.Forbidden, Status: 403}, 403},
	} {
		response := serve(row.denial, httptest.NewRequest(http.MethodGet, "/", nil))
		if response.StatusCode != row.want || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, row.want)
		}
		if row.want == 503 && response.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", name, response.Header.Get("Retry-After"))
		}
		want := validator.Unavailable
		if row.denial != nil && row.denial.Reason != "" {
			want = row.denial.Reason
		}
		if row.denial.Error() != "sallyport: denied: "+string(want) || !errors.Is(row.denial, want) || validator.ReasonOf(row.denial) != want {
			t.Errorf("%s: %v, want %s", name, row.denial, want)
		}
	}
}

// TestZeroValues shows that what no constructor made registers nothing, refuses
// everything and does not panic otherwise.
func TestZeroValues(t *testing.T) {
	values := []any{
		(*middleware.Guard)(nil), new(middleware.Guard), (*middleware.Mux)(nil), new(middleware.Mux), (*middleware.Denial)(nil), new(middleware.Denial),
	}
	var registrations []string
	for _, of := range []string{
		"(*middleware.Guard)(nil).Middleware", "(*middleware.Guard)(nil).NewMux", "(*middleware.Guard)(nil).Optional", "(*middleware.Guard)(nil).Require",
		"&middleware.Guard.Middleware", "&middleware.Guard.NewMux", "&middleware.Guard.Optional", "&middleware.Guard.Require",
		"(*middleware.Mux)(nil).Handle", "(*middleware.Mux)(nil).HandleFunc", "&middleware.Mux.Handle", "&middleware.Mux.HandleFunc",
	} {
		registrations = append(registrations, of+": middleware: ")
	}
	next := http.NotFoundHandler()
	for _, args := range [][]any{
		{t.Context(), http.ResponseWriter(httptest.NewRecorder()), httptest.NewRequest(http.MethodGet, "/", nil), next, scopes.Authenticated()},
		{http.ResponseWriter(httptest.NewRecorder()), httptest.NewRequest(http.MethodGet, "/", nil), next, scopes.Public()},
	} {
		for _, line := range zero.Panics(args, values...) {
			at := slices.IndexFunc(registrations, func(known string) bool { return strings.HasPrefix(line, known) })
			if at < 0 || !strings.Contains(line, "not made by") && !strings.Contains(line, "handler is nil") {
				t.Error(line)
			}
		}
	}
	for name, guard := range map[string]*middleware.Guard{"nil": nil, "zero": {}} {
		_, compiled := guard.Compile(scopes.Public())
		_, arrival := guard.Arrival(request())
		for call, err := range map[string]error{
			"Warm": guard.Warm(t.Context()), "Run": guard.Run(t.Context()), "Ready": guard.Ready(), "Compile": compiled, "Arrival": arrival,
		} {
			if err == nil || !strings.Contains(err.Error(), "not made by New") {
				t.Errorf("%s Guard: %s: %v", name, call, err)
			}
		}
		for _, policy := range []scopes.Policy{scopes.Public(), scopes.Authenticated(), {}} {
			token, denial := guard.Check(t.Context(), validator.Presentation{}, policy, scopes.Operation{})
			if token != nil || denial == nil || denial.Status != 503 {
				t.Errorf("%s Guard: %v: %v, %v", name, policy, token, denial)
			}
		}
	}
	for name, mux := range map[string]*middleware.Mux{"nil": nil, "zero": {}} {
		_, listed, denial := mux.PolicyFor(request())
		if response := serve(mux, request()); response.StatusCode != 503 || listed || denial == nil || denial.Status != 503 {
			t.Errorf("%s Mux: %d, listed %t, %v", name, response.StatusCode, listed, denial)
		}
	}
}

// TestCheckWithoutContext shows that Check refuses a nil context and tells its
// hook, which gets one that it can use. There is no token in a nil context.
func TestCheckWithoutContext(t *testing.T) {
	issuer := testissuer.New(t)
	var told []error
	guard := guardFor(t, issuer, middleware.Config{Trace: &middleware.Trace{Denied: func(ctx context.Context, _ *middleware.Denial) {
		told = append(told, hook.CheckContext(ctx))
	}}})
	good := validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{})}
	token, denial := guard.Check(nil, good, scopes.Authenticated(), scopes.Operation{}) //nolint:staticcheck // that is the point
	if token != nil || denial == nil || denial.Reason != validator.Unavailable || !errors.Is(denial, hook.ErrContext) {
		t.Errorf("%v, %v", token, denial)
	}
	if len(told) != 1 || told[0] != nil {
		t.Errorf("the hook was told %v", told)
	}
	for name, ctx := range map[string]context.Context{"nil": nil, "a nil pointer": (*requestContext)(nil)} {
		if token := middleware.TokenFrom(ctx); token != nil {
			t.Errorf("TokenFrom: %s: %v", name, token)
		}
	}
}

// requestContext is a context as frameworks have it: a nil pointer to it panics.
type requestContext struct{ context.Context }

func (c *requestContext) Value(key any) any { return c.Context.Value(key) }

// TestRequestWithoutURL shows that a request that no server made, and that has no
// URL, is answered with 400 and reaches no handler.
func TestRequestWithoutURL(t *testing.T) {
	issuer := testissuer.New(t)
	var told []error
	guard := guardFor(t, issuer, middleware.Config{Trace: &middleware.Trace{Denied: func(_ context.Context, d *middleware.Denial) {
		told = append(told, d)
	}}})
	var h handler
	mux := guard.NewMux()
	mux.Handle("/", scopes.Public(), &h)
	mux.Handle("/tree/", scopes.Authenticated(), &h)
	doors := map[string]http.Handler{
		"Mux": mux, "Require": guard.Require(scopes.Authenticated(), &h),
		"Public": guard.Require(scopes.Public(), &h), "Optional": guard.Optional(scopes.Authenticated(), &h),
	}
	for name, door := range doors {
		told = nil
		r := request("Bearer " + issuer.Sign(testissuer.Token{}))
		r.URL = nil
		if response := serve(door, r); response.StatusCode != 400 || h.ran != 0 || len(told) != 1 || !errors.Is(told[0], validator.MalformedRequest) {
			t.Errorf("%s: %d, %d calls, told %v", name, response.StatusCode, h.ran, told)
		}
	}
	r := &http.Request{Method: http.MethodGet}
	if _, listed, denial := mux.PolicyFor(r); listed || denial == nil || denial.Status != 400 {
		t.Errorf("PolicyFor: listed %t, %v", listed, denial)
	}
	if methods := mux.AllowedMethods(r); methods != nil {
		t.Errorf("AllowedMethods: %q", methods)
	}
}

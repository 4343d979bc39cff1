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
	"github.com/sallyport-auth/sallyport/internal/issuertest"
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
		(*middleware.Route)(nil), new(middleware.Route), (*middleware.Held)(nil), new(middleware.Held),
		middleware.Verdict{},
		middleware.Class(""), (*middleware.Trace)(nil), new(middleware.Trace),
	}
	var registrations []string
	for _, of := range []string{
		"(*middleware.Guard)(nil).Middleware", "(*middleware.Guard)(nil).NewMux", "(*middleware.Guard)(nil).RefuseAmbiguous", "(*middleware.Guard)(nil).Require",
		"&middleware.Guard.Middleware", "&middleware.Guard.NewMux", "&middleware.Guard.RefuseAmbiguous", "&middleware.Guard.Require",
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
		if !panics(func() { guard.NewMux() }) {
			t.Errorf("%s Guard: NewMux makes a Mux", name)
		}
		route, compiled := guard.Route("GET /", scopes.Public())
		_, arrival := guard.Arrival(request())
		for call, err := range map[string]error{
			"Warm": guard.Warm(t.Context()), "Run": guard.Run(t.Context()), "Ready": guard.Ready(), "Route": compiled, "Arrival": arrival,
		} {
			if err == nil || !strings.Contains(err.Error(), "not made by New") {
				t.Errorf("%s Guard: %s: %v", name, call, err)
			}
		}
		verdict := route.Check(t.Context(), validator.Presentation{}, scopes.Operation{})
		if denial := verdict.Denial(); verdict.Token() != nil || denial == nil || denial.Status != 503 {
			t.Errorf("%s Guard: %v, %v", name, verdict.Token(), denial)
		}
	}
	for name, mux := range map[string]*middleware.Mux{"nil": nil, "zero": {}} {
		route := mux.Match(request())
		denial := route.Check(t.Context(), validator.Presentation{}, scopes.Operation{}).Denial()
		if response := serve(mux, request()); response.StatusCode != 503 || route.Listed() || denial == nil || denial.Status != 503 {
			t.Errorf("%s Mux: %d, listed %t, %v", name, response.StatusCode, route.Listed(), denial)
		}
	}
}

// TestCheckWithoutContext shows that Check refuses a nil context, and that the hook
// gets a context that it can use. TokenFrom returns nil for a nil context.
func TestCheckWithoutContext(t *testing.T) {
	issuer := issuertest.New(t)
	var reported []error
	guard := issuer.Guard(t, middleware.Config{Trace: denials(func(ctx context.Context, _ *middleware.Denial) {
		reported = append(reported, hook.CheckContext(ctx))
	})})
	good := issuer.Bearer(nil)
	verdict := routeOf(t, guard, scopes.Authenticated()).Check(nil, good, scopes.Operation{}) //nolint:staticcheck // that is the point
	token, denial := verdict.Token(), verdict.Denial()
	if token != nil || denial == nil || denial.Reason != validator.Unavailable || !errors.Is(denial, hook.ErrContext) {
		t.Errorf("%v, %v", token, denial)
	}
	if len(reported) != 1 || reported[0] != nil {
		t.Errorf("the hook got contexts with the errors %v", reported)
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
	issuer := issuertest.New(t)
	var reported []error
	guard := issuer.Guard(t, middleware.Config{Trace: denials(func(_ context.Context, d *middleware.Denial) {
		reported = append(reported, d)
	})})
	var h handler
	mux := guard.NewMux()
	mux.Handle("/", scopes.Public(), &h)
	mux.Handle("/tree/", scopes.Authenticated(), &h)
	handlers := map[string]http.Handler{
		"Mux": mux, "Require": guard.Require(scopes.Authenticated(), &h),
		"Public": guard.Require(scopes.Public(), &h), "Optional": guard.Require(scopes.Optional(scopes.Authenticated()), &h),
	}
	for name, guarded := range handlers {
		reported = nil
		r := request("Bearer " + issuer.Sign(testissuer.Token{}))
		r.URL = nil
		if response := serve(guarded, r); response.StatusCode != 400 || h.ran != 0 || len(reported) != 1 || !errors.Is(reported[0], validator.MalformedRequest) {
			t.Errorf("%s: %d, %d calls, reported %v", name, response.StatusCode, h.ran, reported)
		}
	}
	r := &http.Request{Method: http.MethodGet}
	route := mux.Match(r)
	if denial := route.Check(t.Context(), validator.Presentation{}, scopes.Operation{}).Denial(); route.Listed() || denial == nil || denial.Status != 400 {
		t.Errorf("Match: listed %t, %v", route.Listed(), denial)
	}
	if methods := mux.AllowedMethods(r); methods != nil {
		t.Errorf("AllowedMethods: %q", methods)
	}
}

// TestNames shows that the names of routes and transports that an adapter gives, which
// are labels of metrics, are short and printable. The patterns of a Mux have the
// syntax of ServeMux and no other limit.
func TestNames(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for name, want := range map[string]bool{
		"GET /orders/{id}": true, "/orders.v1.Orders/Get": true, "GET /straße": true, "/" + strings.Repeat("a", 511): true,
		"": false, "/" + strings.Repeat("a", 512): false, "/a\nb": false, "/a\x00": false, "/\x7f": false, "/\xff": false, "/\u200b": false,
	} {
		route, err := guard.Route(name, scopes.Policy{})
		if faults := validator.Faults(err); route != nil || len(faults) == 0 || (faults[0].Path == "Route") == want || len(faults) != 2 && !want {
			t.Errorf("Route(%q): %v, %v", name, route, faults)
		}
		if _, err := guard.Route(name, scopes.Public()); (err == nil) != want || err != nil && (len(err.Error()) > 512 || strings.Contains(err.Error(), name) && name != "") {
			t.Errorf("Route(%q): %v", name, err)
		}
		if route, err := guard.NewMux().Add(name, scopes.Policy{}); route != nil || len(validator.Faults(err)) != 1 {
			t.Errorf("Add(%q): %v", name, err)
		}
		if route, err := guard.NewMux().Add(name, scopes.Public()); (err == nil) != (name != "") || (route == nil) != (name == "") {
			t.Errorf("Add(%q): %v", name, err)
		}
		message, _ := panicOf(func() { guard.Over(name) }).(string)
		if (message == "") != want || len(message) > 512 || message != "" && !strings.Contains(message, "middleware: Over: ") {
			t.Errorf("Over(%q): %s", name, message)
		}
	}
}

// TestUnknownClass shows that a Class that this package does not define means what
// ClassUnavailable does.
func TestUnknownClass(t *testing.T) {
	for _, class := range []middleware.Class{"", "ok", middleware.ClassUnavailable} {
		if class.Status() != 503 || class.GRPC() != 14 || class.Code() != "" {
			t.Errorf("%q: %d, %d, %q", class, class.Status(), class.GRPC(), class.Code())
		}
	}
}

// TestCauseOfBareRefusal checks that a Denial has a cause for logs, also if it was made
// of a Refusal that has none.
func TestCauseOfBareRefusal(t *testing.T) {
	route := routeOf(t, issuertest.New(t).Guard(t, middleware.Config{}), scopes.Authenticated())
	for name, err := range map[string]error{
		"policy":    &scopes.Refusal{Reason: validator.Forbidden},
		"validator": new(validator.Error),
		"nil":       nil,
	} {
		if cause := route.Refuse(t.Context(), err).Cause(); cause == nil {
			t.Errorf("%s: the cause is nil", name)
		}
	}
}

// TestRunWithoutContext checks that Run refuses a context that cannot be used.
func TestRunWithoutContext(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for name, ctx := range map[string]context.Context{"nil": nil, "panics": panickingErr{t.Context()}} {
		if err := guard.Run(ctx); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// panics reports whether f panics.
func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

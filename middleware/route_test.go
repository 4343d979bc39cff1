package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// unary is an adapter for calls that have a name and metadata, as gRPC has them.
// It knows no type of net/http and uses Route.Check, Route.Refuse and Denial only.
type unary struct {
	routes map[string]*middleware.Route
}

// call is one call with the values of its authorization metadata.
type call struct {
	method        string
	authorization []string
}

// status is what a caller gets: a code of gRPC, and what ErrorInfo would hold.
type status struct {
	code       uint32
	class      middleware.Class
	challenges []string
}

func statusOf(d *middleware.Denial) status { return status{d.Class.GRPC(), d.Class, d.Challenges} }

func (u *unary) serve(ctx context.Context, c call, handler func(context.Context, *validator.Token)) status {
	route := u.routes[c.method] // nil refuses
	var p validator.Presentation
	switch len(c.authorization) {
	case 0:
	case 1:
		scheme, token, _ := strings.Cut(c.authorization[0], " ")
		if p.Scheme = validator.OtherScheme; strings.EqualFold(scheme, "Bearer") {
			p.Scheme, p.Token = validator.Bearer, token
		}
	default:
		return statusOf(route.Refuse(ctx, validator.Refuse(validator.MalformedRequest, errors.New("several authorization entries"))))
	}
	verdict := route.Check(ctx, p, scopes.Operation{})
	if denial := verdict.Denial(); denial != nil {
		return statusOf(denial)
	}
	handler(ctx, verdict.Token())
	return status{}
}

// TestUnaryAdapter shows that an adapter for a transport without HTTP needs
// Route.Check, Route.Refuse and Denial only, and that its calls have Decisions.
func TestUnaryAdapter(t *testing.T) {
	issuer := issuertest.New(t)
	var decisions []middleware.Decision
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
		decisions = append(decisions, d)
	}}}).Over("grpc")
	adapter := &unary{routes: map[string]*middleware.Route{}}
	for name, policy := range map[string]scopes.Policy{
		"/orders.v1.Orders/Get":    scopes.All("orders:read"),
		"/orders.v1.Orders/List":   scopes.Optional(scopes.All("orders:read")),
		"/grpc.health.v1.Health/C": scopes.Public(),
	} {
		route, err := guard.Route(name, policy)
		if err != nil {
			t.Fatal(err)
		}
		adapter.routes[name] = route
	}
	reader := "Bearer " + issuer.Sign(testissuer.Token{Scope: "orders:read"})
	other := "Bearer " + issuer.Sign(testissuer.Token{})
	const unauthenticated, permissionDenied, unavailable = 16, 7, 14
	for _, row := range []struct {
		method        string
		authorization []string
		code          uint32
		class         middleware.Class
		token         bool // the handler gets one
	}{
		{"/orders.v1.Orders/Get", []string{reader}, 0, "", true},
		{"/orders.v1.Orders/Get", []string{other}, permissionDenied, middleware.ClassInsufficientScope, false},
		{"/orders.v1.Orders/Get", nil, unauthenticated, middleware.ClassNoCredentials, false},
		{"/orders.v1.Orders/Get", []string{"Bearer a"}, unauthenticated, middleware.ClassInvalidToken, false},
		{"/orders.v1.Orders/Get", []string{reader, reader}, unauthenticated, middleware.ClassInvalidRequest, false},
		{"/orders.v1.Orders/List", nil, 0, "", false},
		{"/orders.v1.Orders/List", []string{"Basic dTpw"}, unauthenticated, middleware.ClassNoCredentials, false},
		{"/orders.v1.Orders/List", []string{"Bearer a"}, unauthenticated, middleware.ClassInvalidToken, false},
		{"/orders.v1.Orders/List", []string{reader}, 0, "", true},
		{"/grpc.health.v1.Health/C", []string{"Bearer a"}, 0, "", false},
		{"/orders.v1.Orders/Delete", []string{reader}, unavailable, middleware.ClassUnavailable, false}, // no route
	} {
		decisions = nil
		ran, token := false, (*validator.Token)(nil)
		got := adapter.serve(t.Context(), call{row.method, row.authorization}, func(_ context.Context, given *validator.Token) {
			ran, token = true, given
		})
		if got.code != row.code || got.class != row.class || ran != (row.code == 0) || (token != nil) != row.token {
			t.Errorf("%s %.20q: %+v, ran %t with %v, want %+v", row.method, row.authorization, got, ran, token, row)
		}
		if row.class == middleware.ClassUnavailable {
			continue
		}
		if len(decisions) != 1 || decisions[0].Route != row.method || decisions[0].Transport != "grpc" || (decisions[0].Denial == nil) != ran {
			t.Errorf("%s %.20q: decisions %+v", row.method, row.authorization, decisions)
		}
	}
}

// TestZeroVerdict shows that a Verdict that no Route made refuses, and that each
// call returns a Denial of its own.
func TestZeroVerdict(t *testing.T) {
	var verdict middleware.Verdict
	denial := verdict.Denial()
	if denial == nil || denial.Status != 503 || denial.Class != middleware.ClassUnavailable || verdict.Token() != nil {
		t.Fatalf("%+v, %v", denial, verdict.Token())
	}
	denial.Status = 200
	if verdict.Denial().Status != 503 {
		t.Error("a caller can change the Denial of the zero Verdict")
	}
}

// TestZeroRoute shows that a Route that no Guard made refuses everything.
func TestZeroRoute(t *testing.T) {
	for name, route := range map[string]*middleware.Route{"nil": nil, "zero": {}} {
		verdict := route.Check(t.Context(), validator.Presentation{}, scopes.Operation{})
		if denial := verdict.Denial(); denial == nil || denial.Status != 503 || verdict.Token() != nil {
			t.Errorf("%s: Check: %+v", name, denial)
		}
		if denial := route.Refuse(t.Context(), validator.Expired); denial == nil || denial.Status != 503 {
			t.Errorf("%s: Refuse: %+v", name, denial)
		}
		if route.Name() != "" || route.Listed() || route.Policy().Err() == nil {
			t.Errorf("%s: %q, %t, %v", name, route.Name(), route.Listed(), route.Policy())
		}
	}
}

// TestRefuse shows that what an adapter refuses is answered in the class of its
// Reason, also without an error or with one whose methods panic.
func TestRefuse(t *testing.T) {
	issuer := issuertest.New(t)
	var reported []*middleware.Denial
	guard := issuer.Guard(t, middleware.Config{Trace: denials(func(_ context.Context, d *middleware.Denial) { reported = append(reported, d) })})
	route := routeOf(t, guard, scopes.All("read"))
	for _, row := range []struct {
		err    error
		class  middleware.Class
		status int
	}{
		{validator.Refuse(validator.MalformedRequest, nil), middleware.ClassInvalidRequest, 400},
		{validator.NoCredentials, middleware.ClassNoCredentials, 401},
		{errors.New("odd"), middleware.ClassUnavailable, 503},
		{nil, middleware.ClassUnavailable, 503},
		{(*panicking)(nil), middleware.ClassUnavailable, 503},
	} {
		reported = nil
		denial := route.Refuse(t.Context(), row.err)
		if denial.Class != row.class || denial.Status != row.status || len(reported) != 1 || !reflect.DeepEqual(reported[0], denial) {
			t.Errorf("%T: %+v, reported %v", row.err, denial, reported)
		}
		if text := denial.Cause().Error(); text == "" { // hooks can print it
			t.Errorf("%T: the cause has no text", row.err)
		}
	}
	if denial := route.Refuse(t.Context(), validator.NoCredentials); !slices.Equal(denial.Challenges, []string{wantPlain + `, scope="read"`}) {
		t.Errorf("challenges %q", denial.Challenges)
	}
}

// TestReasonsAreClosed shows that a Denial has a Reason of the closed set, whatever an
// adapter or a hook refuses with, and keeps that as its cause.
func TestReasonsAreClosed(t *testing.T) {
	issuer := issuertest.New(t)
	madeUp := validator.Refuse("192.0.2.1 sent bad metadata", errors.New("cause"))
	guard := issuer.Guard(t, middleware.Config{})
	hooked := routeOf(t, guard, scopes.Check("name", 0, func(context.Context, *validator.Token, scopes.Operation) error { return madeUp }))
	for name, denial := range map[string]*middleware.Denial{
		"Refuse":   routeOf(t, guard, scopes.Public()).Refuse(t.Context(), madeUp),
		"a Reason": routeOf(t, guard, scopes.Public()).Refuse(t.Context(), validator.Reason("made up")),
		"a hook":   hooked.Check(t.Context(), presented(issuer.Sign(testissuer.Token{})), scopes.Operation{}).Denial(),
	} {
		if denial.Reason != validator.Unavailable || validator.ReasonOf(denial) != validator.Unavailable || denial.Class != middleware.ClassUnavailable ||
			denial.Error() != new(middleware.Denial).Error() {
			t.Errorf("%s: %q, %q, %s", name, denial.Reason, denial, denial.Class)
		}
		if name != "a Reason" && !strings.Contains(denial.Cause().Error(), string(madeUp.Reason())) {
			t.Errorf("%s: the cause is lost: %v", name, denial.Cause())
		}
	}
}

// panicking is an error whose methods panic if it is nil.
type panicking struct{ text string }

func (p *panicking) Error() string { return p.text }

// TestDenialErrors shows that errors.As finds the refusals of the validator and of
// the policy in a Denial, and that Cause returns what was wrong, for logs.
func TestDenialErrors(t *testing.T) {
	issuer := issuertest.New(t)
	route := routeOf(t, issuer.Guard(t, middleware.Config{}), scopes.All("read"))
	denial := route.Check(t.Context(), presented(issuer.Sign(testissuer.Token{})), scopes.Operation{}).Denial()
	refusal, found := errors.AsType[*scopes.Refusal](denial)
	if !found || !slices.Equal(refusal.Scopes, []string{"read"}) || validator.ReasonOf(denial) != validator.InsufficientScope || !errors.Is(denial.Cause(), refusal.Unwrap()) {
		t.Errorf("policy: %v, %v", refusal, denial.Cause())
	}
	denial = route.Check(t.Context(), presented("a"), scopes.Operation{}).Denial()
	failure, found := errors.AsType[*validator.Error](denial)
	if !found || failure.Reason() != validator.MalformedToken || !errors.Is(denial.Cause(), failure.Unwrap()) {
		t.Errorf("validator: %v, %v", failure, denial.Cause())
	}
	if cause := route.Refuse(t.Context(), nil).Cause(); !strings.Contains(cause.Error(), "without an error") {
		t.Errorf("refused without an error: %v", cause)
	}
	if cause := new(middleware.Denial).Cause(); !errors.Is(cause, validator.Unavailable) {
		t.Errorf("zero: %v", cause)
	}
}

// TestResponse shows that a Denial is written alike with and without a request.
func TestResponse(t *testing.T) {
	issuer := issuertest.New(t)
	for name, config := range map[string]middleware.Config{
		"default": {}, "no body": {NoBody: true}, "exposed": {ExposeHeaders: true},
		"own body": {DenialBody: func(w http.ResponseWriter, r *http.Request, _ *middleware.Denial) {
			_, _ = w.Write([]byte("no " + r.Header.Get("Accept") + r.URL.Path))
		}},
	} {
		route := routeOf(t, issuer.Guard(t, config), scopes.All("read"))
		denial := route.Check(t.Context(), validator.Presentation{}, scopes.Operation{}).Denial()
		r := request()
		r.URL.Path = "/"
		written := serve(denial, r)
		code, header, body := denial.Response()
		var text [512]byte
		n, _ := written.Body.Read(text[:])
		if code != written.StatusCode || !reflect.DeepEqual(header, written.Header) || string(body) != string(text[:n]) {
			t.Errorf("%s: %d %v %q, ServeHTTP writes %d %v %q", name, code, header, body, written.StatusCode, written.Header, text[:n])
		}
	}
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
	mux.Handle("GET /orders", scopes.Public(), new(handler))
	r := request()
	r.Method = http.MethodPut
	denial := mux.Match(r).Check(t.Context(), presented(issuer.Sign(testissuer.Token{})), scopes.Operation{}).Denial()
	if code, header, _ := denial.Response(); code != 405 || header.Get("Allow") != "GET, HEAD" {
		t.Errorf("another method: %d %v", code, header)
	}
	if code, header, _ := new(middleware.Denial).Response(); code != 503 || header.Get("Retry-After") != "1" {
		t.Errorf("zero: %d %v", code, header)
	}
}

// TestFaults shows that faults of a configuration and of a policy are values that
// name the field.
func TestFaults(t *testing.T) {
	_, err := middleware.New(middleware.Config{
		Realm: "\n", PublicURL: "api", ResourceMetadata: "x", TrustedProxies: []netip.Prefix{{}}, InsecureKeepFields: []string{"Accept"},
	})
	paths := func(err error) (all []string) {
		for _, f := range validator.Faults(err) {
			if all = append(all, f.Path); f.Problem == "" {
				t.Errorf("%+v has no problem", f)
			}
		}
		return all
	}
	want := []string{"Validator", "Realm", "ResourceMetadata", "TrustedProxies[0]", "InsecureKeepFields[0]", "PublicURL"}
	if got := paths(err); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	mux := guard.NewMux()
	for name, policy := range map[string]scopes.Policy{"GET /a": {}, "GET /{b}": scopes.TenantFrom("tenant"), "GET": scopes.Public()} {
		route, err := mux.Add(name, policy)
		if got := paths(err); route != nil || len(got) != 1 || !strings.HasPrefix(got[0], name) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestAdd shows that a Mux decides on routes without a handler, and answers 404 to
// what passes.
func TestAdd(t *testing.T) {
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
	route, err := mux.Add("GET /orders/{id}", scopes.All("read"))
	if err != nil {
		t.Fatal(err)
	}
	good := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	for authorization, want := range map[string]int{good: 404, "Bearer a": 401} {
		r := request(authorization)
		r.URL.Path = "/orders/7"
		if matched := mux.Match(r); matched != route || matched.Name() != "GET /orders/{id}" || !matched.Listed() {
			t.Errorf("Match: %v", matched)
		}
		if denial := mux.Match(r).Check(t.Context(), presented(authorization), scopes.Operation{}).Denial(); (denial == nil) != (want == 404) {
			t.Errorf("%.10s: %v", authorization, denial)
		}
		if response := serve(mux, r); response.StatusCode != want {
			t.Errorf("%.10s: %d, want %d", authorization, response.StatusCode, want)
		}
	}
}

// TestAnonymous shows that an Optional route passes a Presentation without a token
// only if it has no credentials of any kind.
func TestAnonymous(t *testing.T) {
	route := routeOf(t, issuertest.New(t).Guard(t, middleware.Config{}), scopes.Optional(scopes.Authenticated()))
	for _, row := range []struct {
		p      validator.Presentation
		passes bool
	}{
		{validator.Presentation{}, true},
		{validator.Presentation{Method: "GET"}, true},
		{validator.Presentation{Scheme: validator.OtherScheme}, false},
		{validator.Presentation{Proofs: []string{"a"}}, false},
		{validator.Presentation{Token: "a"}, false},
		{validator.Presentation{Scheme: validator.Bearer}, false},
	} {
		verdict := route.Check(t.Context(), row.p, scopes.Operation{})
		if (verdict.Denial() == nil) != row.passes || verdict.Token() != nil {
			t.Errorf("%v, %q: %v", row.p, row.p.Proofs, verdict.Denial())
		}
	}
}

// TestOperationName shows that a hook gets the name of the route if the adapter gives
// none, and otherwise that of the adapter.
func TestOperationName(t *testing.T) {
	issuer := issuertest.New(t)
	var got []string
	route := routeOf(t, issuer.Guard(t, middleware.Config{}), scopes.Check("name", 0, func(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
		got = append(got, operation.Name)
		return nil
	}))
	for _, name := range []string{"", "other"} {
		if denial := route.Check(t.Context(), presented(issuer.Sign(testissuer.Token{})), scopes.Operation{Name: name}).Denial(); denial != nil {
			t.Errorf("%q: %v", name, denial)
		}
	}
	if want := []string{route.Name(), "other"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

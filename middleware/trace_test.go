package middleware_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecided shows the one Decision of each request, allowed or refused. Route is
// never a path of the request.
func TestDecided(t *testing.T) {
	issuer := issuertest.New(t)
	var decisions []middleware.Decision
	guard := issuer.Guard(t, middleware.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
			decisions = append(decisions, d)
		}},
	})
	mux := guard.NewMux()
	mux.Handle("GET /orders/{id}", scopes.All("read"), new(handler))
	mux.Handle("GET /open", scopes.Public(), new(handler))
	mux.Handle("GET /optional", scopes.Optional(scopes.All("read")), new(handler))
	single := guard.Require(scopes.Authenticated(), new(handler))
	behind := http.NewServeMux()
	behind.Handle("GET /behind/{id}", single)
	good := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	weak := "Bearer " + issuer.Sign(testissuer.Token{})
	for _, row := range []struct {
		name, method, path, authorization string
		handler                           http.Handler
		want                              middleware.Decision // Token, Denial and Start are compared apart
		token                             bool
		class                             middleware.Class
	}{
		{"passes", "GET", "/orders/7", good, mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Verified}, true, ""},
		{"again", "GET", "/orders/8", good, mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Cached}, true, ""},
		{"scope", "GET", "/orders/7", weak, mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Verified}, true, middleware.ClassInsufficientScope},
		{"bad token", "GET", "/orders/7", "Bearer a", mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.Bearer}, false, middleware.ClassInvalidToken},
		{"no token", "GET", "/orders/7", "", mux, middleware.Decision{Route: "GET /orders/{id}"}, false, middleware.ClassNoCredentials},
		{"Basic", "GET", "/orders/7", "Basic dTpw", mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.OtherScheme}, false, middleware.ClassNoCredentials},
		{"unreadable", "GET", "/orders/7", "Bearer", mux, middleware.Decision{Route: "GET /orders/{id}", Scheme: validator.Bearer}, false, middleware.ClassInvalidRequest},
		{"public", "GET", "/open", good, mux, middleware.Decision{Route: "GET /open"}, false, ""},
		{"anonymous", "GET", "/optional", "", mux, middleware.Decision{Route: "GET /optional"}, false, ""},
		{"unlisted", "GET", "/none", good, mux, middleware.Decision{Route: "unlisted", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Cached}, true, middleware.ClassNotFound},
		{"other method", "PUT", "/open", good, mux, middleware.Decision{Route: "unlisted", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Cached}, true, middleware.ClassMethodNotAllowed},
		{"unlisted, no token", "GET", "/none", "", mux, middleware.Decision{Route: "unlisted"}, false, middleware.ClassNoCredentials},
		{"ambiguous", "GET", "/orders/../orders/7", good, mux, middleware.Decision{Route: "ambiguous"}, false, middleware.ClassInvalidRequest},
		{"ServeMux", "GET", "/behind/7", good, behind, middleware.Decision{Route: "GET /behind/{id}", Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Cached}, true, ""},
		{"no ServeMux", "GET", "/x", good, single, middleware.Decision{Scheme: validator.Bearer, Issuer: issuer.URL(), Client: "client-1", Source: validator.Cached}, true, ""},
		{"RefuseAmbiguous", "GET", "/a/../b", good, guard.RefuseAmbiguous(single), middleware.Decision{Route: "ambiguous"}, false, middleware.ClassInvalidRequest},
	} {
		decisions = nil
		r := request()
		if row.authorization != "" {
			r.Header.Set("Authorization", row.authorization)
		}
		r.Method, r.URL.Path = row.method, row.path
		before := time.Now()
		response := serve(row.handler, r)
		if len(decisions) != 1 {
			t.Errorf("%s: %d decisions", row.name, len(decisions))
			continue
		}
		got := decisions[0]
		if (got.Token != nil) != row.token || (got.Denial == nil) != (row.class == "") || got.Denial != nil && got.Denial.Class != row.class ||
			got.Start.Before(before) || got.Start.After(time.Now()) {
			t.Errorf("%s: %d, %+v", row.name, response.StatusCode, got)
		}
		got = middleware.Decision{
			Route: got.Route, Transport: got.Transport, Scheme: got.Scheme, Issuer: got.Issuer, Client: got.Client, Source: got.Source,
			Kind: got.Kind, Privileged: got.Privileged,
		}
		if row.want.Transport = "http"; got != row.want {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.want)
		}
	}
}

// TestDecisionPrivileged: a Decision says whether the policy is marked, and has a keyed hash of the token for refusals and for marked policies (R-OB-05). The
// Decision does not print the token.
func TestDecisionPrivileged(t *testing.T) {
	issuer := issuertest.New(t)
	var got middleware.Decision
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { got = d }}})
	mux := guard.NewMux()
	for path, policy := range map[string]scopes.Policy{
		"/plain": scopes.All("read"), "/privileged": scopes.Privileged(scopes.ACR("urn:mfa")), "/sensitive": scopes.Sensitive(scopes.MaxAuthAge(time.Hour)),
		"/public": scopes.Public(),
	} {
		mux.Handle(path, policy, new(handler))
	}
	good := issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"acr": "urn:mfa", "auth_time": time.Now().Unix()}})
	weak := issuer.Sign(testissuer.Token{})
	for _, row := range []struct {
		path, authorization string
		privileged          bool
		hashed              string // the token whose hash the Decision has
		allowed             bool
	}{
		{"/plain", "Bearer " + good, false, "", true},
		{"/plain", "Bearer " + weak, false, weak, false},
		{"/plain", "Bearer unreadable", false, "unreadable", false},
		{"/plain", "", false, "", false},
		{"/plain", "Bearer", false, "", false},
		{"/privileged", "Bearer " + good, true, good, true},
		{"/privileged", "Bearer " + weak, true, weak, false},
		{"/privileged", "Bearer", true, "", false},
		{"/sensitive", "Bearer " + good, true, good, true},
		{"/public", "Bearer " + good, false, "", true},
	} {
		r := request(row.authorization)
		r.URL.Path = row.path
		if row.authorization == "" {
			r.Header.Del("Authorization")
		}
		serve(mux, r)
		if got.Privileged != row.privileged || (got.Denial == nil) != row.allowed {
			t.Errorf("%s, %.20s: %+v", row.path, row.authorization, got)
		}
		want := []byte(nil)
		if row.hashed != "" {
			mac := hmac.New(sha256.New, []byte("key"))
			mac.Write([]byte(row.hashed))
			want = mac.Sum(nil)
		}
		if hash := got.TokenHash([]byte("key")); !bytes.Equal(hash, want) {
			t.Errorf("%s, %.20s: hash %x, want %x", row.path, row.authorization, hash, want)
		}
		if row.hashed != "" && (bytes.Equal(got.TokenHash([]byte("other")), want) || strings.Contains(fmt.Sprintf("%+v %#v", got, got), row.hashed[:8])) {
			t.Errorf("%s: the hash has no key, or the Decision prints the token", row.path)
		}
	}
}

// TestDecisionScheme shows the Scheme of credentials that cannot be read or are not
// looked at.
func TestDecisionScheme(t *testing.T) {
	var got middleware.Decision
	guard := issuertest.New(t).Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { got = d }}})
	mux := guard.NewMux()
	mux.Handle("GET /guarded", scopes.Authenticated(), new(handler))
	mux.Handle("GET /optional", scopes.Optional(scopes.Authenticated()), new(handler))
	mux.Handle("GET /public", scopes.Public(), new(handler))
	const none validator.Scheme = 0
	for _, row := range []struct {
		fields []string
		want   validator.Scheme
	}{
		{nil, none},
		{[]string{}, validator.OtherScheme},
		{[]string{""}, validator.OtherScheme},
		{[]string{"Bearer a", "Bearer b"}, validator.OtherScheme},
		{[]string{"Basic a, Bearer b"}, validator.OtherScheme},
		{[]string{"Basic a"}, validator.OtherScheme},
		{[]string{"Bearer"}, validator.Bearer},
		{[]string{"dpop"}, validator.DPoP},
		{[]string{"Bearer a"}, validator.Bearer},
	} {
		for path, want := range map[string]validator.Scheme{
			"/guarded": row.want, "/optional": row.want, "/unlisted": row.want, "/public": none, "/a//b": none,
		} {
			r := request()
			r.URL.Path = path
			if row.fields != nil {
				r.Header["Authorization"] = row.fields
			}
			if serve(mux, r); got.Scheme != want {
				t.Errorf("%s, %q: %v, want %v", path, row.fields, got.Scheme, want)
			}
		}
	}
	if denial := routeOf(t, guard, scopes.Authenticated()).Refuse(t.Context(), validator.MalformedRequest); got.Scheme != none || denial == nil {
		t.Errorf("Refuse: %v, %v", got.Scheme, denial)
	}
}

// TestHooksGetCopies shows that a hook cannot change an answer by writing into its
// Decision, neither that to the request nor those of other routes.
func TestHooksGetCopies(t *testing.T) {
	write := &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
		if d.Denial != nil {
			if d.Denial.Status == 0 {
				t.Error("a hook sees what another wrote")
			}
			d.Denial.Status = 0
			for i := range d.Denial.Challenges {
				d.Denial.Challenges[i] = "written"
			}
		}
	}}
	guard := issuertest.New(t).Guard(t, middleware.Config{Trace: write.Join(write)})
	for _, policy := range []scopes.Policy{scopes.Authenticated(), scopes.All("read"), scopes.UserOnly()} {
		route := routeOf(t, guard, policy)
		for range 2 {
			for name, denial := range map[string]*middleware.Denial{
				"Check": route.Check(t.Context(), validator.Presentation{}, scopes.Operation{}).Denial(), "Refuse": route.Refuse(t.Context(), validator.NoCredentials),
			} {
				if denial.Status != 401 || len(denial.Challenges) != 1 || !strings.HasPrefix(denial.Challenges[0], "Bearer ") {
					t.Errorf("%v: %s: %d, %q", policy, name, denial.Status, denial.Challenges)
				}
			}
		}
	}
}

// TestTraceJoin shows that each hook of a Trace is joined, in order, and that a
// hook that panics does not keep the next one from being called.
func TestTraceJoin(t *testing.T) {
	hooks := reflect.TypeFor[middleware.Trace]()
	for i := range hooks.NumField() {
		field := hooks.Field(i)
		var called []string
		named := func(name string) *middleware.Trace {
			trace := new(middleware.Trace)
			reflect.ValueOf(trace).Elem().Field(i).Set(reflect.MakeFunc(field.Type, func([]reflect.Value) []reflect.Value {
				called = append(called, name)
				panic("injected")
			}))
			return trace
		}
		joined := named("a").Join(nil).Join(new(middleware.Trace)).Join(named("b"))
		var args []reflect.Value
		for in := range field.Type.Ins() {
			if in == reflect.TypeFor[context.Context]() {
				args = append(args, reflect.ValueOf(t.Context()))
			} else {
				args = append(args, reflect.Zero(in))
			}
		}
		hook := reflect.ValueOf(joined).Elem().Field(i)
		if hook.IsNil() {
			t.Errorf("%s is not joined", field.Name)
			continue
		}
		hook.Call(args)
		if !slices.Equal(called, []string{"a", "b"}) {
			t.Errorf("%s: called %q", field.Name, called)
		}
	}
	if joined := (*middleware.Trace)(nil).Join(nil); joined != nil {
		t.Errorf("%v", joined)
	}
}

// TestJoinOfOne checks that Join returns the other Trace if one is nil.
func TestJoinOfOne(t *testing.T) {
	one := new(middleware.Trace)
	if one.Join(nil) != one || (*middleware.Trace)(nil).Join(one) != one {
		t.Error("Join with nil is another Trace")
	}
}

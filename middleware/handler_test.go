package middleware_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// handler counts its calls, and writes the subject of the token.
type handler struct{ ran int }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.ran++
	_, _ = io.WriteString(w, "for "+middleware.TokenFrom(r.Context()).Subject())
}

// request makes a GET request with these Authorization fields.
func request(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	for _, field := range authorization {
		r.Header.Add("Authorization", field)
	}
	return r
}

func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

const plainChallenge = `Bearer realm="api"`

// TestDenialResponse covers R-CH-01, R-CH-04, R-CH-10 and R-CH-11.
func TestDenialResponse(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{Realm: "myRealm"})
	for _, test := range []struct {
		token     testissuer.Token
		status    int
		challenge string
	}{
		{testissuer.Token{Forgery: testissuer.ForeignKey}, 401, `Bearer realm="myRealm", error="invalid_token", error_description="The access token is invalid"`},
		{testissuer.Token{Scope: "read"}, 403, `Bearer realm="myRealm", error="insufficient_scope", error_description="The access token lacks a scope", scope="read write"`},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions} {
			r := request("Bearer " + issuer.Sign(test.token))
			r.Method = method
			response := serve(guard.Require(scopes.All("read", "write"), new(handler)), r)
			var body struct {
				Title  string
				Status int
			}
			switch err := json.NewDecoder(response.Body).Decode(&body); {
			case method == http.MethodHead && !errors.Is(err, io.EOF):
				t.Errorf("HEAD has a body: %+v, %v", body, err)
			case method != http.MethodHead && (err != nil || body.Status != test.status):
				t.Errorf("body %+v, %v", body, err)
			}
			if response.StatusCode != test.status || response.Header.Get("Cache-Control") != "no-store" ||
				response.Header.Get("Content-Type") != "application/problem+json" ||
				!slices.Equal(response.Header.Values("WWW-Authenticate"), []string{test.challenge}) {
				t.Errorf("%s: %d %v", method, response.StatusCode, response.Header)
			}
		}
	}
}

// TestSameAnswer covers R-CH-06: the answer is the same, byte for byte, whatever is
// wrong with a token.
func TestSameAnswer(t *testing.T) {
	issuer := issuertest.New(t)
	server := httptest.NewServer(issuer.Guard(t, middleware.Config{}).Require(scopes.All("read"), new(handler)))
	defer server.Close()
	answers := make(map[string][]string)
	for name, token := range map[string]testissuer.Token{
		"unknown kid":    {Header: map[string]any{"kid": "other"}},
		"bad signature":  {Forgery: testissuer.ForeignKey},
		"unknown issuer": {Claims: map[string]any{"iss": `https://evil.example/"issuer`}},
		"wrong audience": {Claims: map[string]any{"aud": "https://other.test"}},
		"malformed":      {RawClaims: "[]"},
		"alg none":       {Forgery: testissuer.NoneAlgorithm, Header: map[string]any{"kid": "evil-kid"}},
		"ID token":       {Header: map[string]any{"typ": "JWT"}},
		"bound":          {Claims: map[string]any{"cnf": map[string]any{"jkt": "x"}}},
	} {
		answer := raw(t, server.Listener.Addr().String(), "Authorization: Bearer "+issuer.Sign(token)+"\r\n")
		answers[answer] = append(answers[answer], name)
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %q", len(answers), answers)
	}
}

// raw sends a GET request and gives the response as it comes, without its Date.
func raw(t *testing.T, address, fields string) string {
	t.Helper()
	return rawPath(t, address, "/orders", fields)
}

// rawPath is raw for a path that is sent as it is.
func rawPath(t *testing.T, address, path, fields string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n"+fields+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(response), "\r\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Date:") }), "")
}

// TestEachRequestOnItsOwn covers R-BT-10: nothing carries over on a connection.
func TestEachRequestOnItsOwn(t *testing.T) {
	issuer := issuertest.New(t)
	server := httptest.NewServer(issuer.Guard(t, middleware.Config{}).Require(scopes.Authenticated(), new(handler)))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	good := "Authorization: Bearer " + issuer.Sign(testissuer.Token{}) + "\r\n"
	for i, test := range []struct {
		fields string
		status int
	}{{good, 200}, {"", 401}, {good, 200}} {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n"+test.fields+"\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("request %d: %d, want %d", i, response.StatusCode, test.status)
		}
	}
}

// TestAllowed shows what a handler gets if a request passes: the token, the same
// ResponseWriter, and Cache-Control: private unless it was set before.
func TestAllowed(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	r := request("Bearer " + issuer.Sign(testissuer.Token{Scope: "read"}))
	w := httptest.NewRecorder()
	guard.Require(scopes.All("read"), http.HandlerFunc(func(got http.ResponseWriter, r *http.Request) {
		if got != http.ResponseWriter(w) {
			t.Errorf("the ResponseWriter is a %T", got)
		}
		if token := middleware.TokenFrom(r.Context()); token.Subject() != "user-1" || !token.HasScope("read") {
			t.Errorf("token %v", token)
		}
		if control := got.Header().Get("Cache-Control"); control != "private" {
			t.Errorf("Cache-Control %q", control)
		}
	})).ServeHTTP(w, r)
	w = httptest.NewRecorder()
	w.Header().Set("Cache-Control", "no-store")
	guard.Require(scopes.All("read"), new(handler)).ServeHTTP(w, r)
	if control := w.Header().Get("Cache-Control"); control != "no-store" {
		t.Errorf("Cache-Control %q, want what was set before", control)
	}
	if middleware.TokenFrom(context.Background()) != nil {
		t.Error("a token without a guard")
	}
}

// TestOptional shows that a request passes an Optional route without a token only if
// it has no credentials of any kind.
func TestOptional(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	good := issuer.Sign(testissuer.Token{Scope: "read"})
	for _, test := range []struct {
		name   string
		header http.Header
		status int
		body   string
	}{
		{"anonymous", http.Header{}, 200, "for "},
		{"good", http.Header{"Authorization": {"Bearer " + good}}, 200, "for user-1"},
		{"bad", http.Header{"Authorization": {"Bearer bad"}}, 401, ""},
		{"without the scope", http.Header{"Authorization": {"Bearer " + issuer.Sign(testissuer.Token{})}}, 403, ""},
		{"Basic", http.Header{"Authorization": {"Basic dTpw"}}, 401, ""},
		{"empty field", http.Header{"Authorization": {""}}, 400, ""},
		{"only a DPoP field", http.Header{"Dpop": {"x"}}, 401, ""},
		{"an Authorization field without a line", http.Header{"Authorization": {}}, 401, ""},
		{"a DPoP field without a line", http.Header{"Dpop": {}}, 401, ""},
	} {
		r := request()
		r.Header = test.header
		response := serve(guard.Require(scopes.Optional(scopes.All("read")), new(handler)), r)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != test.status || test.status == 200 && string(body) != test.body {
			t.Errorf("%s: %d %s, want %d %s", test.name, response.StatusCode, body, test.status, test.body)
		}
		if response.Header.Get("Vary") != "Authorization" {
			t.Errorf("%s: Vary %q", test.name, response.Header.Get("Vary"))
		}
	}
}

// TestDenied shows that every refusal is reported once, with its reason.
func TestDenied(t *testing.T) {
	issuer := issuertest.New(t)
	for _, test := range []struct {
		fields []string
		policy scopes.Policy
		want   []validator.Reason
	}{
		{nil, scopes.Authenticated(), []validator.Reason{validator.NoCredentials}},
		{[]string{"a", "b"}, scopes.Authenticated(), []validator.Reason{validator.MalformedRequest}},
		{[]string{"Bearer bad"}, scopes.Authenticated(), []validator.Reason{validator.MalformedToken}},
		{[]string{"Bearer " + issuer.Sign(testissuer.Token{})}, scopes.All("read"), []validator.Reason{validator.InsufficientScope}},
		{[]string{"Bearer " + issuer.Sign(testissuer.Token{})}, scopes.Authenticated(), nil},
		{nil, scopes.Public(), nil},
	} {
		var reported []validator.Reason
		trace := denials(func(_ context.Context, d *middleware.Denial) { reported = append(reported, d.Reason) })
		serve(issuer.Guard(t, middleware.Config{Trace: trace}).Require(test.policy, new(handler)), request(test.fields...))
		if !slices.Equal(reported, test.want) {
			t.Errorf("%v under %v: %v, want %v", test.fields, test.policy, reported, test.want)
		}
	}
}

// TestPublic shows that only a Public route passes every request, and that it does
// not look at credentials.
func TestPublic(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for _, fields := range [][]string{nil, {"Bearer bad"}, {"a", "b"}} {
		if response := serve(guard.Require(scopes.Public(), new(handler)), request(fields...)); response.StatusCode != 200 {
			t.Errorf("%v: %d", fields, response.StatusCode)
		}
	}
}

// TestRegistrationFaults shows that a route without a working policy cannot be
// registered.
func TestRegistrationFaults(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	mux := guard.NewMux()
	h := new(handler)
	for name, register := range map[string]func(){
		"zero policy":        func() { guard.Require(scopes.Policy{}, h) },
		"no scopes":          func() { guard.Require(scopes.All(), h) },
		"bad scope":          func() { guard.Middleware(scopes.Any("a b"))(h) },
		"nil handler":        func() { guard.Require(scopes.Authenticated(), nil) },
		"optional public":    func() { guard.Require(scopes.Optional(scopes.Public()), h) },
		"optional zero":      func() { guard.Require(scopes.Optional(scopes.Policy{}), h) },
		"mux, zero policy":   func() { mux.Handle("/a", scopes.Policy{}, h) },
		"mux, nil handler":   func() { mux.Handle("/b", scopes.Authenticated(), nil) },
		"mux, nil function":  func() { mux.HandleFunc("/c", scopes.Authenticated(), nil) },
		"mux, bad pattern":   func() { mux.Handle("GET", scopes.Authenticated(), h) },
		"mux, pattern twice": func() { mux.Handle("/d", scopes.Authenticated(), h); mux.Handle("/d", scopes.Authenticated(), h) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: registered", name)
				}
			}()
			register()
		}()
	}
}

// TestInjectedPanics covers R-BT-13: the panic of a hook changes no decision.
func TestInjectedPanics(t *testing.T) {
	issuer := issuertest.New(t)
	panics := func(context.Context) context.Context { panic("injected " + issuer.URL()) }
	for name, trace := range map[string]*validator.Trace{
		"start": {ValidateStart: panics},
		"done":  {ValidateDone: func(ctx context.Context, _ validator.ValidateDone) { panics(ctx) }},
	} {
		v := issuertest.Validator(t, validator.Config{Trace: trace, Issuers: []validator.Issuer{issuer.Config()}})
		guard := issuertest.Guard(t, middleware.Config{Validator: v})
		var h handler
		response := serve(guard.Require(scopes.Authenticated(), &h), request("Bearer "+issuer.Sign(testissuer.Token{})))
		if response.StatusCode != 200 || h.ran != 1 {
			t.Errorf("%s: %d, handler ran %d times", name, response.StatusCode, h.ran)
		}
		response = serve(guard.Require(scopes.Authenticated(), &h), request("Bearer "+issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey})))
		if response.StatusCode != 401 || h.ran != 1 {
			t.Errorf("%s: a forged token: %d, handler ran %d times", name, response.StatusCode, h.ran)
		}
	}
	// A panic of a function that decides is a refusal, and its text is not reported.
	guard := issuer.Guard(t, middleware.Config{}, func(c *validator.Issuer) { c.Tenant.Fixed = "acme" })
	operation := scopes.Operation{Value: func(string) string { panic("injected") }}
	good := issuer.Bearer(nil)
	denial := routeOf(t, guard, scopes.TenantFrom("tenant")).Check(t.Context(), good, operation).Denial()
	if denial == nil || denial.Status != 503 || denial.Unwrap().Error() != "middleware: panic with a string while checking" {
		t.Errorf("the panic of an operation: %v", denial)
	}
	noticing := &middleware.Trace{TokenInURL: func(context.Context) { panic("injected") }}
	r := request("Bearer bad")
	r.URL.RawQuery = "access_token=a"
	var unreached handler
	response := serve(issuer.Guard(t, middleware.Config{Trace: noticing}).Require(scopes.Authenticated(), &unreached), r)
	if response.StatusCode != 401 || unreached.ran != 0 {
		t.Errorf("TokenInURL: %d, handler ran %d times", response.StatusCode, unreached.ran)
	}
	// A panic of a hook that reports a refusal does not change the refusal.
	denied := &middleware.Trace{Decided: func(context.Context, middleware.Decision) { panic("injected") }}
	for _, fields := range [][]string{nil, {"Bearer bad"}, {"a", "b"}} {
		var h handler
		response := serve(issuer.Guard(t, middleware.Config{Trace: denied}).Require(scopes.Authenticated(), &h), request(fields...))
		if response.StatusCode/100 != 4 || h.ran != 0 {
			t.Errorf("%v: %d, handler ran %d times", fields, response.StatusCode, h.ran)
		}
	}
}

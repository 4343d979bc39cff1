package testissuer_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestRevocation checks that a revoked token is inactive, revoked by the endpoint (RFC
// 7009 §2) or by the method.
func TestRevocation(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for name, revoke := range map[string]func(string){
		"endpoint": func(token string) {
			a := post(t, issuer, form{url: issuer.RevocationURL(), values: url.Values{"token": {token}, "token_type_hint": {"access_token"}}})
			if a.status != http.StatusOK || a.body != "" || a.header["Content-Type"] != nil {
				t.Errorf("%v", a)
			}
		},
		"method": issuer.Revoke,
	} {
		for _, token := range []string{
			issuer.Opaque(testissuer.Token{}), issuer.Sign(testissuer.Token{}), issuer.Opaque(testissuer.Token{RawClaims: `{"active":true}`}),
		} {
			other := issuer.Opaque(testissuer.Token{})
			if !isActive(t, issuer, token) {
				t.Errorf("%s: inactive before", name)
			}
			revoke(token)
			revoke(token)
			if isActive(t, issuer, token) || !isActive(t, issuer, other) {
				t.Errorf("%s: the wrong token is revoked", name)
			}
		}
	}
	foreign := inMemory(t, testissuer.Config{}).Sign(testissuer.Token{})
	for _, token := range []string{"unknown", foreign} {
		if a := post(t, issuer, form{url: issuer.RevocationURL(), values: url.Values{"token": {token}}}); a.status != http.StatusOK {
			t.Errorf("unknown: %v", a)
		}
		panics(t, func() { issuer.Revoke(token) })
	}
}

// TestForms checks what the endpoints refuse (RFC 6749 §3.1, RFC 7662 §2.1).
func TestForms(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	const form, token = "application/x-www-form-urlencoded", "token=x"
	tests := []struct {
		name, body, kind, query string
		want                    int
	}{
		{name: "good", body: token, kind: form, want: 200},
		{name: "charset", body: token, kind: form + "; charset=utf-8", want: 200},
		{name: "query of the endpoint", body: token, kind: form, query: "?tenant=1", want: 200},
		{name: "no token", body: "token_type_hint=x", kind: form, want: 400},
		{name: "JSON", body: `{"token":"x"}`, kind: "application/json", want: 400},
		{name: "no type", body: token, want: 400},
		{name: "broken", body: "token=%", kind: form, want: 400},
		{name: "repeated", body: "token=x&token=x", kind: form, want: 400},
		{name: "large", body: token + "&a=" + strings.Repeat("x", 1<<20), kind: form, want: 400},
		{name: "token in the URL", kind: form, query: "?token=x", want: 400},
		{name: "both", body: token, kind: form, query: "?token=x", want: 400},
		{name: "another parameter in both", body: token + "&a=b", kind: form, query: "?a=b", want: 400},
		{name: "secret in the URL", body: token, kind: form, query: "?client_secret=x", want: 400},
		{name: "assertion in the URL", body: token, kind: form, query: "?client_assertion=x", want: 400},
	}
	for _, tt := range tests {
		for _, endpoint := range []string{issuer.IntrospectionURL(), issuer.RevocationURL()} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+tt.query, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			request.SetBasicAuth(testissuer.ClientID, testissuer.ClientSecret)
			if tt.kind != "" {
				request.Header.Set("Content-Type", tt.kind)
			}
			a, err := do(issuer.Client(), request)
			if err != nil || a.status != tt.want || (a.status == 400) != strings.Contains(a.body, `"error":"invalid_request"`) {
				t.Errorf("%s: %v, %v, want %d", tt.name, a, err, tt.want)
			}
		}
	}
}

// TestSecretsInGrantURL checks that the token endpoint refuses secrets in the URL.
func TestSecretsInGrantURL(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for _, row := range []struct {
		query string
		want  int
	}{{"", 200}, {"?tenant=1", 200}, {"?token=x", 400}, {"?client_secret=x", 400}, {"?client_assertion=x", 400}} {
		f := form{url: issuer.TokenURL() + row.query, values: url.Values{"grant_type": {"client_credentials"}}}
		if a := post(t, issuer, f); a.status != row.want {
			t.Errorf("%q: %v, want %d", row.query, a, row.want)
		}
	}
}

// TestFormMethods checks that the endpoints for forms take POST alone.
func TestFormMethods(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for url, endpoint := range map[string]testissuer.Endpoint{
		issuer.IntrospectionURL(): testissuer.Introspection,
		issuer.RevocationURL():    testissuer.Revocation,
		issuer.TokenURL():         testissuer.TokenEndpoint,
	} {
		if a := get(t, issuer, url+"?token=x"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %v", url, a)
		}
		if n := issuer.Requests(endpoint); n != 1 || len(issuer.Received(endpoint)) != 0 {
			t.Errorf("%s: %d requests counted, %v received", url, n, issuer.Received(endpoint))
		}
		post(t, issuer, form{url: url, public: true})
		if n := issuer.Requests(endpoint); n != 2 || len(issuer.Received(endpoint)) != 1 {
			t.Errorf("%s: %d requests counted, %v received", url, n, issuer.Received(endpoint))
		}
	}
}

// TestReceived checks what is kept of requests.
func TestReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		values := url.Values{"token": {"a b"}, "token_type_hint": {"access_token"}}
		post(t, issuer, form{url: issuer.IntrospectionURL() + "?tenant=1", values: values, header: http.Header{"Accept": {"x/y"}}})
		time.Sleep(time.Minute)
		post(t, issuer, form{values: values, public: true})
		all := issuer.Received(testissuer.Introspection)
		if len(all) != 2 {
			t.Fatal(all)
		}
		first, second := all[0], all[1]
		if first.Client != "api" || first.Query != "tenant=1" || first.Form.Encode() != values.Encode() || second.Time.Sub(first.Time) != time.Minute {
			t.Errorf("%+v", first)
		}
		if h := first.Header; h.Get("Accept") != "x/y" || h.Get("Authorization") == "" || h.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%v", h)
		}
		if second.Client != "" || second.Header.Get("Authorization") != "" {
			t.Errorf("%+v", second)
		}
		first.Form.Set("token", "x")
		first.Header.Set("Accept", "x")
		if again := issuer.Received(testissuer.Introspection)[0]; again.Form.Get("token") != "a b" || again.Header.Get("Accept") != "x/y" {
			t.Error("the list is no copy")
		}
		if len(issuer.Received(testissuer.Revocation)) != 0 {
			t.Error("a request of another endpoint")
		}
	})
	issuer := inMemory(t, testissuer.Config{})
	for at := range 1100 {
		post(t, issuer, form{public: true, values: url.Values{"token": {strings.Repeat("x", at)}}})
	}
	if all := issuer.Received(testissuer.Introspection); len(all) != 1000 || len(all[0].Form.Get("token")) != 100 || len(all[999].Form.Get("token")) != 1099 {
		t.Errorf("%d requests are kept", len(all))
	}
	panics(t, func() { issuer.Received(testissuer.JWKS) })
	panics(t, func() { issuer.Received("x") })
}

// TestFormBehaviours checks that each Behaviour works at the endpoints for forms.
func TestFormBehaviours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		token := issuer.Opaque(testissuer.Token{Lifetime: 24 * time.Hour})
		good := ask(t, issuer, token).body
		hold := make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(hold) })
		tests := []struct {
			name      string
			behaviour testissuer.Behaviour
			status    int
			body      string
			header    string // Retry-After
			delay     time.Duration
			failure   error
		}{
			{name: "hold", behaviour: testissuer.Behaviour{Hold: hold}, body: good, delay: time.Hour},
			{name: "delay", behaviour: testissuer.Behaviour{Delay: time.Minute}, body: good, delay: time.Minute},
			{name: "abort", behaviour: testissuer.Behaviour{Abort: true}, failure: io.EOF},
			{name: "status", behaviour: testissuer.Behaviour{Status: 503}, status: 503, body: good},
			{name: "redirect", behaviour: testissuer.Behaviour{Redirect: "/x", Status: 307}, status: 404, body: "404 page not found\n"},
			{name: "header", behaviour: testissuer.Behaviour{Header: http.Header{"Retry-After": {"7"}}}, body: good, header: "7"},
			{name: "body", behaviour: testissuer.Behaviour{Body: []byte("x")}, body: "x"},
			{name: "cut", behaviour: testissuer.Behaviour{Header: http.Header{"Content-Length": {"999"}}}, body: good, failure: io.ErrUnexpectedEOF},
			{name: "trickle", behaviour: testissuer.Behaviour{Trickle: time.Second, Body: []byte("123")}, body: "123", delay: 3 * time.Second},
			{name: "times", behaviour: testissuer.Behaviour{Status: 500, Times: 1}, status: 500, body: good},
			{name: "later times", body: good},
		}
		for _, tt := range tests {
			if tt.name != "later times" {
				issuer.Behave(testissuer.Introspection, tt.behaviour)
			}
			issuer.Client().CloseIdleConnections()
			began := time.Now()
			a, err := send(t, issuer, form{values: url.Values{"token": {token}}})
			if took := time.Since(began); took != tt.delay || !errors.Is(err, tt.failure) {
				t.Errorf("%s: %v after %v", tt.name, err, took)
			}
			if a.body != tt.body || err == nil && a.status != max(tt.status, 200) || a.header.Get("Retry-After") != tt.header {
				t.Errorf("%s: %v", tt.name, a)
			}
		}
		issuer.Behave(testissuer.Introspection, testissuer.Behaviour{Endless: true, Trickle: time.Second, Body: []byte("{")})
		client := issuer.Client()
		client.Timeout = time.Hour
		if a, err := send(t, issuer, form{values: url.Values{"token": {token}}, client: client}); err == nil || len(a.body) < 3000 {
			t.Errorf("endless: %d bytes, %v", len(a.body), err)
		}
	})
}

// TestHeldAnswer checks that a late answer holds what was true when the request arrived,
// and that it is counted then.
func TestHeldAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		token, hold := issuer.Opaque(testissuer.Token{}), make(chan struct{})
		issuer.Behave(testissuer.Introspection, testissuer.Behaviour{Hold: hold, Times: 1})
		var late string
		go func() { late = ask(t, issuer, token).body }()
		synctest.Wait()
		if issuer.Requests(testissuer.Introspection) != 1 || len(issuer.Received(testissuer.Introspection)) != 1 {
			t.Error("the request is not counted")
		}
		issuer.Revoke(token)
		if isActive(t, issuer, token) {
			t.Error("a revoked token is active")
		}
		close(hold)
		synctest.Wait()
		if object(t, late)["active"] != true {
			t.Errorf("the late answer is %s", late)
		}
	})
}

// TestCloseDuringForm checks that Close ends a request whose form has not arrived.
func TestCloseDuringForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		body, sender := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer.IntrospectionURL(), body)
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			_, err := do(issuer.Client(), request)
			failed <- err
		}()
		synctest.Wait()
		if issuer.Requests(testissuer.Introspection) != 1 {
			t.Error("the request did not arrive")
		}
		issuer.Close()
		_ = sender.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-failed; err == nil {
			t.Error("there is an answer")
		}
	})
}

// TestIntrospectionMetadata checks what the metadata name, and that a test can change
// it.
func TestIntrospectionMetadata(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{URL: "https://issuer.test/1/", Clients: []testissuer.Client{
		{ID: "a", Secret: "x", Post: true}, {ID: "b", Secret: "x"}, {ID: "c", Secret: "x", BearerLifetime: time.Minute, Signed: true},
	}})
	want := map[string]any{
		"introspection_endpoint":                        "https://issuer.test/1/introspect",
		"revocation_endpoint":                           "https://issuer.test/1/revoke",
		"token_endpoint":                                "https://issuer.test/1/token",
		"introspection_endpoint_auth_methods_supported": []any{"Bearer", "client_secret_basic", "client_secret_post"},
		"revocation_endpoint_auth_methods_supported":    []any{"client_secret_basic", "client_secret_post"},
		"token_endpoint_auth_methods_supported":         []any{"client_secret_basic", "client_secret_post"},
		"introspection_signing_alg_values_supported":    []any{"ES256"},
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server/1", "/1/.well-known/openid-configuration"} {
		all := object(t, get(t, issuer, "https://issuer.test"+path).body)
		for name, value := range want {
			if !equal(all[name], value) {
				t.Errorf("%s: %s is %v, want %v", path, name, all[name], value)
			}
		}
	}
	if issuer.IntrospectionURL() != want["introspection_endpoint"] || issuer.RevocationURL() != want["revocation_endpoint"] || issuer.TokenURL() != want["token_endpoint"] {
		t.Error("the methods return other URLs")
	}
	issuer.Metadata(testissuer.OAuthMetadata, func(m map[string]any) {
		delete(m, "introspection_endpoint")
		m["introspection_endpoint_auth_methods_supported"] = []string{"x"}
	})
	changed := object(t, get(t, issuer, "https://issuer.test/.well-known/oauth-authorization-server/1").body)
	if changed["introspection_endpoint"] != nil || !equal(changed["introspection_endpoint_auth_methods_supported"], []any{"x"}) {
		t.Errorf("%v", changed)
	}
	for _, e := range []testissuer.Endpoint{testissuer.Introspection, testissuer.Revocation, testissuer.TokenEndpoint} {
		panics(t, func() { issuer.Metadata(e, nil) })
	}
	if members := object(t, get(t, inMemory(t, testissuer.Config{Clients: []testissuer.Client{}}), "https://issuer.test/.well-known/openid-configuration").body); members["introspection_signing_alg_values_supported"] != nil {
		t.Error("signed answers without a client for them")
	}
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

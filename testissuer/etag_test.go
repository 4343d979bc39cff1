package testissuer_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// getIf fetches the JWK Set with If-None-Match fields of these tags.
func getIf(tb testing.TB, issuer *testissuer.Issuer, method string, tags ...string) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, issuer.JWKSURL(), http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header["If-None-Match"] = tags
	client := issuer.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := do(client, request)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func TestETag(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{ETag: true, CacheControl: "max-age=60"})
	first := getIf(t, issuer, http.MethodGet)
	tag := first.header.Get("ETag")
	if first.status != 200 || first.body != string(issuer.JWKS()) || len(tag) < 3 || tag[0] != '"' || !strings.HasSuffix(tag, `"`) {
		t.Fatalf("%+v", first)
	}
	tests := []struct {
		name string
		tags []string
		held bool
	}{
		{"same", []string{tag}, true},
		{"weak", []string{"W/" + tag}, true},
		{"any", []string{"*"}, true},
		{"one of a list", []string{`"a", W/` + tag + ` ,"b"`}, true},
		{"one of two fields", []string{`"a"`, tag}, true},
		{"another", []string{`"a"`}, false},
		{"not quoted", []string{strings.Trim(tag, `"`)}, false},
		{"empty", []string{""}, false},
		{"lower case", []string{"w/" + tag}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := getIf(t, issuer, method, tt.tags...)
				if a.header.Get("ETag") != tag || a.header.Get("Cache-Control") != "max-age=60" {
					t.Errorf("%s: fields %v", method, a.header)
				}
				if tt.held && (a.status != 304 || a.body != "" || a.header["Content-Type"] != nil) {
					t.Errorf("%s: %+v, want 304", method, a)
				}
				if !tt.held && (a.status != 200 || (a.body == first.body) != (method == http.MethodGet)) {
					t.Errorf("%s: %+v, want the document", method, a)
				}
			}
		})
	}
	if n := issuer.Requests(testissuer.JWKS); n != 1+2*len(tests) {
		t.Errorf("%d requests counted", n)
	}
	id := issuer.Rotate()
	if a := getIf(t, issuer, http.MethodGet, tag); a.status != 200 || a.body != string(issuer.JWKS()) || a.header.Get("ETag") == tag {
		t.Errorf("after a rotation: %+v", a)
	}
	issuer.Retire(id)
	if a := getIf(t, issuer, http.MethodGet, tag); a.status != 304 {
		t.Errorf("of the same bytes again: %+v", a)
	}
}

// TestNoETag checks that only the JWK Set has an ETag, and only with Config.ETag.
func TestNoETag(t *testing.T) {
	tagged, plain := inMemory(t, testissuer.Config{ETag: true}), inMemory(t, testissuer.Config{})
	if a := get(t, tagged, tagged.URL()+"/.well-known/openid-configuration"); a.status != 200 || a.header["Etag"] != nil {
		t.Errorf("metadata: %+v", a)
	}
	tag := getIf(t, tagged, http.MethodGet).header.Get("ETag")
	for _, tags := range [][]string{{"*"}, {tag}, {`""`}, {""}} {
		if a := getIf(t, plain, http.MethodGet, tags...); a.status != 200 || a.body != string(plain.JWKS()) || a.header["Etag"] != nil {
			t.Errorf("%q without ETag: %+v", tags, a)
		}
	}
}

func TestETagAndBehaviour(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{ETag: true})
	document := string(issuer.JWKS())
	tag := getIf(t, issuer, http.MethodGet).header.Get("ETag")
	tests := []struct {
		name      string
		behaviour testissuer.Behaviour
		status    int
		tag       string
		body      string
	}{
		{"status", testissuer.Behaviour{Status: 503}, 503, "", document},
		{"status 200", testissuer.Behaviour{Status: 200}, 200, "", document},
		{"body", testissuer.Behaviour{Body: []byte("x")}, 200, "", "x"},
		{"no body", testissuer.Behaviour{Body: []byte{}}, 200, "", ""},
		{"redirect", testissuer.Behaviour{Redirect: "/x"}, 302, "", document},
		{"false tag", testissuer.Behaviour{Header: http.Header{"Etag": {`"x"`}}}, 304, `"x"`, ""},
		{"tag removed", testissuer.Behaviour{Header: http.Header{"Etag": nil}}, 304, "", ""},
		{"endless", testissuer.Behaviour{Endless: true}, 304, tag, ""},
		{"no fault", testissuer.Behaviour{}, 304, tag, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer.Behave(testissuer.JWKS, tt.behaviour)
			if a := getIf(t, issuer, http.MethodGet, tag); a.status != tt.status || a.header.Get("ETag") != tt.tag || a.body != tt.body {
				t.Errorf("%+v, want status %d, ETag %q, body %q", a, tt.status, tt.tag, tt.body)
			}
		})
	}
}

// TestLateETag checks that tag and document are those at the arrival of the request.
func TestLateETag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{ETag: true})
		before := getIf(t, issuer, http.MethodGet)
		hold := make(chan struct{})
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Hold: hold, Times: 2})
		var whole, conditional answer
		go func() { whole = getIf(t, issuer, http.MethodGet) }()
		go func() { conditional = getIf(t, issuer, http.MethodGet, before.header.Get("ETag")) }()
		synctest.Wait()
		issuer.Rotate()
		close(hold)
		synctest.Wait()
		if whole.body != before.body || whole.header.Get("ETag") != before.header.Get("ETag") || conditional.status != 304 {
			t.Errorf("%+v and %+v", whole, conditional)
		}
	})
}

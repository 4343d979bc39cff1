package middleware_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// upload returns a form with a file, and its media type.
func upload(t *testing.T) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if err := form.WriteField("note", "n"); err != nil {
		t.Fatal(err)
	}
	file, err := form.CreateFormFile("file", "name")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(make([]byte, 64<<10))
	_ = form.Close()
	return b.Bytes(), form.FormDataContentType()
}

// parsing is a handler that keeps the files of a form on the disk. It fails if
// there is none.
func parsing(t *testing.T) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { parseUpload(t, w, r) })
}

func parseUpload(t *testing.T, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	if err := r.ParseMultipartForm(1 << 10); err != nil || len(r.MultipartForm.File) != 1 || r.FormValue("note") != "n" {
		t.Errorf("%v, %v", err, r.MultipartForm)
	}
	if files, err := os.ReadDir(os.TempDir()); err != nil || len(files) == 0 {
		t.Errorf("nothing is on the disk: %v", err)
	}
	w.Header().Set("Parsed", "yes")
}

// recovering is middleware in front that answers panics.
func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		next.ServeHTTP(w, r)
	})
}

// TestMultipartFiles shows that the server deletes the temporary files of forms
// that are parsed behind a guard, on every way to a handler and over HTTP/1.1 and
// HTTP/2. It deletes those in its own Request only.
func TestMultipartFiles(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	parse := parsing(t)
	mux := guard.NewMux()
	mux.Handle("POST /{$}", scopes.Authenticated(), parse)
	inner := http.NewServeMux()
	inner.Handle("POST /", guard.Require(scopes.Public(), parse))
	rendering := issuer.Guard(t, middleware.Config{DenialBody: func(w http.ResponseWriter, r *http.Request, _ *middleware.Denial) {
		parseUpload(t, w, r)
		_, _ = io.WriteString(w, "no")
	}})
	for name, row := range map[string]struct {
		handler   http.Handler
		untrusted bool // sends a field that is removed, and no token
		query     string
	}{
		"no guard":                     {handler: parse},
		"Require":                      {handler: guard.Require(scopes.Authenticated(), parse)},
		"Mux":                          {handler: mux},
		"a guard behind a guard":       {handler: guard.Require(scopes.Authenticated(), guard.Require(scopes.Authenticated(), parse))},
		"public behind a guard":        {handler: guard.Require(scopes.Authenticated(), inner)},
		"Public, a field to remove":    {handler: guard.Require(scopes.Public(), parse), untrusted: true},
		"Public, _method":              {handler: guard.Require(scopes.Public(), parse), query: "?_method=PUT"},
		"Optional, a field to remove":  {handler: guard.Require(scopes.Optional(scopes.Authenticated()), parse), untrusted: true},
		"a refusal whose body is made": {handler: rendering.Require(scopes.Authenticated(), parse), untrusted: true},
		"a panic": {handler: recovering(guard.Require(scopes.Authenticated(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			parseUpload(t, w, r)
			panic("after the form")
		})))},
	} {
		for _, http2 := range []bool{false, true} {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			server := httptest.NewUnstartedServer(row.handler)
			server.EnableHTTP2 = http2
			server.StartTLS()
			body, kind := upload(t)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/"+row.query, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", kind)
			if row.untrusted {
				r.Header.Set("X-Forwarded-For", "192.0.2.1")
			} else {
				r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
			}
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			server.Close() // after the request
			if response.Header.Get("Parsed") == "" && !strings.HasPrefix(name, "a refusal") {
				t.Errorf("%s: %d, and no form was parsed", name, response.StatusCode)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%s over %s: %d files are left, %v", name, response.Proto, len(left), err)
			}
		}
	}
}

// TestHandedBack shows which fields that routers and form parsers set behind a guard
// are visible in front of it. Path values are not.
func TestHandedBack(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	routes := http.NewServeMux()
	form := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm() })
	routes.Handle("/orders/{id}/{rest...}", form)
	routes.Handle("/panic/{id}", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); panic("") }))
	routes.Handle("/none/{$}", form)
	other := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { // as chi does
		r.Pattern = "/chi/{id:[a-z]{2}}/*"
		r.SetPathValue("id", "ab")
	})
	for _, row := range []struct {
		name, path, field string
		next              http.Handler
		pattern           string
		values            map[string]string
		form              string
	}{
		{"a ServeMux", "/orders/7/a/b?q=1", "", routes, "/orders/{id}/{rest...}", map[string]string{"id": "7", "rest": "a/b"}, "b=2&q=1"},
		{"a ServeMux and a field that is removed", "/orders/7/a?q=1", "X-Real-Ip", routes, "/orders/{id}/{rest...}", map[string]string{"id": "7", "rest": "a"}, "b=2&q=1"},
		{"no wildcard", "/none/", "", routes, "/none/{$}", map[string]string{"$": ""}, "b=2"},
		{"a panic", "/panic/7", "", routes, "/panic/{id}", map[string]string{"id": "7"}, "b=2"},
		{"no route", "/other", "", routes, "", map[string]string{"id": ""}, ""},
		{"another router", "/chi/ab/c", "", other, "/chi/{id:[a-z]{2}}/*", map[string]string{"id": "ab", "*": ""}, ""},
		// The parameter is not in the Form of the handler, and is in one that is made in front.
		{"a query that is changed", "/orders/7/a?_method=PUT&q=1", "", routes, "/orders/{id}/{rest...}", map[string]string{"id": "7"}, ""},
	} {
		for kind, guarded := range map[string]http.Handler{"Require": guard.Require(scopes.Authenticated(), row.next), "no guard": row.next} {
			r := httptest.NewRequest(http.MethodPost, row.path, strings.NewReader("b=2"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
			if row.field != "" {
				r.Header.Set(row.field, "x")
			}
			header := r.Header.Clone()
			recovering(guarded).ServeHTTP(httptest.NewRecorder(), r)
			if r.Pattern != row.pattern {
				t.Errorf("%s, %s: pattern %q, want %q", row.name, kind, r.Pattern, row.pattern)
			}
			for name, want := range row.values {
				if kind != "no guard" { // they stay behind the guard
					want = ""
				}
				if got := r.PathValue(name); got != want {
					t.Errorf("%s, %s: %s is %q, want %q", row.name, kind, name, got, want)
				}
			}
			if kind == "no guard" && row.form == "" {
				continue
			}
			if got := r.Form.Encode(); got != row.form || row.form != "" && r.PostForm.Encode() != "b=2" {
				t.Errorf("%s, %s: %q and %q, want %q", row.name, kind, got, r.PostForm.Encode(), row.form)
			}
			if middleware.TokenFrom(r.Context()) != nil || !maps.EqualFunc(header, r.Header, slices.Equal) {
				t.Errorf("%s, %s: the request in front was changed", row.name, kind)
			}
			if strings.Contains(row.path, "_method") && r.FormValue("_method")+r.FormValue("b")+r.FormValue("q") != "PUT21" {
				t.Errorf("%s: %v is parsed in front afterwards", row.name, r.Form)
			}
		}
	}
}

// TestHandedBackOnce shows that fields which were set in front of the guard keep
// their values.
func TestHandedBackOnce(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	routes := http.NewServeMux()
	routes.Handle("/orders/{id}", guard.Require(scopes.Authenticated(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	})))
	r := httptest.NewRequest(http.MethodPost, "/orders/7", strings.NewReader("b=2"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
	form := &multipart.Form{}
	r.MultipartForm = form
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	routes.ServeHTTP(httptest.NewRecorder(), r)
	if r.Form.Get("b") != "2" || r.PostForm.Get("b") != "2" || r.MultipartForm != form || r.Pattern != "/orders/{id}" || r.PathValue("id") != "7" {
		t.Errorf("%v %v %v %q", r.Form, r.PostForm, r.MultipartForm, r.Pattern)
	}
}

// TestSharedRequest shows, under the race detector, that a request which handlers
// only read may pass the guard more than once at a time.
func TestSharedRequest(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	r := request("Bearer " + issuer.Sign(testissuer.Token{}))
	r.Header.Set("X-Real-IP", "192.0.2.1")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1
	h := guard.Require(scopes.Authenticated(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if middleware.TokenFrom(r.Context()) == nil || r.Header.Get("X-Real-IP") != "" {
			t.Error("no decision")
		}
	}))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
	}
	wait.Wait()
}

// TestTrailers shows that a handler gets the trailer that net/http puts into its
// own Request at the end of the body, announced or not.
func TestTrailers(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	reading := func(read func(io.ReadCloser) error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sum := r.Trailer.Get("X-Sum"); sum != "" {
				t.Errorf("%q before the body", sum)
			}
			if err := read(r.Body); err != nil {
				t.Error(err)
			}
			w.Header().Set("Sum", r.Trailer.Get("X-Sum"))
		})
	}
	whole := reading(func(body io.ReadCloser) error {
		text, err := io.ReadAll(body)
		if string(text) != "text" {
			return errors.New("the body is " + string(text))
		}
		return err
	})
	pieces := reading(func(body io.ReadCloser) error {
		for {
			if _, err := body.Read(make([]byte, 1)); err != nil {
				return body.Close()
			}
		}
	})
	closed := reading(func(body io.ReadCloser) error { return body.Close() })
	for name, h := range map[string]http.Handler{
		"no guard":               whole,
		"Require":                guard.Require(scopes.Authenticated(), whole),
		"in pieces":              guard.Require(scopes.Authenticated(), pieces),
		"closed":                 guard.Require(scopes.Authenticated(), closed),
		"a guard behind a guard": guard.Require(scopes.Authenticated(), guard.Require(scopes.Authenticated(), whole)),
		"a public route":         guard.Require(scopes.Public(), whole), // a field is removed
		"a limit in between": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 100)
			guard.Require(scopes.Authenticated(), whole).ServeHTTP(w, r)
		}),
	} {
		server := httptest.NewServer(h)
		for _, fields := range []string{"", "Trailer: X-Sum\r\n", "Trailer: X-Other\r\n", "Expect: 100-continue\r\n"} {
			response := chunked(t, server.Listener.Addr().String(), "X-Real-IP: x\r\nAuthorization: Bearer "+issuer.Sign(testissuer.Token{})+"\r\n"+fields)
			if sum := response.Header.Get("Sum"); response.StatusCode != 200 || sum != "abc" {
				t.Errorf("%s, %q: %d, the trailer is %q", name, fields, response.StatusCode, sum)
			}
		}
		server.Close()
	}
}

// chunked sends a body and a trailer in chunks.
func chunked(t *testing.T, address, fields string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"+fields+"\r\n2\r\nte\r\n2\r\nxt\r\n0\r\nX-Sum: abc\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

// TestTrailersHTTP2 shows that announced trailers arrive over HTTP/2, which has no
// others.
func TestTrailersHTTP2(t *testing.T) {
	issuer := issuertest.New(t)
	server := httptest.NewUnstartedServer(issuer.Guard(t, middleware.Config{}).Require(scopes.Authenticated(), http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Sum", r.Trailer.Get("X-Sum"))
		})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.MultiReader(strings.NewReader("text")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
	r.Trailer = http.Header{"X-Sum": {"abc"}}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.ProtoMajor != 2 || response.Header.Get("Sum") != "abc" {
		t.Errorf("%s, the trailer is %q", response.Proto, response.Header.Get("Sum"))
	}
}

// TestBodyAsItCame shows that the body of a request without a trailer is not wrapped.
func TestBodyAsItCame(t *testing.T) {
	issuer := issuertest.New(t)
	for name, change := range map[string]func(*http.Request){
		"a length":              func(r *http.Request) { r.ContentLength = 1 },
		"no body":               func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, -1 },
		"nil":                   func(r *http.Request) { r.Body, r.ContentLength = nil, -1 },
		"nil and a trailer":     func(r *http.Request) { r.Body, r.ContentLength, r.Trailer = nil, -1, http.Header{"X-Sum": nil} },
		"HTTP/2":                func(r *http.Request) { r.ContentLength, r.ProtoMajor = -1, 2 },
		"nothing that is known": nil,
	} {
		r := request("Bearer " + issuer.Sign(testissuer.Token{}))
		r.Body = io.NopCloser(strings.NewReader("x"))
		if change == nil { // the test would see a body of another type
			r.ContentLength = -1
		} else {
			change(r)
		}
		came := r.Body
		issuer.Guard(t, middleware.Config{}).Require(scopes.Authenticated(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if same := r.Body == came; same != (change != nil) {
				t.Errorf("%s: the body is a %T", name, r.Body)
			}
			if change == nil { // a handler's own Trailer stays if none comes
				r.Trailer = http.Header{"X-Own": {"x"}}
				if _, err := io.ReadAll(r.Body); err != nil || r.Trailer.Get("X-Own") != "x" {
					t.Errorf("%v, the trailer is %v", err, r.Trailer)
				}
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if r.Body != came {
			t.Errorf("%s: the body in front is a %T", name, r.Body)
		}
	}
}

// TestTokenOfOuterGuard shows that a guard behind another hides the token that only
// the outer one validated, from handlers and from hooks.
func TestTokenOfOuterGuard(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	subject := func(ctx context.Context) string { return middleware.TokenFrom(ctx).Subject() }
	var seen []string
	note := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, subject(r.Context())) })
	hook := scopes.Check("notes", 0, func(ctx context.Context, _ *validator.Token, _ scopes.Operation) error {
		seen = append(seen, subject(ctx))
		return nil
	})
	noting := issuer.Guard(t, middleware.Config{
		DenialBody: func(_ http.ResponseWriter, r *http.Request, _ *middleware.Denial) {
			seen = append(seen, subject(r.Context()))
		},
		Trace: &middleware.Trace{
			Decided:    func(ctx context.Context, _ middleware.Decision) { seen = append(seen, subject(ctx)) },
			TokenInURL: func(ctx context.Context) { seen = append(seen, subject(ctx)) },
		},
	})
	mux := guard.NewMux()
	mux.Handle("/public", scopes.Public(), note)
	other := "Bearer " + issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "other"}})
	for _, row := range []struct {
		name          string
		inner         http.Handler
		path          string
		authorization string // of the inner request
		want          []string
	}{
		{"public", guard.Require(scopes.Public(), note), "/", "", []string{""}},
		{"public, with credentials", guard.Require(scopes.Public(), note), "/", other, []string{""}},
		{"public under another guard", issuer.Guard(t, middleware.Config{}).Require(scopes.Public(), note), "/", "", []string{""}},
		{"public of a Mux", mux, "/public", "", []string{""}},
		{"anonymous", guard.Require(scopes.Optional(scopes.All("admin")), note), "/", "", []string{""}},
		{"behind Public behind Optional", guard.Require(scopes.Optional(scopes.All("admin")), guard.Require(scopes.Public(), note)), "/", "", []string{""}},
		{"a token of its own", guard.Require(scopes.Authenticated(), note), "/", other, []string{"other"}},
		{"a token of its own, optional", guard.Require(scopes.Optional(scopes.Authenticated()), note), "/", other, []string{"other"}},
		{"a hook", guard.Require(hook, note), "/", other, []string{"", "other"}},
		{"a refusal", noting.Require(scopes.Authenticated(), note), "/", "", []string{"", ""}},
		{"a token in the URL", noting.Require(scopes.Authenticated(), note), "/?access_token=x", other, []string{"", "", "other"}},
	} {
		seen = nil
		outer := guard.Require(scopes.Authenticated(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A part of a batch, which is a request of its own.
			part, err := http.NewRequestWithContext(r.Context(), http.MethodGet, row.path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if row.authorization != "" {
				part.Header.Set("Authorization", row.authorization)
			}
			row.inner.ServeHTTP(w, part)
			if subject(r.Context()) != "user-1" {
				t.Errorf("%s: the outer request has lost its token", row.name)
			}
			// The same request with its credentials taken off.
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			r.URL = part.URL
			if row.authorization != "" {
				r.Header.Set("Authorization", row.authorization)
			}
			row.inner.ServeHTTP(w, r)
		}))
		serve(outer, request("Bearer "+issuer.Sign(testissuer.Token{})))
		if want := slices.Concat(row.want, row.want); !slices.Equal(seen, want) {
			t.Errorf("%s: %q, want %q", row.name, seen, want)
		}
	}
}

// TestPublicAllocates shows that a public route does not copy a request from which
// nothing has to be removed.
func TestPublicAllocates(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	r := request("Bearer x")
	for _, name := range []string{"Accept", "User-Agent", "X-Request-Id", "X-Forwarded-For", "True-Client-Ip"} {
		r.Header.Set(name, "x")
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, "x"))
	h := guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
		if got != r {
			t.Error("the request is a copy")
		}
	}))
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

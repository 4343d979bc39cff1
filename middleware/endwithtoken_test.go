package middleware_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// longServer is a server over real sockets with one route, behind EndWithToken.
type longServer struct {
	*issuertest.Issuer
	*httptest.Server

	t       *testing.T
	guard   *middleware.Guard
	handler func(http.ResponseWriter, *http.Request)
	ended   chan time.Time // when the handler returned
}

// eachVersion runs a test with a server of HTTP/1.1 and one of HTTP/2.
func eachVersion(t *testing.T, test func(*testing.T, *longServer)) {
	t.Helper()
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[http2], func(t *testing.T) { test(t, startLong(t, http2)) })
	}
}

func startLong(t *testing.T, http2 bool) *longServer {
	t.Helper()
	s := &longServer{Issuer: issuertest.New(t), t: t, ended: make(chan time.Time, 10)}
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{s.Issuer.Config()}, Leeway: validator.Leeway{Expiry: validator.NoLeeway}})
	s.guard = issuertest.Guard(t, middleware.Config{Validator: v, LongRequests: middleware.LongRequests{MaxAnonymous: time.Second}})
	mux := s.guard.NewMux()
	long := s.guard.EndWithToken(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.ended <- time.Now() }()
		s.handler(w, r)
	}))
	mux.Handle("/long", scopes.Authenticated(), long)
	mux.Handle("/optional", scopes.Optional(scopes.Authenticated()), long)
	mux.HandleFunc("/short", scopes.Public(), func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			t.Errorf("the context of the next request has ended: %v", context.Cause(r.Context()))
		}
		_, _ = io.WriteString(w, "short")
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// do sends a request with a token to the path, and returns the response.
func (s *longServer) do(ctx context.Context, path string, body io.Reader) *http.Response {
	s.t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token(nil))
	response, err := s.Server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

// forbid forbids the key of all tokens, and returns when.
func (s *longServer) forbid() time.Time {
	s.t.Helper()
	token, err := s.guard.Validator().Validate(s.t.Context(), s.Bearer(nil))
	if err != nil {
		s.t.Fatal(err)
	}
	_, key := token.Key()
	if err := s.guard.Validator().ForbidKey(s.t.Context(), s.Issuer.URL(), key); err != nil {
		s.t.Fatal(err)
	}
	return time.Now()
}

// wantReturn waits until the handler has returned, which must be within a second after
// start, and the guard has nothing left.
func (s *longServer) wantReturn(start time.Time) {
	s.t.Helper()
	select {
	case at := <-s.ended:
		if took := at.Sub(start); took > time.Second {
			s.t.Errorf("the handler returned after %v", took)
		}
	case <-time.After(10 * time.Second):
		s.t.Fatal("the handler does not return")
	}
	for deadline := time.Now().Add(5 * time.Second); s.guard.LongRequests() != (middleware.LongStatus{}); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%+v", s.guard.LongRequests())
		}
		time.Sleep(time.Millisecond)
	}
}

// TestEndWithTokenEvents covers R-GR-07 over HTTP: a stream of events gets a last one
// when its token ends, and the answer ends properly. The connection serves on.
func TestEndWithTokenEvents(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *longServer) {
		s.handler = func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			var denial *middleware.Denial
			if !errors.As(context.Cause(r.Context()), &denial) || denial != middleware.HeldFrom(r.Context()).Denial() {
				t.Errorf("the cause is %v", context.Cause(r.Context()))
			}
			_, _ = fmt.Fprintf(w, "event: end\ndata: %s\n\n", denial.Class)
		}
		response := s.do(t.Context(), "/long", nil)
		reader := bufio.NewReader(response.Body)
		if line, err := reader.ReadString('\n'); line != "data: first\n" {
			t.Fatal(line, err)
		}
		start := s.forbid()
		rest, err := io.ReadAll(reader)
		if took := time.Since(start); err != nil || string(rest) != "\nevent: end\ndata: invalid_token\n\n" || took > time.Second {
			t.Errorf("%q, %v after %v", rest, err, took)
		}
		s.wantReturn(start)
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
		if text, err := io.ReadAll(s.do(ctx, "/short", nil).Body); string(text) != "short" || !reused {
			t.Errorf("the next request: %q, %v; on the same connection: %t", text, err, reused)
		}
	})
}

// TestEndWithTokenExpiry checks that a request ends when its token expires, also if the
// handler never looks at its context, and that an anonymous one does at its longest life.
func TestEndWithTokenExpiry(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *longServer) {
		s.handler = func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, "data: tick\n\n"); err != nil {
					return
				}
				if http.NewResponseController(w).Flush() != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		for _, path := range []string{"/long", "/optional"} {
			ends := time.Now().Add(time.Second)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/long" {
				ends = ends.Add(2 * time.Second).Truncate(time.Second)
				r.Header.Set("Authorization", "Bearer "+s.Token(issuertest.Claims{"exp": ends.Unix()}))
			}
			response, err := s.Server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := io.Copy(io.Discard, response.Body); err == nil {
				t.Errorf("%s: the answer was cut, and its end looks proper", path)
			}
			if late := time.Since(ends); late < 0 || late > time.Second {
				t.Errorf("%s: it ended %v after the expiry", path, late)
			}
			s.wantReturn(ends)
		}
	})
}

// TestEndWithTokenBlockedWrite checks that a download to a client that does not read ends.
func TestEndWithTokenBlockedWrite(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *longServer) {
		s.handler = func(w http.ResponseWriter, _ *http.Request) {
			block := make([]byte, 1<<20)
			for range 10_000 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
			t.Error("10 GB were written")
		}
		response := s.do(t.Context(), "/long", nil)
		time.Sleep(300 * time.Millisecond)
		start := s.forbid()
		s.wantReturn(start)
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("the answer was cut, and its end looks proper")
		}
	})
}

// TestEndWithTokenBlockedRead checks that an upload that stalls ends, and that the handler
// can still answer it with the Denial.
func TestEndWithTokenBlockedRead(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *longServer) {
		s.handler = func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			denial := middleware.HeldFrom(r.Context()).Denial()
			if n != 4 || err == nil || denial == nil {
				t.Errorf("%d bytes, %v, %v", n, err, denial)
				return
			}
			denial.ServeHTTP(w, r)
		}
		body, upload := io.Pipe()
		defer upload.Close()
		go func() { _, _ = upload.Write([]byte("half")) }()
		started := make(chan time.Time, 1)
		time.AfterFunc(300*time.Millisecond, func() { started <- s.forbid() })
		response := s.do(t.Context(), "/long", body)
		start := <-started
		if response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") == "" || time.Since(start) > time.Second {
			t.Errorf("%d, %q after %v", response.StatusCode, response.Header, time.Since(start))
		}
		if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), "Unauthorized") {
			t.Errorf("the body is %q, %v", body, err)
		}
		s.wantReturn(start)
	})
}

// TestEndWithTokenHijacked checks that reads and writes of a connection that the handler
// hijacked end, if the peer sends nothing and reads nothing.
func TestEndWithTokenHijacked(t *testing.T) {
	for name, block := range map[string]func(net.Conn) error{
		"read": func(c net.Conn) error { _, err := io.Copy(io.Discard, c); return err },
		"write": func(c net.Conn) error {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startLong(t, false)
			hijacked := make(chan struct{})
			s.handler = func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				close(hijacked)
				if err := block(conn); err == nil {
					t.Error("the connection ended properly")
				}
			}
			conn, err := tls.Dial("tcp", s.Listener.Addr().String(), s.Server.Client().Transport.(*http.Transport).TLSClientConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(conn, "GET /long HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", s.Token(nil))
			<-hijacked
			s.wantReturn(s.forbid())
		})
	}
}

// TestEndWithTokenLateReturn checks that a connection whose deadlines have passed serves
// no other request, although the handler has written its whole answer.
func TestEndWithTokenLateReturn(t *testing.T) {
	for name, length := range map[string]string{"whole answer": "5", "no length": ""} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, s *longServer) {
				s.handler = func(w http.ResponseWriter, r *http.Request) {
					if length != "" {
						w.Header().Set("Content-Length", length)
					}
					_, _ = io.WriteString(w, "whole")
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
					time.Sleep(250 * time.Millisecond)
				}
				response := s.do(t.Context(), "/long", nil)
				start := s.forbid()
				if length != "" {
					if text, err := io.ReadAll(response.Body); string(text) != "whole" || err != nil {
						t.Errorf("%q, %v", text, err)
					}
				}
				s.wantReturn(start)
				for range 2 {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/short", nil)
					if err != nil {
						t.Fatal(err)
					}
					next, err := s.Server.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					text, err := io.ReadAll(next.Body)
					next.Body.Close()
					if string(text) != "short" || err != nil {
						t.Errorf("the next request: %q, %v", text, err)
					}
				}
			})
		})
	}
}

// unwrapped is a ResponseWriter that hides the methods of the server's.
type unwrapped struct{ http.ResponseWriter }

// TestEndWithTokenOverdue checks that a handler that cannot be freed is visible in the
// gauge.
func TestEndWithTokenOverdue(t *testing.T) {
	s := startLong(t, false)
	leave := make(chan struct{})
	handler := s.guard.Require(scopes.Authenticated(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.guard.EndWithToken(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) { <-leave })).ServeHTTP(unwrapped{w}, r)
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(handler, request("Bearer "+s.Token(nil)))
	}()
	for s.guard.LongRequests().Open == 0 {
		time.Sleep(time.Millisecond)
	}
	start := s.forbid()
	for s.guard.LongRequests() != (middleware.LongStatus{Open: 1, Overdue: 1}) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%+v", s.guard.LongRequests())
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	close(leave)
	<-done
	if status := s.guard.LongRequests(); status != (middleware.LongStatus{}) {
		t.Errorf("%+v", status)
	}
}

// TestEndWithTokenWriter checks that the handler gets the ResponseWriter of the server and
// the form of its request is still cleaned up.
func TestEndWithTokenWriter(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	recorder := httptest.NewRecorder()
	r := request("Bearer " + issuer.Token(nil))
	r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader("a=b"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	called := false
	guard.Require(scopes.Authenticated(), guard.EndWithToken(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = true
		if w != http.ResponseWriter(recorder) {
			t.Errorf("the handler got a %T", w)
		}
		if r.FormValue("a") != "b" || middleware.TokenFrom(r.Context()) == nil {
			t.Error("the form or the token is lost")
		}
	}))).ServeHTTP(recorder, r)
	if !called || r.PostForm.Get("a") != "b" {
		t.Errorf("called %t, the form of the server's request is %v", called, r.PostForm)
	}
}

// TestEndWithTokenMisplaced checks that EndWithToken refuses where it has no token to
// watch, and cannot be put in front of the Guard.
func TestEndWithTokenMisplaced(t *testing.T) {
	issuer := issuertest.New(t)
	inner, outer := issuer.Guard(t, middleware.Config{}), issuer.Guard(t, middleware.Config{})
	reached := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") })
	bearer := "Bearer " + issuer.Token(nil)
	public := func(next http.Handler) http.Handler { return inner.Require(scopes.Public(), next) }
	for name, handler := range map[string]http.Handler{
		"no Guard":                     outer.EndWithToken(reached),
		"hidden by a public route":     outer.Require(scopes.Authenticated(), public(outer.EndWithToken(reached))),
		"public, of another Guard":     public(outer.EndWithToken(reached)),
		"a zero Guard":                 outer.Require(scopes.Authenticated(), new(middleware.Guard).EndWithToken(reached)),
		"in front, with a router":      outer.EndWithToken(http.HandlerFunc(outer.Require(scopes.Authenticated(), reached).ServeHTTP)),
		"in front, and no credentials": outer.EndWithToken(http.HandlerFunc(outer.Require(scopes.Authenticated(), reached).ServeHTTP)),
	} {
		r := request(bearer)
		if strings.Contains(name, "no credentials") {
			r = request()
		}
		if response := serve(handler, r); response.StatusCode != 503 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
	mux := outer.NewMux()
	for name, row := range map[string]struct {
		next http.Handler
		text string
	}{
		"nil": {nil, "is nil"}, "a Mux": {mux, "write Require(policy, EndWithToken(handler))"},
		"Require": {outer.Require(scopes.Authenticated(), reached), "write Require(policy, EndWithToken(handler))"},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, row.text) {
					t.Errorf("%s: %s", name, text)
				}
			}()
			outer.EndWithToken(row.next)
		}()
	}
}

// TestEndWithTokenOpaque checks that an opaque token is asked about again with what the
// request had in its field.
func TestEndWithTokenOpaque(t *testing.T) {
	issuer := issuertest.Loopback(t)
	config := issuer.OpaqueConfig()
	config.Opaque.Cache.TTL = time.Second
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
	guard := issuertest.Guard(t, middleware.Config{Validator: v})
	token := issuer.Opaque(testissuer.Token{Lifetime: time.Hour})
	var cause error
	began := time.Now()
	handler := guard.Require(scopes.Authenticated(), guard.EndWithToken(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		time.AfterFunc(2500*time.Millisecond, func() { issuer.Revoke(token) })
		<-r.Context().Done()
		cause = context.Cause(r.Context())
	})))
	serve(handler, request("Bearer "+token))
	denial, _ := errors.AsType[*middleware.Denial](cause)
	if denial == nil || denial.Class != middleware.ClassInvalidToken || time.Since(began) < 2500*time.Millisecond || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", cause, time.Since(began))
	}
	if n := issuer.Requests(testissuer.Introspection); n < 3 {
		t.Errorf("asked %d times", n)
	}
}

// TestEndWithTokenBehindAnother checks that the Held of an outer Guard is hidden behind an inner
// one, where its token is, too.
func TestEndWithTokenBehindAnother(t *testing.T) {
	issuer := issuertest.New(t)
	inner, outer := issuer.Guard(t, middleware.Config{}), issuer.Guard(t, middleware.Config{})
	for name, policy := range map[string]scopes.Policy{"public": scopes.Public(), "with a token": scopes.Authenticated()} {
		called := false
		open := inner.Require(policy, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			if middleware.HeldFrom(r.Context()) != nil {
				t.Errorf("%s: the Held of the outer Guard is visible", name)
			}
		}))
		serve(outer.Require(scopes.Authenticated(), outer.EndWithToken(http.HandlerFunc(open.ServeHTTP))), request("Bearer "+issuer.Token(nil)))
		if !called {
			t.Errorf("%s: the handler was not called", name)
		}
	}
}

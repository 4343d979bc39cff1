package testissuer_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

func TestBehaviour(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{CacheControl: "max-age=60"})
	document := string(issuer.JWKS())
	tests := []struct {
		name      string
		behaviour testissuer.Behaviour
		status    int
		header    map[string]string // wanted fields; "" means that the field is absent
		body      string
		failure   error
	}{
		{name: "good", status: 200, header: map[string]string{"Cache-Control": "max-age=60", "Content-Type": "application/json"}, body: document},
		{name: "status", behaviour: testissuer.Behaviour{Status: 503}, status: 503, body: document},
		{name: "garbage", behaviour: testissuer.Behaviour{Body: []byte("<html>")}, status: 200, body: "<html>"},
		{name: "empty", behaviour: testissuer.Behaviour{Body: []byte{}}, status: 200},
		{
			name: "fields", behaviour: testissuer.Behaviour{Header: http.Header{"Content-Type": {"text/html"}, "Cache-Control": nil, "Retry-After": {"7"}}},
			status: 200, header: map[string]string{"Content-Type": "text/html", "Cache-Control": "", "Retry-After": "7"}, body: document,
		},
		{name: "redirect", behaviour: testissuer.Behaviour{Redirect: "https://evil.test/"}, status: 302, header: map[string]string{"Location": "https://evil.test/"}, body: document},
		{name: "permanent redirect", behaviour: testissuer.Behaviour{Redirect: "/x", Status: 308}, status: 308, header: map[string]string{"Location": "/x"}, body: document},
		{name: "abort", behaviour: testissuer.Behaviour{Abort: true}, failure: io.EOF},
		{name: "cut short", behaviour: testissuer.Behaviour{Header: http.Header{"Content-Length": {"99999"}}}, failure: io.ErrUnexpectedEOF},
		{name: "endless", behaviour: testissuer.Behaviour{Endless: true, Body: []byte("{")}, status: 200, body: "{" + strings.Repeat(" ", 1<<20-1)},
		{name: "restored", status: 200, body: document},
	}
	client := issuer.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for at, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer.Behave(testissuer.JWKS, tt.behaviour)
			client.CloseIdleConnections() // a request that fails on a reused connection is sent again
			a, err := fetch(t.Context(), client, issuer.JWKSURL())
			if !errors.Is(err, tt.failure) || tt.failure == nil && (a.status != tt.status || a.body != tt.body) {
				t.Errorf("status %d, %d bytes, %v; want status %d, %d bytes, %v", a.status, len(a.body), err, tt.status, len(tt.body), tt.failure)
			}
			for name, want := range tt.header {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if n := issuer.Requests(testissuer.JWKS); n != at+1 {
				t.Errorf("%d requests counted, want %d", n, at+1)
			}
			if string(issuer.JWKS()) != document {
				t.Error("the behaviour of another endpoint changed JWKS")
			}
		})
	}
}

func TestBehaviourOfOneEndpoint(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{URL: "https://issuer.test/1"})
	issuer.Behave(testissuer.OpenIDInserted, testissuer.Behaviour{Status: http.StatusNotFound})
	for url, want := range map[string]int{
		"https://issuer.test/1/.well-known/openid-configuration":       http.StatusOK,
		"https://issuer.test/.well-known/openid-configuration/1":       http.StatusNotFound,
		"https://issuer.test/.well-known/oauth-authorization-server/1": http.StatusOK,
		"https://issuer.test/1/jwks.json":                              http.StatusOK,
	} {
		if a := get(t, issuer, url); a.status != want {
			t.Errorf("%s: status %d, want %d", url, a.status, want)
		}
	}
}

func TestTimes(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	body := []byte("x")
	issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Times: 2, Status: 500, Body: body})
	body[0] = 'y' // the issuer has a copy
	for _, want := range []int{500, 500, 200, 200} {
		if a := get(t, issuer, issuer.JWKSURL()); a.status != want || a.body == "y" {
			t.Errorf("status %d, want %d; body %q", a.status, want, a.body)
		}
	}
}

func TestBehavePanics(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	panics(t, func() { issuer.Behave("x", testissuer.Behaviour{}) })
	panics(t, func() { issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 100}) })
	panics(t, func() { issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 1000}) })
	panics(t, func() { issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Times: -1}) })
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		began := time.Now()
		if a := get(t, issuer, issuer.JWKSURL()); a.body != string(issuer.JWKS()) || time.Since(began) != time.Hour {
			t.Errorf("%v after %v", a, time.Since(began))
		}
		client := issuer.Client()
		client.Timeout = time.Second
		began = time.Now()
		if _, err := fetch(t.Context(), client, issuer.JWKSURL()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestHold checks that a late answer holds what was true when the request arrived.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		hold := make(chan struct{})
		before := string(issuer.JWKS())
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Hold: hold, Times: 1})
		var late answer
		go func() { late = get(t, issuer, issuer.JWKSURL()) }()
		synctest.Wait()
		if late.status != 0 || issuer.Requests(testissuer.JWKS) != 1 {
			t.Errorf("answered %v; %d requests", late, issuer.Requests(testissuer.JWKS))
		}
		issuer.Rotate()
		if a := get(t, issuer, issuer.JWKSURL()); a.body != string(issuer.JWKS()) {
			t.Errorf("the next answer is %q", a.body)
		}
		close(hold)
		synctest.Wait()
		if late.body != before {
			t.Errorf("the late answer is %q", late.body)
		}
	})
}

func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte("12345"), Trickle: time.Second})
		began := time.Now()
		if a := get(t, issuer, issuer.JWKSURL()); a.body != "12345" || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", a, time.Since(began))
		}
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Trickle: time.Second, Endless: true})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		a, err := fetch(ctx, issuer.Client(), issuer.JWKSURL())
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(a.body, string(issuer.JWKS())+" ") {
			t.Errorf("%v after %d bytes", err, len(a.body))
		}
	})
}

// TestClose checks that Close ends requests in every state, and that their client
// gets an error.
func TestClose(t *testing.T) {
	for name, behaviour := range map[string]testissuer.Behaviour{
		"held":      {Hold: make(chan struct{})},
		"delayed":   {Delay: time.Hour},
		"trickling": {Trickle: time.Hour},
		"unread":    {Body: make([]byte, 1<<20)},
		"endless":   {Endless: true},
		"complete":  {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if behaviour.Hold != nil {
					behaviour.Hold = make(chan struct{}) // of this bubble
				}
				issuer := inMemory(t, testissuer.Config{})
				issuer.Behave(testissuer.JWKS, behaviour)
				resume := make(chan struct{})
				var failure error
				go func() {
					// Close the issuer before the answer begins, or before the
					// client reads the body.
					_, failure = fetchLate(issuer, resume)
				}()
				synctest.Wait()
				began := time.Now()
				issuer.Close()
				issuer.Close()
				if time.Since(began) != 0 {
					t.Errorf("Close took %v", time.Since(began))
				}
				close(resume)
				synctest.Wait()
				if want := name != "complete"; (failure != nil) != want {
					t.Errorf("the client failed with %v, want a failure: %t", failure, want)
				}
			})
		})
	}
}

// fetchLate fetches the JWK Set and reads the body after resume is closed.
func fetchLate(issuer *testissuer.Issuer, resume <-chan struct{}) ([]byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, issuer.JWKSURL(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := issuer.Client().Do(request)
	if err != nil {
		return nil, err
	}
	<-resume
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return body, err
}

// TestTokensOfBubble checks that tokens follow the clock of the bubble.
func TestTokensOfBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		token := issuer.Sign(testissuer.Token{Lifetime: time.Hour})
		expect(t, issuer, token, "")
		<-time.After(2 * time.Hour)
		expect(t, issuer, token, "expired")
	})
}

// TestEndlessHead checks that the answer to a HEAD request ends, however long the
// body would be.
func TestEndlessHead(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Endless: true})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, issuer.JWKSURL(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := do(issuer.Client(), request); err != nil || a.status != http.StatusOK || a.body != "" {
		t.Errorf("%v, %v", a, err)
	}
	issuer.Close() // waits for the answer
}

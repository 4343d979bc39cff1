package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const audience = "https://api.test"

// site is the API over a real socket.
type site struct {
	*testissuer.Issuer

	t     *testing.T
	guard *middleware.Guard
	url   string
}

// start starts the API for the tokens of an issuer.
func start(t *testing.T, issuer *testissuer.Issuer, config validator.Issuer, orders *feed) *site {
	t.Helper()
	if orders == nil {
		orders = &feed{every: 10 * time.Millisecond, order: func(n int) string { return fmt.Sprintf("order %d", n) }}
	}
	api, guard, err := newAPI(middleware.Config{LongRequests: middleware.LongRequests{Notice: time.Minute}}, config, orders)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return &site{issuer, t, guard, server.URL + "/orders/watch"}
}

func local(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{audience}, Keys: jwkscache.Static(issuer.JWKS())}
}

func opaque(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{audience}, Opaque: &introspect.Client{
		Endpoint: issuer.IntrospectionURL(), ID: testissuer.ClientID,
		Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)},
		Cache:          introspect.Cache{TTL: time.Second},
	}}
}

// dial opens a WebSocket with a token.
func (s *site) dial(token string) *websocket.Conn {
	s.t.Helper()
	conn, response, err := websocket.Dial(s.t.Context(), s.url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// wantMessage reads messages until one has the prefix.
func (s *site) wantMessage(conn *websocket.Conn, prefix string) {
	s.t.Helper()
	for {
		_, message, err := conn.Read(s.t.Context())
		if err != nil {
			s.t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(string(message), prefix) {
			return
		}
	}
}

// wantClose reads until the WebSocket ends, and compares the code. It returns when that
// was.
func (s *site) wantClose(conn *websocket.Conn, code websocket.StatusCode, reason string) time.Time {
	s.t.Helper()
	for {
		_, _, err := conn.Read(s.t.Context())
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[websocket.CloseError](err)
		if !ok || closed.Code != code || closed.Reason != reason {
			s.t.Errorf("closed with %v, want %d %q", err, code, reason)
		}
		return time.Now()
	}
}

// wantNothing waits until no request is held, which must be within a second after start.
func (s *site) wantNothing(start time.Time) {
	s.t.Helper()
	s.until(start.Add(time.Second), func() bool { return s.guard.LongRequests() == (middleware.LongStatus{}) })
}

// until waits until condition is true, which must be before deadline.
func (s *site) until(deadline time.Time, condition func() bool) {
	s.t.Helper()
	for ticks := time.Tick(time.Millisecond); !condition(); <-ticks {
		if time.Now().After(deadline) {
			s.t.Fatalf("the condition does not come true; held requests: %+v", s.guard.LongRequests())
		}
	}
}

// forbid forbids the key of the issuer, and returns when.
func (s *site) forbid() time.Time {
	s.t.Helper()
	if err := s.guard.Validator().ForbidKey(s.t.Context(), s.URL(), jwkscache.KeyName{KeyID: s.SigningKey()}); err != nil {
		s.t.Fatal(err)
	}
	return time.Now()
}

// TestExpiry covers R-GR-07 and situation A27 of gRPC users: a client of an expired token
// is told to renew it.
func TestExpiry(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, local(issuer), nil)
	ends := time.Now().Add(2 * time.Second).Truncate(time.Second)
	token := issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"exp": ends.Add(-30 * time.Second).Unix(), "iat": ends.Add(-time.Minute).Unix()}})
	conn := s.dial(token)
	s.wantMessage(conn, "order 3")
	if late := s.wantClose(conn, closeExpired, "the token expired").Sub(ends); late < 0 || late > time.Second {
		t.Errorf("closed %v after the end of the leeway", late)
	}
	s.wantNothing(ends)
}

// TestRenewal checks that a client that renews its token stays connected, and that a token
// that is refused changes nothing.
func TestRenewal(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, local(issuer), nil)
	ends := time.Now().Add(2 * time.Second).Truncate(time.Second)
	conn := s.dial(issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"exp": ends.Add(-30 * time.Second).Unix(), "iat": ends.Add(-time.Minute).Unix()}}))
	s.wantMessage(conn, "renew before "+ends.UTC().Format(time.RFC3339))
	send := func(token string) {
		t.Helper()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("token "+token)); err != nil {
			t.Fatal(err)
		}
	}
	send(issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"sub": "mallory"}}))
	s.wantMessage(conn, "not renewed: forbidden")
	send("junk")
	s.wantMessage(conn, "not renewed: invalid_token")
	send(issuer.Sign(testissuer.Token{Scope: "read"}))
	s.wantMessage(conn, "renewed")
	for time.Now().Before(ends.Add(time.Second)) {
		s.wantMessage(conn, "order ")
	}
}

// TestKeyWithdrawal covers situation A27: the key of the token is forbidden.
func TestKeyWithdrawal(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, local(issuer), nil)
	conn := s.dial(issuer.Sign(testissuer.Token{Scope: "read"}))
	s.wantMessage(conn, "order 1")
	begin := s.forbid()
	if took := s.wantClose(conn, closeRefused, "the token is refused").Sub(begin); took > time.Second {
		t.Errorf("closed after %v", took)
	}
	s.wantNothing(begin)
}

// TestRevocation covers situation A27: an opaque token is revoked.
func TestRevocation(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, opaque(issuer), nil)
	token := issuer.Opaque(testissuer.Token{Scope: "read"})
	conn := s.dial(token)
	s.until(time.Now().Add(5*time.Second), func() bool { return len(issuer.Received(testissuer.Introspection)) > 1 }) // it was asked again
	s.wantMessage(conn, "order 3")
	issuer.Revoke(token)
	begin := time.Now()
	if took := s.wantClose(conn, closeRefused, "the token is refused").Sub(begin); took > 3*time.Second { // the answer counts for one
		t.Errorf("closed after %v", took)
	}
}

// TestOutage covers situation A27: the issuer of an opaque token is down.
func TestOutage(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, opaque(issuer), nil)
	conn := s.dial(issuer.Opaque(testissuer.Token{Scope: "read"}))
	s.wantMessage(conn, "order 3")
	issuer.Down(true)
	s.wantClose(conn, closeUnavailable, "the token cannot be checked now")
}

// TestSilentPeer covers situation A27: a peer that reads nothing, and so does not answer
// the close frame, is dropped in time, whether or not the server is blocked in a write.
func TestSilentPeer(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, orders := range map[string]*feed{
		"few orders": {every: 100 * time.Millisecond, order: func(int) string { return "order" }},
		"a flood":    {every: time.Millisecond, order: func(int) string { return large }},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := testissuer.New(t)
			s := start(t, issuer, local(issuer), orders)
			s.dial(issuer.Sign(testissuer.Token{Scope: "read"}))
			time.Sleep(500 * time.Millisecond) // until the buffers are full
			if status := s.guard.LongRequests(); status.Open != 1 {
				t.Fatalf("%+v", status)
			}
			s.wantNothing(s.forbid())
		})
	}
}

// TestBeforeTheUpgrade checks that a client without a good token gets an HTTP answer.
func TestBeforeTheUpgrade(t *testing.T) {
	issuer := testissuer.New(t)
	s := start(t, issuer, local(issuer), nil)
	for authorization, status := range map[string]int{"": 401, "Bearer " + issuer.Sign(testissuer.Token{}): 403} {
		header := http.Header{}
		if authorization != "" {
			header.Set("Authorization", authorization)
		}
		_, response, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{HTTPHeader: header})
		if err == nil || response == nil || response.StatusCode != status || response.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%v, %v", response, err)
		}
	}
}

// TestReasons checks that each class has one of three closes, and that a reason fits into
// a close frame.
func TestReasons(t *testing.T) {
	for class, want := range map[middleware.Class]websocket.StatusCode{
		middleware.ClassExpiredToken: closeExpired, middleware.ClassUnavailable: closeUnavailable, middleware.ClassInvalidToken: closeRefused,
		middleware.ClassForbidden: closeRefused, middleware.ClassInsufficientScope: closeRefused, middleware.ClassStepUp: closeRefused,
	} {
		if code, reason := closeFor(class); code != want || reason == "" || len(reason) > 123 {
			t.Errorf("%s: %d %q, want %d", class, code, reason, want)
		}
	}
}

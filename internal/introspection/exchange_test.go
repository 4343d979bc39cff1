package introspection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/introspect"
)

// TestExplicitEndpoint checks that with an Endpoint nothing of the issuer's metadata is
// asked for.
func TestExplicitEndpoint(t *testing.T) {
	s := serve(t, nil)
	b := s.binding()
	b.Endpoints = func(context.Context) (Endpoints, error) {
		t.Error("the metadata were asked for")
		return Endpoints{}, errors.New("injected")
	}
	x := exchanging(t, s.client(), b)
	if err := errors.Join(x.ready(), x.warm(t.Context())); err != nil || x.warnings() != nil {
		t.Errorf("%v, %v", err, x.warnings())
	}
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
		t.Errorf("%+v", a)
	}
}

// TestDiscoveredEndpoint checks the endpoint of the metadata, what is wrong with it, and
// that a failure is not remembered.
func TestDiscoveredEndpoint(t *testing.T) {
	s := serve(t, nil)
	client, b := s.client(), s.binding()
	client.Endpoint = ""
	var found Endpoints
	failure := errors.New("injected")
	b.Endpoints = func(context.Context) (Endpoints, error) { return found, failure }
	x := exchanging(t, client, b)
	for _, test := range []struct {
		found Endpoints
		err   error
		says  string
	}{
		{Endpoints{}, failure, "injected"},
		{Endpoints{}, nil, `the metadata of "https://as.example" has no introspection_endpoint; set Client.Endpoint`},
		{Endpoints{Introspection: "http://as.example/x"}, nil, "set Client.Endpoint"},
		{Endpoints{Introspection: "https://u:CANARY@as.example/x"}, nil, "without user"},
	} {
		found, failure = test.found, test.err
		a := x.ask(t.Context(), Question{Token: "t"})
		if a.kind != introspect.NoEndpoint || a.requests != 0 || !strings.Contains(a.err.Error(), test.says) || strings.Contains(a.err.Error(), "CANARY") {
			t.Errorf("%+v", a)
		}
		if err := x.warm(t.Context()); !errors.Is(err, introspect.NoEndpoint) {
			t.Errorf("warm: %v", err)
		}
	}
	x = exchanging(t, client, b)
	if !errors.Is(x.ready(), introspect.NoEndpoint) {
		t.Error("ready before the metadata were found")
	}
	found, failure = Endpoints{Introspection: s.URL + "/found"}, nil
	if err := x.warm(t.Context()); err != nil || x.ready() != nil {
		t.Errorf("%v, %v", err, x.ready())
	}
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || s.got()[0].url.Path != "/found" {
		t.Errorf("%+v", a)
	}
}

// TestWarnings checks that metadata that list other methods give a warning that names
// both, that the configured method is used all the same, and that nothing follows from
// metadata without a list.
func TestWarnings(t *testing.T) {
	basic := introspect.ClientSecretBasic{Secret: introspect.SecretText("s")}
	for _, test := range []struct {
		authentication introspect.Authentication
		listed         []string
		says           []string
	}{
		{basic, nil, nil},
		{basic, []string{"private_key_jwt", "client_secret_basic"}, nil},
		{basic, []string{"private_key_jwt", "x\ny"}, []string{"client_secret_basic", `"private_key_jwt"`, `"x\ny"`}},
		{basic, []string{}, []string{"client_secret_basic"}},
		{introspect.ClientSecretPost{Secret: introspect.SecretText("s")}, []string{"client_secret_basic"}, []string{"client_secret_post"}},
		{introspect.PrivateKeyJWT{Key: introspect.SecretText("s")}, []string{"client_secret_basic"}, []string{"private_key_jwt"}},
		{certificateOf(t, "a"), []string{"self_signed_tls_client_auth"}, nil},
		{certificateOf(t, "a"), []string{"tls_client_auth"}, nil},
		{certificateOf(t, "a"), []string{"client_secret_basic"}, []string{"tls_client_auth or self_signed_tls_client_auth"}},
		{introspect.Bearer{Authentication: basic}, []string{"client_secret_basic"}, []string{"Bearer"}},
		{introspect.Bearer{Authentication: basic}, []string{"Bearer"}, nil},
	} {
		client := introspect.Client{ID: apiID, Authentication: test.authentication}
		x := exchanging(t, client, Binding{Issuer: issuerURL, Endpoints: func(context.Context) (Endpoints, error) {
			return Endpoints{Introspection: issuerURL + "/i", Token: issuerURL + "/t", AuthMethods: test.listed}, nil
		}})
		if x.warnings() != nil {
			t.Errorf("warnings before the metadata are known: %v", x.warnings())
		}
		if err := x.warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(x.warnings(), "\n")
		if (text != "") != (test.says != nil) || strings.Contains(text, "\n") {
			t.Errorf("%v: %s", test.listed, text)
		}
		for _, part := range test.says {
			if !strings.Contains(text, part) {
				t.Errorf("%v: %s lacks %s", test.listed, text, part)
			}
		}
	}
}

// TestClosedConnections checks a server that closes connections between requests: no
// request fails, because one on a connection that had been used before is repeated once.
func TestClosedConnections(t *testing.T) {
	for name, idle := range map[string]time.Duration{"after each answer": 0, "after a millisecond": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := unstarted(t, nil)
			s.Config.IdleTimeout = max(idle, time.Nanosecond)
			s.Start()
			x := exchanging(t, s.client(), Binding{Issuer: issuerURL})
			var group sync.WaitGroup
			var failed, repeated atomic.Int32
			for range 4 {
				group.Go(func() {
					for range 250 {
						a := x.ask(context.Background(), Question{Token: "t"})
						if a.kind != "" {
							failed.Add(1)
						}
						if a.requests == 2 {
							repeated.Add(1)
						}
						time.Sleep(idle)
					}
				})
			}
			group.Wait()
			if failed.Load() > 0 {
				t.Errorf("%d failed", failed.Load())
			}
			t.Logf("%d were repeated", repeated.Load())
			for _, r := range s.got() {
				if _, sent := r.header["Idempotency-Key"]; sent {
					t.Fatal("Idempotency-Key was sent")
				}
			}
		})
	}
}

// abrupt is a server that answers the first request of a connection and closes the
// connection when it has read the second.
func abrupt(t *testing.T, first bool, before string) (endpoint string, requests *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	requests = &atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				for i := 0; ; i++ {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
					requests.Add(1)
					if i > 0 || !first {
						_, _ = io.WriteString(conn, before)
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"active\":true}")
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/introspect", requests
}

// TestRepeats checks when a request is sent again: once, if the connection had been used
// before and no byte of an answer came; not on a new connection, not after a byte, and
// not if the server may count requests as uses.
func TestRepeats(t *testing.T) {
	for name, test := range map[string]struct {
		reused bool
		before string // an answer that breaks
		once   bool
		kind   introspect.Kind
		sent   int
	}{
		"a used connection":          {true, "", false, "", 2},
		"a new connection":           {false, "", false, introspect.Unreachable, 1},
		"after a byte of an answer":  {true, "H", false, introspect.Unreachable, 1},
		"a request that counts":      {true, "", true, introspect.Unreachable, 1},
		"after a part of the answer": {true, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", false, introspect.Unreachable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, requests := abrupt(t, test.reused, test.before)
			client := introspect.Client{Endpoint: endpoint, ID: apiID, Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}}
			x := exchanging(t, client, Binding{Issuer: issuerURL})
			if test.reused {
				if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
					t.Fatal(a.err)
				}
				requests.Store(0)
			}
			a := x.ask(t.Context(), Question{Token: "t", Once: test.once})
			if a.kind != test.kind || a.requests != test.sent || int(requests.Load()) != test.sent {
				t.Errorf("%+v, and the server got %d", a, requests.Load())
			}
		})
	}
}

// TestTimeout checks that a question with its repeated request takes no longer than
// Limits.Timeout, and that the end of the caller ends it (R-IN-11).
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := inMemory(func(r *http.Request, _ url.Values) (int, string) {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
			return 401, "{}"
		})
		v := &vault{secret: "old", slow: 500 * time.Millisecond}
		x := exchanging(t, memoryClient(introspect.ClientSecretPost{Secret: introspect.SecretFunc(v.read)}), slow.binding())
		x.sender.credential.(*post).secret.began = time.Now().Add(-rereadInterval)
		began := time.Now()
		if a := x.ask(t.Context(), Question{Token: "t"}); a.kind == "" || time.Since(began) > x.timeout {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if a := x.ask(ctx, Question{Token: "t"}); a.kind != introspect.TimedOut || time.Since(began) != time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
	})
}

// TestErrorsHoldNoSecrets checks that no byte of a token, of a credential or of the
// endpoint's query is in an error, whatever fails, also if the server sends back what it
// got.
func TestErrorsHoldNoSecrets(t *testing.T) {
	echo := func(status int, mediaType string) func(http.ResponseWriter, received) {
		return func(w http.ResponseWriter, r received) {
			all := r.form.Encode() + r.header.Get("Authorization") + r.url.RawQuery
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Location", "https://hostile.example/?"+all)
			w.Header().Set("WWW-Authenticate", `Bearer error="`+all+`"`)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":"`+all+`","active":"`+all+`","`+all+`":1}`)
		}
	}
	servers := map[string]func(http.ResponseWriter, received){
		"abort": func(http.ResponseWriter, received) { panic(http.ErrAbortHandler) },
		"cut": func(w http.ResponseWriter, r received) {
			w.Header().Set("Content-Length", "9999")
			echo(200, fetch.JSON)(w, r)
		},
		"odd type": func(w http.ResponseWriter, r received) { echo(200, "application/"+r.form.Get("token"))(w, r) },
	}
	for _, status := range []int{200, 204, 302, 307, 400, 401, 403, 404, 429, 500} {
		servers[http.StatusText(status)] = echo(status, fetch.JSON)
	}
	secret := introspect.SecretText(canaries.secret)
	for name, answer := range servers {
		for method, authentication := range map[string]introspect.Authentication{
			"basic": introspect.ClientSecretBasic{Secret: secret}, "post": introspect.ClientSecretPost{Secret: secret},
			"bearer": introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: secret}},
		} {
			for _, signed := range []bool{false, true} {
				s := serve(t, func(w http.ResponseWriter, r received) {
					if r.url.Path == "/token" {
						say(w, 200, `{"access_token":"`+canaries.bearer+`","token_type":"Bearer"}`)
						return
					}
					answer(w, r)
				})
				if bearer, ok := authentication.(introspect.Bearer); ok {
					bearer.TokenEndpoint = s.URL + "/token?" + canaries.query
					authentication = bearer
				}
				a := s.asking(t, func(c *introspect.Client) {
					c.Authentication, c.Signed = authentication, signed
					c.Endpoint += "?" + canaries.query
				})
				err := a.err
				if a.answer.Odd != nil {
					err = a.answer.Odd
				}
				if err == nil {
					t.Errorf("%s, %s: no error", name, method)
					continue
				}
				for e := error(introspect.NewError(a.kind, err, 0)); e != nil; e = errors.Unwrap(e) {
					if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, "CANARY") || strings.Contains(text, "hostile") {
						t.Errorf("%s, %s: %s", name, method, text)
					}
				}
			}
		}
	}
}

package introspection

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/introspect"
)

const (
	issuerURL  = "https://as.example"
	apiID      = "api"
	activeBody = `{"active":true,"aud":"https://api.example","token_type":"Bearer"}`
)

// canaries are the secrets of a request, which no error may hold.
var canaries = struct{ token, secret, bearer, query string }{"CANARY-TOKEN", "CANARY-SECRET", "CANARY-BEARER", "CANARY-QUERY"}

// received is a request that a server got.
type received struct {
	method string
	url    *url.URL
	header http.Header
	form   url.Values
	tls    *tls.ConnectionState
	remote string
}

// server is an authorization server on a loopback address.
type server struct {
	*httptest.Server

	mu       sync.Mutex
	requests []received
}

// serve starts a server whose requests answer gets, after they were read. answer may be
// nil for one that says active.
func serve(tb testing.TB, answer func(w http.ResponseWriter, r received)) *server {
	tb.Helper()
	s := unstarted(tb, answer)
	s.StartTLS()
	return s
}

func unstarted(tb testing.TB, answer func(w http.ResponseWriter, r received)) *server {
	tb.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		got := received{r.Method, r.URL, r.Header, form, r.TLS, r.RemoteAddr}
		s.mu.Lock()
		s.requests = append(s.requests, got)
		s.mu.Unlock()
		if answer == nil {
			say(w, 200, activeBody)
			return
		}
		answer(w, got)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	tb.Cleanup(s.Close)
	return s
}

// say answers with JSON.
func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// saying is an answer of a server.
func saying(status int, body string) func(http.ResponseWriter, received) {
	return func(w http.ResponseWriter, _ received) { say(w, status, body) }
}

func (s *server) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *server) count() int { return len(s.got()) }

// client returns a configuration for s.
func (s *server) client() introspect.Client {
	return introspect.Client{
		Endpoint: s.URL + "/introspect", ID: apiID,
		Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(canaries.secret)},
	}
}

// binding returns a Binding that trusts the certificate of s.
func (s *server) binding() Binding {
	return Binding{Issuer: issuerURL, HTTPClient: s.Client()}
}

// faults returns the faults of a configuration.
func faults(client introspect.Client, b Binding) []fault.Fault {
	f := fault.In("introspection")
	checkBounds(f, &client)
	newExchange(&client, b, f)
	return fault.All(f.Err())
}

// exchanging returns the exchange of a configuration without faults.
func exchanging(tb testing.TB, client introspect.Client, b Binding) *exchange {
	tb.Helper()
	f := fault.In("introspection")
	checkBounds(f, &client)
	x := newExchange(&client, b, f)
	if err := f.Err(); err != nil {
		tb.Fatal(err)
	}
	return x
}

// asking asks s about a token, with changes of the configuration.
func (s *server) asking(tb testing.TB, changes ...func(*introspect.Client)) attempt {
	tb.Helper()
	client := s.client()
	for _, change := range changes {
		change(&client)
	}
	return exchanging(tb, client, s.binding()).ask(context.Background(), Question{Token: canaries.token})
}

package middleware_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	canaryToken  = "CANARY-TOKEN-5f1c9e"
	canarySecret = "CANARY=SECRET+5f1c9e" // form-encoded in requests
	canaryQuery  = "CANARY-QUERY-5f1c9e"
)

// everything is a log of all that the hooks are told, in every form in which it can be written.
type everything struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// write writes values, and the chain of each error among them.
func (e *everything) write(values ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	logger := slog.New(slog.NewJSONHandler(&e.text, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
	for _, value := range values {
		_, _ = fmt.Fprintf(&e.text, "%v\n%+v\n%#v\n%s\n%q\n%x\n", value, value, value, value, value, value)
		if text, err := json.Marshal(value); err == nil {
			_, _ = e.text.Write(text)
		}
		logger.Debug("hook", "value", value)
		err, _ := value.(error)
		for ; err != nil; err = errors.Unwrap(err) {
			_, _ = fmt.Fprintf(&e.text, "%v\n%+v\n%#v\n", err, err, err)
		}
	}
}

// panicking writes values and panics, as a hook with a fault would.
func (e *everything) panicking(values ...any) {
	e.write(values...)
	panic("a hook with a fault")
}

func (e *everything) validatorTrace() *validator.Trace {
	return &validator.Trace{
		ValidateDone: func(_ context.Context, done validator.ValidateDone) { e.panicking(done, done.Err, done.Token) },
		Keys: &jwkscache.Trace{
			FetchStart: func(issuer, why string) { e.panicking(issuer, why) },
			FetchDone:  func(issuer string, done jwkscache.FetchDone) { e.panicking(issuer, done) },
			UnknownKid: func(issuer string, asked jwkscache.UnknownKid) { e.panicking(issuer, asked) },
			Moved:      func(issuer, from, to string) { e.panicking(issuer, from, to) },
			Stored:     func(issuer string, stored jwkscache.Stored) { e.panicking(issuer, stored) },
		},
		Introspection: &introspect.Trace{
			AskDone:      func(issuer string, done introspect.AskDone) { e.panicking(issuer, done, done.Err) },
			StateChanged: func(issuer string, state introspect.State) { e.panicking(issuer, state) },
			Moved:        func(issuer, from, to string) { e.panicking(issuer, from, to) },
		},
	}
}

func (e *everything) middlewareTrace() *middleware.Trace {
	return &middleware.Trace{
		Decided: func(_ context.Context, d middleware.Decision) {
			e.panicking(d, d.Denial, d.Token)
		},
		TokenInURL: func(context.Context) { e.panicking("token in URL") },
	}
}

// failures are ways in which a request can fail at a server, with answers that repeat what it got.
func failures() map[string]testissuer.Behaviour {
	echo := canaryToken + " " + canarySecret + " " + canaryQuery
	body := []byte(`{"error":"` + echo + `","active":"` + echo + `"}`)
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	return map[string]testissuer.Behaviour{
		"good":           {},
		"inactive":       {Body: []byte(`{"active":false,"` + canaryToken + `":1}`)},
		"active odd":     {Body: body},
		"scope odd":      {Body: []byte(`{"active":true,"scope":["` + echo + `"],"token_type":"` + echo + `"}`)},
		"cut":            {Header: header("Content-Length", "9999"), Body: body},
		"aborted":        {Abort: true},
		"slow":           {Delay: time.Minute},
		"trickling":      {Trickle: time.Second},
		"redirect":       {Redirect: "https://issuer.test/?" + canaryQuery + "=" + url.QueryEscape(echo)},
		"type":           {Header: header("Content-Type", "application/"+canaryToken), Body: body},
		"HTML":           {Header: header("Content-Type", "text/html"), Body: body},
		"400":            {Status: 400, Body: body},
		"401":            {Status: 401, Header: header("WWW-Authenticate", `Bearer error="`+echo+`"`), Body: body},
		"403":            {Status: 403, Body: body},
		"404":            {Status: 404, Body: body},
		"429":            {Status: 429, Header: header("Retry-After", echo), Body: body},
		"500":            {Status: 500, Body: body},
		"no JSON":        {Body: []byte(echo)},
		"members unlike": {Body: []byte(`{"active":true,"aud":"` + echo + `","iss":"` + echo + `"}`)},
	}
}

// TestNothingTellsSecrets (R-OB-01, R-IN-14): no byte of the token, of the credentials in any form in which they are sent, and of the query of an endpoint is in what the hooks get, in what errors say, or in what is
// answered, whatever fails. Hooks that panic change nothing.
func TestNothingTellsSecrets(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := introspect.SecretText(canarySecret)
	for method, row := range map[string]struct {
		client testissuer.Client
		own    introspect.Authentication
	}{
		"basic":     {testissuer.Client{Secret: canarySecret}, introspect.ClientSecretBasic{Secret: secret}},
		"post":      {testissuer.Client{Secret: canarySecret, Post: true}, introspect.ClientSecretPost{Secret: secret}},
		"assertion": {testissuer.Client{Key: key.Public()}, introspect.PrivateKeyJWT{Signer: key}},
		"bearer":    {testissuer.Client{Secret: canarySecret, BearerLifetime: time.Hour}, introspect.Bearer{Authentication: introspect.ClientSecretBasic{Secret: secret}}},
	} {
		for name, failure := range failures() {
			synctest.Test(t, func(t *testing.T) {
				row.client.ID = "api"
				issuer := issuertest.Start(t, testissuer.Config{Clients: []testissuer.Client{row.client}})
				log := &everything{}
				own := row.own
				if bearer, ok := own.(introspect.Bearer); ok {
					bearer.TokenEndpoint = issuer.TokenURL() + "?" + canaryQuery
					own = bearer
				}
				config := issuer.OpaqueConfig(func(c *validator.Issuer) {
					c.Opaque.Endpoint += "?q=" + canaryQuery
					c.Opaque.Authentication = own
				})
				issuer.Opaque(testissuer.Token{Text: canaryToken, Scope: "read"})
				issuer.Behave(testissuer.Introspection, failure)
				present(t, log, config)
				if name == "good" && issuer.Requests(testissuer.Introspection) != 1 {
					t.Errorf("%s: %d requests", method, issuer.Requests(testissuer.Introspection))
				}
				log.wantNo(t, method+", "+name, sent(issuer))
			})
		}
	}
}

// TestNothingTellsSecretsOfConnections does the same for connections that cannot be made.
func TestNothingTellsSecretsOfConnections(t *testing.T) {
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"DNS": func(_ context.Context, _, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		"refused": func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		},
		"hanging": func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Minute) // a dial goes on without its request
			return nil, errors.New("nobody answers")
		},
		"no TLS": func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				first := make([]byte, 16<<10)
				_, _ = theirs.Read(first)
				_, _ = io.WriteString(theirs, "HTTP/1.1 400 Bad Request\r\n\r\n"+canaryToken)
			}()
			return ours, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.New(t)
			config := issuer.OpaqueConfig(func(c *validator.Issuer) {
				c.Opaque.Endpoint = "https://as.test/introspect?q=" + canaryQuery
				c.Opaque.Authentication = introspect.ClientSecretPost{Secret: introspect.SecretText(canarySecret)}
				c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: dial}}
			})
			log := &everything{}
			status := present(t, log, config)
			if status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d", name, status)
			}
			log.wantNo(t, name, nil)
			time.Sleep(time.Hour)
		})
	}
}

// present presents the canary and writes everything that can be had.
func present(t *testing.T, log *everything, config validator.Issuer) (status int) {
	t.Helper()
	log.write(config, *config.Opaque, config.Opaque.Authentication)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}, Trace: log.validatorTrace()})
	guard := issuertest.Guard(t, middleware.Config{Validator: v, Trace: log.middlewareTrace()})
	log.write(v.Warm(t.Context()), v.Ready(), v.Warnings(), v.Status(), *v, guard)
	h := guard.Require(scopes.All("read"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token := middleware.TokenFrom(r.Context())
		log.write(token, token.Meets(r.Context(), validator.Demands{ActiveWithin: 1}))
	}))
	response := serve(h, request("Bearer "+canaryToken))
	body, err := io.ReadAll(response.Body)
	log.write(response.Header, string(body), err, v.Status(), v.Warnings())
	_, err = v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: canaryToken})
	log.write(err)
	return response.StatusCode
}

// sent returns the credentials that an issuer got, as they were sent.
func sent(issuer *issuertest.Issuer) []string {
	var all []string
	for _, endpoint := range []testissuer.Endpoint{testissuer.Introspection, testissuer.TokenEndpoint} {
		for _, r := range issuer.Received(endpoint) {
			_, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			all = append(all, credentials, r.Form.Get("client_assertion"))
			for segment := range strings.SplitSeq(r.Form.Get("client_assertion"), ".") {
				all = append(all, segment)
			}
		}
	}
	return all
}

// wantNo fails the test if a secret is in the log.
func (e *everything) wantNo(t *testing.T, what string, sent []string) {
	t.Helper()
	text := e.text.String()
	if !strings.Contains(text, "https://issuer.test") || len(text) < 1000 {
		t.Errorf("%s: nothing was told: %q", what, text)
	}
	for _, secret := range append(sent, canaryToken, canarySecret, canaryQuery) {
		if len(secret) < 8 {
			continue
		}
		for _, form := range []string{
			secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s: %q is in …%s…", what, secret, text[max(at-200, 0):min(at+200, len(text))])
				return
			}
		}
	}
}

package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// wait waits until all lines are written, in a bubble, and returns them without those of
// the validator.
func (c *capture) wait() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, line := range c.lines {
		if !strings.Contains(line, "sallyport: issuer configured") {
			lines = append(lines, line)
		}
	}
	c.lines = nil
	return lines
}

// listening returns a Guard with a Logger, and what it logs.
func listening(t *testing.T, is *issuertest.Issuer) (*middleware.Guard, *capture) {
	t.Helper()
	log := new(capture)
	return is.Guard(t, middleware.Config{Logger: slog.New(log)}), log
}

func get(handler http.Handler, token string) {
	r := httptest.NewRequest(http.MethodGet, "/orders/1", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	handler.ServeHTTP(httptest.NewRecorder(), r)
}

// TestRefusalLines covers R-OB-06: refusals are sampled by reason and issuer, and the
// number of the others is told exactly, by the next refusal or by Run.
func TestRefusalLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		mux := guard.NewMux()
		mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(http.ResponseWriter, *http.Request) {})
		expired, poor := is.Sign(testissuer.Token{Lifetime: -time.Hour}), is.Sign(testissuer.Token{Scope: "profile"})
		for range 1000 {
			get(mux, expired)
		}
		get(mux, poor)
		lines := log.wait()
		if len(lines) != 6 {
			t.Fatalf("%d lines\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for i, want := range []string{
			"INFO sallyport: request refused reason=expired cause=validator: ", "", "", "", "",
			"INFO sallyport: request refused reason=insufficient_scope cause=scopes: ",
		} {
			if want != "" && (!strings.HasPrefix(lines[i], want) || !strings.Contains(lines[i], "issuer=https://issuer.test") || !strings.HasSuffix(lines[i], "route=GET /orders/{id} transport=http")) {
				t.Errorf("line %s, want %s", lines[i], want)
			}
		}
		if !strings.Contains(lines[5], "client=client-1") || strings.Contains(lines[0], "client=") {
			t.Error("the client is logged where no token is valid, or not where one is")
		}
		time.Sleep(time.Minute)
		get(mux, poor)
		lines = log.wait()
		want := "INFO sallyport: lines were left out count=995 line=sallyport: request refused reason=expired issuer=https://issuer.test from="
		if len(lines) != 2 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("lines\n%s\nwant %s", strings.Join(lines, "\n"), want)
		}

		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- guard.Run(ctx) }()
		for range 10 {
			get(mux, poor)
		}
		log.wait()
		time.Sleep(2 * time.Minute) // without a refusal
		if lines := log.wait(); len(lines) != 1 || !strings.Contains(lines[0], "count=6") {
			t.Errorf("after the flood: lines\n%s", strings.Join(lines, "\n"))
		}
		for range 10 {
			get(mux, poor)
		}
		log.wait()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if lines := log.wait(); len(lines) != 1 || !strings.Contains(lines[0], "count=5") {
			t.Errorf("after Run: lines\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestNoLines covers A4 and A14: requests that pass, public routes, anonymous callers of
// optional routes and callers that left give no line.
func TestNoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		mux := guard.NewMux()
		nothing := func(http.ResponseWriter, *http.Request) {}
		mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), nothing)
		mux.HandleFunc("GET /healthz", scopes.Public(), nothing)
		mux.HandleFunc("GET /news", scopes.Optional(scopes.All("orders:read")), nothing)
		good := is.Sign(testissuer.Token{Scope: "orders:read"})
		for range 720 { // a probe every 5 s for an hour
			for _, target := range []string{"/healthz", "/news", "/orders/1"} {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				if target == "/orders/1" {
					r.Header.Set("Authorization", "Bearer "+good)
				}
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Fatalf("%s: %d", target, w.Code)
				}
			}
		}
		if lines := log.wait(); len(lines) != 0 {
			t.Errorf("lines\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestCanceledLines covers A4: a caller that gave up while keys were fetched was not refused.
func TestCanceledLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		is.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Minute})
		log := new(capture)
		guard := is.Guard(t, middleware.Config{Logger: slog.New(log)}, is.Fetched)
		route, err := guard.Route("r", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		denial := route.Check(ctx, is.Bearer(nil), scopes.Operation{}).Denial()
		if denial == nil || denial.Class != middleware.ClassCanceled {
			t.Fatalf("denial %v", denial)
		}
		if lines := log.wait(); len(lines) != 0 {
			t.Errorf("lines\n%s", strings.Join(lines, "\n"))
		}
		time.Sleep(time.Hour) // for the fetch
	})
}

// TestLineLevels checks that what could not be determined is an error, and what a caller
// did wrong is not.
func TestLineLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		route, err := guard.Route("r", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		for reason, want := range map[validator.Reason]string{
			validator.Unavailable: "ERROR", validator.BadSignature: "INFO", validator.NoCredentials: "INFO", validator.Forbidden: "INFO",
		} {
			_ = route.Refuse(t.Context(), validator.Refuse(reason, errors.New("the cause")))
			lines := log.wait()
			if len(lines) != 1 || !strings.HasPrefix(lines[0], want+" sallyport: request refused reason="+string(reason)+" cause=the cause route=r") {
				t.Errorf("%s: lines %q, want %s", reason, lines, want)
			}
		}
	})
}

// TestForgedLines covers R-OB-07: values of callers and of hooks bring no control
// characters into the log.
func TestForgedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forged = "x\r\nlevel=ERROR msg=forged\x1b[31m\x00"
		is := issuertest.New(t)
		guard, log := listening(t, is)
		never := scopes.All("orders:read")
		mux := guard.NewMux()
		mux.HandleFunc("GET /orders/{id}", never, func(http.ResponseWriter, *http.Request) {})
		for _, token := range []testissuer.Token{
			{Claims: issuertest.Claims{"iss": forged}},
			{Claims: issuertest.Claims{"aud": forged}},
			{Claims: issuertest.Claims{"client_id": forged}},
			{Scope: "profile", Claims: issuertest.Claims{"scope": forged}},
			{Header: map[string]any{"kid": forged}},
			{Header: map[string]any{"typ": forged}},
			{Header: map[string]any{"alg": forged}},
		} {
			get(mux, is.Sign(token))
		}
		route, err := guard.Route("r", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		_ = route.Refuse(t.Context(), errors.New(forged))
		lines := log.wait()
		if len(lines) != 8 {
			t.Errorf("%d lines\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for _, line := range lines {
			if regexp.MustCompile(`[\x00-\x1f\x7f]`).MatchString(line) {
				t.Errorf("a control character: %q", line)
			}
		}
	})
}

// TestTokenInURLLine checks the line about a token in the URL, and that the token is not in
// it.
func TestTokenInURLLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		mux := guard.NewMux()
		mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(http.ResponseWriter, *http.Request) {})
		token := is.Sign(testissuer.Token{Scope: "orders:read"})
		for range 20 {
			r := httptest.NewRequest(http.MethodGet, "/orders/1?access_token="+token, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			mux.ServeHTTP(httptest.NewRecorder(), r)
		}
		lines := log.wait()
		if len(lines) != 5 || !strings.HasPrefix(lines[0], "WARN sallyport: access_token in the URL") || strings.Contains(strings.Join(lines, ""), token[:12]) {
			t.Errorf("lines\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestHeldLines checks what is logged when a long request ends: nothing if its token
// expires, and the cause if not.
func TestHeldLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		route, err := guard.Route("r", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		hold := func() *middleware.Held {
			p := is.Bearer(nil)
			return route.Hold(t.Context(), route.Check(t.Context(), p, scopes.Operation{}), middleware.Holding{Presentation: p})
		}
		held := hold()
		time.Sleep(time.Hour)
		if lines := log.wait(); len(lines) != 0 || held.Context().Err() == nil {
			t.Errorf("after expiry: lines\n%s", strings.Join(lines, "\n"))
		}
		if denial := hold().Renew(t.Context(), issuertest.Bearer("x"), scopes.Operation{}); denial == nil {
			t.Error("renewed with no token")
		}
		if lines := log.wait(); len(lines) != 1 || !strings.HasPrefix(lines[0], "INFO sallyport: request refused reason=malformed_") {
			t.Errorf("a refused renewal: lines\n%s", strings.Join(lines, "\n"))
		}
		key := guard.Validator().Status().Issuers[0].Keys[0]
		if err := guard.Validator().ForbidKey(t.Context(), is.URL(), jwkscache.KeyName{Thumbprint: key.Thumbprint()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if lines := log.wait(); len(lines) != 1 || !strings.HasPrefix(lines[0], "INFO sallyport: request ended reason=unknown_key cause=") {
			t.Errorf("after a key was forbidden: lines\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestSharedLines checks that a Guard over another transport logs through the same Logger
// and counts with the first.
func TestSharedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		guard, log := listening(t, is)
		for _, g := range []*middleware.Guard{guard, guard.Over("grpc")} {
			route, err := g.Route("r", scopes.Authenticated())
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				route.Check(t.Context(), validator.Presentation{}, scopes.Operation{})
			}
		}
		lines := log.wait()
		if len(lines) != 5 || !strings.HasSuffix(lines[4], "transport=grpc") {
			t.Errorf("lines\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestDefaultLogger checks that middleware.For logs to slog.Default at the time of the
// line, that the Logger of the Validator is the default of the Guard, and that
// slog.DiscardHandler silences it.
func TestDefaultLogger(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	is := issuertest.New(t)
	quick, err := middleware.For(is.Config())
	if err != nil {
		t.Fatal(err)
	}
	ofValidator := new(capture)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.Config()}, Logger: slog.New(ofValidator)})
	inherits := issuertest.Guard(t, middleware.Config{Validator: v})
	silent := issuertest.Guard(t, middleware.Config{Validator: v, Logger: slog.New(slog.DiscardHandler)})
	byDefault := new(capture)
	slog.SetDefault(slog.New(byDefault))
	for _, guard := range []*middleware.Guard{quick, inherits, silent} {
		get(guard.Require(scopes.Authenticated(), http.NotFoundHandler()), "")
		flush(t, guard)
	}
	for name, log := range map[string]*capture{"default": byDefault, "validator": ofValidator} {
		lines := log.all()
		refused := 0
		for _, line := range lines {
			if strings.Contains(line, "request refused reason=no_credentials") {
				refused++
			}
		}
		if refused != 1 || len(lines) != 2 {
			t.Errorf("%s: lines\n%s", name, strings.Join(lines, "\n"))
		}
	}
}

// TestLinesCost checks that a request with a known token allocates no more with a Logger
// than without, and what a refusal in a flood allocates.
func TestLinesCost(t *testing.T) {
	is := issuertest.New(t)
	p, bad := is.Bearer(nil), is.Bearer(issuertest.Claims{"aud": "https://other.test"})
	cost := func(handler slog.Handler, p validator.Presentation) float64 {
		guard := is.Guard(t, middleware.Config{Logger: slog.New(handler)})
		route, err := guard.Route("r", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			route.Check(t.Context(), p, scopes.Operation{})
		}
		return testing.AllocsPerRun(1000, func() { route.Check(t.Context(), p, scopes.Operation{}) })
	}
	if with, without := cost(new(capture), p), cost(slog.DiscardHandler, p); with != without {
		t.Errorf("a known token: %v allocations with a Logger and %v without", with, without)
	}
	if with, without := cost(new(capture), bad), cost(slog.DiscardHandler, bad); with > without {
		t.Errorf("a refusal: %v allocations with a Logger and %v without", with, without)
	}
}

// BenchmarkLines compares requests with a Logger and without: one with a known token that
// passes, and a flood of refusals.
func BenchmarkLines(b *testing.B) {
	is := issuertest.New(b)
	for what, p := range map[string]validator.Presentation{"passes": is.Bearer(nil), "refused": is.Bearer(issuertest.Claims{"aud": "https://other.test"})} {
		for name, handler := range map[string]slog.Handler{"silent": slog.DiscardHandler, "logged": new(capture)} {
			b.Run(what+"/"+name, func(b *testing.B) {
				route, err := is.Guard(b, middleware.Config{Logger: slog.New(handler)}).Route("r", scopes.Authenticated())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					route.Check(b.Context(), p, scopes.Operation{})
				}
			})
		}
	}
}

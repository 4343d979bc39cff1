package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// shortTTL is the shortest time that answers may be used.
	shortTTL = time.Second
	// outageTTL is how long they are used in tests of outages. It is long enough to end
	// the server meanwhile.
	outageTTL = 2 * time.Second
)

// api is an API that accepts the tokens of one issuer. Its routes are "GET /read", which
// needs the scope read, "GET /write" and "GET /fresh", which asks the issuer for every
// request.
type api struct {
	t     *testing.T
	guard *middleware.Guard
	mux   *middleware.Mux

	mu   sync.Mutex
	last middleware.Decision
}

func newAPI(t *testing.T, issuer validator.Issuer) *api {
	t.Helper()
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{issuer}})
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t}
	a.guard, err = middleware.New(middleware.Config{Validator: v, Trace: &middleware.Trace{
		Decided: func(_ context.Context, d middleware.Decision) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.last = d
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.mux = a.guard.NewMux()
	for path, policy := range map[string]scopes.Policy{
		"/read":  scopes.All("read"),
		"/write": scopes.All("write"),
		"/fresh": scopes.And(scopes.All("read"), scopes.FreshlyActive(0)),
	} {
		a.mux.HandleFunc("GET "+path, policy, func(http.ResponseWriter, *http.Request) {})
	}
	return a
}

// get sends a request with a bearer token, and returns the status and the Decision.
func (a *api) get(path, token string) (int, middleware.Decision) {
	a.t.Helper()
	return a.getAt(a.t.Context(), path, token)
}

func (a *api) getAt(ctx context.Context, path, token string) (int, middleware.Decision) {
	a.t.Helper()
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://api.example"+path, http.NoBody)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	a.mux.ServeHTTP(recorder, request)
	a.mu.Lock()
	defer a.mu.Unlock()
	return recorder.Code, a.last
}

// want is what a request must be answered. The zero value is a request that passes.
type want struct {
	reason validator.Reason
	kind   introspect.Kind // why the issuer gave no verdict; "" if it gave one
	source validator.Source
	cause  string // a part of the text that operators get
}

// expect sends a request for "GET /read" and compares what it is answered.
func (a *api) expect(what, token string, w want) middleware.Decision {
	a.t.Helper()
	return a.expectAt("/read", what, token, w)
}

func (a *api) expectAt(path, what, token string, w want) middleware.Decision {
	a.t.Helper()
	status, d := a.get(path, token)
	if got := verdictOf(d); got.reason != w.reason || got.kind != w.kind || w.source != "" && got.source != w.source ||
		!strings.Contains(got.cause, w.cause) || status != statusOf(w.reason) {
		a.t.Errorf("%s: status %d, %q %q from %q, want %q %q from %q with %q; cause: %s",
			what, status, got.reason, got.kind, got.source, w.reason, w.kind, w.source, w.cause, got.cause)
	}
	return d
}

// verdictOf returns what was decided.
func verdictOf(d middleware.Decision) want {
	got := want{kind: d.Kind, source: d.Source}
	if d.Denial != nil {
		got.reason, got.cause = d.Denial.Reason, d.Denial.Cause().Error()
	}
	return got
}

// statusOf returns the status that callers get for a Reason of these tests.
func statusOf(reason validator.Reason) int {
	switch reason {
	case "":
		return http.StatusOK
	case validator.Unavailable:
		return http.StatusServiceUnavailable
	case validator.InsufficientScope:
		return http.StatusForbidden
	default:
		return http.StatusUnauthorized
	}
}

// expectRevoked revokes the token, which is cached as active, and sees that it is refused
// when the TTL has passed.
func (a *api) expectRevoked(token string, revoke func()) {
	a.t.Helper()
	a.expect("a token before its revocation", token, want{})
	revoke()
	took := eventually(a.t, 3*shortTTL, "a revoked token is refused", func() bool {
		_, d := a.get("/read", token)
		return d.Denial != nil
	})
	a.expect("a revoked token", token, want{reason: validator.Inactive})
	a.t.Logf("refused %s after its revocation, with a TTL of %s", took.Round(10*time.Millisecond), shortTTL)
}

// expectOutage kills the server and starts it again. While it is down, cached is accepted to
// the end of its TTL, and no token is refused as one. again returns a good token of the
// server that was started again, and before is one from before, which is answered with after
// then. The issuer's answers are used for outageTTL.
func (a *api) expectOutage(cached, before string, kill, restart func(), again func() string, after want) {
	a.t.Helper()
	a.expect("a token that will be cached", cached, want{})
	kill()
	begin := time.Now()
	a.expect("a cached token while the server is down", cached, want{source: validator.Cached})
	ended := eventually(a.t, 2*outageTTL, "the cached answer ends", func() bool {
		status, _ := a.get("/read", cached)
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			a.t.Fatalf("a cached token gets %d while the server is down", status)
		}
		if unknown, _ := a.get("/read", before); unknown != http.StatusServiceUnavailable {
			a.t.Fatalf("a token gets %d while the server is down", unknown)
		}
		return status != http.StatusOK
	})
	restart()
	good := again()
	recovered := eventually(a.t, 2*time.Second, "a good token is accepted again", func() bool {
		status, d := a.get("/read", good)
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			a.t.Fatalf("a good token gets %d after the server came back: %v", status, d.Denial.Cause())
		}
		return status == http.StatusOK
	})
	a.expect("a token from before the restart", before, after)
	a.t.Logf("the cached answer ended after %s of %s; recovered %s after the server came back, down for %s",
		ended.Round(10*time.Millisecond), outageTTL, recovered.Round(10*time.Millisecond), time.Since(begin).Round(10*time.Millisecond))
}

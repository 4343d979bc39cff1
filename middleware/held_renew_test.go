package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHeldRenewReaders covers situation A22 of gRPC users: while the token is renewed with
// narrower, wider and equal scopes, three readers get one whole token or the next, and
// never an old one again.
func TestHeldRenewReaders(t *testing.T) {
	api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, local)
	names := []string{"read write", "read", "read write admin", "read"}
	var tokens []string
	for i, scope := range names {
		tokens = append(tokens, api.Sign(testissuer.Token{Scope: scope, Claims: map[string]any{"jti": fmt.Sprint(i)}}))
	}
	r := api.hold(tokens[0])
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var current atomic.Int64
	var reads [3]atomic.Int64
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range reads {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				oldest := current.Load()
				token := middleware.TokenFrom(ctx)
				var number int64
				if _, err := fmt.Sscan(token.ID(), &number); err != nil || number < oldest || strings.Join(token.Scopes(), " ") != names[number] {
					t.Errorf("token %q with %q, after token %d was the current one", token.ID(), token.Scopes(), oldest)
					return
				}
				reads[i].Add(1)
			}
		})
	}
	for i := 1; i < len(tokens); i++ {
		for k := range reads {
			for seen := reads[k].Load(); reads[k].Load() == seen && !t.Failed(); {
				runtime.Gosched()
			}
		}
		if denial := r.Renew(t.Context(), issuertest.Bearer(tokens[i]), scopes.Operation{}); denial != nil {
			t.Fatal(denial.Cause())
		}
		current.Store(int64(i))
	}
	close(done)
	readers.Wait()
}

// TestHeldRenewRefused checks which tokens do not replace the one that a request began
// with, that the old one then counts until its end, and that every attempt is one Decision.
func TestHeldRenewRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var decisions []middleware.Decision
		one, two := issuertest.At(t, "https://one.test"), issuertest.At(t, "https://two.test")
		tenants := func(c *validator.Issuer) {
			c.Grants = []string{validator.AllScopes}
			c.Tenant = validator.TenantRule{Claim: "tenant", Owned: []string{"a", "b"}}
		}
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{one.Config(tenants), two.Config(tenants)}})
		api := newHeldAPI(t, scopes.All("read"), middleware.Config{Validator: v, Trace: &middleware.Trace{
			Decided: func(_ context.Context, d middleware.Decision) { decisions = append(decisions, d) },
		}}, nil)
		sign := func(is *issuertest.Issuer, claims map[string]any) string {
			all := map[string]any{"tenant": "a", "sub": "alice"}
			maps.Copy(all, claims)
			return is.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour, Claims: all})
		}
		r := api.hold(one.Sign(testissuer.Token{Scope: "read", Lifetime: time.Minute, Claims: map[string]any{"tenant": "a", "sub": "alice"}}))
		first := r.Token()
		for name, row := range map[string]struct {
			token string
			class middleware.Class
		}{
			"another subject": {sign(one, map[string]any{"sub": "bob"}), middleware.ClassForbidden},
			"another client":  {sign(one, map[string]any{"client_id": "other"}), middleware.ClassForbidden},
			"another tenant":  {sign(one, map[string]any{"tenant": "b"}), middleware.ClassForbidden},
			"another issuer":  {sign(two, nil), middleware.ClassForbidden},
			"fewer scopes":    {sign(one, map[string]any{"scope": "write"}), middleware.ClassInsufficientScope},
			"expired":         {one.Sign(testissuer.Token{Scope: "read", Lifetime: -time.Hour, Claims: map[string]any{"tenant": "a"}}), middleware.ClassExpiredToken},
			"no token":        {"", middleware.ClassInvalidRequest},
		} {
			decisions = nil
			denial := r.Renew(t.Context(), issuertest.Bearer(row.token), scopes.Operation{})
			if denial == nil || denial.Class != row.class || r.Token() != first {
				t.Errorf("%s: %v, want %s", name, denial, row.class)
			}
			if len(decisions) != 1 || decisions[0].Denial == nil || decisions[0].Denial.Class != row.class || decisions[0].Route != "GET /" || decisions[0].Scheme != validator.Bearer {
				t.Errorf("%s: the hook got %+v", name, decisions)
			}
		}
		r.wantOpen("refused tokens change nothing")
		decisions = nil
		if denial := r.Renew(t.Context(), issuertest.Bearer(sign(one, nil)), scopes.Operation{}); denial != nil || r.Token() == first {
			t.Errorf("the same caller: %v", denial.Cause())
		}
		if len(decisions) != 1 || decisions[0].Denial != nil || decisions[0].Token != r.Token() {
			t.Errorf("the hook got %+v", decisions)
		}
		time.Sleep(2 * time.Hour)
		r.wantEnd("expired", middleware.ClassExpiredToken, time.Hour+leeway+period)
		decisions = nil
		if denial := r.Renew(t.Context(), issuertest.Bearer(sign(one, nil)), scopes.Operation{}); denial != r.Denial() || len(decisions) != 0 {
			t.Errorf("after the end: %v, %+v", denial, decisions)
		}
	})
}

// TestHeldRenewNothing checks that a request without a token cannot get one, and that
// nothing is renewed that is over or was never held.
func TestHeldRenewNothing(t *testing.T) {
	var last *middleware.Decision
	trace := &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { last = &d }}
	api := newHeldAPI(t, scopes.Optional(scopes.Authenticated()), middleware.Config{Trace: trace}, local)
	p := api.Bearer(nil)
	anonymous := api.holdWith(t.Context(), validator.Presentation{})
	api.route = routeOf(t, api.guard, scopes.Public())
	public := api.holdWith(t.Context(), p)
	api.route = routeOf(t, api.guard, scopes.Authenticated())
	released := api.holdWith(t.Context(), p)
	released.Release()
	var none *middleware.Held
	for name, row := range map[string]struct {
		held    *middleware.Held
		class   middleware.Class
		cause   string
		decided bool // the new token was checked
	}{
		"anonymous": {anonymous.Held, middleware.ClassForbidden, "began without a token", true},
		"public":    {public.Held, middleware.ClassForbidden, "began without a token", true},
		"released":  {released.Held, middleware.ClassUnavailable, "is over", false},
		"nil":       {none, middleware.ClassUnavailable, "no held request", false},
		"zero":      {new(middleware.Held), middleware.ClassUnavailable, "no held request", false},
	} {
		last = nil
		denial := row.held.Renew(t.Context(), p, scopes.Operation{})
		if denial == nil || denial.Class != row.class || !strings.Contains(innermost(denial.Cause()), row.cause) {
			t.Errorf("%s: %v because of %q, want %s because of %q", name, denial, innermost(denial.Cause()), row.class, row.cause)
		}
		if decided := last != nil; decided != row.decided {
			t.Errorf("%s: the token was checked: %v, want %v", name, decided, row.decided)
		}
	}
	if anonymous.Token() != nil || public.Token() != nil {
		t.Error("a request without a token has one")
	}
}

// innermost returns the text of the error that an error was made of.
func innermost(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return fmt.Sprint(err)
}

// TestHeldRenewUnknownSubject checks that an opaque token without sub replaces none, since
// the two may be of different users.
func TestHeldRenewUnknownSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
		unnamed := issuertest.Claims{"sub": nil}
		r := api.hold(api.OpaqueToken(unnamed))
		if denial := r.Renew(t.Context(), api.OpaqueBearer(unnamed), scopes.Operation{}); denial == nil || denial.Class != middleware.ClassForbidden {
			t.Errorf("renewed, or refused with %v", denial)
		}
		time.Sleep(time.Minute)
		r.wantOpen("asked about again")
	})
}

// TestHeldNotice covers situation A21 of gRPC users: the handler is told some time before
// the end, and after Renew some time before the new end.
func TestHeldNotice(t *testing.T) {
	for name, row := range map[string]struct{ config, want time.Duration }{
		"default": {0, 10 * time.Second}, "500 ms": {500 * time.Millisecond, 500 * time.Millisecond}, "none": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{LongRequests: middleware.LongRequests{Notice: row.config}}, local)
				r := api.hold(api.Sign(testissuer.Token{Lifetime: time.Minute}))
				early, want := r.Ending(), row.want
				wantNotice := func(what string, ending <-chan struct{}, end time.Time) {
					t.Helper()
					<-ending
					if left := time.Until(end); left < want || left >= want+period {
						if want != 0 || left < -period || left > 0 { // without notice it is the end
							t.Errorf("%s: told %v before the end, want %v", what, left, want)
						}
					}
				}
				first := r.Ends()
				if row.want == 0 {
					wantNotice("the end", early, first)
					return
				}
				wantNotice("the end", early, first)
				if r.Ending() != early {
					t.Error("another channel without a renewal")
				}
				r.wantOpen("told")
				if denial := r.Renew(t.Context(), issuertest.Bearer(api.Sign(testissuer.Token{Lifetime: time.Minute})), scopes.Operation{}); denial != nil {
					t.Fatal(denial.Cause())
				}
				next := r.Ending()
				if next == early || !r.Ends().After(first) {
					t.Errorf("the channel or the end is the old one: %v, %v", r.Ends(), first)
				}
				// Renewed before the notice: the same channel is closed for the new end.
				time.Sleep(time.Minute)
				if denial := r.Renew(t.Context(), issuertest.Bearer(api.Sign(testissuer.Token{Lifetime: time.Minute})), scopes.Operation{}); denial != nil {
					t.Fatal(denial.Cause())
				}
				wantNotice("the third end", next, r.Ends())
				if late := r.Ending(); late != next {
					t.Error("another channel")
				}
				<-r.Context().Done()
				r.wantEnd("not renewed", middleware.ClassExpiredToken, time.Since(r.start))
			})
		})
	}
}

// TestHeldLateEnding checks that a channel that is asked for after the notice is closed
// already, and that the end without a notice closes it, too.
func TestHeldLateEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		r := api.hold(api.Sign(testissuer.Token{Lifetime: time.Minute}))
		time.Sleep(time.Until(r.Ends()) - 5*time.Second)
		select {
		case <-r.Ending():
		default:
			t.Error("not closed 5 s before the end")
		}
		r = api.hold(api.Sign(testissuer.Token{Lifetime: time.Hour}))
		ending := r.Ending()
		byID, _ := r.Token().Key()
		if err := api.guard.Validator().ForbidKey(t.Context(), api.URL(), byID); err != nil {
			t.Fatal(err)
		}
		<-ending
		<-r.Context().Done()
		r.wantEnd("forbidden", middleware.ClassInvalidToken, period)
	})
}

// TestHeldRenewUnnamed checks that a JWT without sub is renewed by none unless it names a
// client to which alone it was issued.
func TestHeldRenewUnnamed(t *testing.T) {
	api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, func(is *issuertest.Issuer) validator.Issuer {
		return is.Config(func(c *validator.Issuer) {
			c.SubjectOptional, c.Profile = true, validator.ProfileLegacy
			c.Marker = []validator.ClaimRule{{Name: "token_use", Equals: "access"}}
			c.ClientOnly = validator.ClaimRule{Name: "gty", Equals: "client-credentials"}
			c.User = validator.ClaimRule{Name: "uid"}
		})
	})
	for name, row := range map[string]struct {
		claims map[string]any
		renews bool
	}{
		"a client's own":       {map[string]any{"client_id": "app", "gty": "client-credentials"}, true},
		"no client":            {map[string]any{"client_id": nil, "gty": "client-credentials"}, false},
		"another client's":     {map[string]any{"client_id": "app"}, true},
		"a user's":             {map[string]any{"client_id": "app", "uid": "u"}, false},
		"nothing says of whom": {map[string]any{"client_id": nil}, false},
	} {
		row.claims["sub"], row.claims["token_use"] = nil, "access"
		token := api.Sign(testissuer.Token{Scope: "read", Claims: row.claims})
		if denial := api.hold(token).Renew(t.Context(), issuertest.Bearer(token), scopes.Operation{}); (denial == nil) != row.renews {
			t.Errorf("%s: %v", name, denial.Cause())
		}
	}
}

// TestHeldRenewWithoutSubject checks that a JWT without sub is renewed by one of the same
// client only.
func TestHeldRenewWithoutSubject(t *testing.T) {
	api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, func(is *issuertest.Issuer) validator.Issuer {
		return is.Config(func(c *validator.Issuer) { c.SubjectOptional = true })
	})
	sign := func(client, jti string) string {
		return api.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"sub": nil, "client_id": client, "jti": jti}})
	}
	r := api.hold(sign("app", "1"))
	if denial := r.Renew(t.Context(), issuertest.Bearer(sign("other", "2")), scopes.Operation{}); denial == nil || denial.Class != middleware.ClassForbidden {
		t.Errorf("another client: %v", denial)
	}
	user := api.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": "app"}})
	if denial := r.Renew(t.Context(), issuertest.Bearer(user), scopes.Operation{}); denial == nil || denial.Class != middleware.ClassForbidden {
		t.Errorf("a user of the client: %v", denial)
	}
	if denial := r.Renew(t.Context(), issuertest.Bearer(sign("app", "3")), scopes.Operation{}); denial != nil || r.Token().ID() != "3" {
		t.Errorf("the same client: %v", denial.Cause())
	}
}

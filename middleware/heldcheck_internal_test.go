package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// interrupted is a held request with something that happens while it is checked.
type interrupted struct {
	*Held

	issuer    *testissuer.Issuer
	validator *validator.Validator
	meanwhile atomic.Pointer[func()] // called once, by the policy or by the context of checks
	refusal   error                  // of the policy, when it has called meanwhile
	first     *Denial
	other     *validator.Token
}

// happen calls meanwhile, if it was not called.
func (i *interrupted) happen() error {
	do := i.meanwhile.Swap(nil)
	if do == nil {
		return nil
	}
	(*do)()
	return i.refusal
}

// interruptingContext calls a function when it is asked for a value.
type interruptingContext struct {
	context.Context

	do func() error
}

func (c interruptingContext) Value(key any) any {
	_ = c.do()
	return c.Context.Value(key)
}

// newInterrupted returns a held request of a valid token, and another token of the caller.
func newInterrupted(t *testing.T) *interrupted {
	t.Helper()
	i := &interrupted{issuer: testissuer.New(t)}
	var err error
	i.validator, err = validator.New(validator.Config{Issuers: []validator.Issuer{
		{URL: i.issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(i.issuer.JWKS())},
	}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := New(Config{Validator: i.validator})
	if err != nil {
		t.Fatal(err)
	}
	hook := func(context.Context, *validator.Token, scopes.Operation) error {
		return i.happen()
	}
	route, err := guard.Route("watch", scopes.Check("meanwhile", 0, hook))
	if err != nil {
		t.Fatal(err)
	}
	present := func() (validator.Presentation, Verdict) {
		p := validator.Presentation{Scheme: validator.Bearer, Token: i.issuer.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour})}
		verdict := route.Check(t.Context(), p, scopes.Operation{})
		if denial := verdict.Denial(); denial != nil {
			t.Fatal(denial.Cause())
		}
		return p, verdict
	}
	_, other := present()
	i.other = other.Token()
	p, verdict := present()
	i.Held = route.Hold(t.Context(), verdict, Holding{Presentation: p})
	t.Cleanup(i.Release)
	i.checking = interruptingContext{i.checking, i.happen}
	i.presentation = &presented{p.Sealed(), scopes.Operation{}} // as if the token were opaque
	i.first = route.deny(validator.Refuse(validator.Revoked, errors.New("ended by the test")), nil)
	return i
}

// keyOf returns the kid of the key of a token.
func keyOf(token *validator.Token) jwkscache.KeyName {
	kid, _ := token.Key()
	return kid
}

// endNow ends the request as another check would.
func (i *interrupted) endNow() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end(i.first)
}

// renewNow replaces the token as Renew would.
func (i *interrupted) renewNow() { i.token.Store(i.other) }

// TestHeldInterrupted checks that what happens while a request is checked counts, and not
// the outcome of the check: it ended, its handler returned, or its token was renewed.
func TestHeldInterrupted(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(*interrupted)
		denial    func(*interrupted) *Denial
		token     func(*interrupted) *validator.Token
	}{
		"ended":    {(*interrupted).endNow, func(i *interrupted) *Denial { return i.first }, nil},
		"released": {func(i *interrupted) { i.Release() }, func(*interrupted) *Denial { return nil }, nil},
		"renewed":  {(*interrupted).renewNow, func(*interrupted) *Denial { return nil }, func(i *interrupted) *validator.Token { return i.other }},
	} {
		for check, run := range map[string]func(*interrupted){
			"visit, refused": func(i *interrupted) {
				if err := i.validator.ForbidKey(t.Context(), i.issuer.URL(), keyOf(i.Token())); err != nil {
					t.Fatal(err)
				}
				i.visit(time.Now())
			},
			"ask, permitted": func(i *interrupted) { i.ask() },
			"ask, refused": func(i *interrupted) {
				i.refusal = errors.New("refused by the policy")
				i.ask()
			},
		} {
			t.Run(name+"/"+check, func(t *testing.T) {
				i := newInterrupted(t)
				token, asked := i.Token(), i.asked
				do := func() { row.meanwhile(i) }
				i.meanwhile.Store(&do)
				run(i)
				if i.meanwhile.Load() != nil {
					t.Fatal("nothing happened meanwhile")
				}
				if row.token != nil {
					token = row.token(i)
				}
				if got, want := i.Denial(), row.denial(i); got != want {
					t.Errorf("the Denial is %v, want %v", got, want)
				}
				if i.Token() != token || i.asked != asked {
					t.Error("the check has replaced the token")
				}
			})
		}
	}
}

// TestRenewInterrupted checks that Renew of a request that is over meanwhile returns a
// Denial, which is the one of its end if there is one, and leaves its token.
func TestRenewInterrupted(t *testing.T) {
	for name, meanwhile := range map[string]func(*interrupted){"ended": (*interrupted).endNow, "released": func(i *interrupted) { i.Release() }} {
		i := newInterrupted(t)
		token := i.Token()
		do := func() { meanwhile(i) }
		i.meanwhile.Store(&do)
		p := validator.Presentation{Scheme: validator.Bearer, Token: i.issuer.Sign(testissuer.Token{Scope: "read", Lifetime: time.Hour})}
		denial := i.Renew(t.Context(), p, scopes.Operation{})
		if denial == nil || i.Denial() != nil && denial != i.Denial() {
			t.Errorf("%s: Renew returns %v", name, denial)
		}
		if i.Token() != token {
			t.Errorf("%s: the token of a request that is over was replaced", name)
		}
	}
}

// failingBody is a body whose reads end with an error.
type failingBody struct{ err error }

func (b failingBody) Read([]byte) (int, error) { return 0, b.err }
func (failingBody) Close() error               { return nil }

// netError is an error of a connection.
type netError struct{ timeout bool }

func (netError) Error() string   { return "an error of the connection" }
func (e netError) Timeout() bool { return e.timeout }
func (netError) Temporary() bool { return false }

// hijackedWriter is a ResponseWriter whose connection the handler has hijacked.
type hijackedWriter struct {
	http.ResponseWriter

	flushed int
}

func (*hijackedWriter) Write([]byte) (int, error) { return 0, http.ErrHijacked }
func (w *hijackedWriter) Flush()                  { w.flushed++ }

// TestCutterHijacked checks that nothing is written for a hijacked connection: the server
// would log a mistake of the handler.
func TestCutterHijacked(t *testing.T) {
	w := new(hijackedWriter)
	c := &cutter{w: w, controller: http.NewResponseController(w), reads: true}
	c.release()
	if w.flushed != 0 {
		t.Error("release flushes a hijacked connection")
	}
}

// TestUnreadBody checks which bodies have more to read.
func TestUnreadBody(t *testing.T) {
	for name, row := range map[string]struct {
		body io.ReadCloser
		want bool
	}{
		"none":             {nil, false},
		"empty":            {http.NoBody, false},
		"more":             {failingBody{}, true},
		"cut off":          {failingBody{netError{timeout: true}}, true},
		"connection fails": {failingBody{netError{}}, false},
		"other error":      {failingBody{errors.New("of the test")}, false},
	} {
		c := &cutter{body: row.body}
		if got := c.hasUnreadBody(); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

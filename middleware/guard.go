package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Trace is a set of hooks, each optional. They run inside the request they
// report and must be quick. A hook changes no verdict: its panic is dropped.
type Trace struct {
	// Denied is called for each refusal, before it is written. The Denial is
	// not to be modified.
	Denied func(context.Context, *Denial)
	// TokenInURL is called for a request that has an access_token in its
	// URL. That token may stand in logs and histories by now.
	TokenInURL func(context.Context)
}

var (
	errUnmade = errors.New("middleware: the Guard was not made by New or For")
	unmade    = (&Denial{cause: validator.Refuse(validator.Unavailable, errUnmade)}).answerable()
)

// Guard judges requests. It is made by [New] or [For] and safe for concurrent
// use. Any other one, such as the zero Guard, registers no handler and refuses
// what it is asked to check.
type Guard struct {
	validator       *validator.Validator
	hierarchy       scopes.Hierarchy
	challenger      *challenger
	manner          manner
	public          *url.URL // nil if it is not configured
	proxies         []netip.Prefix
	kept            []string // fields that are never removed
	refuseURLTokens bool
	pathValue       func(*http.Request, string) string // of Config
	trace           Trace
	notes           notes
}

// For makes a Guard for these issuers with everything else at its default.
func For(issuers ...validator.Issuer) (*Guard, error) {
	v, err := validator.New(validator.Config{Issuers: issuers})
	if err != nil {
		return nil, err
	}
	return New(Config{Validator: v})
}

// made reports whether [New] or [For] made g.
func (g *Guard) made() bool { return g != nil && g.challenger != nil }

// Warm fetches what is needed to judge tokens, so that the first request does
// not wait. A Guard that was not warmed fetches on demand.
func (g *Guard) Warm(ctx context.Context) error {
	if !g.made() {
		return errUnmade
	}
	return g.validator.Warm(ctx)
}

// Run keeps the issuers' keys fresh until ctx ends. A Guard that is not run
// refreshes on demand.
func (g *Guard) Run(ctx context.Context) error {
	if !g.made() {
		return errUnmade
	}
	return g.validator.Run(ctx)
}

// Ready is nil if tokens of every issuer can be judged now.
func (g *Guard) Ready() error {
	if !g.made() {
		return errUnmade
	}
	return g.validator.Ready()
}

// Validator is what judges the tokens, for its Status and for forbidding keys.
func (g *Guard) Validator() *validator.Validator {
	if g == nil {
		return nil
	}
	return g.validator
}

// Compile is policy as the Guard's routes have it: under its Hierarchy, or an
// error if the policy has a fault. Registration does it; an adapter that calls
// [Guard.Check] does it once per policy.
func (g *Guard) Compile(policy scopes.Policy) (scopes.Policy, error) {
	policy, err := g.compile(policy)
	if err == nil {
		g.note(policy)
	}
	return policy, err
}

// compile is Compile without its warning.
func (g *Guard) compile(policy scopes.Policy) (scopes.Policy, error) {
	if !g.made() {
		return scopes.Policy{}, errUnmade
	}
	policy = policy.Under(g.hierarchy)
	return policy, policy.Err()
}

// Check validates p under the policy's demands and then asks the policy about
// operation. It answers with a token or with a Denial, never with both. Under
// [scopes.Public] it answers with neither and does not look at p. The policy is
// taken as it is, see [Guard.Compile]. Check puts no token into ctx and hides
// none: where an outer Guard put one there, hooks find it by [TokenFrom], and an
// adapter passes the token that Check returns, or nil, to what it calls.
//
// A panic on the way is a Denial: what could not be judged does not pass.
func (g *Guard) Check(
	ctx context.Context, p validator.Presentation, policy scopes.Policy, operation scopes.Operation,
) (token *validator.Token, denial *Denial) {
	if !g.made() {
		return nil, unmade
	}
	if policy.IsPublic() {
		return nil, nil
	}
	token, denial = g.judge(ctx, p, policy, operation)
	if denial != nil {
		if denial.Reason == validator.NoCredentials {
			denial.Challenges = g.challenger.plain(policy)
		}
		g.denied(ctx, denial)
	}
	return token, denial
}

// judge is Check without observation and without guidance.
func (g *Guard) judge(
	ctx context.Context, p validator.Presentation, policy scopes.Policy, operation scopes.Operation,
) (token *validator.Token, denial *Denial) {
	defer func() {
		if cause := recover(); cause != nil {
			token, denial = nil, g.deny(errPanic(cause), nil)
		}
	}()
	p.Demands = policy.Demands()
	token, err := g.validator.Validate(ctx, p)
	if err != nil {
		return nil, g.deny(err, nil)
	}
	if refusal := policy.Decide(ctx, token, operation); refusal != nil {
		return nil, g.deny(validator.Refuse(refusal.Reason, refusal.Unwrap()), refusal)
	}
	return token, nil
}

// noticeURL tells the hook, whose panic changes nothing about the verdict.
func (g *Guard) noticeURL(ctx context.Context) {
	if g.trace.TokenInURL == nil {
		return
	}
	defer hook.Recover()
	g.trace.TokenInURL(ctx)
}

// denied tells the hook, whose panic changes nothing about the refusal.
func (g *Guard) denied(ctx context.Context, denial *Denial) { //nolint:contextcheck // the hook gets one if the caller has none
	if g.trace.Denied == nil {
		return
	}
	if ctx == nil {
		ctx = context.Background()
	}
	defer hook.Recover()
	g.trace.Denied(ctx, denial)
}

// errPanic tells where the panic came from by its type only: its text may hold
// what must not be logged.
func errPanic(cause any) error { return fmt.Errorf("middleware: panic with a %T while judging", cause) }

// check is Check for an HTTP request to the door.
func (d *door) check(r *http.Request) (token *validator.Token, denial *Denial) {
	g := d.guard
	p, err := g.presentation(r)
	if tokenInURL(r.URL.RawQuery) {
		g.noticeURL(r.Context())
		if g.refuseURLTokens && p.Scheme != 0 {
			err = errTokenInURL
		}
	}
	if err != nil {
		denial = g.deny(err, nil)
	} else {
		token, denial = g.judge(r.Context(), p, d.policy, d.operation(r))
	}
	if denial != nil {
		if denial.Reason == validator.NoCredentials {
			denial.Challenges = d.plain
		}
		g.denied(r.Context(), denial)
	}
	return token, denial
}

// operation is what r asks for, as far as the policy wants to know: to bind
// PathValue allocates.
func (d *door) operation(r *http.Request) scopes.Operation {
	if !d.asks {
		return scopes.Operation{Name: r.Pattern}
	}
	name := r.Pattern
	if name == "" { // no ServeMux
		name = r.Method + " " + r.URL.Path
	}
	return scopes.Operation{Name: name, Value: pathValues(r, d.value)}
}

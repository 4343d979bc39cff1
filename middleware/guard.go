package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Config is everything a [Guard] is told.
type Config struct {
	// Validator is the first door. Required.
	Validator *validator.Validator
	// Realm is the realm of challenges (RFC 9110 §11.5): text for people, in
	// printable ASCII. Empty means "api".
	Realm string
	// RefuseURLTokens answers 400 to a request that has an access_token in
	// its URL beside the one in its Authorization field. By default the one
	// in the URL is ignored (OAuth 2.1 §5.1). It is never used.
	RefuseURLTokens bool
	// Trace gets hooks for observation. It may be nil.
	Trace *Trace
}

// Trace is a set of hooks, each optional. They run inside the request they
// report and must be quick.
type Trace struct {
	// Denied is called for each refusal, before it is written. The Denial is
	// not to be modified.
	Denied func(context.Context, *Denial)
	// TokenInURL is called for a request that has an access_token in its
	// URL. That token may stand in logs and histories by now.
	TokenInURL func(context.Context)
}

const defaultRealm = "api"

// Guard judges requests. It is made by [New] or [For] and safe for concurrent
// use.
type Guard struct {
	validator       *validator.Validator
	realm           string
	refuseURLTokens bool
	trace           Trace
}

// New checks config and makes a Guard, or reports every fault of it at once.
// It does no I/O and starts no goroutine.
func New(config Config) (*Guard, error) {
	var faults []error
	if config.Validator == nil {
		faults = append(faults, errors.New("middleware: Validator is nil; make one with validator.New"))
	}
	if config.Realm == "" {
		config.Realm = defaultRealm
	}
	if !isPrintable(config.Realm) {
		faults = append(faults, fmt.Errorf("middleware: Realm %q has characters other than printable ASCII", config.Realm))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	g := &Guard{validator: config.Validator, realm: config.Realm, refuseURLTokens: config.RefuseURLTokens}
	if config.Trace != nil {
		g.trace = *config.Trace
	}
	return g, nil
}

// For makes a Guard for these issuers with everything else at its default.
func For(issuers ...validator.Issuer) (*Guard, error) {
	v, err := validator.New(validator.Config{Issuers: issuers})
	if err != nil {
		return nil, err
	}
	return New(Config{Validator: v})
}

// Warm fetches what is needed to judge tokens, so that the first request does
// not wait. A Guard that was not warmed fetches on demand.
func (g *Guard) Warm(ctx context.Context) error { return g.validator.Warm(ctx) }

// Run keeps the issuers' keys fresh until ctx ends. A Guard that is not run
// refreshes on demand.
func (g *Guard) Run(ctx context.Context) error { return g.validator.Run(ctx) }

// Ready is nil if tokens of every issuer can be judged now.
func (g *Guard) Ready() error { return g.validator.Ready() }

// Validator is what judges the tokens, for its Status and for forbidding keys.
func (g *Guard) Validator() *validator.Validator { return g.validator }

// Check validates p under the policy's demands and then asks the policy. It
// answers with a token or with a Denial, never with both. Under
// [scopes.Public] it answers with neither and does not look at p.
//
// A panic on the way is a Denial: what could not be judged does not pass.
func (g *Guard) Check(
	ctx context.Context, p validator.Presentation, policy scopes.Policy,
) (token *validator.Token, denial *Denial) {
	if policy.IsPublic() {
		return nil, nil
	}
	token, denial = g.judge(ctx, p, policy)
	if denial != nil {
		g.denied(ctx, denial)
	}
	return token, denial
}

// judge is Check without observation.
func (g *Guard) judge(
	ctx context.Context, p validator.Presentation, policy scopes.Policy,
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
	if refusal := policy.Decide(ctx, token, scopes.Operation{}); refusal != nil {
		return nil, g.deny(refusal.Reason, refusal.Scopes)
	}
	return token, nil
}

// noticeURL tells the hook, whose panic changes nothing about the verdict.
func (g *Guard) noticeURL(ctx context.Context) {
	if g.trace.TokenInURL == nil {
		return
	}
	defer func() { _ = recover() }()
	g.trace.TokenInURL(ctx)
}

// denied tells the hook, whose panic changes nothing about the refusal.
func (g *Guard) denied(ctx context.Context, denial *Denial) {
	if g.trace.Denied == nil {
		return
	}
	defer func() { _ = recover() }()
	g.trace.Denied(ctx, denial)
}

// errPanic tells where the panic came from by its type only: its text may hold
// what must not be logged.
func errPanic(cause any) error { return fmt.Errorf("middleware: panic with a %T while judging", cause) }

// checkRequest is Check for an HTTP request.
func (g *Guard) checkRequest(r *http.Request, policy scopes.Policy) (*validator.Token, *Denial) {
	p, err := presentation(r.Header)
	if tokenInURL(r.URL.RawQuery) {
		g.noticeURL(r.Context())
		if g.refuseURLTokens && p.Scheme != 0 {
			err = errTokenInURL
		}
	}
	if err != nil {
		denial := g.deny(err, nil)
		g.denied(r.Context(), denial)
		return nil, denial
	}
	return g.Check(r.Context(), p, policy)
}

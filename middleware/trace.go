package middleware

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// Trace is a set of hooks, each optional. Hooks run inside the request that they
// report and must be quick. A hook changes no decision: its panic is dropped.
type Trace struct {
	// Made is called by [New] with the Guard that it has made, before it returns it.
	// A Trace can then ask the Guard and its Validator for their state.
	Made func(*Guard)
	// Decided is called once for each request, allowed or refused, before the
	// handler runs or the refusal is written.
	Decided func(context.Context, Decision)
	// TokenInURL is called for a request that has an access_token in its URL,
	// before its Decision. That token may already be in logs and histories.
	TokenInURL func(context.Context)
	// HeldStarted is called when a request is held ([Route.Hold]). The Decision is as for
	// HeldEnded. It has a Denial if the request ends at once, because the verdict does
	// not permit it.
	HeldStarted func(context.Context, Decision)
	// HeldEnded is called when the Guard has ended a request that it permitted before
	// ([Route.Hold]). It runs outside of the request, after its context has ended; the
	// values of that context are there. Source and Kind of the Decision are empty, and
	// Start is when the request was held.
	HeldEnded func(context.Context, Decision)
}

// Decision is what a [Guard] decided about one request.
type Decision struct {
	// Route is the name of the [Route]. It is one of a fixed set of texts and never
	// taken from the request, so it is safe as a label of metrics:
	//
	//   - the pattern on a [Mux], or the name that [Guard.Route] was called with
	//   - "unlisted" if no pattern of a Mux matches the request
	//   - "ambiguous" if a Mux or [Guard.RefuseAmbiguous] answers 400 because of the
	//     path
	//   - behind [Guard.Require] and [Guard.Middleware], the Pattern that
	//     [http.ServeMux] or another router set in the request, and "" if none did
	Route string
	// Transport is "http", or the name that [Guard.Over] was called with. Like
	// Route, it is safe as a label.
	Transport string
	// Scheme is the scheme of the credentials: zero if there are none, and
	// [validator.OtherScheme] if the scheme is neither Bearer nor DPoP or cannot be
	// read, as in two Authorization fields or an empty one. It is also zero where
	// credentials are not looked at: on public routes, for an ambiguous path and for
	// [Route.Refuse].
	Scheme validator.Scheme
	// Issuer is the issuer whose configuration was selected, as in
	// [validator.ValidateDone]. "" if none was.
	Issuer string
	// Client is the client_id of Token. "" if there is no Token.
	Client string
	// Token is the token if it is valid, also where the policy refuses it. nil
	// on public routes and for anonymous callers.
	Token *validator.Token
	// Privileged is true if the policy of the Route is marked by [scopes.Privileged] or
	// [scopes.Sensitive].
	Privileged bool
	// Denial is a copy of the refusal, or nil if the request passes.
	Denial *Denial
	// Source is how the facts of the token were come by, as in
	// [validator.ValidateDone]. "" if there are none.
	Source validator.Source
	// Kind is why the issuer gave no verdict on the token, if that is why the request is
	// refused. "" otherwise. The set is closed, so it is safe as a label.
	Kind introspect.Kind
	// Start is when the Guard began to check the token. For a request whose token is not
	// checked, it is when the Guard decided.
	Start time.Time

	presented *presentedToken // nil: TokenHash returns nothing
}

// presentedToken is a token that can be hashed and not read. It is in a function, because
// printers that use reflection follow every pointer.
type presentedToken struct{ hash func(key []byte) []byte }

// hashed returns token as a presentedToken, or nil if it is empty.
func hashed(token string) *presentedToken {
	if token == "" {
		return nil
	}
	return &presentedToken{func(key []byte) []byte {
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, token)
		return mac.Sum(nil)
	}}
}

// TokenHash returns the HMAC-SHA-256 of the token as it was presented, valid or not, so
// that records about the same token can be found without it. key should be secret and of 32
// random bytes, or whoever reads the hash can tell whether a token that they know was
// presented. Tokens with the same content may have several spellings, and so several
// hashes.
//
// It returns nil unless the request was refused or Privileged is true, if the adapter found
// no token that it could read, and for HeldEnded.
func (decision Decision) TokenHash(key []byte) []byte {
	if decision.presented == nil {
		return nil
	}
	return decision.presented.hash(key)
}

// Join returns hooks that call those of t and then those of next. Either may
// be nil.
func (t *Trace) Join(next *Trace) *Trace {
	if t == nil {
		return next
	}
	if next == nil {
		return t
	}
	return &Trace{
		Made: func(guard *Guard) {
			t.made(guard)
			next.made(guard)
		},
		Decided: func(ctx context.Context, decision Decision) {
			t.decided(ctx, &decision)
			next.decided(ctx, &decision)
		},
		TokenInURL: func(ctx context.Context) {
			t.tokenInURL(ctx)
			next.tokenInURL(ctx)
		},
		HeldStarted: func(ctx context.Context, decision Decision) {
			t.heldStarted(ctx, &decision)
			next.heldStarted(ctx, &decision)
		},
		HeldEnded: func(ctx context.Context, decision Decision) {
			t.heldEnded(ctx, &decision)
			next.heldEnded(ctx, &decision)
		},
	}
}

// made calls the hook.
func (t *Trace) made(guard *Guard) {
	if t.Made == nil {
		return
	}
	defer hook.Recover()
	t.Made(guard)
}

// decided calls the hook.
func (t *Trace) decided(ctx context.Context, decision *Decision) { send(ctx, t.Decided, decision) }

// heldStarted calls the hook.
func (t *Trace) heldStarted(ctx context.Context, decision *Decision) {
	send(ctx, t.HeldStarted, decision)
}

// heldEnded calls the hook.
func (t *Trace) heldEnded(ctx context.Context, decision *Decision) { send(ctx, t.HeldEnded, decision) }

// send calls a hook, which may be nil, with a copy of the Denial. Without a context the
// hook gets context.Background.
func send(ctx context.Context, to func(context.Context, Decision), decision *Decision) { //nolint:contextcheck // the hook gets one if the caller has none
	if to == nil {
		return
	}
	if ctx == nil {
		ctx = context.Background()
	}
	defer hook.Recover()
	if decision.Denial == nil {
		to(ctx, *decision)
		return
	}
	copied := *decision
	copied.Denial = decision.Denial.clone()
	to(ctx, copied)
}

// tokenInURL calls the hook.
func (t *Trace) tokenInURL(ctx context.Context) {
	if t.TokenInURL == nil {
		return
	}
	defer hook.Recover()
	t.TokenInURL(ctx)
}

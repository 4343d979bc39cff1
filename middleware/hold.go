package middleware

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Holding is what [Route.Hold] needs to know of a request.
type Holding struct {
	// Presentation and Operation are those that Check was called with. They are kept, for
	// as long as the request goes on, only if the issuer may have to be asked about the
	// token again ([validator.Token.Introspected]).
	Presentation validator.Presentation
	Operation    scopes.Operation // see Presentation
	// Ended is called once when the guard ends the request, after the context has ended,
	// in a goroutine of its own. It is not called after Release, but may be running then.
	// A panic of it is dropped. It may be nil.
	Ended func(*Denial)
}

// Hold watches a request that Check has permitted with this verdict and that goes on. The
// adapter gives the handler the Context of the Held, and calls Release when the handler
// has returned.
//
// The token is checked again as by [validator.Validator.Recheck], under the demands of the
// policy. The policy itself is not asked again: it decides when the request begins, when
// the token is renewed, and when the token is presented to its issuer again. What
// cannot be determined for about a second ends the request with [ClassUnavailable].
//
// A verdict that does not permit the request, and a ctx that is nil or panics, give a Held
// that has ended. Hold never returns nil.
func (r *Route) Hold(ctx context.Context, verdict Verdict, holding Holding) *Held {
	return r.hold(ctx, verdict, &holding, r.Name())
}

// hold is Hold under the name that the Decision has.
func (r *Route) hold(ctx context.Context, verdict Verdict, holding *Holding, name string) *Held {
	denial := verdict.Denial()
	if !r.made() {
		denial = denialOf(errUnmade)
	}
	h := &Held{route: r, name: name, scheme: holding.Presentation.Scheme, began: time.Now(), within: verdict.within, ended: holding.Ended}
	h.asked = h.began
	inner, cancel, err := child(ctx)
	if err != nil {
		denial = denialOf(err)
	}
	h.ctx, h.cancel = heldContext{inner, h}, cancel
	if denial == nil {
		h.token.Store(verdict.token)
		h.keep(verdict.token, &holding.Presentation, holding.Operation)
	}
	if r.made() {
		long := r.guard.long
		h.checking, h.grace = long.checking(inner), long.nextGrace()
		long.open.Add(1)
		if denial == nil {
			long.visits.Add(&h.place, h)
		}
	}
	if r.made() && r.guard.trace.HeldStarted != nil {
		r.guard.trace.heldStarted(&h.ctx, h.decision(h.scheme, denial)) //nolint:contextcheck // as HeldEnded
	}
	if denial != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.end(denial) //nolint:contextcheck // hooks get the context of h
	}
	return h
}

// child returns a context below ctx, or below context.Background if ctx is nil or panics.
func child(ctx context.Context) (inner context.Context, cancel context.CancelCauseFunc, err error) {
	defer func() {
		if recover() != nil {
			inner, cancel = context.WithCancelCause(context.Background())
			err = hook.ErrContext
		}
	}()
	if err := hook.CheckContext(ctx); err != nil {
		panic(err)
	}
	inner, cancel = context.WithCancelCause(ctx)
	return inner, cancel, nil
}

// keep keeps the presentation if the issuer may have to be asked about the token again.
// The lock is held, or nobody else knows h.
func (h *Held) keep(token *validator.Token, p *validator.Presentation, operation scopes.Operation) {
	h.presentation = nil
	if token.Introspected() && p.Token != "" {
		h.presentation = &presented{p.Sealed(), operation}
	}
}

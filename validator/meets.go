package validator

import (
	"context"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// terms are what a Token is held to after it was minted: what its issuer's
// configuration and the Validator's say of every token.
type terms struct {
	audiences []string // of this API, by Issuer.Audiences
	leeway    Leeway
	// keys are those of a configured issuer, so that they stay in memory as long
	// as the Token. nil for one of Config.Tenants: its keys must not stay in
	// memory once it was withdrawn.
	keys *jwkscache.Keys
}

// holdTo makes the terms of the issuer's tokens.
func (is *issuer) holdTo(leeway Leeway) {
	is.terms = &terms{audiences: is.audiences, leeway: leeway}
	if !is.dynamic {
		is.terms.keys = is.keys
	}
}

var errNotMinted = refusal(NoCredentials, "no token was validated")

// Meets returns nil if the token still holds and meets demands. It holds if its
// key is still published and not forbidden, and by its times, with the
// Validator's Leeway. Otherwise the error is an [*Error] with one of the Reasons
// of Validate: [UnknownKey] for the key, or [Unavailable] if its issuer was
// forgotten; [Expired] or [NotYetValid] for the times; [WrongAudience],
// [BadClaims] or [BindingMismatch] for demands. A nil or zero Token meets nothing:
// [NoCredentials].
//
// It is for code that holds a Token for longer than one request, or asks of it
// more than its route did. It allocates nothing and never waits. It does not
// check whether the issuer is still configured as it was, nor how old the last
// known keys of the issuer are.
func (t *Token) Meets(ctx context.Context, demands Demands) (err error) {
	if t == nil || t.facts == nil {
		return errNotMinted
	}
	defer func() {
		if recover() != nil { // ctx is nil, or its methods panic
			err = errContext
		}
	}()
	f := *t.facts
	if refused := f.claims.judgeTimes(clock.Now(ctx), f.terms.leeway); refused != nil {
		return refused
	}
	if err := f.key.Live(); err != nil {
		return translated(err)
	}
	if refused := demands.judge(ctx, &f.claims, f.terms.audiences); refused != nil {
		return refused
	}
	return nil
}

package validator

import (
	"context"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// terms are what a Token is held to after it was minted: what its issuer's
// configuration and the Validator's say of every token. They refer to nothing
// else, so that a Token does not keep the keys of its issuer in memory once
// Config.Tenants has withdrawn it.
type terms struct {
	audiences []string // of this API, by Issuer.Audiences
	leeway    Leeway
}

// holdTo makes the terms of the issuer's tokens.
func (is *issuer) holdTo(leeway Leeway) { is.terms = &terms{is.audiences, leeway} }

var errNotMinted = refusal(NoCredentials, "no token was validated")

// Meets returns nil if the token still holds by its times, with the Validator's
// Leeway, and meets demands. Otherwise it returns an [*Error] with one of the
// Reasons of Validate: [Expired] or [NotYetValid] for the times, and
// [WrongAudience], [BadClaims] or [BindingMismatch] for demands. A nil or zero
// Token meets nothing: [NoCredentials].
//
// It is for code that holds a Token for longer than one request, or asks of it
// more than its route did. It allocates nothing, and does not check whether the
// token's key is still published or its issuer still configured.
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
	if refused := demands.judge(ctx, &f.claims, f.terms.audiences); refused != nil {
		return refused
	}
	return nil
}

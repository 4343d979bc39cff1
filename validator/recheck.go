package validator

import (
	"context"
	"fmt"
	"strings"
	"time"
)

var errForeignToken = refusal(Unavailable, "the Token is not one of this Validator")

// Recheck returns nil if the token of t, which v accepted before, would be accepted
// now at a route with these demands. It is for code that holds a Token for longer
// than one request: streams, WebSockets, long handlers.
//
// It checks what Validate checks of a token that it knows: the times, with the
// Validator's Leeway; whether the key is published and not forbidden, and the
// issuer's keys not too old; whether the issuer is still configured as it was; the
// demands. It does not check again who presents the token. A key that was withdrawn
// or forbidden for a while counts again once it is back.
//
// The error is an [*Error] with one of the Reasons of Validate. It is
// [Unavailable] if a resolved issuer was forgotten or changed, or if the
// resolver or the issuer cannot be asked: the token may be good, and has to be
// presented again. It is also Unavailable for a Token of another Validator, and
// [NoCredentials] for a nil or zero Token.
//
// Recheck may wait for the issuer, as Validate may, but no longer than ctx.
// [Token.Meets] never waits, and checks less.
//
// An answer of the issuer about the token (RFC 7662) must be as fresh as when the token
// is validated. If it is not, and no other request has got a newer one, the error is
// Unavailable, and errors.Is reports that it is introspect.AnswerOutdated. The token is
// then presented to Validate again, which asks: a Token holds no copy of the token.
func (v *Validator) Recheck(ctx context.Context, t *Token, demands Demands) (err error) {
	if err := v.usable(ctx); err != nil {
		return err
	}
	if t == nil || t.facts == nil {
		return errNotMinted
	}
	f := *t.facts
	if f.terms.validator != v.identity {
		return errForeignToken
	}
	defer func() {
		if cause := recover(); cause != nil { // such as one in a method of ctx
			err = &Error{Unavailable, fmt.Errorf("validator: panic with a %T while checking again", cause)}
		}
	}()
	if refused := v.recheck(ctx, f, &demands); refused != nil {
		return refused
	}
	return nil
}

func (v *Validator) recheck(ctx context.Context, f *facts, demands *Demands) *Error {
	is, refused := v.selectIssuer(ctx, f.claims.issuer)
	if refused != nil {
		return refused
	}
	if f.answer != nil && f.isOf(is) {
		if refused := v.negatives.last(f.answer.digest); refused != nil && f.answer.began.Age(refused.began) > 0 {
			return refused.refused
		}
		if v.forgettings.includes(is, f, f.answer.forgettings, time.Time{}) {
			return v.recheckAnswer(ctx, is, f, demands)
		}
	}
	at := readClocks(ctx)
	refused = v.checks.hold(ctx, &at, is, f, demands, nil, nil)
	if refused == errOutdated {
		return v.recheckAnswer(ctx, is, f, demands)
	}
	if refused != nil && refused.reason == Unavailable && f.signed && is.keys.Ready() != nil {
		// The keys may be too old only because nobody asked for them.
		_ = is.keys.Warm(ctx) // hold tells of an error
		at = readClocks(ctx)
		refused = v.checks.hold(ctx, &at, is, f, demands, nil, nil)
	}
	if refused != nil && refused.reason == UnknownKey {
		return v.recheckKey(ctx, is, f, demands)
	}
	return refused
}

// recheckAnswer is recheck for a token about which the last answer is too old. Another
// request may have got a newer one. A Token has no copy of the token, so that its issuer
// cannot be asked.
func (v *Validator) recheckAnswer(ctx context.Context, is *checkedIssuer, f *facts, demands *Demands) *Error {
	if f.answer == nil || v.cache == nil {
		return errOutdated
	}
	e := v.cache.get(f.answer.digest)
	if e == nil || e.facts.signed != f.signed || !e.facts.claims.covers(&f.claims) {
		return errOutdated
	}
	at := readClocks(ctx)
	return v.checks.hold(ctx, &at, is, &e.facts, demands, nil, nil)
}

// recheckKey is recheck for a token whose key was withdrawn or forbidden since the
// token was verified. The signature need not be verified again with the same key.
func (v *Validator) recheckKey(ctx context.Context, is *checkedIssuer, f *facts, demands *Demands) *Error {
	again, err := f.key.Again(ctx, time.Now())
	if err != nil {
		return keyRefusal(f.claims.issuer, err)
	}
	renewed := *f
	renewed.key = again
	at := readClocks(ctx)
	return v.checks.hold(ctx, &at, is, &renewed, demands, nil, nil)
}

// covers reports whether a token with the claims c may do all that one with the claims
// held may. A Token that is held says what it said: if a newer answer takes something
// away or names others, the token has to be presented again.
func (c *tokenClaims) covers(held *tokenClaims) bool {
	same := c.issuer == held.issuer && c.subject == held.subject && c.clientID == held.clientID && c.sessionID == held.sessionID &&
		c.tenant == held.tenant && c.acr == held.acr && c.caller == held.caller && c.multiFactor == held.multiFactor &&
		c.authTime.Equal(held.authTime) && c.actor == held.actor && c.hasActor == held.hasActor && c.audience.Raw() == held.audience.Raw()
	until := c.expiry.IsZero() || !held.expiry.IsZero() && !c.expiry.Before(held.expiry)
	return same && until && len(missingWords(held.scope, c.scope, ' ')) == 0 && len(missingWords(held.roles, c.roles, roleSeparator)) == 0
}

// missingWords returns the words of a that b does not have.
func missingWords(a, b string, separator byte) []string {
	var missing []string
	for word := range strings.SplitSeq(a, string(separator)) {
		if word != "" && !containsWord(b, separator, word) {
			missing = append(missing, word)
		}
	}
	return missing
}

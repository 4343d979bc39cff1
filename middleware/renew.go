package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

var (
	errNoHeld      = errors.New("middleware: there is no held request to renew")
	errReleased    = errors.New("middleware: the request is over and cannot be renewed")
	errOtherCaller = validator.Refuse(validator.Forbidden, errors.New("middleware: the new token is of another issuer, subject, client or tenant than the one that the request began with"))
	errNoToken     = validator.Refuse(validator.Forbidden, errors.New("middleware: the request began without a token, so there is nothing to renew"))
)

// Renew replaces the token of a request by a new one, which the client has sent in a
// message. The new token is checked as by [Route.Check], with the hooks. It must be of the
// same issuer, subject, client and tenant, and otherwise the Denial is of
// [ClassForbidden]. That is also so for opaque tokens of unknown subjects, and for a
// request that began without a token. JWTs without sub (validator.Issuer.SubjectOptional)
// are of the same caller if they are of the same client.
//
// Renew returns nil if the new token counts from now on. If it returns a Denial, the old
// token counts until its end. The Denial of a request that has ended is its own.
func (h *Held) Renew(ctx context.Context, p validator.Presentation, operation scopes.Operation) *Denial {
	if !h.made() {
		return denialOf(errNoHeld)
	}
	if denial := h.unrenewable(); denial != nil {
		return denial
	}
	began := time.Now()
	again := p
	var done validator.ValidateDone
	verdict := h.route.decide(ctx, &again, operation, &done)
	if token := h.token.Load(); verdict.passes && (!isOfSameCaller(token, verdict.token) || !namesCaller(token)) {
		err := errOtherCaller
		if token == nil {
			err = errNoToken
		}
		verdict = Verdict{denial: h.route.deny(err, nil)}
	}
	denial := verdict.Denial()
	if denial == nil {
		denial = h.replace(verdict, &p, operation, began)
		if denial != nil {
			verdict = Verdict{denial: denial}
		}
	}
	if h.route.isReported(verdict) {
		h.route.report(ctx, h.name, &p, verdict, &done)
	}
	return denial
}

// unrenewable returns why h cannot be renewed, or nil.
func (h *Held) unrenewable() *Denial {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.denial != nil:
		return h.denial
	case h.released:
		return denialOf(errReleased)
	default:
		return nil
	}
}

// replace makes the token of verdict the current one, unless h is over.
func (h *Held) replace(verdict Verdict, p *validator.Presentation, operation scopes.Operation, began time.Time) *Denial {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.denial != nil:
		return h.denial
	case h.released:
		return denialOf(errReleased)
	}
	h.token.Store(verdict.token)
	h.keep(verdict.token, p, operation)
	h.asked, h.within, h.undetermined, h.scheme = began, verdict.within, time.Time{}, p.Scheme
	if h.noticed {
		h.noticed, h.ending = false, nil
	}
	return nil
}

// namesCaller reports whether a token says whose it is: by its subject, or by its client if
// the issuer gives such tokens to clients without a user only. A JWT without a subject that
// is ClientOnly names its client. An opaque token without a subject may be a user's, because
// issuers leave members of answers out.
func namesCaller(t *validator.Token) bool {
	return t.Subject() != "" || t.ClientOnly() && t.Algorithm() != 0
}

// isOfSameCaller reports whether two tokens have the same issuer, subject, client and
// tenant. It does not compare cnf: bound tokens are refused until their binding can be
// checked.
func isOfSameCaller(a, b *validator.Token) bool {
	return a != nil && b != nil && a.Issuer() == b.Issuer() && a.Subject() == b.Subject() && a.ClientID() == b.ClientID() && a.Tenant() == b.Tenant()
}

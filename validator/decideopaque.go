package validator

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/introspect"
)

var (
	// errOutdated is the refusal of a Token that is held, whose issuer has to be asked
	// again. While a token is validated, it makes the Validator ask.
	errOutdated = &Error{Unavailable, introspect.NewError(introspect.AnswerOutdated,
		errors.New("the last answer about the token is older than the cache or the route allows; present the token again"), 0)}
	errCannotAsk = refusal(Unavailable, "the route or the issuer's configuration demands an answer of the issuer, and it has no Opaque")
	errForgotten = refusal(Unavailable, "answers were forgotten while the issuer was asked; try again")
)

// consultation is one request with a token whose issuer is asked. The Presentation is
// passed beside it: in it, the compiler would put every Presentation on the heap.
type consultation struct {
	v       *Validator
	is      *checkedIssuer
	jwt     *facts        // what was verified of a JWT; nil for an opaque token
	digest  digest        // of the token
	now     time.Time     // when the request arrived
	arrived clock.Moment  // the same
	within  time.Duration // how fresh an answer must be
}

// decideOpaque decides about a token that its issuer is asked about, with the answer from
// the cache or a new one. jwt has what was verified of a JWT, and is nil for an opaque
// token.
func (v *Validator) decideOpaque(ctx context.Context, now time.Time, is *checkedIssuer, jwt *facts, p *Presentation) outcome {
	c := consultation{
		v: v, is: is, jwt: jwt, digest: is.opaque.tokens.digest(p.Token), now: now, arrived: clock.MomentAt(now, v.start),
		within: is.terms.answers.within(p.Demands.ActiveWithin, jwt != nil),
	}
	once := v.cache == nil || is.terms.answers.isOnce(c.within)
	var e *entry
	if v.cache != nil {
		e = v.cache.get(c.digest)
	}
	if !once {
		if result, ok := c.decideCached(ctx, e, p); ok {
			return result
		}
	}
	return c.ask(ctx, p, e != nil, once)
}

// decideCached decides with what is remembered of the token: the entry e, which may be
// nil, or a refusal. ok is false if the issuer has to be asked.
func (c *consultation) decideCached(ctx context.Context, e *entry, p *Presentation) (result outcome, ok bool) {
	result = outcome{issuer: c.is, source: fromCache}
	if e == nil {
		result.refused = c.v.negatives.get(c.digest, c.arrived)
		return result, result.refused != nil
	}
	if !c.is.terms.answers.serves(e.since, c.arrived, c.within) || !e.facts.isOf(c.is) || e.facts.signed != (c.jwt != nil) {
		return outcome{}, false
	}
	at := clocks{now: c.now, instant: clock.Or(ctx, c.now), arrived: c.arrived}
	result.token = e.minted()
	if result.token == nil || e.isOver(at.instant) {
		c.v.cache.drop(e)
		return outcome{}, false
	}
	result.refused = c.v.checks.hold(ctx, &at, c.is, &e.facts, &p.Demands, p, nil)
	return result, true
}

// ask asks the issuer, together with other requests that need the same answer, and
// decides. cached is whether the cache has an answer about the token. An answer that serves
// once is for this request alone.
func (c *consultation) ask(ctx context.Context, p *Presentation, cached, once bool) outcome {
	if !isToken68(p.Token) { // what is in the cache has passed this check
		return outcome{refused: notToken68(p.Token)}
	}
	q := inquiry{v: c.v, is: c.is, digest: c.digest, token: p.Token, jwt: c.jwt, known: cached || c.v.active.has(c.digest), once: once}
	c.v.underWay.Add(1)
	defer c.v.underWay.Add(-1)
	c.v.lines.begin()
	if c.within > 0 {
		q.since = c.now.Add(-c.within)
	}
	result := c.askOnce(ctx, q, p)
	if result.refused == errOutdated { // the answer came from a Store, by the clock of another process
		q.since = c.now
		result = c.askOnce(ctx, q, p)
	}
	return result
}

func (c *consultation) askOnce(ctx context.Context, q inquiry, p *Presentation) outcome {
	result := outcome{issuer: c.is}
	a, err := q.share(ctx, c.arrived, c.within)
	if err != nil {
		result.refused = unavailable(c.is, err)
		return result
	}
	result.source, result.refused = fromIssuer, a.refused
	if a.refused != nil {
		return result
	}
	at := readClocks(ctx) // the issuer took time
	at.arrived = c.arrived
	result.token, result.refused = a.draft.mintedOrCopy(), c.v.checks.hold(ctx, &at, c.is, &a.draft.facts, &p.Demands, p, nil)
	return result
}

// unavailable returns the refusal for an issuer that gave no verdict. An error of a user's
// function may wrap anything and decides nothing.
func unavailable(is *checkedIssuer, err error) *Error {
	if err == error(errForgotten) { //nolint:errorlint // the value itself
		return errForgotten
	}
	return &Error{Unavailable, is.failure(err)}
}

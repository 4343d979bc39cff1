package validator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errNoCredentials = refusal(NoCredentials, "no Authorization field of a known scheme").with(cause.Details{Found: "no credentials", Wanted: "Authorization: Bearer"})
	errOtherScheme   = refusal(NoCredentials, "no Authorization field of a known scheme").with(cause.Details{
		Found: "credentials of another scheme", Wanted: "Authorization: Bearer", Mend: "let the client write Bearer and a space before the token; a token alone has no scheme",
	})
	errSchemeDPoP = refusal(BindingMismatch, "DPoP is not configured, so that the binding cannot be checked").with(cause.Details{Found: "Authorization: DPoP", Wanted: "Authorization: Bearer"})
	errGrammar    = refusal(MalformedRequest, "the token is not a token68 (RFC 6750 §2.1)")
	errNoJWT      = refusal(UnknownIssuer, "the token is no JWT of a configured issuer") // never returned: an issuer is asked then
	errTooLarge   = refusal(TooLarge, "the token is longer than MaxTokenBytes")
	errTooMuch    = refusal(TooLarge, "the claims have more members, or are nested deeper, than the configuration allows")
	errPayload    = refusal(MalformedToken, "the payload is not one JSON object with unique member names")
)

// Validate checks the token of p and returns a Token or an [*Error]. The package
// comment lists what is checked, in which order, and what is not. Validate does
// not check scopes; see package scopes.
//
// The error is [Unavailable] if ctx is nil, if [New] did not make v, and if
// anything panics during the call.
func (v *Validator) Validate(ctx context.Context, p Presentation) (*Token, error) {
	result, _ := v.observe(ctx, &p)
	if result.refused != nil {
		return nil, result.refused
	}
	return result.token, nil
}

// Inspect is [Validator.Validate] with all that is known of the verdict. It is
// for adapters, which report it.
func (v *Validator) Inspect(ctx context.Context, p Presentation) (done ValidateDone) {
	v.InspectTo(ctx, &p, &done)
	return done
}

// InspectTo is [Validator.Inspect] with a result that is stored in done. It copies neither
// p nor the result: a stack that has to grow for them takes longer than the check of a
// known token. p and done are not kept. A nil p stands for the zero Presentation, and
// nothing is stored in a nil done.
func (v *Validator) InspectTo(ctx context.Context, p *Presentation, done *ValidateDone) {
	result, start := v.observe(ctx, p)
	if done != nil {
		result.store(done, start)
	}
}

// outcome is a verdict. It fits into registers, unlike a ValidateDone: every call
// passes it through several functions.
type outcome struct {
	token   *Token         // nil unless accepted, or accepted but for an answer of its issuer
	refused *Error         // nil if accepted
	issuer  *checkedIssuer // nil if none was selected
	source  uint8          // where the facts came from: an index of sources
}

// sources are the Sources of outcomes.
var sources = [...]Source{fromNowhere: "", fromSignature: Verified, fromCache: Cached, fromIssuer: Introspected}

const (
	fromNowhere uint8 = iota
	fromSignature
	fromCache
	fromIssuer
)

// resolvedLabel stands for all issuers that Config.ResolveIssuer found.
const resolvedLabel = "resolved"

// store stores in done the verdict as hooks get it. start is when the check began. It is
// not inlined, so that its copy takes no room on the stack while the token is checked.
//
//go:noinline
func (o outcome) store(done *ValidateDone, start time.Time) {
	*done = ValidateDone{Source: sources[o.source], Start: start}
	switch {
	case o.issuer == nil:
	case o.issuer.resolved:
		done.Issuer = resolvedLabel
	default:
		done.Issuer = o.issuer.URL
	}
	if o.refused != nil {
		done.Reason, done.Err = o.refused.reason, o.refused
	} else {
		done.Token = o.token
	}
}

// observe decides about a token, and calls the hooks before and after. If anything panics,
// in a method of ctx for example, the token is refused. It returns when it began, or the zero
// time if no time was needed.
func (v *Validator) observe(ctx context.Context, p *Presentation) (result outcome, start time.Time) {
	switch {
	case !v.initialized():
		return outcome{refused: errNotMade}, start
	case ctx == nil:
		result = outcome{refused: errContext}
		v.observed(v.trace.validateStart(context.Background()), result, start) //nolint:contextcheck // there is none
		return result, start
	}
	ctx = v.trace.validateStart(ctx)
	defer func() {
		if cause := recover(); cause != nil { // only its type is reported: its text may have bytes of the token
			result = outcome{refused: &Error{Unavailable, fmt.Errorf("validator: panic with a %T while validating", cause)}}
		}
		if v.trace != nil {
			v.observed(ctx, result, start)
		}
	}()
	if refused := v.checkPresentation(p); refused != nil {
		v.lines.begin()
		return outcome{refused: refused}, start
	}
	start = time.Now()
	asked := v.opaque.isAsked(p.Token)
	var d digest // of a JWT
	if v.cache != nil && !asked {
		d = v.jwts.digest(p.Token)
	}
	if result = v.decide(ctx, start, asked, &d, p); result.refused == errIssuerGone { // its configuration changed meanwhile
		result = v.decide(ctx, time.Now(), asked, &d, p)
	}
	return result, start
}

// observed calls the hook with a verdict. It is not inlined, so that a ValidateDone does not
// take room on the stack while the token is checked.
//
//go:noinline
func (v *Validator) observed(ctx context.Context, result outcome, start time.Time) {
	var done ValidateDone
	result.store(&done, start)
	v.trace.validateDone(ctx, done)
}

// decide is Inspect without hooks, for a Presentation that was checked. asked is whether the
// issuer is asked about the token whatever it says. Otherwise d is its digest as a JWT, if
// there is a cache.
func (v *Validator) decide(ctx context.Context, now time.Time, asked bool, d *digest, p *Presentation) outcome {
	if asked {
		return v.decideSelected(ctx, now, nil, p)
	}
	result := v.decideJWT(ctx, now, d, p)
	switch result.refused {
	case errOutdated: // accepted, but for an answer of the issuer
		return v.decideOpaque(ctx, now, result.issuer, *result.token.facts, p)
	case errNoJWT:
		return v.decideSelected(ctx, now, result.issuer, p)
	default:
		return result
	}
}

// decideSelected decides about a token that is no JWT of an issuer with Keys. named is the
// issuer that the token names in iss, if it has that form and the issuer is configured: no
// other issuer may learn the token.
func (v *Validator) decideSelected(ctx context.Context, now time.Time, named *checkedIssuer, p *Presentation) outcome {
	is, refused := v.selectNamed(ctx, named, p)
	if refused != nil {
		if !isToken68(p.Token) {
			refused = notToken68(p.Token)
		}
		return outcome{refused: refused}
	}
	if is.resolved { // Config.ResolveIssuer may have taken time
		now = time.Now()
	}
	return v.decideOpaque(ctx, now, is, nil, p)
}

// decideJWT decides about a token that has the form of a JWT, or that no issuer can be
// asked about. The refusal is errNoJWT if the token is selected for an issuer that is
// asked.
func (v *Validator) decideJWT(ctx context.Context, now time.Time, d *digest, p *Presentation) outcome {
	if v.cache != nil {
		if result, known := v.decideCached(ctx, now, d, p); known {
			return result
		}
	}
	return v.decideNew(ctx, now, d, p)
}

// checkPresentation checks what can be known without reading the token. It is not inlined,
// so that what only refusals need takes no room on the stack.
//
//go:noinline
func (v *Validator) checkPresentation(p *Presentation) *Error {
	switch {
	case p == nil:
		return errNoCredentials
	case p.Scheme == DPoP:
		return errSchemeDPoP
	case p.Scheme == OtherScheme:
		return errOtherScheme
	case p.Scheme != Bearer:
		return errNoCredentials
	case len(p.Token) > v.maxBytes:
		return tooLarge(len(p.Token), v.maxBytes)
	default:
		return nil
	}
}

// decideCached decides about a token whose facts are in the cache. known is false
// if there are none, or if the token has to be verified again.
func (v *Validator) decideCached(ctx context.Context, now time.Time, d *digest, p *Presentation) (result outcome, known bool) {
	e := v.cache.get(*d)
	if e == nil || e.isOutdated(clock.MomentAt(now, v.start)) {
		return outcome{}, false // the new entry replaces an old one
	}
	at := clocks{now: now, instant: clock.Or(ctx, now)}
	token, is := e.minted(), e.facts.issuer
	if is == nil {
		is = v.resolved.fresh(ctx, e.facts.claims.issuer, now) // nil if Config.ResolveIssuer has to be waited for
	}
	if token == nil || is == nil || e.isOver(at.instant) {
		v.cache.drop(e)
		return outcome{}, false
	}
	refused := v.checks.hold(ctx, &at, is, &e.facts, &p.Demands, p, nil)
	if mayPass(refused) && !isOfAnswers(refused) {
		v.cache.drop(e)
		return outcome{}, false
	}
	return outcome{token: token, refused: refused, issuer: is, source: fromCache}, true
}

// decideNew verifies a token and decides about it.
func (v *Validator) decideNew(ctx context.Context, now time.Time, d *digest, p *Presentation) outcome {
	v.underWay.Add(1)
	defer v.underWay.Add(-1)
	v.lines.begin()
	var stack [24]strictjson.Member
	unverified, members, is, refused := v.read(ctx, p, stack[:0], nil)
	if refused != nil {
		return outcome{refused: refused, issuer: is}
	}
	if is.resolved { // Config.ResolveIssuer may have taken time
		now = time.Now()
	}
	verified, refused := is.verify(ctx, now, &unverified, members)
	if refused != nil {
		return outcome{refused: refused, issuer: is}
	}
	at := readClocks(ctx) // the keys may have taken time
	refused = v.checks.hold(ctx, &at, is, &verified.facts, &p.Demands, p, nil)
	token := verified.minted() // before another caller can have it
	if refused == nil || isOfAnswers(refused) || isOfDemands(refused) {
		v.headers.Remember(&unverified)
		if v.cache != nil && at.instant.Unix() < verified.facts.until { // a token that is accepted only by the leeway is not cached
			v.cache.add(*d, &entry{
				draft: verified, since: clock.MomentAt(now, v.start), lasts: v.cacheTTL, until: verified.facts.until,
				textBytes: int32(is.textBytes(&verified.facts, &unverified)), //nolint:gosec // MaxTokenBytes is far below
			})
		}
	}
	return outcome{token: token, refused: refused, issuer: is, source: fromSignature}
}

// read reads a token that has the form of a JWT and selects its issuer. The claims are
// appended to room. The refusal is errNoJWT, with or without an issuer, if the token is no
// JWT that is validated locally.
func (v *Validator) read(
	ctx context.Context, p *Presentation, room []strictjson.Member, r *report,
) (unverified jose.Unverified, members []strictjson.Member, is *checkedIssuer, refused *Error) {
	unverified, err := v.headers.ParseCompact(p.Token)
	if err != nil {
		switch {
		case !isToken68(p.Token):
			return unverified, nil, nil, r.stop(checkForm, notToken68(p.Token))
		case v.maySelectOpaque(p) && !v.isForJWTs(p.Token):
			return unverified, nil, nil, errNoJWT
		default:
			return unverified, nil, nil, r.stop(checkForm, refusalFor(err))
		}
	}
	_ = r.judge(checkForm, nil)
	members, err = strictjson.ParseObject(unverified.UnverifiedPayload(), v.limits, room)
	if err != nil {
		if v.maySelectOpaque(p) && !v.isForJWTs(p.Token) {
			return unverified, nil, nil, errNoJWT
		}
		return unverified, nil, nil, r.stop(checkPayload, v.notPayload(err, unverified.UnverifiedPayload()))
	}
	_ = r.judge(checkPayload, nil)
	// The only claim that is used before the signature verifies: it selects
	// the configuration by exact match and goes nowhere else.
	is, refused = v.selectIssuer(ctx, unverifiedIss(members))
	switch {
	case refused == errIssuer && v.maySelectOpaque(p):
		return unverified, members, nil, errNoJWT
	case refused == errIssuer:
		return unverified, members, nil, r.stop(checkIssuer, v.refuseIssuer(jwtclaims.Lookup(members, "iss")))
	case refused != nil:
		return unverified, members, nil, r.stop(checkIssuer, refused)
	case !is.acceptsJWTs():
		return unverified, members, is, errNoJWT
	}
	_ = r.judge(checkIssuer, nil)
	return unverified, members, is, nil
}

// refuseIssuer returns the refusal of a token whose iss is not configured.
func (v *Validator) refuseIssuer(iss strictjson.Value) *Error {
	return errIssuer.because(func() cause.Details { return v.seenIssuer(iss) })
}

// notPayload returns the refusal of a token whose payload is not as it must be. err is why
// it cannot be read.
func (v *Validator) notPayload(err error, payload string) *Error {
	limits := v.limits
	if errors.Is(err, strictjson.ErrLimits) {
		return errTooMuch.because(func() cause.Details { return jwtclaims.Exceeded(err, limits) })
	}
	return errPayload.because(func() cause.Details {
		return cause.Details{Found: strictjson.Describe(payload, limits, jwtclaims.KnownNames...), Wanted: "one JSON object with unique member names"}
	})
}

// tooLarge returns the refusal of a token of that length.
func tooLarge(length, limit int) *Error {
	return errTooLarge.because(func() cause.Details {
		return cause.Details{
			Found: fmt.Sprintf("%d bytes", length), Wanted: fmt.Sprintf("at most %d", limit),
			Mend: "let the issuer leave claims out, such as groups, or raise Config.MaxTokenBytes",
		}
	})
}

// unverifiedIss returns iss, or "" if it is absent or not a string.
func unverifiedIss(members []strictjson.Member) string {
	text, _ := jwtclaims.Lookup(members, "iss").Text()
	return text
}

package validator

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/misuse"
)

// checks holds what the Validator's configuration says about every use of a
// token.
type checks struct {
	leeway Leeway
}

// clocks are the current time by two clocks.
type clocks struct {
	now     time.Time    // of the host, for keys
	instant time.Time    // that the token's times are compared with; see package clock
	arrived clock.Moment // when the request arrived, for the age of answers; zero: at now
}

// readClocks reads both clocks.
func readClocks(ctx context.Context) clocks {
	now := time.Now()
	return clocks{now: now, instant: clock.Or(ctx, now)}
}

var (
	errIssuerGone = refusal(Unavailable, "the configuration of the token's issuer changed or was forgotten since the token was verified")
	errBound      = misusing(BindingMismatch, misuse.BoundAsBearer, "the token has cnf, and the binding cannot be checked")
	errDPoPOnly   = misusing(BindingMismatch, misuse.BoundAsBearer, "token_type in the answer about the token is DPoP, and the token was presented as a bearer token (RFC 9449 §7.2)").
			with(cause.Details{Found: "Authorization: Bearer", Wanted: "Authorization: DPoP"})
)

// hold returns nil if a token with these facts is accepted now, and the refusal
// otherwise. It is called for every use of a token: when the token is seen first,
// when its facts come from the cache, and when a Token that is held is checked
// again. What can change after a token was verified is checked here. Only the times
// are also checked before, by [checkedIssuer.verify], which says why. hold never waits.
//
// The key comes before the times, as it does when a token is verified.
//
// The argument is has the issuer as it is configured now. sender is nil for a Token
// that is held: its sender was checked when the token was presented. With a report, the
// result is nil unless the token would be accepted but for an answer of its issuer.
func (c *checks) hold(ctx context.Context, at *clocks, is *checkedIssuer, f *facts, demands *Demands, sender *Presentation, r *report) *Error {
	if !f.isOf(is) {
		return errIssuerGone
	}
	if f.signed && (r == nil || f.key != issuerkeys.Handle{}) { // a report is also made without a key
		if err := f.key.Check(ctx, at.now); err != nil { // starts a refresh of stale keys
			if refused := r.judge(checkKey, keyRefusal(f.claims.issuer, err)); refused != nil {
				return refused
			}
		}
	}
	if r == nil && !f.isInTime(at.instant) { // a report has them already
		if refused := f.claims.checkTimes(at.instant, c.leeway); refused != nil {
			return refused
		}
	}
	// A deny list is asked here.
	if refused := r.judge(checkBinding, f.checkSender(sender)); refused != nil {
		return refused
	}
	if r == nil && !is.isConfigured() { // after what may refuse the token, because it records that one of the issuer was accepted
		return errIssuerGone
	}
	if refused := r.judge(checkRoute, demands.check(at.instant, &f.claims, is.Audiences)); refused != nil {
		return refused
	}
	if !f.needsAnswer(demands.ActiveWithin) {
		return nil
	}
	return at.checkAnswer(is, f, demands) // last: only a token that is accepted otherwise is worth asking about
}

// checkAnswer returns [errOutdated] if the issuer must be asked about the token, because
// it was not or because the answer is too old.
func (at *clocks) checkAnswer(is *checkedIssuer, f *facts, demands *Demands) *Error {
	arrived := at.arrived
	if arrived == (clock.Moment{}) {
		arrived = clock.MomentAt(at.now, f.terms.start)
	}
	switch {
	case is.opaque == nil:
		return errCannotAsk
	case !f.isFresh(arrived, demands.ActiveWithin):
		return errOutdated
	default:
		return nil
	}
}

// isOfAnswers reports whether refused says that the token would be accepted if its issuer
// were asked about it.
func isOfAnswers(refused *Error) bool { return refused == errOutdated || refused == errCannotAsk }

// checkSender returns the refusal of a token that is bound to another sender than
// the one that presents it. No binding can be checked yet, so that every bound
// token is refused.
func (f *facts) checkSender(sender *Presentation) *Error {
	switch {
	case sender == nil:
		return nil
	case f.isDPoP && sender.Scheme == Bearer:
		return errDPoPOnly
	case f.isBound:
		return f.claims.refuseBinding(errBound)
	default:
		return nil
	}
}

// mayPass reports whether a token that was refused with the facts from the cache
// may be accepted if it is verified again: its key may be published again, and the
// issuer's new configuration may accept it.
func mayPass(refused *Error) bool {
	return refused != nil && (refused.reason == UnknownKey || refused.reason == Unavailable)
}

package validator

import "time"

// AnswersAbout says which answers of introspection [Validator.ForgetAnswers] drops: those
// of Issuer about tokens with all the other members that are set.
type AnswersAbout struct {
	Issuer    string // the URL of the issuer; required
	Subject   string // sub
	SessionID string // sid
	ClientID  string // client_id
	ID        string // jti
}

// ForgetAnswers drops the answers of an issuer about the tokens of a grant, a session, a
// client or a user, so that the next request with such a token asks the issuer again. It
// is for events that say that tokens were revoked. An answer that lacks a member may be
// about any token, and is dropped, too. An answer that is under way, or in a Store, counts
// for no request, and the issuer is asked once more.
//
// It also drops answers about JWTs, and what was remembered of the tokens of the issuer
// that were not active. It returns how many answers it dropped. It concerns this
// Validator: other processes with the same Store, and this one after a restart, may use an
// answer from the Store until its TTL is over.
func (v *Validator) ForgetAnswers(about AnswersAbout) int {
	if !v.initialized() {
		return 0
	}
	// Before the entries are looked at: an answer that arrives meanwhile is dropped by
	// whoever adds it.
	v.forgettings.add(about, time.Now())
	is := v.byURL[about.Issuer]
	if is == nil && v.resolved != nil {
		is = v.resolved.known.Known(about.Issuer)
	}
	if is == nil || v.cache == nil {
		return 0
	}
	v.negatives.dropAll(is.opaque)
	return v.cache.dropAll(func(e *entry) bool {
		return e.facts.answer != nil && e.facts.isOf(is) && about.matches(&e.facts)
	})
}

package validator

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/introspection"
)

// answered is what an issuer said about a token, as its configuration judges it.
type answered struct {
	draft   *draft // nil if refused
	refused *Error
	began   clock.Moment // when the request for it began
	proper  bool         // the answer may be remembered
	// forgettings is the number of the last call of ForgetAnswers before the request.
	forgettings uint64
	stored      time.Time // when the request began for an answer that comes from a Store; zero for others
}

// inquiry is what is needed to ask an issuer about a token. It has nothing of a request but
// the token, since other requests may share the answer.
type inquiry struct {
	v      *Validator
	is     *checkedIssuer
	digest digest
	token  string
	jwt    *facts // as in consultation
	known  bool   // the token was active when the issuer was asked before
	once   bool   // the answer is for one request
	// since is the earliest beginning of an answer in a shared Store that counts. The
	// zero time: the TTL decides.
	since time.Time
}

// share returns an answer that serves a request which arrived at arrived. If it was
// forgotten meanwhile, it asks once more.
func (q *inquiry) share(ctx context.Context, arrived clock.Moment, within time.Duration) (*answered, error) {
	o := q.is.opaque
	serves := func(a *answered) bool { return q.is.terms.answers.serves(a.began, arrived, within) }
	for range 2 {
		var a *answered
		var err error
		if q.once {
			a, err = o.flights.Alone(ctx, q.digest, q.work)
		} else {
			a, err = o.flights.Do(ctx, q.digest, serves, q.work)
		}
		if err != nil || !q.isForgotten(a) {
			return a, err
		}
		q.since = time.Now() // no answer from a Store
	}
	return nil, errForgotten
}

// isForgotten reports whether ForgetAnswers was called for an answer since its request
// began. A refusal is not forgotten.
func (q *inquiry) isForgotten(a *answered) bool {
	return a.draft != nil && q.v.forgettings.includes(q.is, &a.draft.facts, a.forgettings, a.stored)
}

// work asks, judges the answer and remembers it.
func (q *inquiry) work(ctx context.Context) (*answered, error) {
	forgettings := q.v.forgettings.last()
	a, err := q.is.opaque.asker.Ask(ctx, introspection.Question{Token: q.token, Known: q.known, Once: q.once, NotBefore: q.notBefore()})
	if q.jwt != nil {
		q.is.opaque.jwts.record(a.Active, err)
	}
	if err != nil {
		return nil, err
	}
	result := q.judge(ctx, &a)
	result.forgettings = forgettings
	if newer := q.v.negatives.last(q.digest); newer != nil && newer.began.Age(result.began) < 0 {
		result.draft, result.refused, result.proper = nil, newer.refused, false // the issuer has refused it since
	}
	if d := result.draft; d != nil {
		d.facts.answer = &answerFacts{digest: q.digest, began: result.began, forgettings: forgettings}
		d.mint()
	}
	q.remember(ctx, result)
	return result, nil
}

// notBefore returns the earliest beginning of an answer in a Store that counts.
func (q *inquiry) notBefore() time.Time {
	earliest := q.since
	if refused := q.v.negatives.last(q.digest); refused != nil {
		if after := time.Unix(0, refused.began.Wall+1); after.After(earliest) {
			earliest = after
		}
	}
	return earliest
}

// judge returns what the answer means under the issuer's configuration.
func (q *inquiry) judge(ctx context.Context, a *introspection.Answer) *answered {
	result := &answered{began: clock.MomentAt(a.Began, q.v.start), proper: a.Odd == nil}
	if a.Stored {
		result.stored = a.Began
	}
	switch {
	case a.Odd != nil:
		result.refused = &Error{Inactive, a.Odd}
	case !a.Active:
		result.refused = errInactive
	case q.jwt != nil:
		result.draft, result.refused = q.is.narrow(ctx, q.jwt, a)
	default:
		result.draft, result.refused = q.is.readAnswer(ctx, a)
	}
	if refused := result.refused; refused != nil {
		result.refused = &Error{refused.reason, a.Settled(refused.cause, q.token)}
	}
	return result
}

// remember puts a into the cache: an answer that is accepted under its token, and one
// that is refused among the negative ones. A token that was active before and is refused
// now is asked about again at the next request, because the server may have failed for a
// moment; but no earlier answer counts from now on. An answer that is older than what is
// remembered changes nothing.
func (q *inquiry) remember(ctx context.Context, a *answered) {
	if a.draft == nil {
		q.rememberRefusal(a)
		return
	}
	v, ttl := q.v, q.is.terms.answers.ttl
	if v.cache == nil || ttl == 0 {
		v.active.set(q.digest, true)
		return
	}
	if clock.Now(ctx).Unix() >= a.draft.facts.until { // a token that is accepted only by the leeway is not cached
		return
	}
	v.negatives.drop(q.digest)
	e := &entry{draft: a.draft, since: a.began, lasts: ttl, until: a.draft.facts.until, textBytes: q.is.answerBytes(&a.draft.facts)}
	v.cache.add(q.digest, e)
	if q.isForgotten(a) { // meanwhile
		v.cache.drop(e)
	}
}

// rememberRefusal is remember for an answer that is refused.
func (q *inquiry) rememberRefusal(a *answered) {
	if !a.proper || a.refused.reason == NotYetValid {
		return
	}
	q.v.active.set(q.digest, false)
	lasts := q.is.opaque.negative
	if q.v.cache == nil || q.known {
		lasts = 0
	}
	if q.v.cache != nil {
		if known := q.v.cache.get(q.digest); known != nil {
			if known.since.Age(a.began) < 0 { // it is newer
				return
			}
			q.v.cache.drop(known)
		}
	}
	q.v.negatives.put(q.digest, &negative{
		refused: a.refused, issuer: q.is.opaque, began: a.began, since: clock.MomentAt(time.Now(), q.v.start), lasts: lasts,
	})
}

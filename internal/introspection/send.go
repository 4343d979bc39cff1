package introspection

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

var (
	errBreakerOpen = errors.New("introspection: the issuer was not asked, because the requests before failed")
	errRefused     = errors.New("introspection: the issuer was not asked, because it refused the credentials of this API; they are tried again at intervals")
	errHeld        = errors.New("introspection: the issuer was not asked, because it wants to be left alone for some time")
)

// queueRetry is what callers are told to wait if there was no turn for their request.
const queueRetry = time.Second

// permit is the permission of the hold and of the breakers to send one request.
type permit struct {
	hold                stay
	credentials, server pass
}

// send asks the endpoint, unless the bounds or the results before forbid it.
func (a *Asker) send(ctx context.Context, q *Question, done *introspect.AskDone) (result attempt) {
	p, refusal := a.admit(q) //nolint:contextcheck // looking for other credentials goes on without the caller
	a.state.update(a.stateNow)
	if refusal.kind != "" {
		return refusal
	}
	effect := noEffect // stays if the endpoint panics
	defer func() {
		a.settle(p, effect, result.retryAfter)
		a.state.update(a.stateNow)
	}()
	turn, queued, err := a.gates.enter(ctx, q.Known, a.client.Limits.QueueTimeout)
	done.Queued = queued
	if err != nil {
		return attempt{kind: introspect.Overloaded, err: err, retryAfter: queueRetry}
	}
	defer a.gates.leave(turn)
	if refusal := a.admitLater(q, &p); refusal.kind != "" {
		return refusal
	}
	a.underWay.Add(1)
	defer a.underWay.Add(-1)
	start := time.Now()
	result = a.endpoint.ask(ctx, *q)
	done.Took = time.Since(start)
	result.retryAfter = min(result.retryAfter, a.client.Limits.MaxHold)
	effect = effectOf(&result, a.worked.Load() == int64(result.version)+1)
	if effect.credentials == verdict {
		a.worked.Store(int64(result.version) + 1)
	}
	if result.kind != "" && ctx.Err() != nil { // perhaps the caller left the server too little time
		effect.server, effect.credentials = ignored, ignored
	}
	a.undiscovered.Store(result.kind == introspect.NoEndpoint)
	return result
}

// admit asks the hold and the breakers for a permit. If one refuses, it returns what to
// answer instead.
func (a *Asker) admit(q *Question) (p permit, refusal attempt) {
	now := time.Now()
	var wait time.Duration
	var ok bool
	if p.hold, wait, ok = a.hold.enter(q.Known, now); !ok {
		return permit{}, refused(introspect.Throttled, errHeld, wait)
	}
	if p.credentials, wait, ok = a.credentials.enter(q.Known, now); !ok {
		a.settle(p, noEffect, 0)
		a.renewal.start(a.credentials)
		return permit{}, refused(introspect.CredentialsRefused, errRefused, wait)
	}
	if p.server, wait, ok = a.server.enter(q.Known, now); !ok {
		a.settle(p, noEffect, 0)
		return permit{}, refused(introspect.BreakerOpen, errBreakerOpen, wait)
	}
	return p, attempt{}
}

// admitLater is admit for a request that has waited for its turn with the permit p. It
// refuses if the hold or a breaker began meanwhile.
func (a *Asker) admitLater(q *Question, p *permit) (refusal attempt) {
	if p.hold == (stay{}) {
		held, wait, ok := a.hold.enter(q.Known, time.Now())
		if !ok {
			return refused(introspect.Throttled, errHeld, wait)
		}
		p.hold = held
	}
	if !a.credentials.still(p.credentials) {
		return refused(introspect.CredentialsRefused, errRefused, 0)
	}
	if !a.server.still(p.server) {
		return refused(introspect.BreakerOpen, errBreakerOpen, 0)
	}
	return attempt{}
}

// settle gives p back and records the effect of the result. length is how long the
// issuer wants to be left alone, if it was throttled.
func (a *Asker) settle(p permit, e effect, length time.Duration) {
	now := time.Now()
	a.hold.leave(p.hold, e, length, now)
	a.credentials.leave(p.credentials, e.credentials, now)
	a.server.leave(p.server, e.server, now)
}

// refused returns the result of a request that was not sent. Callers are told to wait
// for whole seconds, and at least for one.
func refused(kind introspect.Kind, err error, wait time.Duration) attempt {
	whole := (wait + time.Second - 1).Truncate(time.Second)
	return attempt{kind: kind, err: err, retryAfter: max(whole, time.Second)}
}

// stateNow returns the state of the issuer.
func (a *Asker) stateNow() introspect.State {
	switch {
	case a.credentials.open():
		return introspect.Refused
	case a.server.open():
		return introspect.Failing
	case a.hold.rest(time.Now()) > 0:
		return introspect.HeldByIssuer
	case a.undiscovered.Load():
		return introspect.Undiscovered
	}
	return introspect.Asking
}

// renewal looks for other credentials while those of now are refused, so that nobody
// has to wait for the next probe after they were changed.
type renewal struct {
	renewer renewer // nil if there is none

	mu      sync.Mutex
	next    time.Time
	running bool
}

const renewalInterval = 5 * time.Second

// start looks for other credentials in the background, if it is time to. If there are
// some, the breaker lets a request pass at once.
func (r *renewal) start(b *breaker) {
	if r.renewer == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); !r.running && !now.Before(r.next) {
		r.running, r.next = true, now.Add(renewalInterval)
		go r.run(b)
	}
}

func (r *renewal) run(b *breaker) {
	defer func() {
		_ = recover() // a secret's function may panic; the next probe reports it
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running = false
	}()
	ctx, cancel := context.WithTimeout(context.Background(), renewalInterval)
	defer cancel()
	if r.renewer.renewed(ctx) {
		b.retry()
	}
}

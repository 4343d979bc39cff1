package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// undeterminedLimit is how long a request goes on while nothing can be determined. It
	// is a little less than two periods, so that the third check ends the request.
	undeterminedLimit = 2*visitPeriod - visitPeriod/5
	// askInterval is how far apart the issuer is asked about a token whose answers count
	// for one request only.
	askInterval = undeterminedLimit
)

var errAnonymousLife = validator.Refuse(validator.Unavailable, errors.New("middleware: the request has no token and is older than LongRequests.MaxAnonymous"))

// visit checks h again. It runs in the timer, so it must not wait.
func (h *Held) visit(now time.Time) {
	h.mu.Lock()
	token, within := h.token.Load(), h.within
	h.mu.Unlock()
	err := h.recheck(token, within, now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.released || h.token.Load() != token { // renewed meanwhile
		return
	}
	if err = h.tolerated(token, err, now); err != nil {
		h.end(h.route.deny(err, nil))
		return
	}
	if end := h.endOf(token); !end.IsZero() && h.route.guard.long.Notice >= 0 && now.Add(h.route.guard.long.Notice+visitPeriod).After(end) {
		h.notice()
	}
}

// recheck returns why a new request would be refused. It never waits.
func (h *Held) recheck(token *validator.Token, within time.Duration, now time.Time) error {
	if token != nil {
		demands := h.route.policy.Demands()
		demands.ActiveWithin = within
		return h.route.guard.validator.Recheck(h.checking, token, demands)
	}
	if end := h.endOf(nil); !end.IsZero() && !now.Before(end) {
		return errAnonymousLife
	}
	return nil
}

// tolerated returns nil if the request goes on for the moment although a new one would be
// refused with err. The lock is held.
func (h *Held) tolerated(token *validator.Token, err error, now time.Time) error {
	switch {
	case err == nil:
		h.undetermined = time.Time{}
		return nil
	case token == nil:
		return err
	case errors.Is(err, validator.Expired) && now.Before(h.endOf(token)):
		return nil
	case !errors.Is(err, validator.Unavailable):
		return err
	case errors.Is(err, introspect.AnswerOutdated) && now.Sub(h.asked) < askInterval:
		h.undetermined = time.Time{} // an answer for one request counts until the next one
		return nil
	}
	if errors.Is(err, introspect.AnswerOutdated) && h.presentation != nil && !h.asking {
		h.asking = true
		h.route.guard.long.asking.add(token.Issuer(), h)
	}
	if h.undetermined.IsZero() {
		h.undetermined = now
	}
	if now.Sub(h.undetermined) < undeterminedLimit {
		return nil
	}
	return err
}

// end ends the request. The lock is held.
func (h *Held) end(denial *Denial) {
	h.over, h.denial, h.presentation = true, denial, nil
	h.notice()
	if h.route.made() {
		h.route.guard.long.visits.Remove(&h.place)
		h.route.guard.long.overdue.Add(1)
	}
	h.stop(denial)
	go h.tell(denial) // hooks may block
}

// tell tells the adapter and the hook that the request has ended.
func (h *Held) tell(denial *Denial) {
	h.mu.Lock()
	released, scheme := h.released, h.scheme
	h.mu.Unlock()
	if h.ended != nil && !released {
		h.callEnded(denial)
	}
	if h.route.made() {
		ended := h.decision(scheme, denial)
		h.route.guard.lines.ended(ended)
		h.route.guard.trace.heldEnded(&h.ctx, ended)
	}
}

// decision returns what hooks get.
func (h *Held) decision(scheme validator.Scheme, denial *Denial) *Decision {
	g, token := h.route.guard, h.token.Load()
	return &Decision{
		Route: h.name, Transport: g.transport, Scheme: scheme, Issuer: g.issuerLabel(token), Client: token.ClientID(), Token: token,
		Privileged: h.route.privileged, Denial: denial, Start: h.began,
	}
}

func (h *Held) callEnded(denial *Denial) {
	defer hook.Recover()
	h.ended(denial)
}

// issuerLabel returns the issuer of a token as a Decision has it.
func (g *Guard) issuerLabel(token *validator.Token) string {
	if token == nil {
		return ""
	}
	for _, url := range g.validator.Issuers() {
		if url == token.Issuer() {
			return url
		}
	}
	return "resolved"
}

// ask presents the token to its issuer again. It waits, and runs in a lane.
func (h *Held) ask() {
	h.mu.Lock()
	token, p, began := h.token.Load(), h.presentation, time.Now()
	h.mu.Unlock()
	var verdict Verdict
	if p != nil { // neither ended nor released
		ctx, cancel := context.WithTimeout(context.WithoutCancel(&h.ctx), undeterminedLimit)
		defer cancel()
		again := p.sealed.Presentation()
		verdict = h.route.decide(ctx, &again, p.operation, new(validator.ValidateDone))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asking = false
	if h.over || h.released || h.token.Load() != token {
		return
	}
	denial := verdict.Denial()
	switch {
	case denial == nil && isOfSameCaller(token, verdict.token):
		h.token.Store(verdict.token)
		h.asked, h.within, h.undetermined = began, verdict.within, time.Time{}
		if !verdict.token.Introspected() {
			h.presentation = nil
		}
	case denial == nil:
		h.end(h.route.deny(errOtherCaller, nil))
	case denial.Class != ClassUnavailable && denial.Class != ClassCanceled: // otherwise the next visit decides
		h.end(denial)
	}
}

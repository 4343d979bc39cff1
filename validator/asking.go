package validator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Bounds of the calls of Tenants.
const (
	tenantTimeout   = 5 * time.Second // of one call, and of the wait for its place
	maxAskedWaiters = 1000            // for one answer

	maxCalls  = 512  // under way at once in a lane
	maxQueued = 1000 // calls that wait for a place in a lane
	// quickCall is how long a call for a stranger may take in any case.
	quickCall = 50 * time.Millisecond
	// maxSlowCalls is how many calls for strangers may take longer than
	// quickCall, up to tenantTimeout, while others wait.
	maxSlowCalls = 256
	// laneInterval is how often a lane in which calls wait is looked after.
	laneInterval = 10 * time.Millisecond
)

var errTooManyAsked = errors.New("validator: Tenants is asked for too many issuers at present, or answers too slowly")

// The lanes of calls. Each has its own places, so that a flood of made-up issuers
// does not keep a tenant from being renewed, withdrawn, or found after a restart.
const (
	strangers = iota
	familiar  // tenants that are known, and issuers of which a token was accepted once
)

// asking is a call of Tenants that many may wait for. All of it but the Flight is
// guarded by the lock.
type asking struct {
	*detached.Flight

	url    string
	lane   *lane
	issuer *issuer            // set before it lands
	landed bool               // nobody waits for it any more
	wished time.Time          // when it was asked for
	began  time.Time          // when it got its place
	cancel context.CancelFunc // ends its context, once it has begun
}

// lane bounds the calls of Tenants for one kind of issuers. It is guarded by the
// lock of its tenants.
type lane struct {
	impatient bool      // slow calls are given up for those that wait
	underWay  []*asking // in the order in which they began
	queue     []*asking // in the order in which they were asked for
	attended  bool      // a timer will look after the queue
}

// ask joins the call under way for url or makes one, if there is a place in the
// queue.
func (ts *tenants) ask(ctx context.Context, url string, known bool) (*asking, error) {
	if !known {
		if err := ts.accepted.load(ctx, ts.common.shared); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if call := ts.asked[url]; call != nil {
		return call, nil
	}
	if err := ts.missing(url, now); err != nil {
		return nil, err
	}
	l := &ts.lanes[strangers]
	if known || ts.accepted.has(url) {
		l = &ts.lanes[familiar]
	}
	if len(l.queue) >= maxQueued {
		return nil, errTooManyAsked
	}
	url = strings.Clone(url) // of the token, which must not be kept
	call := &asking{Flight: detached.NewFlight(), url: url, lane: l, wished: now}
	ts.asked[url] = call
	l.queue = append(l.queue, call)
	ts.advance(l, now) //nolint:contextcheck // the answer is for all who wait
	return call, nil
}

// missing returns why url is not asked for again yet, or nil. The lock is held.
func (ts *tenants) missing(url string, now time.Time) error {
	hash, at := ts.hash(url), ts.moment(now)
	if err := ts.gaveWay.get(hash, at); err != nil {
		return err
	}
	return ts.missed.get(hash, at)
}

// miss remembers that url is no tenant, or cannot be asked for. The lock is
// held.
func (ts *tenants) miss(url string, err error, lasts time.Duration) {
	ts.missed.add(ts.hash(url), err, ts.moment(time.Now()), lasts)
}

// unmiss lets url be asked for again. The lock is held.
func (ts *tenants) unmiss(url string) {
	delete(ts.missed, ts.hash(url))
	delete(ts.gaveWay, ts.hash(url))
}

// advance begins the calls of a lane for which there is a place, and ends the
// wait of those that have waited too long. The lock is held.
func (ts *tenants) advance(l *lane, now time.Time) {
	for len(l.queue) > 0 && len(l.underWay) < maxCalls {
		ts.begin(l.next(), now)
	}
	for len(l.queue) > 0 && now.Sub(l.queue[0].wished) >= tenantTimeout {
		ts.giveUp(l.next())
	}
	if l.impatient && len(l.queue) > 0 {
		ts.giveUpSlow(l, now)
	}
	if len(l.queue) > 0 && !l.attended {
		l.attended = true
		time.AfterFunc(laneInterval, func() { ts.attend(l) })
	}
}

// attend advances a lane in which calls wait, as long as there are any.
func (ts *tenants) attend(l *lane) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	l.attended = false
	ts.advance(l, time.Now())
}

// next takes the first call from the queue.
func (l *lane) next() *asking {
	call := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return call
}

// begin starts a call that got its place. The lock is held.
func (ts *tenants) begin(call *asking, now time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	call.began, call.cancel = now, cancel
	call.lane.underWay = append(call.lane.underWay, call)
	go ts.call(ctx, call)
}

// giveUpSlow makes room for those that wait, by giving up calls that are not
// quick: those that began last, since the others may be about to answer. The lock
// is held.
func (ts *tenants) giveUpSlow(l *lane, now time.Time) {
	slow, ending := 0, 0 // calls that somebody waits for, and places that are about to be free
	for _, call := range l.underWay {
		switch {
		case call.landed:
			ending++
		case now.Sub(call.began) >= quickCall:
			slow++
		}
	}
	for _, call := range slices.Backward(l.underWay) {
		if slow <= maxSlowCalls || len(l.queue) <= ending {
			return
		}
		if !call.landed && now.Sub(call.began) >= quickCall {
			call.cancel()
			ts.giveUp(call)
			slow, ending = slow-1, ending+1
		}
	}
}

// giveUp lets those go who wait for a call. The lock is held.
func (ts *tenants) giveUp(call *asking) {
	if ts.asked[call.url] == call {
		delete(ts.asked, call.url)
	}
	call.landed = true
	call.Land(errTooManyAsked)
}

// end frees the place of a call. The lock is held.
func (ts *tenants) end(call *asking) {
	l := call.lane
	l.underWay = slices.DeleteFunc(l.underWay, func(c *asking) bool { return c == call })
	ts.advance(l, time.Now())
}

// call asks Tenants and lands the call. The function gets no value of the request
// that came first, since its answer is for all.
func (ts *tenants) call(ctx context.Context, call *asking) {
	config, over, err := detached.Do(ctx, tenantTimeout, func(timed context.Context) (Issuer, error) {
		timed, cancel := context.WithCancel(timed)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return ts.find(timed, call.url)
	})
	switch {
	case err != nil: // without the URL, since failures are remembered and it is an attacker's
		err = fmt.Errorf("validator: Tenants: %w", err)
	case config.URL != call.url:
		err = fmt.Errorf("%w: Issuer.URL %q, asked for %q", errTenant, config.URL, call.url)
	}
	is, err := ts.settle(call, &config, err)
	ts.land(call, is, err)
	<-over // a call that does not end counts until it does
	call.cancel()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.end(call) //nolint:contextcheck // as in ask
}

// land tells the result of a call to those who wait for it, unless it was given
// up.
func (ts *tenants) land(call *asking, is *issuer, err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if call.landed {
		return
	}
	call.landed, call.issuer = true, is
	call.Land(err)
}

// settle makes what Tenants said the answer for the call's URL.
func (ts *tenants) settle(call *asking, config *Issuer, err error) (*issuer, error) {
	for {
		var a *answer
		names, amended := ts.names(call.url)
		if err == nil {
			a, err = ts.accept(config, names)
		}
		again, err := ts.settled(call, a, err, amended)
		if again {
			continue
		}
		if err != nil {
			return nil, err
		}
		return a.issuer, nil
	}
}

// names are the forbidden keys of url, and the version of that list.
func (ts *tenants) names(url string) ([]jwkscache.KeyName, int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.Collect(maps.Keys(ts.forbidden[url])), ts.amended
}

// settled applies the result of a call and returns the error for its callers. If
// the tenant was forgotten during the call, the result is discarded. again is true
// if a key was forbidden during the call: a has to be made again with it.
func (ts *tenants) settled(call *asking, a *answer, err error, amended int) (again bool, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	url := call.url
	known := ts.get(url)
	switch {
	case ts.asked[url] != call:
		return false, errForgotten
	case err == nil && amended != ts.amended:
		return true, nil
	case err == nil:
		ts.put(url, a)
	case errors.Is(err, ErrUnknownIssuer):
		if known != nil {
			ts.remove(known)
		}
		ts.drop(url)
		ts.accepted.remove(url)
		ts.miss(url, ErrUnknownIssuer, tenantMissed)
	case known != nil && known.postpone(ts.moment(time.Now())):
	default:
		ts.miss(url, err, tenantRetry)
	}
	delete(ts.asked, url)
	return false, err
}

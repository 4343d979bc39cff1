package introspection

import (
	"sync"
	"time"
)

// shortHold is how long the issuer is left alone if it asks for that without a time,
// and how long the reserved share pauses after a request of it was throttled too.
const shortHold = time.Second

const (
	firstProbe = 100 * time.Millisecond // after the hold began
	probePause = time.Second            // from the begin of one probe to the next
)

// hold keeps requests from an issuer that asked to wait (RFC 9110 §10.2.3). Some
// requests for tokens that were active before are sent even so, because a flood of
// other tokens may have provoked the issuer. One request a second is sent as a probe,
// because the issuer may have asked to wait for the sake of one token: a verdict ends
// the hold.
type hold struct {
	longest time.Duration
	share   int // requests at once for tokens that were active before

	mu      sync.Mutex
	until   time.Time
	running int       // of the share
	next    time.Time // when the share may send requests again
	probe   time.Time // earliest begin of the next probe
	number  int       // of the hold, so that a probe of an earlier one does not end it
}

// stay is what a request is to a hold.
type stay struct {
	shared bool // it is one of the share
	probe  int  // the number of the hold that it is a probe of, or 0
}

// enter reports whether a request may be sent, and what it is to the hold. If it may
// not, wait is the rest of the time that the issuer asked for.
func (h *hold) enter(known bool, now time.Time) (s stay, wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !now.Before(h.until):
		return stay{}, 0, true
	case known && h.running < h.share && !now.Before(h.next):
		h.running++
		return stay{shared: true}, 0, true
	case !known && !now.Before(h.probe):
		h.probe = now.Add(probePause)
		return stay{probe: h.number}, 0, true
	}
	return stay{}, h.until.Sub(now), false
}

// rest returns how long requests are held.
func (h *hold) rest(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.until.Sub(now), 0)
}

// leave records whether a request that enter let pass was throttled, and for how long
// the issuer wants to be left alone, or 0 if it does not say. A request of the share or
// a probe does not prolong the hold: all others would otherwise wait for as long as
// there are such requests.
func (h *hold) leave(s stay, e effect, length time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.shared {
		h.running--
	}
	held := now.Before(h.until)
	switch {
	case s.probe != 0 && s.probe != h.number: // of an earlier hold
	case s.probe != 0 && held:
		h.probed(e.server, now)
	case !e.throttled:
	case s.shared:
		h.next = now.Add(shortHold)
	default:
		h.begin(held, length, now)
	}
}

// probed records the result of a probe.
func (h *hold) probed(o outcome, now time.Time) {
	if o == verdict {
		h.until = now
	}
	if o == unsent {
		h.probe = now
	}
}

// begin begins a hold, or prolongs the present one if the time of the new one is longer.
func (h *hold) begin(held bool, length time.Duration, now time.Time) {
	if length <= 0 {
		length = shortHold
	}
	if !held {
		h.number++
		h.probe = now.Add(firstProbe)
	}
	if until := now.Add(min(length, h.longest)); until.After(h.until) {
		h.until = until
	}
}

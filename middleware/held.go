package middleware

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/periodic"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Held is a request that was permitted and goes on. [Route.Hold] makes one. Its token is
// checked again twice a second, and the request is ended within a second after the token
// expired, its key was withdrawn or forbidden, or the issuer said that it is not active
// any more. It is safe for concurrent use. The methods of a nil or zero Held do nothing
// and return zero values, except that Context returns context.Background and Renew
// refuses.
type Held struct {
	ctx    heldContext
	cancel context.CancelCauseFunc
	route  *Route
	name   string        // of the route in Decisions
	grace  time.Duration // its part of LongRequests.Grace
	began  time.Time
	// checking is the context of Recheck in the timer. It must not wait.
	checking context.Context //nolint:containedctx // without values of the request
	place    periodic.Entry[Held]
	token    atomic.Pointer[validator.Token]

	mu           sync.Mutex // never held while a token is checked or a hook is called
	scheme       validator.Scheme
	over         bool // the guard has ended the request
	released     bool
	asking       bool          // the token is being presented again
	within       time.Duration // ActiveWithin for Recheck
	presentation *presented    // nil if it is not needed
	asked        time.Time     // when the presentation was checked
	undetermined time.Time     // since when nothing can be determined; zero: it can
	ending       chan struct{} // nil until Ending is called
	noticed      bool          // ending is closed, or would be
	ended        func(*Denial)
	denial       *Denial
}

// presented is what is needed to present a token again. A DPoP proof in it was counted as
// used when the request came, and must not be counted again.
type presented struct {
	sealed    validator.Sealed
	operation scopes.Operation
}

// Format writes the type only: handlers may print a Held, and its fields change.
func (h *Held) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%T", h) }

type heldKey struct{}

// heldContext is the context of a Held, in the same piece of memory.
type heldContext struct {
	context.Context //nolint:containedctx // it is a context

	held *Held
}

// Format writes the type only, as that of Held does.
func (c *heldContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%T", c) }

// Value returns the current token for tokenKey, and the Held for heldKey.
func (c *heldContext) Value(key any) any {
	switch key {
	case tokenKey{}:
		return c.held.token.Load()
	case heldKey{}:
		return c.held
	default:
		return c.Context.Value(key)
	}
}

// HeldFrom returns the Held of a request, so that its handler can ask when it will end,
// and renew its token. It returns nil if there is none, and for a ctx that is nil or
// panics.
func HeldFrom(ctx context.Context) *Held {
	defer hook.Recover()
	held, _ := ctx.Value(heldKey{}).(*Held)
	return held
}

// made reports whether [Route.Hold] made h.
func (h *Held) made() bool { return h != nil && h.cancel != nil }

// Context returns the context for the handler: a child of the one that Hold was given, in
// which [TokenFrom] and [HeldFrom] work. If the guard ends the request, it is cancelled
// with the *[Denial] as its cause ([context.Cause]). It is also cancelled by Release.
func (h *Held) Context() context.Context {
	if !h.made() {
		return context.Background()
	}
	return &h.ctx
}

// Token returns the current token: after [Held.Renew] the new one. It is nil on public
// routes and for anonymous callers. TokenFrom returns the same for Context.
func (h *Held) Token() *validator.Token {
	if h == nil {
		return nil
	}
	return h.token.Load()
}

// Ends returns when the guard will end the request, up to half a second later, unless it
// is renewed or has to end earlier. It is zero if that is not known: there is no bound, or
// the issuer named no expiry for an opaque token.
func (h *Held) Ends() time.Time {
	if !h.made() || !h.route.made() {
		return time.Time{}
	}
	return h.endOf(h.token.Load())
}

// endOf returns when a request with this token ends.
func (h *Held) endOf(token *validator.Token) time.Time {
	long := h.route.guard.long
	if token == nil {
		if long.MaxAnonymous < 0 {
			return time.Time{}
		}
		return h.began.Add(long.MaxAnonymous)
	}
	var end time.Time
	if exp := token.Expiry(); !exp.IsZero() {
		end = exp.Add(h.route.guard.validator.Leeway().Expiry + h.grace)
	}
	if age := h.route.policy.Demands().MaxTokenAge; age != 0 {
		if oldest := token.IssuedAt().Add(age); end.IsZero() || oldest.Before(end) {
			end = oldest
		}
	}
	return end
}

// Ending returns a channel that is closed LongRequests.Notice before the request ends, or
// up to half a second earlier, for a last message or a checkpoint. After Renew, a channel
// that was not closed is closed before the new end, and Ending returns a new one in place
// of one that was. It is closed when the guard ends the request in any case, and never if
// the handler returns before. The notice changes no decision. Ending returns nil for a
// nil or zero Held.
func (h *Held) Ending() <-chan struct{} {
	if !h.made() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending == nil {
		h.ending = make(chan struct{})
		if h.noticed {
			close(h.ending)
		}
	}
	return h.ending
}

// notice closes the channel of Ending. The lock is held.
func (h *Held) notice() {
	if h.noticed {
		return
	}
	h.noticed = true
	if h.ending != nil {
		close(h.ending)
	}
}

// Denial returns why the guard ended the request: what a new request with the token would
// get. It is nil if the guard did not end it.
func (h *Held) Denial() *Denial {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.denial
}

// Release ends the watch, when the handler has returned. The context ends. Further calls
// do nothing. It must be called, or the Held stays in memory.
func (h *Held) Release() {
	if !h.made() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return
	}
	h.released, h.presentation = true, nil
	if h.route.made() {
		long := h.route.guard.long
		long.visits.Remove(&h.place)
		long.open.Add(-1)
		if h.over {
			long.overdue.Add(-1)
		}
	}
	h.stop(context.Canceled)
}

// stop ends the context. It asks the context that Hold was given for its parents, whose
// methods may panic by now, such as those of one that its framework uses again.
func (h *Held) stop(cause error) {
	defer hook.Recover()
	h.cancel(cause)
}

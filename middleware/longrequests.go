package middleware

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/periodic"
)

// LongRequests is the configuration of requests that go on for longer than their token
// may be valid: streams, WebSockets, server-sent events, long uploads and downloads.
type LongRequests struct {
	// Grace is how long such a request may go on after its token expired and the
	// Validator's Leeway is over, at most 5 minutes. The requests of tokens that expire
	// together end spread over this time. It is for expiry only: a token that is known to
	// be revoked, or whose key is withdrawn, ends its requests at once. The issuer is not
	// asked about a token that has expired. 0: there is none.
	Grace time.Duration
	// Notice is how long before the end [Held.Ending] is closed. 0 means 10 s. A negative
	// value means that it is closed when the request ends.
	Notice time.Duration
	// MaxAnonymous is the longest life of requests without a token, which have no expiry:
	// those of public routes and of anonymous callers. They end with [ClassUnavailable],
	// so that clients come back. 0 means 1 hour. A negative value means that there is no
	// bound.
	MaxAnonymous time.Duration
}

const (
	maxGrace            = 5 * time.Minute
	defaultNotice       = 10 * time.Second
	defaultMaxAnonymous = time.Hour
	minMaxAnonymous     = time.Second
)

// check adds the faults of l.
func (l *LongRequests) check(faults fault.List) {
	if l.Grace < 0 || l.Grace > maxGrace {
		faults.At("Grace").Addf("give 0 to 5 minutes; a token that clients cannot renew in that time should live longer", "is %v", l.Grace)
	}
	if l.MaxAnonymous > 0 && l.MaxAnonymous < minMaxAnonymous {
		faults.At("MaxAnonymous").Addf("give 1 s or more, 0 for 1 hour, or a negative value for no bound", "is %v", l.MaxAnonymous)
	}
}

// LongStatus are gauges of the requests that a Guard holds.
type LongStatus struct {
	// Open is how many requests are held: [Route.Hold] was called, and [Held.Release]
	// was not.
	Open int
	// Overdue is how many of them the Guard has ended although their handler is still
	// running. A handler that ignores its context stays here.
	Overdue int
}

// longRequests is what a Guard and those that [Guard.Over] returns have in common for
// held requests.
type longRequests struct {
	LongRequests

	visits        *periodic.Group[Held]
	noWait        context.Context //nolint:containedctx // for every Recheck in the timer
	open, overdue atomic.Int64
	ends          atomic.Uint32 // gives every held request its part of Grace
	asking        lanes
	marking       atomic.Bool // [Guard.EndWithToken] was called
}

// visitPeriod is how far apart the checks of a held request are.
const visitPeriod = 500 * time.Millisecond

func newLongRequests(config LongRequests) *longRequests {
	if config.Notice == 0 {
		config.Notice = defaultNotice
	}
	if config.MaxAnonymous == 0 {
		config.MaxAnonymous = defaultMaxAnonymous
	}
	return &longRequests{
		LongRequests: config,
		visits:       periodic.New(visitPeriod, (*Held).visit),
		noWait:       detached.NoWait(context.Background()),
	}
}

// goldenRatio is the part of 2^32 by which the shares of consecutive requests differ, so
// that any number of them is spread evenly.
const goldenRatio = 0x9E3779B9

// nextGrace returns the part of Grace that the next request has.
func (l *longRequests) nextGrace() time.Duration {
	part, _ := bits.Mul64(uint64(l.Grace), uint64(l.ends.Add(goldenRatio))<<32) //nolint:gosec // Grace is not negative
	return time.Duration(part)                                                  //nolint:gosec // at most Grace
}

// checking returns the context of the checks of a request with this context. They must
// not wait.
func (l *longRequests) checking(ctx context.Context) context.Context {
	alone := clock.Alone(ctx)
	if alone == context.Background() { // no test has set the time
		return l.noWait
	}
	return detached.NoWait(alone)
}

// LongRequests returns gauges of the requests that g holds, together with the Guards that
// [Guard.Over] returned.
func (g *Guard) LongRequests() LongStatus {
	if !g.made() {
		return LongStatus{}
	}
	return LongStatus{Open: int(g.long.open.Load()), Overdue: int(g.long.overdue.Load())}
}

package issuerkeys

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// slowInterval is the least time between the beginnings of two fetches for bad
// signatures, and of two fetches for tokens without kid.
const slowInterval = 30 * time.Second

// longestHeld is the longest time until a fetch for which tokens wait.
const longestHeld = 30 * time.Second

// Decision is the answer to a request for a fetch; see [jwkscache.UnknownKid].
type Decision string

// The decisions of [Policy.Ask].
const (
	Starts  Decision = "starts"  // a fetch begins now
	Joins   Decision = "joins"   // one is under way
	Waits   Decision = "waits"   // one begins later, and the request waits for it
	Refuses Decision = "refuses" // no fetch is allowed
)

// Random returns a random duration from 0 up to n, without n.
type Random func(n time.Duration) time.Duration

// Policy decides when the keys of one issuer are fetched: ahead of expiry, after
// failures, and for tokens. It does no I/O and has neither clock nor lock: the caller
// passes the current time, and says when a fetch begins and how it ends. The refresher
// of [Keys] calls it, and so does the simulation of a fleet in package benchmarks.
//
// A Policy is not safe for concurrent use. The lock of the refresher guards it.
type Policy struct {
	limits   *jwkscache.Limits
	random   Random
	schedule schedule
	budget   budget
	slow     map[string]time.Time // when the last fetch of a slow cause began
	underWay bool                 // a fetch, or reading the store
}

// NewPolicy returns the policy of keys that are fetched from the network. A zero field
// of limits has its default. If random is nil, it is that of math/rand/v2.
func NewPolicy(limits jwkscache.Limits, random Random) (*Policy, error) {
	faults := fault.In("jwkscache")
	checkLimits(faults, &limits)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if random == nil {
		random = anyRandom
	}
	p := newPolicy(&limits, limits.MaxBackoff, random)
	return &p, nil
}

func newPolicy(limits *jwkscache.Limits, longestBackoff time.Duration, random Random) Policy {
	return Policy{
		limits: limits, random: random,
		schedule: schedule{limits: limits, cap: longestBackoff, random: random},
		budget:   newBudget(limits), slow: make(map[string]time.Time),
	}
}

// anyRandom is the Random of the refresher.
func anyRandom(n time.Duration) time.Duration { return rand.N(n) } //nolint:gosec // jitter

// Ask returns the answer to a request for a fetch, and when a fetch for that cause is
// allowed. kid is the kid of [CauseUnknownKid]. The caller decides before whether there
// is anything to fetch. A request that [Waits] begins a fetch at that time, unless one
// has begun earlier.
func (p *Policy) Ask(cause, kid string, now time.Time) (d Decision, at time.Time) {
	if p.underWay {
		if isSlow(cause) { // tokens with bad signatures wait for no fetch of others
			return Refuses, now
		}
		return Joins, now
	}
	switch cause {
	case CauseStale:
		at = p.schedule.retry
	case CauseMissing:
		at = p.schedule.urgent
	case CauseUnknownKid:
		at = later(p.schedule.started.Add(p.Interval(kid, now)), p.schedule.hold)
	case CauseBadSignature, CauseNoKid:
		at = later(p.slow[cause].Add(slowInterval), p.schedule.hold)
	}
	switch {
	case !now.Before(at):
		return Starts, at
	case cause == CauseUnknownKid && p.schedule.failures == 0 && at.Sub(now) <= longestHeld:
		return Waits, at
	default:
		return Refuses, at
	}
}

// Interval returns the least time between the beginnings of the last fetch and of one
// for kid.
func (p *Policy) Interval(kid string, now time.Time) time.Duration {
	return p.schedule.stretched(p.budget.interval(kid, now))
}

// intervalOfNew is Interval for a kid that was not missed before.
func (p *Policy) intervalOfNew(now time.Time) time.Duration {
	p.budget.forget(now)
	return p.schedule.stretched(p.budget.intervalOfNew())
}

// Begin records that a fetch begins.
func (p *Policy) Begin(cause string, now time.Time) {
	p.underWay, p.schedule.started = true, now
	if isSlow(cause) {
		p.slow[cause] = now
	}
}

// takeTurn records that the fetch which is under way begins only now, since it has
// waited for its turn.
func (p *Policy) takeTurn(now time.Time) { p.schedule.started = now }

// Times are the deadlines of a fetched set.
type Times struct {
	Renewal time.Time // when it is fetched again, ahead of Fresh
	Fresh   time.Time // until when it needs no refresh
	Usable  time.Time // until when it may serve
}

// Fresh returns how long a response with these header fields may be used without asking
// again, within the limits.
func (p *Policy) Fresh(header http.Header, now time.Time) time.Duration {
	fresh, _ := freshness(p.limits, header, now, lifetime{})
	return fresh
}

// Plan returns the deadlines of a set that a fetch for cause has returned, and that the
// issuer lets be fresh for so long. renewed says that the set before was still fresh.
//
// The renewal is at a random time. If nothing but an earlier random time caused this
// fetch, the other processes of a fleet fetch at other times already, and a narrow
// range keeps it so. Otherwise all of them may have fetched at this moment, as after a
// start, a rotation or an outage, and the range is as wide as the set is fresh.
func (p *Policy) Plan(cause string, now time.Time, fresh time.Duration, renewed bool) Times {
	fresh = min(fresh, p.limits.MaxAge)
	alone := renewed && cause == CauseSchedule && p.schedule.failures == 0
	return Times{
		Renewal: now.Add(renewalAfter(p.random, fresh, alone)),
		Fresh:   now.Add(fresh),
		Usable:  now.Add(min(fresh+p.limits.Stale, p.limits.MaxAge)),
	}
}

// Succeed records that the fetch which was under way has succeeded: kid is the unknown
// kid that caused it, gained says that it returned a new key, and renewal is when the
// set is fetched again.
func (p *Policy) Succeed(cause, kid string, now time.Time, gained bool, renewal time.Time) {
	p.underWay = false
	p.schedule.succeeded(until(renewal))
	switch {
	case cause == CauseUnknownKid:
		p.budget.spent(kid, now, true, gained)
	case gained:
		p.budget.reset()
	}
}

// Fail records that the fetch which was under way has failed: kid is the unknown kid
// that caused it, and retryAfter is what the issuer asked for.
func (p *Policy) Fail(cause, kid string, now time.Time, retryAfter time.Duration) {
	p.underWay = false
	p.schedule.failed(now, retryAfter)
	if cause == CauseUnknownKid {
		p.budget.spent(kid, now, false, false)
	}
}

// endStore records that reading the store, which was under way, has ended. If it has
// not failed, it counts as no fetch, and the set that was read is fetched again at
// renewal.
func (p *Policy) endStore(now time.Time, err error, renewal deadline) {
	p.underWay = false
	if err != nil {
		p.schedule.failed(now, 0)
		return
	}
	p.schedule = schedule{limits: p.limits, cap: p.schedule.cap, random: p.random, due: renewal}
}

// Nap returns how long Run sleeps at now until it asks again, which is 0 if a refresh is
// due.
func (p *Policy) Nap(now time.Time) time.Duration {
	if p.schedule.due.passed(now) {
		return 0
	}
	return p.schedule.nap(now)
}

// failing reports whether fetches have failed for so long that the metadata may name
// another location.
func (p *Policy) failing(now time.Time) bool {
	return p.schedule.failures > 0 && now.Sub(p.schedule.failingSince) >= relocateAfter
}

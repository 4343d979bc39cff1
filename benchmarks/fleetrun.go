package benchmarks

import (
	binheap "container/heap"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// fleetRun is one simulation. Times are counted from its start.
type fleetRun struct {
	Fleet

	random   *rand.Rand
	jitter   issuerkeys.Random // of the policies
	limits   jwkscache.Limits
	epoch    time.Time
	now, end time.Duration
	events   events
	replicas []replica
	kids     uint64 // made up so far

	rotations          []rotation
	downFrom, downTo   time.Duration
	floodFrom, floodTo time.Duration

	second []int32 // requests at the issuer, for each second
	report *FleetReport
}

// rotation is when a key is published, and when the issuer signs with it.
type rotation struct{ published, signed time.Duration }

// replica is one process.
type replica struct {
	policy  *issuerkeys.Policy // nil before the start
	life    uint8              // counts starts; events of an earlier life are not for this one
	waiting bool               // Run waits for the fetch under way
	flood   bool               // a made-up kid is on its way
	cause   string             // of the fetch under way, with its kid; "" if there is none
	kid     string
	held    time.Duration // when the fetch begins that tokens wait for; 0 if there is none
	heldKid string
	keys    int           // rotations whose key the set has
	fresh   time.Duration // until when the set is fresh, and usable
	usable  time.Duration
}

type eventKind uint8

const (
	eventBoot    eventKind = iota // the process starts, or starts again
	eventWake                     // Run looks whether a fetch is due
	eventEnd                      // the answer of the issuer arrives
	eventRelease                  // a fetch begins that tokens wait for
	eventToken                    // a token arrives, where keys are stale or unusable
	eventFlood                    // a token with a made-up kid arrives
	eventNewKid                   // a token of the first rotation arrives; one more for each further rotation
)

// event happens to one process.
type event struct {
	at      time.Duration
	replica int32
	life    uint8
	kind    eventKind
}

// events is a heap by time.
type events []event //nolint:recvcheck // as container/heap wants them

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].replica < e[j].replica // so that the order does not depend on the heap
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) } //nolint:forcetypeassert // see push
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (r *fleetRun) push(at time.Duration, kind eventKind, i int) {
	binheap.Push(&r.events, event{at, int32(i), r.replicas[i].life, kind}) //nolint:gosec // at most a million
}

// run simulates everything that was planned.
func (r *fleetRun) run() error {
	r.second = make([]int32, int(r.end/time.Second)+2)
	last := time.Now()
	for len(r.events) > 0 && r.events[0].at < r.end {
		e := binheap.Pop(&r.events).(event) //nolint:forcetypeassert // see push
		r.now = e.at
		if err := r.happens(e); err != nil {
			return err
		}
		if r.Progress != nil && time.Since(last) > time.Second {
			last = time.Now()
			_, _ = fmt.Fprintf(r.Progress, "%s: %.0f of %.0f simulated minutes\n", r.report.Scenario, r.now.Minutes(), r.end.Minutes())
		}
	}
	r.count()
	return nil
}

func (r *fleetRun) happens(e event) error {
	i := int(e.replica)
	one := &r.replicas[i]
	switch e.kind {
	case eventBoot:
		return r.boot(i)
	case eventFlood:
		one.flood = false
	default: // events from eventNewKid on are planned before the start
		if e.life != one.life && e.kind < eventNewKid {
			return nil
		}
	}
	if one.policy == nil {
		return nil
	}
	switch e.kind {
	case eventWake:
		r.wake(i)
	case eventEnd:
		r.answer(i)
	case eventRelease:
		if one.held == r.now && one.cause == "" {
			r.begin(i, issuerkeys.CauseUnknownKid, one.heldKid)
		}
	case eventToken:
		r.token(i)
	case eventFlood:
		r.madeUp(i)
	default:
		r.newKid(i, int(e.kind-eventNewKid))
	}
	return nil
}

// boot starts a process, which fetches the keys before it serves.
func (r *fleetRun) boot(i int) error {
	policy, err := r.policy()
	if err != nil {
		return err
	}
	r.replicas[i] = replica{policy: policy, life: r.replicas[i].life + 1}
	r.ask(i, issuerkeys.CauseMissing, "")
	if !r.OnDemand {
		r.wake(i)
	}
	if r.floodFrom <= r.now && r.now < r.floodTo {
		r.nextFlood(i, r.now)
	}
	return nil
}

// clock returns the time for the policies.
func (r *fleetRun) clock() time.Time { return r.epoch.Add(r.now) }

// wake does what Run does when it does not wait for a fetch.
func (r *fleetRun) wake(i int) {
	one := &r.replicas[i]
	nap := one.policy.Nap(r.clock())
	if nap == 0 {
		decision, _ := r.ask(i, issuerkeys.CauseSchedule, "")
		if one.waiting = decision != issuerkeys.Refuses; one.waiting {
			return
		}
		nap = time.Second
	}
	r.push(r.now+nap, eventWake, i)
}

// ask asks the policy for a fetch, and begins it if it may.
func (r *fleetRun) ask(i int, cause, kid string) (issuerkeys.Decision, time.Duration) {
	one := &r.replicas[i]
	decision, allowed := one.policy.Ask(cause, kid, r.clock())
	at := allowed.Sub(r.epoch)
	switch decision {
	case issuerkeys.Starts:
		r.begin(i, cause, kid)
	case issuerkeys.Waits:
		if one.held == 0 || at < one.held {
			one.held, one.heldKid = at, kid
			r.push(at, eventRelease, i)
		}
	case issuerkeys.Joins, issuerkeys.Refuses:
	}
	return decision, at
}

// begin sends a request to the issuer.
func (r *fleetRun) begin(i int, cause, kid string) {
	one := &r.replicas[i]
	one.policy.Begin(cause, r.clock())
	one.cause, one.kid, one.held = cause, kid, 0
	if second := int((r.now + r.Latency/2) / time.Second); second < len(r.second) {
		r.second[second]++
	}
	r.push(r.now+r.Latency, eventEnd, i)
}

// answer ends a fetch. The issuer has answered half of the latency ago.
func (r *fleetRun) answer(i int) {
	one := &r.replicas[i]
	now, answered := r.clock(), r.now-r.Latency/2
	cause, kid := one.cause, one.kid
	one.cause = ""
	if r.downFrom <= answered && answered < r.downTo {
		one.policy.Fail(cause, kid, now, 0)
	} else {
		published := 0
		for _, rotation := range r.rotations {
			if rotation.published <= answered {
				published++
			}
		}
		header := http.Header{"Cache-Control": {"max-age=" + strconv.Itoa(int(r.TTL/time.Second))}}
		times := one.policy.Plan(cause, now, one.policy.Fresh(header, now), r.now < one.fresh)
		one.policy.Succeed(cause, kid, now, one.usable == 0 || published > one.keys, times.Renewal)
		one.keys, one.fresh, one.usable = published, times.Fresh.Sub(r.epoch), times.Usable.Sub(r.epoch)
	}
	if one.waiting {
		one.waiting = false
		r.wake(i)
	}
	if one.cause == "" {
		r.nextToken(i, r.now)
		r.nextFlood(i, r.now)
	}
}

// nextToken plans the token that causes the next fetch: one that finds no usable keys
// or, without Run, stale ones. It is the first one after at.
func (r *fleetRun) nextToken(i int, at time.Duration) {
	one := &r.replicas[i]
	if at = max(at, one.usable); r.OnDemand {
		at = min(at, max(r.now, one.fresh))
	}
	r.push(at+r.wait(r.Traffic), eventToken, i)
}

func (r *fleetRun) token(i int) {
	one := &r.replicas[i]
	var cause string
	switch {
	case one.cause != "" || r.now < one.fresh: // the end of the fetch plans the next token
		return
	case r.now >= one.usable:
		cause = issuerkeys.CauseMissing
	case r.OnDemand:
		cause = issuerkeys.CauseStale
	default:
		return
	}
	if decision, at := r.ask(i, cause, ""); decision == issuerkeys.Refuses {
		r.push(max(at, r.now)+r.wait(r.Traffic), eventToken, i)
	}
}

// nextFlood plans the next made-up kid, if there is a flood.
func (r *fleetRun) nextFlood(i int, at time.Duration) {
	if one := &r.replicas[i]; r.floodFrom <= at && at < r.floodTo && !one.flood {
		one.flood = true
		r.push(at+r.wait(r.Kids/float64(len(r.replicas))), eventFlood, i)
	}
}

// madeUp is the arrival of a token with a made-up kid. Further ones change nothing while
// a fetch is under way or planned for them.
func (r *fleetRun) madeUp(i int) {
	if r.now >= r.floodTo {
		return
	}
	r.kids++
	if decision, at := r.ask(i, issuerkeys.CauseUnknownKid, strconv.FormatUint(r.kids, 36)); decision == issuerkeys.Refuses {
		r.nextFlood(i, max(at, r.now))
	}
}

// newKid is the arrival of a token of the key of a rotation.
func (r *fleetRun) newKid(i, rotation int) {
	if r.replicas[i].keys > rotation {
		return
	}
	switch decision, at := r.ask(i, issuerkeys.CauseUnknownKid, "rotation "+strconv.Itoa(rotation)); decision {
	case issuerkeys.Joins, issuerkeys.Refuses: // a later token
		r.push(max(at, r.now)+r.wait(r.Traffic), eventNewKid+eventKind(rotation), i) //nolint:gosec // two
	case issuerkeys.Starts, issuerkeys.Waits:
	}
}

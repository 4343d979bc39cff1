package jwkscache

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Kinds of fetches, each with turns of its own.
const (
	turnMissing    = iota // a token came, and there are no usable keys
	turnUnknownKid        // a token has a kid that is not in the set
	turnRefresh           // the keys are, or will soon be, stale
	turnKinds
)

const (
	// maxTurns limits the queued fetches of one kind, for configured issuers
	// and for issuers with an accepted token, each. maxStrangers is the limit
	// for all other issuers.
	maxTurns     = 20_000
	maxStrangers = 1000
	// One turn in strangersShare goes to an issuer without an accepted token,
	// while others wait as well.
	strangersShare = 4
	// One fetch in configuredShare of those under way is kept for configured
	// issuers.
	configuredShare = 8
)

// standing is how far an issuer is trusted with shared resources.
type standing int

const (
	stranger   standing = iota
	accepted            // a token of it was accepted
	configured          // it is named by a configuration
	standings
)

var (
	errTurn  = errors.New("jwkscache: the fetch waits for its turn, since many issuers are asked at present")
	errTurns = fmt.Errorf("%w: too many issuers are asked at present", ErrUnavailable)
)

// turns orders the fetches of all issuers. Each issuer has at most one fetch that
// is queued or running, and fetches of one kind start in the order of arrival, so
// many unknown kids of one issuer do not delay another.
type turns struct {
	mu       sync.Mutex
	limit    int // fetches under way at once
	underWay [standings]int
	arrived  int // fetches, ever
	classes  [turnKinds]turnClass
	timer    *time.Timer // set while a rate keeps fetches waiting
}

// turnClass is the fetches of one kind.
type turnClass struct {
	begun   []time.Time // the last ones, in a ring; nil: there is no rate
	oldest  int         // of them
	granted int         // turns while strangers waited, and others
	queues  [standings][]*turn
}

// turn is a fetch that waits for its turn, or is under way.
type turn struct {
	of      standing
	arrival int
	ready   chan struct{} // closed when it is its turn
}

// kindOf returns the kind of a fetch with that cause.
func kindOf(cause string) int {
	switch cause {
	case causeMissing:
		return turnMissing
	case causeSchedule, causeStale:
		return turnRefresh
	default: // whatever else a token can cause
		return turnUnknownKid
	}
}

// await waits for the turn of a fetch, which is then under way until done.
func (s *turns) await(kind int, of standing) (*turn, error) {
	limit := maxTurns
	if of == stranger {
		limit = maxStrangers
	}
	s.mu.Lock()
	class := &s.classes[kind]
	if len(class.queues[of]) >= limit {
		s.mu.Unlock()
		return nil, errTurns
	}
	s.arrived++
	t := &turn{of: of, arrival: s.arrived, ready: make(chan struct{})}
	class.queues[of] = append(class.queues[of], t)
	s.grant()
	s.mu.Unlock()
	<-t.ready
	return t, nil
}

// done ends a fetch.
func (s *turns) done(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay[t.of]--
	s.grant()
}

// grant gives turns as long as somebody may have one. The lock is held.
func (s *turns) grant() {
	now := time.Now()
	for {
		class, of := s.next(now)
		if class == nil {
			break
		}
		t := class.take(of, now)
		s.underWay[of]++
		close(t.ready)
	}
	s.wake(now)
}

// next returns whose turn it is: of the kinds that may begin, the one that came
// first.
func (s *turns) next(now time.Time) (class *turnClass, of standing) {
	room := s.room()
	var first *turn
	for i := range s.classes {
		c := &s.classes[i]
		if c.pause(now) > 0 {
			continue
		}
		if q, found := c.pick(room); found && (first == nil || c.queues[q][0].arrival < first.arrival) {
			class, of, first = c, q, c.queues[q][0]
		}
	}
	return class, of
}

// room tells for whom a fetch more may be under way.
func (s *turns) room() (room [standings]bool) {
	others := s.underWay[stranger] + s.underWay[accepted]
	room[configured] = others+s.underWay[configured] < s.limit
	room[accepted] = room[configured] && others < s.limit-s.limit/configuredShare
	room[stranger] = room[accepted] && s.underWay[stranger] < s.limit-s.limit/strangersShare
	return room
}

// pick returns whose turn is next, of those for whom there is room: of configured
// issuers and those of which a token was accepted the one that came first, and a
// stranger from time to time.
func (c *turnClass) pick(room [standings]bool) (of standing, found bool) {
	for _, q := range []standing{accepted, configured} {
		if len(c.queues[q]) > 0 && room[q] && (!found || c.queues[q][0].arrival < c.queues[of][0].arrival) {
			of, found = q, true
		}
	}
	if len(c.queues[stranger]) > 0 && room[stranger] && (!found || c.granted%strangersShare == strangersShare-1) {
		return stranger, true
	}
	return of, found
}

// take removes the first of a queue.
func (c *turnClass) take(of standing, now time.Time) *turn {
	if len(c.queues[stranger]) > 0 && len(c.queues[accepted])+len(c.queues[configured]) > 0 {
		c.granted++
	}
	t := c.queues[of][0]
	c.queues[of][0] = nil
	c.queues[of] = c.queues[of][1:]
	if c.begun != nil {
		c.begun[c.oldest] = now
		c.oldest = (c.oldest + 1) % len(c.begun)
	}
	return t
}

// pause returns how long the rate keeps the next fetch waiting.
func (c *turnClass) pause(now time.Time) time.Duration {
	if c.begun == nil {
		return 0
	}
	return time.Second - now.Sub(c.begun[c.oldest])
}

// wake sees that turns are given when a rate allows it, if somebody waits for
// that. The end of a fetch gives turns as well.
func (s *turns) wake(now time.Time) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	soonest := time.Duration(0)
	room := s.room()
	for i := range s.classes {
		c := &s.classes[i]
		_, found := c.pick(room)
		if pause := c.pause(now); pause > 0 && found && (soonest == 0 || pause < soonest) {
			soonest = pause
		}
	}
	if soonest == 0 {
		return
	}
	s.timer = time.AfterFunc(soonest, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.grant()
	})
}

// turn waits for the turn of a flight that fetches from the network. What it
// returns ends the fetch for the others.
func (k *Keys) turn(f *flight) (done func(), err error) {
	shared := k.binding.Shared
	if shared == nil || !k.remembers {
		return func() {}, nil
	}
	t, err := shared.turns.await(kindOf(f.cause), k.standing())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	k.mu.Lock()
	f.start, k.schedule.started = now, now
	k.mu.Unlock()
	return func() { shared.turns.done(t) }, nil
}

// standing returns whose share the fetches have.
func (k *Keys) standing() standing {
	switch {
	case k.binding.Configured:
		return configured
	case k.everAccepted.Load():
		return accepted
	default:
		return stranger
	}
}

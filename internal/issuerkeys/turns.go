package issuerkeys

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
	// strangersShare is how many turns there are for each turn of an issuer
	// without an accepted token, while others wait as well.
	strangersShare = 4
	// configuredShare is how many fetches may be under way for each one that is
	// kept for configured issuers.
	configuredShare = 8
)

// standing is the share of common resources that an issuer has.
type standing int

const (
	stranger   standing = iota // an issuer without an accepted token
	accepted                   // a token of it was accepted
	configured                 // it is named by a configuration
	standings
)

var (
	errTurn  = errors.New("jwkscache: the fetch is queued, since many issuers are asked at present")
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
	case CauseMissing:
		return turnMissing
	case CauseSchedule, CauseStale:
		return turnRefresh
	default: // every other cause that a token can have
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

// grant gives turns as long as a fetch may begin. The caller holds the lock.
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

// next returns whose turn it is: of the kinds that may begin, the fetch that came
// first. A nil class means that none may begin.
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

// room reports for which standings one more fetch may begin.
func (s *turns) room() (room [standings]bool) {
	others := s.underWay[stranger] + s.underWay[accepted]
	room[configured] = others+s.underWay[configured] < s.limit
	room[accepted] = room[configured] && others < s.limit-s.limit/configuredShare
	room[stranger] = room[accepted] && s.underWay[stranger] < s.limit-s.limit/strangersShare
	return room
}

// pick returns the standing whose turn is next, of those for which there is room: of
// configured and accepted, the one whose fetch came first, and one turn in
// strangersShare is for a stranger.
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

// take removes the first turn of a queue.
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

// pause returns how long the next fetch waits because of the rate.
func (c *turnClass) pause(now time.Time) time.Duration {
	if c.begun == nil {
		return 0
	}
	return time.Second - now.Sub(c.begun[c.oldest])
}

// wake sets a timer for the next turn that a rate allows, if a fetch waits for that.
// The end of a fetch gives turns as well.
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

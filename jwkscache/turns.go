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
	// maxTurns is how many fetches of a kind wait for their turn, of issuers of
	// which a token was accepted; of others, maxStrangers.
	maxTurns     = 20_000
	maxStrangers = 1000
	// strangersShare is how many of the turns, one in so many, issuers get of
	// which no token was accepted, while others wait as well.
	strangersShare = 4
)

var (
	errTurn  = errors.New("jwkscache: the fetch waits for its turn, since many issuers are asked at present")
	errTurns = fmt.Errorf("%w: too many issuers are asked at present", ErrUnavailable)
)

// turns are whose fetch is next, over all issuers. An issuer has one fetch under
// way or waiting at a time, and those of a kind begin in the order in which they
// came: so however many unknown kids tokens of one issuer have, those of another
// have their turn.
type turns struct {
	mu       sync.Mutex
	limit    int // fetches under way at once
	underWay int
	others   int // of them, for issuers of which no token was accepted
	arrived  int // fetches, ever
	classes  [turnKinds]turnClass
	timer    *time.Timer // set while a rate keeps fetches waiting
}

// turnClass is the fetches of one kind.
type turnClass struct {
	begun   []time.Time // the last ones, in a ring; nil: there is no rate
	oldest  int         // of them
	granted int         // turns while both queues had somebody
	queues  [2][]*turn  // of issuers of which no token was accepted, and of others
}

// turn is a fetch that waits for its turn, or is under way.
type turn struct {
	accepted bool // a token of the issuer was accepted
	arrival  int
	ready    chan struct{} // closed when it is its turn
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
func (s *turns) await(kind int, accepted bool) (*turn, error) {
	queue, limit := 0, maxStrangers
	if accepted {
		queue, limit = 1, maxTurns
	}
	s.mu.Lock()
	class := &s.classes[kind]
	if len(class.queues[queue]) >= limit {
		s.mu.Unlock()
		return nil, errTurns
	}
	s.arrived++
	t := &turn{accepted: accepted, arrival: s.arrived, ready: make(chan struct{})}
	class.queues[queue] = append(class.queues[queue], t)
	s.grant()
	s.mu.Unlock()
	<-t.ready
	return t, nil
}

// done ends a fetch.
func (s *turns) done(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	if !t.accepted {
		s.others--
	}
	s.grant()
}

// grant gives turns as long as somebody may have one. The lock is held.
func (s *turns) grant() {
	now := time.Now()
	for s.underWay < s.limit {
		class, queue := s.next(now)
		if class == nil {
			break
		}
		t := class.take(queue, now)
		s.underWay++
		if !t.accepted {
			s.others++
		}
		close(t.ready)
	}
	s.wake(now)
}

// next returns whose turn it is: of the kinds that may begin, the one that came
// first.
func (s *turns) next(now time.Time) (class *turnClass, queue int) {
	others := s.others < s.limit-s.limit/strangersShare
	var first *turn
	for i := range s.classes {
		c := &s.classes[i]
		if c.pause(now) > 0 {
			continue
		}
		if q, found := c.pick(others); found && (first == nil || c.queues[q][0].arrival < first.arrival) {
			class, queue, first = c, q, c.queues[q][0]
		}
	}
	return class, queue
}

// pick returns the queue that has the next turn. Issuers of which no token was
// accepted have none unless others is set.
func (c *turnClass) pick(others bool) (queue int, found bool) {
	strangers, accepted := len(c.queues[0]) > 0 && others, len(c.queues[1]) > 0
	if strangers && accepted {
		if c.granted%strangersShare == strangersShare-1 {
			return 0, true
		}
		return 1, true
	}
	if strangers {
		return 0, true
	}
	return 1, accepted
}

// take removes the first of a queue.
func (c *turnClass) take(queue int, now time.Time) *turn {
	if len(c.queues[0]) > 0 && len(c.queues[1]) > 0 {
		c.granted++
	}
	t := c.queues[queue][0]
	c.queues[queue][0] = nil
	c.queues[queue] = c.queues[queue][1:]
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
	if s.underWay >= s.limit {
		return
	}
	soonest := time.Duration(0)
	for i := range s.classes {
		c := &s.classes[i]
		if pause := c.pause(now); pause > 0 && len(c.queues[0])+len(c.queues[1]) > 0 && (soonest == 0 || pause < soonest) {
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
	t, err := shared.turns.await(kindOf(f.cause), k.everAccepted.Load())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	k.mu.Lock()
	f.start, k.schedule.started = now, now
	k.mu.Unlock()
	return func() { shared.turns.done(t) }, nil
}

package introspection

import (
	"sync"

	"github.com/sallyport-auth/sallyport/introspect"
)

// stateKeeper reports each change of the state of an issuer once and in order. No lock
// is held while report runs, so that it may ask for the Status.
type stateKeeper struct {
	report func(introspect.State)

	mu        sync.Mutex
	state     introspect.State // the last one
	pending   []introspect.State
	reporting bool
}

// update reports the state that now returns, if it is another one than before. If a
// report is under way in another goroutine, that goroutine makes this one as well. now
// is called with the lock held, so that the state of the last call is the last reported.
func (s *stateKeeper) update(now func() introspect.State) {
	s.mu.Lock()
	state := now()
	if state == s.state {
		s.mu.Unlock()
		return
	}
	s.state = state
	s.pending = append(s.pending, state)
	if s.reporting {
		s.mu.Unlock()
		return
	}
	s.reporting = true
	s.mu.Unlock()
	for s.next() {
	}
}

// next makes the oldest report that is pending, and returns false if there is none.
func (s *stateKeeper) next() (more bool) {
	s.mu.Lock()
	if len(s.pending) == 0 {
		s.pending, s.reporting = nil, false
		s.mu.Unlock()
		return false
	}
	state := s.pending[0]
	s.pending = s.pending[1:]
	s.mu.Unlock()
	ended := false
	defer func() {
		if !ended { // report ended the goroutine: the next change reports
			s.mu.Lock()
			s.reporting = false
			s.mu.Unlock()
		}
	}()
	s.report(state)
	ended = true
	return true
}

package middleware

import "sync"

// maxAsking is how many held requests an issuer is asked about at once.
const maxAsking = 32

// lanes bound how many held requests present their tokens again at once: one lane for
// each issuer, so that a slow one delays its own tokens only. A lane has goroutines only
// while there is something to do.
type lanes struct {
	mu       sync.Mutex
	byIssuer map[string]*askLane
}

// askLane is the requests that are waiting for one issuer, in the order in which they
// came.
type askLane struct {
	queue   []*Held
	workers int
}

// add makes h ask soon.
func (l *lanes) add(issuer string, h *Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byIssuer == nil {
		l.byIssuer = make(map[string]*askLane)
	}
	lane := l.byIssuer[issuer]
	if lane == nil {
		lane = new(askLane)
		l.byIssuer[issuer] = lane
	}
	lane.queue = append(lane.queue, h)
	if lane.workers < maxAsking {
		lane.workers++
		go l.work(issuer, lane)
	}
}

// work asks for one request after the other until none is left.
func (l *lanes) work(issuer string, lane *askLane) {
	for h := l.next(issuer, lane); h != nil; h = l.next(issuer, lane) {
		h.ask()
	}
}

// next returns the next request of a lane, or nil if the worker has to end.
func (l *lanes) next(issuer string, lane *askLane) *Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(lane.queue) == 0 {
		if lane.workers--; lane.workers == 0 {
			delete(l.byIssuer, issuer)
		}
		return nil
	}
	h := lane.queue[0]
	lane.queue[0] = nil
	lane.queue = lane.queue[1:]
	return h
}

package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// Bounds of the calls of Find.
const (
	callTimeout = 5 * time.Second // of one call, and of the wait for its place
	maxCalls    = 512             // under way at once in a lane
	maxQueued   = 1000            // that wait for a place in a lane
	// quickCall is how long a call for a stranger may take in any case.
	quickCall = 50 * time.Millisecond
	// maxSlowCalls is how many calls for strangers may take longer than quickCall
	// while others wait.
	maxSlowCalls = 256
	// laneInterval is how often a lane is advanced in which calls wait.
	laneInterval = 10 * time.Millisecond
)

// ErrBusy means that a name was not looked up, or that its lookup was given up,
// because too many others are under way.
var ErrBusy = errors.New("too many names are looked up at present, or the answers take too long")

// call is one lookup that many callers may wait for. All of it but the Flight is
// guarded by the lock of the Directory.
type call[T any] struct {
	*detached.Flight

	name      string
	lane      *lane[T]
	value     *T                 // set before it lands
	landed    bool               // nobody waits for it any more
	requested time.Time          // when it was asked for
	began     time.Time          // when it got its place
	cancel    context.CancelFunc // ends its context, once it has begun
}

// lane bounds the calls for one class of names. It is guarded by the lock of the
// Directory.
type lane[T any] struct {
	strangers bool       // slow calls are given up while others wait
	underWay  []*call[T] // in the order in which they began
	queue     []*call[T] // in the order in which they were asked for
	timed     bool       // a timer will advance the lane

	begin  func(*call[T]) // starts a call
	giveUp func(*call[T]) // lands a call with ErrBusy
	later  func(*lane[T]) // advances the lane after laneInterval
}

// add puts c at the end of the queue. It returns ErrBusy if the queue is full.
func (l *lane[T]) add(c *call[T]) error {
	if len(l.queue) >= maxQueued {
		return ErrBusy
	}
	c.lane = l
	l.queue = append(l.queue, c)
	return nil
}

// advance begins the calls for which there is a place, and gives up those that
// have waited too long.
func (l *lane[T]) advance(now time.Time) {
	for len(l.queue) > 0 && len(l.underWay) < maxCalls {
		c := l.next()
		c.began = now
		l.underWay = append(l.underWay, c)
		l.begin(c)
	}
	for len(l.queue) > 0 && now.Sub(l.queue[0].requested) >= callTimeout {
		l.giveUp(l.next())
	}
	if l.strangers && len(l.queue) > 0 {
		l.giveUpSlow(now)
	}
	if len(l.queue) > 0 && !l.timed {
		l.timed = true
		l.later(l)
	}
}

// next takes the first call from the queue.
func (l *lane[T]) next() *call[T] {
	c := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return c
}

// giveUpSlow gives up calls that are not quick, for those that wait. It begins
// with the call that began last, since the earlier ones may be about to end.
func (l *lane[T]) giveUpSlow(now time.Time) {
	slow, ending := 0, 0 // calls that somebody waits for, and places that are about to be free
	for _, c := range l.underWay {
		switch {
		case c.landed:
			ending++
		case now.Sub(c.began) >= quickCall:
			slow++
		}
	}
	for _, c := range slices.Backward(l.underWay) {
		if slow <= maxSlowCalls || len(l.queue) <= ending {
			return
		}
		if !c.landed && now.Sub(c.began) >= quickCall {
			c.cancel()
			l.giveUp(c)
			slow, ending = slow-1, ending+1
		}
	}
}

// end frees the place of c.
func (l *lane[T]) end(c *call[T], now time.Time) {
	l.underWay = slices.DeleteFunc(l.underWay, func(other *call[T]) bool { return other == c })
	l.advance(now)
}

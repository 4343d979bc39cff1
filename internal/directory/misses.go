package directory

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// maxMisses is how many misses of one kind are remembered.
const maxMisses = 4096

// misses are the names that are not looked up at present, by their hash: the
// names themselves are an attacker's choice and are not kept.
type misses map[uint64]miss

// miss says why a name has no value, and for how long it is not looked up again.
type miss struct {
	err   error
	since clock.Moment
	lasts time.Duration
}

// add remembers a miss. If there are too many already, add forgets them first.
func (m misses) add(hash uint64, err error, now clock.Moment, lasts time.Duration) {
	if len(m) >= maxMisses {
		clear(m)
	}
	m[hash] = miss{err, now, lasts}
}

// get returns the error of a miss that still lasts, or nil.
func (m misses) get(hash uint64, now clock.Moment) error {
	if found := m[hash]; found.since.Age(now) < found.lasts { // a missing one lasts 0
		return found.err
	}
	return nil
}

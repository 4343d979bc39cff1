package jwkscache

import (
	"hash/maphash"
	"time"
)

const (
	// maxRemembered bounds the kids that are remembered as asked for in vain.
	maxRemembered = 1024
	// quiet is how long fetches in vain count, at least.
	quiet = 5 * time.Minute
)

// budget says when a fetch for an unknown kid is due. The package comment has
// the argument. It is guarded by the lock of its Keys.
type budget struct {
	limits    *Limits
	seed      maphash.Seed
	missed    map[uint64]struct{} // kids that a fetch was spent on in vain; an attacker's strings are not kept
	fruitless int                 // fetches in a row, but for further ones for a kid that was missed
	last      time.Time           // when the last of them ended
}

func newBudget(limits *Limits) budget {
	return budget{limits: limits, seed: maphash.MakeSeed(), missed: make(map[uint64]struct{})}
}

// interval is how far a fetch for kid must be from the one before.
func (b *budget) interval(kid string, now time.Time) time.Duration {
	b.forget(now)
	if _, again := b.missed[b.hash(kid)]; again || b.fruitless >= b.limits.Fruitless {
		return b.limits.FruitlessInterval
	}
	return b.limits.UnknownInterval
}

// spent records a fetch for kid that ended at now. found says whether it
// succeeded, gained whether it brought any new key.
func (b *budget) spent(kid string, now time.Time, found, gained bool) {
	if gained {
		b.reset()
		return
	}
	_, again := b.missed[b.hash(kid)]
	if !again { // counted once, or five retired keys would look like a flood of ten
		b.fruitless++
		b.last = now
	}
	if !found { // whether the kid exists is still open
		return
	}
	if !again && len(b.missed) >= maxRemembered {
		clear(b.missed)
	}
	b.missed[b.hash(kid)] = struct{}{}
}

// forget ends the row of fetches in vain after a while without any. The kids
// stay remembered: of several that keep being asked for, only one is fetched
// for at a time, and the others would start the row anew.
func (b *budget) forget(now time.Time) {
	if now.Sub(b.last) >= max(quiet, 2*b.limits.FruitlessInterval) {
		b.fruitless = 0
	}
}

// reset is for when the world has changed: a fetch brought a new key.
func (b *budget) reset() {
	b.fruitless = 0
	clear(b.missed)
}

func (b *budget) hash(kid string) uint64 { return maphash.String(b.seed, kid) }

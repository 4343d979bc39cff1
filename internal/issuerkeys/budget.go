package issuerkeys

import (
	"hash/maphash"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	// maxRemembered bounds the kids that are remembered as missing.
	maxRemembered = 1024
	// quiet is the least time for which a fetch in vain counts.
	quiet = 5 * time.Minute
)

// budget decides how far apart fetches for unknown kids are. The package comment
// has the reasons. The lock of the refresher guards it.
type budget struct {
	limits    *jwkscache.Limits
	seed      maphash.Seed
	missed    map[uint64]struct{} // hashes of kids that a fetch did not find, so that an attacker's strings are not kept
	fruitless int                 // fetches in vain in a row, without further ones for a kid that was missed before
	last      time.Time           // when the last of them ended
}

func newBudget(limits *jwkscache.Limits) budget {
	return budget{limits: limits, seed: maphash.MakeSeed(), missed: make(map[uint64]struct{})}
}

// interval returns the least time between the fetch before and one for kid.
func (b *budget) interval(kid string, now time.Time) time.Duration {
	b.forget(now)
	if _, again := b.missed[b.hash(kid)]; again {
		return b.limits.FruitlessInterval
	}
	return b.intervalOfNew()
}

// intervalOfNew is interval for a kid that was not missed before. Call forget first.
func (b *budget) intervalOfNew() time.Duration {
	if b.fruitless >= b.limits.Fruitless {
		return b.limits.FruitlessInterval
	}
	return b.limits.UnknownInterval
}

// spent records a fetch for kid that ended at now. found says that the fetch
// succeeded, and gained that it returned a new key.
func (b *budget) spent(kid string, now time.Time, found, gained bool) {
	if gained {
		b.reset()
		return
	}
	_, again := b.missed[b.hash(kid)]
	if !again { // counted once, because five retired keys would otherwise count as a flood of ten
		b.fruitless++
		b.last = now
	}
	if !found { // the kid may exist
		return
	}
	if !again && len(b.missed) >= maxRemembered {
		clear(b.missed)
	}
	b.missed[b.hash(kid)] = struct{}{}
}

// forget resets the count of fetches in vain after a while without any. The missed
// kids stay remembered: if several are asked for again and again, only one fetch
// runs at a time, and the others would start the count again.
func (b *budget) forget(now time.Time) {
	if now.Sub(b.last) >= max(quiet, 2*b.limits.FruitlessInterval) {
		b.fruitless = 0
	}
}

// reset forgets everything, because a fetch returned a new key.
func (b *budget) reset() {
	b.fruitless = 0
	clear(b.missed)
}

func (b *budget) hash(kid string) uint64 { return maphash.String(b.seed, kid) }

package jwkscache

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// version is one state of an issuer's keys. It is immutable but for the lives.
type version struct {
	set       *jose.Set // what tokens are judged by: published less what is forbidden
	published *jose.Set
	lives     map[*jose.Key]*life // of the keys in set

	number   uint64 // of the fetch that brought it, counted from 1; 0 without one
	origin   string // see [Status.Origin]
	document string // the JWK Set as received
	etag     string
	location string
	lifetime lifetime  // of the response
	empty    time.Time // since when sets have no usable key, or zero if this one has

	fetched time.Time // zero for static keys
	renewal deadline  // when Run asks again, ahead of fresh
	fresh   deadline  // until when it needs no refresh; never after usable
	usable  deadline  // until when it may serve
}

// life tells those who hold on to a key whether it is still published and not
// forbidden. A key that comes back gets a new life.
type life struct{ withdrawn atomic.Bool }

// deadline is an instant by both clocks: the monotonic one stands still while a
// machine is suspended, and the wall clock can be set back. It has passed once
// either says so.
type deadline struct {
	at   time.Time
	wall int64 // at in ns since 1970
}

func until(at time.Time) deadline { return deadline{at, at.UnixNano()} }

func (d deadline) passed(now time.Time) bool { return d.passedWall(now) || d.passedClock(now) }

// passedWall and passedClock are the halves of passed, which is too much to be
// inlined where every nanosecond counts.
func (d deadline) passedWall(now time.Time) bool  { return now.UnixNano() >= d.wall }
func (d deadline) passedClock(now time.Time) bool { return !now.Before(d.at) }

// never is beyond the life of any process.
var never = until(time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC))

// identity is what makes a key of one version the same as one of another.
type identity struct {
	thumbprint, id string
	hasID          bool
	algorithm      jose.Algorithm
}

func identityOf(key *jose.Key) identity {
	id, hasID := key.ID()
	return identity{key.Thumbprint(), id, hasID, key.Algorithm()}
}

// without answers v with the keys that are neither forbidden nor missing.
func (v *version) without(forbidden map[KeyName]bool) *version {
	after := *v
	after.set = v.published.Without(func(key *jose.Key) bool { return forbids(forbidden, key) })
	return &after
}

// succeed gives the keys of v the lives that they had in before, which may be
// nil, and answers which keys came and which went. Those that went are to be
// withdrawn once v is in use.
func (v *version) succeed(before *version) (added []*jose.Key, removed map[*jose.Key]*life) {
	known := make(map[identity]*life)
	removed = make(map[*jose.Key]*life)
	if before != nil {
		for key, l := range before.lives {
			known[identityOf(key)] = l
		}
		removed = maps.Clone(before.lives)
	}
	v.lives = make(map[*jose.Key]*life)
	kept := make(map[identity]bool)
	for _, key := range v.set.Keys() {
		id := identityOf(key)
		l := known[id]
		if l == nil {
			l = new(life)
			added = append(added, key)
		}
		known[id] = l // the same key twice in one set has one life
		kept[id] = true
		v.lives[key] = l
	}
	maps.DeleteFunc(removed, func(key *jose.Key, _ *life) bool { return kept[identityOf(key)] })
	return added, removed
}

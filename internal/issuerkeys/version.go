package issuerkeys

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// version is one state of an issuer's keys. It is immutable except for the lives.
type version struct {
	set       *jose.Set // the keys that verify tokens: published without the forbidden ones
	published *jose.Set
	lives     map[*jose.Key]*life // of the keys in set

	number   uint64 // of the fetch that returned it, counted from 1; 0 without a fetch
	origin   string // see [jwkscache.Status]
	document string // the JWK Set as received
	etag     string
	location string
	lifetime lifetime  // of the response
	empty    time.Time // when the first of the sets without a usable key was fetched; zero if this one has a key

	fetched time.Time // zero for static keys
	renewal deadline  // when Run asks again, ahead of fresh
	fresh   deadline  // until when it needs no refresh; never after usable
	usable  deadline  // until when it may serve
}

// life says whether a key is still published and not forbidden. A key that comes
// back gets a new life.
type life struct {
	key       identity
	withdrawn atomic.Bool
}

// identity is what two keys of different versions have in common if they are the
// same key.
type identity struct {
	thumbprint, id string
	hasID          bool
	algorithm      jose.Algorithm
}

func identityOf(key *jose.Key) identity {
	id, hasID := key.ID()
	return identity{key.Thumbprint(), id, hasID, key.Algorithm()}
}

// usableAt reports whether v is a version that may serve.
func (v *version) usableAt(now time.Time) bool { return v != nil && !v.usable.passed(now) }

// freshAt reports whether v is a version that needs no refresh.
func (v *version) freshAt(now time.Time) bool { return v != nil && !v.fresh.passed(now) }

// without returns a copy of v without the forbidden keys.
func (v *version) without(forbidden map[jwkscache.KeyName]bool) *version {
	after := *v
	after.set = v.published.Without(func(key *jose.Key) bool { return forbids(forbidden, key) })
	return &after
}

// succeed gives the keys of v the lives that they have in before, which may be
// nil. It returns the keys that only v has and the lives of those that only before
// has. The caller withdraws the latter once v is in use.
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
			l = &life{key: id}
			added = append(added, key)
		}
		known[id] = l // the same key twice in one set has one life
		kept[id] = true
		v.lives[key] = l
	}
	maps.DeleteFunc(removed, func(key *jose.Key, _ *life) bool { return kept[identityOf(key)] })
	return added, removed
}

const (
	versionBytes = 4 << 10 // about what a version takes in memory
	keyBytes     = 4 << 10 // and a parsed key
)

// bytes estimates how much memory v takes: the document, what was parsed of it,
// and what is kept for every key.
func (v *version) bytes() int {
	if v == nil {
		return 0
	}
	return versionBytes + 2*len(v.document) + len(v.location) + len(v.etag) + keyBytes*v.published.Len()
}

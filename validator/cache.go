package validator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// CacheConfig bounds the cache of verified tokens. The zero value is on, with
// the defaults.
//
// What is kept is what a signature vouched for, under a keyed digest of the
// token: never the token, a refusal or a decision. A token that is found is
// judged again, but for its signature and the claims that cannot change: expiry,
// whether its key is still published and not forbidden, whether its issuer is
// still configured as it was, and the route's demands.
type CacheConfig struct {
	// Off turns the cache off: every token is verified every time.
	Off bool
	// Entries is how many tokens are kept. 0 means 10 000; otherwise 64 to
	// 10 000 000. A fifth of the places is for tokens that came once: those
	// that come again move to the others, so that tokens used once do not
	// displace those in use.
	Entries int
	// Bytes bounds the memory of the entries, as estimated. 0 means 4 096 for
	// each of Entries, and 4 MiB at least; otherwise 4 MiB to 64 GiB. A token
	// that takes more than a 320th of it is kept only while there is room.
	Bytes int
	// MaxAge is how long a token is believed without verifying its signature
	// again. 0 means 5 min; otherwise 1 s to 1 h.
	MaxAge time.Duration
}

// Defaults and bounds of the cache.
const (
	defaultEntries    = 10_000
	maxEntries        = 10_000_000
	entryBytes        = 4 << 10 // default of Bytes, for each entry
	minCacheBytes     = 4 << 20 // for tokens of any usual length to have their share of a shard
	maxCacheBytes     = int64(64 << 30)
	defaultCacheAge   = 5 * time.Minute
	maxCacheAge       = time.Hour
	shards            = 64  // and the least number of entries
	entryOverhead     = 822 // bytes of a token and its places in the cache, beside its text; measured, see TestMemory
	probationShare    = 5   // one in so many places is for tokens that came once
	maxPassed         = 64  // that were used, when one has to give way
	stackToken        = 2 << 10
	digestSecretBytes = 16
)

func (c CacheConfig) checked(f *faults) CacheConfig {
	switch {
	case c.Entries == 0:
		c.Entries = defaultEntries
	case c.Entries < shards || c.Entries > maxEntries:
		f.addf("Cache.Entries is %d; allowed are %d to %d, or 0 for %d; Off turns the cache off", c.Entries, shards, maxEntries, defaultEntries)
		c.Entries = defaultEntries
	}
	switch {
	case c.Bytes == 0:
		c.Bytes = int(max(min(int64(c.Entries)*entryBytes, math.MaxInt), minCacheBytes))
	case c.Bytes < minCacheBytes || int64(c.Bytes) > maxCacheBytes:
		f.addf("Cache.Bytes is %d; allowed are %d to %d, or 0 for %d an entry", c.Bytes, minCacheBytes, maxCacheBytes, entryBytes)
	}
	switch {
	case c.MaxAge == 0:
		c.MaxAge = defaultCacheAge
	case c.MaxAge < time.Second || c.MaxAge > maxCacheAge:
		f.addf("Cache.MaxAge is %v; allowed are %v to %v, or 0 for %v", c.MaxAge, time.Second, maxCacheAge, defaultCacheAge)
	}
	return c
}

// digest stands for a token. It is keyed, so that what is in memory cannot be
// compared with the digests of known tokens.
type digest [sha256.Size]byte

// verified is what is kept of a token: facts, and what they rest on.
type verified struct {
	*draft // apart, so that what is looked at for every token is close together

	digest digest               // set when it is kept
	issuer *issuer              // nil if it is dynamic: removing a tenant frees its keys at once
	tenant weak.Pointer[issuer] // else
	key    jwkscache.Handle
	since  moment // when the signature was verified
	// Within these seconds since 1970 there is nothing to refuse for its times:
	// from the claims, which are in colder memory.
	from, until int64
	text        int32       // bytes of the claims and what else is kept with them
	used        atomic.Bool // since it was settled, or passed over when another gave way
}

// cache keeps verified tokens. It belongs to one Validator, whose configuration
// never changes; what can change is asked on every hit.
type cache struct {
	secret [digestSecretBytes]byte // of this cache: no digest means anything elsewhere
	maxAge time.Duration
	shards [shards]shard
}

// shard is a part of the cache with a lock of its own. Tokens that came once
// are in probation; one that comes again is settled. Probation gives way first
// unless it is within its share: so however many tokens come once, those in use
// stay. Among the settled, the oldest gives way that was not used lately.
type shard struct {
	front     [][2]atomic.Pointer[verified] // the settled by their digests; as many pairs as a power of two
	mu        sync.Mutex                    // never held while anything is judged
	probation segment
	settled   segment
	entries   int // at most
	bytes     int // at most
}

// segment is a list in the order in which its tokens were put, and what it takes
// in memory.
type segment struct {
	list  *simplelru.LRU[digest, *verified]
	bytes int
}

// newCache answers nil for one that is off.
func newCache(c CacheConfig) *cache {
	if c.Off {
		return nil
	}
	made := &cache{maxAge: c.MaxAge}
	_, _ = rand.Read(made.secret[:]) // it never fails
	for i := range made.shards {
		made.shards[i] = shard{
			front:   make([][2]atomic.Pointer[verified], 1<<bits.Len(uint(c.Entries/shards))),
			entries: c.Entries / shards, bytes: c.Bytes / shards,
			probation: newSegment(), settled: newSegment(),
		}
	}
	return made
}

// newSegment makes a list that its shard bounds.
func newSegment() segment {
	list, _ := simplelru.NewLRU[digest, *verified](math.MaxInt, nil) // an error is only of a size below 1
	return segment{list: list}
}

// digest is the name of a token in this cache.
func (c *cache) digest(token string) digest {
	var stack [stackToken]byte
	text := append(append(stack[:0], c.secret[:]...), token...)
	return sha256.Sum256(text)
}

func (c *cache) shard(d digest) *shard { return &c.shards[d[0]%shards] }

// get answers what is kept of a token, or nil.
func (c *cache) get(d digest) *verified {
	s := c.shard(d)
	places := s.places(d)
	for i := range places {
		if v := places[i].Load(); v != nil && v.digest == d {
			if !v.used.Load() { // no store that other processors would wait for
				v.used.Store(true)
			}
			return v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, found := s.settled.list.Peek(d); found { // others took its places in front
		v.used.Store(true)
		s.show(v)
		return v
	}
	v := s.probation.take(d)
	if v == nil {
		return nil
	}
	s.settle(d, v)
	for s.settled.over(s.entries-share(s.entries), s.bytes-share(s.bytes)) {
		s.probation.put(s.takeUnused())
	}
	return v
}

// add keeps a token that was verified just now. If it was kept before, this
// takes its place: a token that has to be verified again now and then stays
// among those in use.
func (c *cache) add(d digest, v *verified) {
	s := c.shard(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	v.digest = d
	if outdated := s.settled.take(d); outdated != nil {
		s.hide(outdated)
		s.settle(d, v)
	} else {
		s.probation.take(d)
		s.probation.put(d, v)
	}
	for s.probation.list.Len()+s.settled.list.Len() > s.entries || s.probation.bytes+s.settled.bytes > s.bytes {
		if s.probation.over(share(s.entries), share(s.bytes)) { // as it is if there is nothing else
			s.probation.takeOldest()
		} else {
			s.takeUnused()
		}
	}
}

// drop forgets v, unless its place was taken already.
func (c *cache) drop(v *verified) {
	s := c.shard(v.digest)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, segment := range [...]*segment{&s.probation, &s.settled} {
		if kept, _ := segment.list.Peek(v.digest); kept == v {
			segment.take(v.digest)
			s.hide(v)
		}
	}
}

func (s *shard) settle(d digest, v *verified) {
	s.settled.put(d, v)
	s.show(v)
}

// places are where a settled token may be found without the lock.
func (s *shard) places(d digest) *[2]atomic.Pointer[verified] {
	return &s.front[int(binary.LittleEndian.Uint32(d[1:]))&(len(s.front)-1)]
}

// show puts a settled token in front, instead of another if it must.
func (s *shard) show(v *verified) {
	places := s.places(v.digest)
	for i := range places {
		if shown := places[i].Load(); shown == nil || shown.digest == v.digest {
			places[i].Store(v)
			return
		}
	}
	places[v.digest[5]%2].Store(v)
}

func (s *shard) hide(v *verified) {
	places := s.places(v.digest)
	for i := range places {
		places[i].CompareAndSwap(v, nil)
	}
}

// share is what is for tokens that came once: of a single place, that.
func share(of int) int { return (of + probationShare - 1) / probationShare }

func (s *segment) over(entries, bytes int) bool { return s.list.Len() > entries || s.bytes > bytes }

func (s *segment) put(d digest, v *verified) {
	s.list.Add(d, v)
	s.bytes += v.bytes()
}

// take removes a token and answers it, or nil.
func (s *segment) take(d digest) *verified {
	v, found := s.list.Peek(d)
	if !found {
		return nil
	}
	s.list.Remove(d)
	s.bytes -= v.bytes()
	return v
}

func (s *segment) takeOldest() (digest, *verified) {
	d, v, _ := s.list.RemoveOldest()
	s.bytes -= v.bytes()
	return d, v
}

// takeUnused takes the oldest of the settled that was not used since it was put
// or passed over. It passes over so many at most: the lock is not held for
// longer than that.
func (s *shard) takeUnused() (digest, *verified) {
	d, v := s.settled.takeOldest()
	for range maxPassed {
		if !v.used.Swap(false) {
			break
		}
		s.settled.put(d, v)
		d, v = s.settled.takeOldest()
	}
	v.used.Store(false)
	s.hide(v)
	return d, v
}

// rest notes what the verdict rests on, besides the key.
func (v *verified) rest(is *issuer, token *jose.Unverified) {
	if is.dynamic {
		v.tenant = is.self
	} else {
		v.issuer = is
	}
	v.from, v.until = v.facts.claims.span()
	text := token.Retained()
	if strings.IndexByte(v.facts.payload, '\\') >= 0 {
		text += len(v.facts.payload) // what has escapes is copied
	}
	text += is.derivedBytes(&v.facts.claims)
	v.text = int32(text) //nolint:gosec // MaxTokenBytes is far below
}

// bytes estimates what v takes in memory.
func (v *verified) bytes() int { return entryOverhead + int(v.text) }

// known judges a token that was verified before, as far as that can change. It
// answers neither a Token nor an Error if it has to be verified anew: whatever
// is doubtful is told by the full judgement.
func (v *Validator) known(ctx context.Context, now time.Time, d digest, p *Presentation) (*Token, *issuer, *Error) {
	kept := v.cache.get(d)
	if kept == nil {
		return nil, nil, nil
	}
	if kept.since.age(v.moment(now)) >= v.cache.maxAge {
		return nil, nil, nil // and the new verdict takes its place
	}
	token, is, instant := kept.minted(), v.current(ctx, kept, now), clock.Or(ctx, now)
	if token == nil || is == nil || instant.Unix() >= kept.until { // the leeway is for the full judgement
		v.cache.drop(kept)
		return nil, nil, nil
	}
	if instant.Unix() < kept.from {
		if refused := kept.facts.claims.judgeTimes(instant, v.leeway); refused != nil {
			return nil, is, refused
		}
	}
	if refused := p.Demands.judge(ctx, &kept.facts.claims, is.audiences); refused != nil {
		return nil, is, refused
	}
	return token, is, nil
}

// moment is an instant by both clocks: the monotonic one stands still while a
// machine is suspended, and the wall clock can be set back.
type moment struct {
	clock time.Duration // since the Validator was made
	wall  int64         // ns since 1970
}

func (v *Validator) moment(now time.Time) moment { return moment{now.Sub(v.born), now.UnixNano()} }

// age is how long before now m was, by the clock that says more.
func (m moment) age(now moment) time.Duration {
	return max(now.clock-m.clock, time.Duration(now.wall-m.wall))
}

// current is the issuer, if what a verdict rests on still holds: the key, and the
// issuer's configuration. Else it is nil.
func (v *Validator) current(ctx context.Context, kept *verified, now time.Time) *issuer {
	if kept.key.Check(ctx, now) != nil {
		return nil
	}
	if kept.issuer != nil { // configured for as long as the Validator lives
		return kept.issuer
	}
	// A wait would outdate what was judged before it: that is for the full judgement.
	t := v.tenants.get(kept.facts.claims.issuer)
	if t == nil {
		return nil
	}
	is := v.tenants.fresh(ctx, t, now)
	if is == nil || is.self != kept.tenant {
		return nil
	}
	return is
}

package validator

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	probationShare = 5  // one in so many entries is for tokens that were used once
	maxSkipped     = 64 // the most used entries that one eviction skips
)

// cache keeps entries of tokens. It decides nothing about them.
type cache struct {
	shards [shards]shard
}

// shard is a part of the cache with a lock of its own. A new entry is in
// probation. The second use settles it. An eviction takes an entry in probation
// unless these are within their share, so that tokens in use stay however many
// tokens are used once. Among the settled entries it takes the oldest that was not
// used lately.
type shard struct {
	front     [][2]atomic.Pointer[entry] // the settled entries by their digests; as many pairs as a power of two
	mu        sync.Mutex                 // never held while a token is checked
	probation segment
	settled   segment
	entries   int // the most
	bytes     int // the most
	evicted   uint64
}

// segment is a list of entries in the order in which they were put, and what they
// take in memory.
type segment struct {
	list  *simplelru.LRU[digest, *entry]
	bytes int
}

// newCache returns a cache with the bounds of config, which were checked, or nil if it
// is off.
func newCache(config CacheConfig) *cache {
	if config.Off {
		return nil
	}
	c := &cache{}
	for i := range c.shards {
		c.shards[i] = shard{
			front:   make([][2]atomic.Pointer[entry], 1<<bits.Len(uint(config.Entries/shards))),
			entries: config.Entries / shards, bytes: config.Bytes / shards,
			probation: newSegment(), settled: newSegment(),
		}
	}
	return c
}

// newSegment returns an empty list, which its shard bounds.
func newSegment() segment {
	list, _ := simplelru.NewLRU[digest, *entry](math.MaxInt, nil) // the only error is for a size below 1
	return segment{list: list}
}

// shard returns the part of the cache that the entry of d belongs to.
func (c *cache) shard(d digest) *shard { return &c.shards[d[0]%shards] }

// get returns the entry of a token, or nil.
func (c *cache) get(d digest) *entry {
	s := c.shard(d)
	places := s.places(d)
	for i := range places {
		if e := places[i].Load(); e != nil && e.digest == d {
			if !e.used.Load() { // no store that other processors would wait for
				e.used.Store(true)
			}
			return e
		}
	}
	return s.get(d)
}

// get returns the entry of a token that is not in front, or nil.
func (s *shard) get(d digest) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, found := s.settled.list.Peek(d); found { // others took its places in front
		e.used.Store(true)
		s.show(e)
		return e
	}
	e := s.probation.take(d)
	if e == nil {
		return nil
	}
	s.settle(d, e)
	for s.settled.over(s.entries-share(s.entries), s.bytes-share(s.bytes)) {
		s.probation.put(s.takeUnused())
	}
	return e
}

// add keeps e, the entry of a token that was verified just now, and replaces an
// earlier entry of the token. A token that is verified again now and then stays
// settled.
func (c *cache) add(d digest, e *entry) {
	s := c.shard(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.digest = d
	if replaced := s.settled.take(d); replaced != nil {
		s.hide(replaced)
		s.settle(d, e)
	} else {
		s.probation.take(d)
		s.probation.put(d, e)
	}
	for s.probation.list.Len()+s.settled.list.Len() > s.entries || s.probation.bytes+s.settled.bytes > s.bytes {
		s.evicted++
		if s.probation.over(share(s.entries), share(s.bytes)) { // so it is if nothing is settled
			s.probation.takeOldest()
		} else {
			s.takeUnused()
		}
	}
}

// drop removes e, unless another entry has replaced it.
func (c *cache) drop(e *entry) {
	s := c.shard(e.digest)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, segment := range [...]*segment{&s.probation, &s.settled} {
		if found, _ := segment.list.Peek(e.digest); found == e {
			segment.take(e.digest)
			s.hide(e)
		}
	}
}

// dropAll removes the entries for which is returns true, and returns how many. It holds
// the lock of one shard at a time.
func (c *cache) dropAll(is func(*entry) bool) int {
	dropped := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, segment := range [...]*segment{&s.probation, &s.settled} {
			for _, e := range segment.list.Values() {
				if is(e) {
					segment.take(e.digest)
					s.hide(e)
					dropped++
				}
			}
		}
		s.mu.Unlock()
	}
	return dropped
}

// size returns how many entries there are, and an estimate of their memory.
func (c *cache) size() (entries, bytes int) {
	if c == nil {
		return 0, 0
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		entries += s.probation.list.Len() + s.settled.list.Len()
		bytes += s.probation.bytes + s.settled.bytes
		s.mu.Unlock()
	}
	return entries, bytes
}

// evicted returns how many entries were removed because there was no room.
func (c *cache) evicted() (n uint64) {
	if c == nil {
		return 0
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.evicted
		s.mu.Unlock()
	}
	return n
}

// settle puts an entry that was used again among the settled ones.
func (s *shard) settle(d digest, e *entry) {
	s.settled.put(d, e)
	s.show(e)
}

// places returns where a settled entry may be found without the lock.
func (s *shard) places(d digest) *[2]atomic.Pointer[entry] {
	return &s.front[int(binary.LittleEndian.Uint32(d[1:]))&(len(s.front)-1)]
}

// show puts a settled entry in front, in place of another one if both places are
// taken.
func (s *shard) show(e *entry) {
	places := s.places(e.digest)
	for i := range places {
		if shown := places[i].Load(); shown == nil || shown.digest == e.digest {
			places[i].Store(e)
			return
		}
	}
	places[e.digest[5]%2].Store(e)
}

// hide takes an entry from the front.
func (s *shard) hide(e *entry) {
	places := s.places(e.digest)
	for i := range places {
		places[i].CompareAndSwap(e, nil)
	}
}

// share returns a fifth of n, rounded up: the part of the entries in probation.
func share(n int) int { return (n + probationShare - 1) / probationShare }

// over reports whether the segment has more entries, or takes more bytes.
func (s *segment) over(entries, bytes int) bool { return s.list.Len() > entries || s.bytes > bytes }

// put adds an entry as the newest.
func (s *segment) put(d digest, e *entry) {
	s.list.Add(d, e)
	s.bytes += e.bytes()
}

// take removes and returns the entry of d, or returns nil if there is none.
func (s *segment) take(d digest) *entry {
	e, found := s.list.Peek(d)
	if !found {
		return nil
	}
	s.list.Remove(d)
	s.bytes -= e.bytes()
	return e
}

// takeOldest removes and returns the oldest entry.
func (s *segment) takeOldest() (digest, *entry) {
	d, e, _ := s.list.RemoveOldest()
	s.bytes -= e.bytes()
	return d, e
}

// takeUnused removes and returns the oldest settled entry that was not used since
// it was put or skipped. It skips maxSkipped entries at most, so that the lock is
// held for a bounded time.
func (s *shard) takeUnused() (digest, *entry) {
	d, e := s.settled.takeOldest()
	for range maxSkipped {
		if !e.used.Swap(false) {
			break
		}
		s.settled.put(d, e)
		d, e = s.settled.takeOldest()
	}
	e.used.Store(false)
	s.hide(e)
	return d, e
}

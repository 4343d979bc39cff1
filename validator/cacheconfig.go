package validator

import (
	"fmt"
	"math"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// CacheConfig bounds the cache of verified tokens. The zero value is on, with
// the defaults.
//
// The cache keeps the facts that a signature vouched for, under a keyed digest of
// the token: never the token itself, a refusal or a decision. A token that is
// found there is not verified again. What can change is checked on every use: its
// times, whether its key is still published and not forbidden, whether its issuer
// is still configured as it was, and the route's demands.
type CacheConfig struct {
	// Off turns the cache off: every token is verified every time.
	Off bool
	// Entries is how many tokens the cache has room for. 0 means 10 000; otherwise 64 to
	// 10 000 000. A fifth of the entries is for tokens that were used once, so
	// that these do not displace the tokens in use.
	Entries int
	// Bytes bounds the memory of the entries, as estimated. 0 means 4 096 for
	// each of Entries, and 4 MiB at least; otherwise 4 MiB to 64 GiB. A token
	// that takes more than a 320th of it stays only while there is room.
	Bytes int
	// TTL is how long an entry is used before the signature is verified again. 0 means 5 min; otherwise 1 s to 1 h.
	TTL time.Duration
}

// shards is how many parts the cache has, each with a lock of its own. It is also
// the least number of entries.
const shards = 64

// Defaults and bounds of the cache.
const (
	defaultEntries  = 10_000
	maxEntries      = 10_000_000
	entryBytes      = 4 << 10 // default of Bytes, for each entry
	minCacheBytes   = 4 << 20 // a shard's share has room for tokens of any usual length
	maxCacheBytes   = int64(64 << 30)
	defaultCacheTTL = 5 * time.Minute
	maxCacheTTL     = time.Hour
)

// checked returns c with its defaults, and adds its faults to f.
func (c CacheConfig) checked(f fault.List) CacheConfig {
	switch {
	case c.Entries == 0:
		c.Entries = defaultEntries
	case c.Entries < shards || c.Entries > maxEntries:
		f.At("Entries").Addf(fmt.Sprintf("give %d to %d, or 0 for %d; Off is for none", shards, maxEntries, defaultEntries), "is %d", c.Entries)
		c.Entries = defaultEntries
	}
	switch {
	case c.Bytes == 0:
		c.Bytes = int(max(min(int64(c.Entries)*entryBytes, math.MaxInt), minCacheBytes))
	case c.Bytes < minCacheBytes || int64(c.Bytes) > maxCacheBytes:
		addRange(f.At("Bytes"), c.Bytes, minCacheBytes, maxCacheBytes, fmt.Sprintf("%d an entry", entryBytes))
	}
	switch {
	case c.TTL == 0:
		c.TTL = defaultCacheTTL
	case c.TTL < time.Second || c.TTL > maxCacheTTL:
		addRange(f.At("TTL"), c.TTL, time.Second, maxCacheTTL, defaultCacheTTL)
	}
	return c
}

package jwkscache

import "time"

// Limits bound what one issuer's keys may cost, how often they are fetched and how
// long they serve. A zero field has the default. A field that is out of bounds is a
// fault of the configuration.
//
// These are fixed: no redirect is followed; a response has at most 64 KiB of
// header fields and is never decompressed, and its Content-Type does not matter; the keys
// that may be tried for one token cost four checks under ES256 together (see
// [jose.Set.Find]); at most 1 024 kids are remembered as missing;
// bad signatures cause one fetch in 30 seconds, and tokens without kid another;
// Retry-After prevents fetches that tokens cause for 30 seconds at most;
// if a transport does not return in time, no more fetches begin once four were
// abandoned. Documents of a file are read under the same limits, but FilePoll takes
// the place of Cache-Control and of MaxBackoff.
type Limits struct {
	FetchTimeout    time.Duration // of a JWK Set, from connecting to the last byte: 5 s (1 s to 30 s)
	MetadataTimeout time.Duration // of the metadata, also for endpoints: 5 s (1 s to 30 s)
	DocumentBytes   int           // of one document: 1 MiB (1 KiB to 4 MiB)
	Keys            int           // in one set, usable or not: 1 000 (1 to 1 000)

	// RSABits and RSAExponent bound the keys that are used. Every token that names
	// such a key costs one signature check under it, also if the signature is
	// junk: 8192 bits cost as much as 15 checks under ES256, and with an exponent
	// of 2^31-1 as 40.
	RSABits     int // of the modulus of an RSA key: 4096 (2048 to 8192)
	RSAExponent int // of an RSA key: 65537 (65537 to 2^31-1)

	MinFresh     time.Duration // least time a set is fresh, whatever Cache-Control says: 1 min (10 s to 1 h)
	MaxFresh     time.Duration // most: 24 h (1 min to 24 h)
	DefaultFresh time.Duration // if Cache-Control and Expires say nothing: 10 min (10 s to 24 h)
	Stale        time.Duration // how long a set serves after it ceased to be fresh: 1 h (1 s to 24 h)
	MaxAge       time.Duration // how long it serves after it was fetched, whatever else holds: 24 h (1 min to 24 h)

	MaxBackoff    time.Duration // longest pause after failures, which doubles from 1 s on: 1 min (1 s to 1 h)
	MaxRetryAfter time.Duration // longest Retry-After that is heeded: 5 min (1 s to 1 h); without usable keys, MaxBackoff
	FilePoll      time.Duration // how often a file is looked at: 5 s (1 s to 1 h)

	UnknownInterval   time.Duration // between fetches for unknown kids: 1 s (1 s to 1 min)
	FruitlessInterval time.Duration // the same once they are in vain: 5 s (1 s to 5 min)
	Fruitless         int           // fetches in a row after which they are: 10 (1 to 100)
	Waiters           int           // requests that wait for the issuer's keys at once: 1 000 (1 to 100 000)
}

// SharedLimits bound what the keys of several issuers may cost together, beside the
// [Limits] of each. A zero field has the default. A field that is out of bounds is a
// fault of the configuration.
type SharedLimits struct {
	// Waiters is how many requests wait at once, for keys or for an issuer to be
	// resolved: 4 000 (1 to 1 000 000). A quarter is for issuers with at most four
	// of them. Of the others, one issuer may have as many as are left. A third does
	// not wait for the resolution of issuers without an accepted token. For further
	// requests, validation returns validator.Unavailable.
	Waiters int
	// Fetches is how many fetches from the network are under way at once:
	// 64 (4 to 10 000). A quarter is for issuers with an accepted token and for
	// configured ones, and half of that for the latter alone. Further fetches wait
	// for their turn.
	Fetches int
	// UnknownKids is how many fetches for unknown kids begin in a second: 50
	// (4 to 10 000). The issuers take turns. Of four turns, three are for issuers
	// with an accepted token and for configured ones.
	UnknownKids int
	// Missing is the same for issuers without usable keys: 100 (4 to 10 000).
	Missing int
	// KeyBytes is about how much memory the key sets in use take: 256 MiB
	// (1 MiB to 64 GiB). Half of it is for issuers with an accepted token and for
	// configured ones. A set may take a sixteenth of what is left. A set of up to
	// 64 KiB of one of these issuers always has room. A larger set is not used: the
	// fetch counts as failed, and the set before serves within its bound.
	KeyBytes int
}

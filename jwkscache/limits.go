package jwkscache

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
)

// Limits bound what one issuer's keys may cost, how often they are asked for
// and how long they serve. A zero field has the default; what is out of bounds
// is a configuration error.
//
// These are fixed: no redirect is followed; a response has at most 64 KiB of
// header fields, must say that it is JSON, and is never decompressed; the keys
// that may be tried for one token cost four checks under ES256 together (see
// [jose.Set.Find]); at most 1 024 kids are remembered as asked for in vain;
// bad signatures cause one fetch in 30 seconds, and tokens without kid another;
// Retry-After keeps fetches that tokens cause away for 30 seconds at most;
// a transport that does not return when its time is over has at most four
// fetches abandoned in it before no more are begun. Documents of a file are read
// under the same limits; asking costs nothing there, so that FilePoll replaces
// what Cache-Control says and what MaxBackoff does.
type Limits struct {
	FetchTimeout  time.Duration // of a JWK Set, from connecting to the last byte: 5 s (1 s to 30 s); metadata has 5 s
	DocumentBytes int           // of one document: 1 MiB (1 KiB to 1 MiB)
	Keys          int           // in one set, usable or not: 100 (1 to 100)

	// Keys over these two are not used. Every token that names such a key costs
	// one signature check under it, also if the signature is junk: 8192 bits
	// cost as much as 15 checks under ES256, and with an exponent of 2^31-1 as 40.
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

// span is one field of Limits that is a time.
type span struct {
	name              string
	field             *time.Duration
	fallback          time.Duration
	smallest, largest time.Duration
}

// number is one field of Limits that is a number.
type number struct {
	name              string
	field             *int
	fallback          int
	smallest, largest int
}

// checked fills in the defaults and reports every field that is out of bounds.
func (l *Limits) checked() error {
	const day = 24 * time.Hour
	var faults []error
	for _, s := range []span{
		{"FetchTimeout", &l.FetchTimeout, fetch.Timeout, time.Second, 30 * time.Second},
		{"MinFresh", &l.MinFresh, time.Minute, 10 * time.Second, time.Hour},
		{"MaxFresh", &l.MaxFresh, day, time.Minute, day},
		{"DefaultFresh", &l.DefaultFresh, 10 * time.Minute, 10 * time.Second, day},
		{"Stale", &l.Stale, time.Hour, time.Second, day},
		{"MaxAge", &l.MaxAge, day, time.Minute, day},
		{"MaxBackoff", &l.MaxBackoff, time.Minute, time.Second, time.Hour},
		{"MaxRetryAfter", &l.MaxRetryAfter, 5 * time.Minute, time.Second, time.Hour},
		{"FilePoll", &l.FilePoll, 5 * time.Second, time.Second, time.Hour},
		{"UnknownInterval", &l.UnknownInterval, time.Second, time.Second, time.Minute},
		{"FruitlessInterval", &l.FruitlessInterval, 5 * time.Second, time.Second, 5 * time.Minute},
	} {
		switch {
		case *s.field == 0:
			*s.field = s.fallback
		case *s.field < s.smallest || *s.field > s.largest:
			faults = append(faults, fmt.Errorf("jwkscache: Limits.%s is %v; allowed are %v to %v", s.name, *s.field, s.smallest, s.largest))
		}
	}
	for _, n := range []number{
		{"DocumentBytes", &l.DocumentBytes, fetch.MaxBytes, 1 << 10, fetch.MaxBytes},
		{"Keys", &l.Keys, 100, 1, 100},
		{"RSABits", &l.RSABits, 4096, 2048, 8192},
		{"RSAExponent", &l.RSAExponent, 65537, 65537, 1<<31 - 1},
		{"Fruitless", &l.Fruitless, 10, 1, 100},
		{"Waiters", &l.Waiters, 1000, 1, 100_000},
	} {
		faults = append(faults, n.checked("Limits"))
	}
	if l.MinFresh > l.MaxFresh || l.UnknownInterval > l.FruitlessInterval {
		faults = append(faults, errors.New("jwkscache: Limits: MinFresh may not exceed MaxFresh, nor UnknownInterval FruitlessInterval"))
	}
	return errors.Join(faults...)
}

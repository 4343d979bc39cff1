package jwkscache

import (
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Status describes one issuer's keys, for operators and metrics.
type Status struct {
	Issuer   string // as in its configuration
	Source   string // "static", "file", "url" or "discovery"
	Location string // the URL or path last used, or ""

	// State is "fresh", "stale" (the keys serve while they are refreshed) or
	// "unavailable" (tokens are neither accepted nor refused).
	State  string
	Origin string // of the keys in use: "fetched", "snapshot", "fallback", "static", or "" if there are none

	Keys      []*jose.Key       // in use
	Ignored   []jose.IgnoredKey // published and not used, and why
	Forbidden []KeyName         // in order

	Fetched     time.Time // when the set was fetched or last confirmed; zero for static keys
	FreshUntil  time.Time // zero as above
	UsableUntil time.Time // zero as above
	NextRefresh time.Time // when Run asks again; zero if at once

	LastError   error     // of the last fetch, or nil if that succeeded
	LastFailure time.Time // when a fetch last failed; zero if none did
	Failures    int       // in a row

	Fruitless int // fetches for unknown kids in a row that were in vain
	// UnknownInterval is the least time between the last fetch and one for a new unknown
	// kid at present. It is longer while a flood is going on.
	UnknownInterval time.Duration
	Waiting         int // requests that wait for a fetch now

	SnapshotError error // of the last use of the snapshot directory, or nil
}

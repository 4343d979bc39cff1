package jwkscache

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jose"
)

// Trace is a set of hooks, each optional, in the manner of net/http/httptrace.
// They are told the issuer first, and may be called from several goroutines at
// once. They must be quick, and what they panic with is lost. No lock is held
// meanwhile, so that they may ask the keys themselves, but for FetchStart, which
// must not wait for what it announces; those who waited for a fetch are let go
// before FetchDone is called. What they get never holds bytes
// of a token, except a kid where it says so.
type Trace struct {
	// FetchStart is called when the issuer is about to be asked; the cause is
	// as in FetchDone.
	FetchStart func(issuer, cause string)
	// FetchDone is called when that has ended, and whenever else the set in
	// use has changed.
	FetchDone func(issuer string, done FetchDone)
	// UnknownKid is called whenever a token asks for a fetch because its kid
	// is not in the set: with every such token, and twice where the fetch
	// that it joined had begun before it came.
	UnknownKid func(issuer string, asked UnknownKid)
	// Moved is called when metadata names another URL for the keys than
	// before: who can change that can mint tokens (RFC 8414 §6).
	Moved func(issuer, from, to string)
	// Stored is called when the snapshot directory was read or written.
	Stored func(issuer string, stored Stored)
}

// FetchDone is how a fetch of an issuer's keys ended, or why the set in use
// has changed otherwise.
type FetchDone struct {
	// Cause is "missing" (a token came, and there were no usable keys),
	// "schedule", "stale" (a token came, and the keys were stale),
	// "unknown_kid", "bad_signature" (a token with a known kid came whose
	// signature or algorithm does not fit the key) or "no_kid" (the same
	// without kid); without a fetch, "start" (static, fallback or snapshot
	// keys), "forbid" or "permit".
	Cause     string
	Err       error             // nil if what was fetched is now in use
	Location  string            // URL or path, if it was known
	Took      time.Duration     // 0 without a fetch
	Unchanged bool              // it answered with what was in use, or 304
	Keys      int               // usable keys now
	Ignored   []jose.IgnoredKey // keys of the set that are not used, and why; also of a set that is not believed
	Added     []*jose.Key       // in use since
	Removed   []*jose.Key       // no more
}

// UnknownKid is what became of a token's request for a fetch.
type UnknownKid struct {
	// Decision is "starts" if a fetch begins, "joins" if one is under way,
	// "waits" if the token waits until one is allowed, and "refuses" if it
	// does not: the last fetch failed, or the next one is too far away.
	Decision string
	// Interval is how far fetches for this kid must be apart at present.
	Interval time.Duration
}

// Stored is a use of the snapshot directory.
type Stored struct {
	Use string // "load", "save" (keys) or "forbid" (what is forbidden)
	Err error  // nil also if there was nothing to load
}

// Join returns hooks that call those of t and then those of next. Either may
// be nil.
func (t *Trace) Join(next *Trace) *Trace {
	if t == nil {
		return next
	}
	if next == nil {
		return t
	}
	return &Trace{
		FetchStart: func(issuer, cause string) {
			t.fetchStart(issuer, cause)
			next.fetchStart(issuer, cause)
		},
		FetchDone: func(issuer string, done FetchDone) {
			t.fetchDone(issuer, done)
			next.fetchDone(issuer, done)
		},
		UnknownKid: func(issuer string, asked UnknownKid) {
			t.unknownKid(issuer, asked)
			next.unknownKid(issuer, asked)
		},
		Moved: func(issuer, from, to string) {
			t.moved(issuer, from, to)
			next.moved(issuer, from, to)
		},
		Stored: func(issuer string, s Stored) {
			t.stored(issuer, s)
			next.stored(issuer, s)
		},
	}
}

func (t *Trace) fetchStart(issuer, cause string) {
	if t != nil && t.FetchStart != nil {
		defer hook.Recover()
		t.FetchStart(issuer, cause)
	}
}

func (t *Trace) fetchDone(issuer string, done FetchDone) {
	if t != nil && t.FetchDone != nil {
		defer hook.Recover()
		t.FetchDone(issuer, done)
	}
}

func (t *Trace) unknownKid(issuer string, asked UnknownKid) {
	if t != nil && t.UnknownKid != nil {
		defer hook.Recover()
		t.UnknownKid(issuer, asked)
	}
}

func (t *Trace) moved(issuer, from, to string) {
	if t != nil && t.Moved != nil {
		defer hook.Recover()
		t.Moved(issuer, from, to)
	}
}

func (t *Trace) stored(issuer string, s Stored) {
	if t != nil && t.Stored != nil {
		defer hook.Recover()
		t.Stored(issuer, s)
	}
}

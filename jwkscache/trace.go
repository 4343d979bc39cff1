package jwkscache

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jose"
)

// Trace is a set of optional hooks, like net/http/httptrace. Their first argument is
// the issuer. They may be called from several goroutines at once. They must be quick.
// A panic of a hook is dropped. No lock is held while a hook runs, so a hook may use
// the validator. Only FetchStart must not wait for the fetch that it announces.
// Requests that waited for a fetch go on before FetchDone is called. The arguments
// never hold bytes of a token.
type Trace struct {
	// FetchStart is called when the issuer is about to be asked; the cause is
	// as in FetchDone.
	FetchStart func(issuer, cause string)
	// FetchDone is called when a fetch has ended, and when the set in use has
	// changed without a fetch.
	FetchDone func(issuer string, done FetchDone)
	// UnknownKid is called for every token that asks for a fetch because its kid is
	// not in the set. It is called twice if the token joined a fetch that had begun
	// before it came.
	UnknownKid func(issuer string, asked UnknownKid)
	// Moved is called when metadata names another URL for the keys than before. An
	// attacker who can change that URL can mint tokens (RFC 8414 §6).
	Moved func(issuer, from, to string)
	// Stored is called when the snapshot directory was read or written.
	Stored func(issuer string, stored Stored)
}

// FetchDone says how a fetch of an issuer's keys ended, or why the set in use has
// changed without a fetch.
type FetchDone struct {
	// Cause is "missing" (a token came, and there were no usable keys),
	// "schedule", "stale" (a token came, and the keys were stale),
	// "unknown_kid", "bad_signature" (a token with a known kid came whose
	// signature or algorithm does not fit the key) or "no_kid" (the same
	// without kid); without a fetch, "start" (static, fallback or snapshot
	// keys), "forbid" or "permit".
	Cause     string
	Outcome   Outcome           // of the fetch; "" without a fetch
	Err       error             // nil if what was fetched is now in use
	Location  string            // URL or path, if it was known
	Took      time.Duration     // 0 without a fetch
	Unchanged bool              // the answer was the document in use, or 304
	Keys      int               // keys that verify tokens now, also after a fetch that failed
	Ignored   []jose.IgnoredKey // keys of the answer that cannot be used, and why; also if the whole set is not used
	Added     []*jose.Key       // keys that were added
	Removed   []*jose.Key       // keys that were removed
}

// UnknownKid is the answer to a token that asks for a fetch.
type UnknownKid struct {
	// Decision is "starts" if a fetch begins, "joins" if the token waits for the
	// fetch that is under way, "waits" if it waits until a fetch is allowed, and
	// "refuses" if the last fetch failed or the next one is too far away.
	Decision string
	// Interval is the least time between two fetches for this kid at present.
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
		FetchStart: both(t.FetchStart, next.FetchStart),
		FetchDone:  both(t.FetchDone, next.FetchDone),
		UnknownKid: both(t.UnknownKid, next.UnknownKid),
		Moved:      both3(t.Moved, next.Moved),
		Stored:     both(t.Stored, next.Stored),
	}
}

// both returns a hook that calls first and then second, also if first panics.
// Either may be nil.
func both[A, B any](first, second func(A, B)) func(A, B) {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(a A, b B) {
		defer second(a, b)
		defer hook.Recover()
		first(a, b)
	}
}

// both3 is both for hooks of three arguments.
func both3[A, B, C any](first, second func(A, B, C)) func(A, B, C) {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(a A, b B, c C) {
		defer second(a, b, c)
		defer hook.Recover()
		first(a, b, c)
	}
}

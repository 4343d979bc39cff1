// Package jwkscache holds the keys of one issuer. A [Source] says where an
// issuer's keys come from; [Open] binds it to that issuer and its algorithms,
// and the resulting [Keys] answer which keys to try for a token.
//
// Keys never cross issuers: each issuer's configuration opens its own Keys,
// and two issuers that use the same kid do not meet (RFC 8725 §3.8). An outage
// or a flood of one issuer is not felt by another.
//
// # Reading
//
// Readers take an immutable set by one atomic load. No lock is held while a
// document is fetched or a file is read, and while a set is not too old to
// serve, no token with a known kid waits for anything. There is at most one
// fetch per issuer at a time. It runs on its own clock, is given up if it does
// not end, and fails for all who wait for it if it panics; who gives up waiting
// frees itself and nobody else.
//
// # Freshness
//
// A set is fresh for as long as Cache-Control or Expires say, within [Limits],
// and [Keys.Run] asks again in the last fifth of that time, at random, so that
// a fleet spreads. Unchanged sets are confirmed by ETag. A set that is no longer
// fresh goes on serving while it is refreshed in the background, for one hour
// and never more than 24 hours after it was fetched; then tokens are neither
// accepted nor refused: the answer is [ErrUnavailable]. Deadlines hold by the
// wall clock and by the monotonic clock, whichever passes first.
//
// An issuer that fails is asked again after one second, two, four and so on up
// to a minute, each time at random within the second half of that pause, and
// after Retry-After if it says so. Requests that find no usable keys at all may
// ask every five seconds.
//
// A key that a refresh does not bring any more, and one that was forbidden by
// [Keys.Forbid], stops at once, also for verdicts that were kept: they ask their
// [Handle]. A forbidden key stays so whatever a refresh brings.
//
// # Unknown kids
//
// A kid that is not in the set may be new, or made up, and both look alike
// until the set is fetched. So whoever makes up kids can cause fetches, and the
// question is how many, and whether they can keep a new key from being found.
//
// One fetch is allowed a second after the one before, whatever that was for. Once
// ten of them in a row were in vain, it is one in five seconds, until one brings
// a new key or none was in vain for five minutes. In between, unknown kids are
// answered from what the last fetch said: unknown if it succeeded, unavailable
// if it failed. Bad signatures under a known kid never cause a fetch.
//
// No flood can starve a new key: it does not need a fetch of its own. Whoever
// causes the next fetch, it brings the whole set, and with it the new key, whose
// tokens then need neither a fetch nor a place among those who wait. As the
// interval runs from the start of the last fetch and is never prolonged by being
// asked, a fetch that begins after the key was published begins at most one
// interval later, and flood or not the key verifies within that interval (one
// second; five in a flood) and the time of one fetch. The flood itself helps:
// somebody always asks. Only the issuer can ask for more time, by Retry-After.
//
// Nor can it take more: fetches are bounded as said, those who wait by
// Limits.Waiters (the others hear at once that the keys are unavailable, which a
// client may retry), and memory since what is remembered is one number for each
// kid that a fetch was spent on, and at most 1 024 in all.
//
// That memory is there for kids that keep being asked for: tokens under a key
// that was retired, or of another environment. A kid that was missed is not
// asked for again, and its tokens do not wait, for five seconds, and its further
// misses are not counted as fetches in vain, so that old tokens do not slow down
// a rotation for new ones. A key whose tokens came before it was published may
// so take five seconds, as in a flood. What is remembered is never a verdict:
// the set is looked up first, and any fetch that brings the key, whoever asked,
// makes it known.
package jwkscache

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
// ask every five seconds. Where the URL of the keys comes from metadata, these
// are asked again when the key set is gone (404, 410 or a redirect), and when
// fetches have failed for a minute.
//
// A set without any usable key is believed for MinFresh, counted from the first
// such set in a row. After that, no token is accepted or refused until the issuer
// publishes a usable key. If such a set lists keys that cannot be read, and says
// nothing of the keys that are in use, it counts as a fetch that failed: the
// keys serve on within their bound.
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
// a new key or there was none for five minutes.
//
// A token whose kid is not in the set waits for the next fetch, also when that is
// not allowed yet: a kid is unknown only if a fetch that began after the token
// came does not bring it. So no token of a published key is told that its key is
// unknown, whenever the key was published. The answer is [ErrUnavailable] if that
// fetch fails, if the last one failed and the next is not allowed yet, if
// Limits.Waiters tokens wait already, and if the next fetch is more than 30
// seconds away.
//
// No flood can starve a new key: it does not need a fetch of its own. Every fetch
// returns the whole set, so any token's fetch makes the new key known, whose
// tokens then need neither a fetch nor a place among those that wait. As the
// interval runs from the start of the last fetch and is never prolonged by being
// asked, a fetch that begins after the key was published begins at most one
// interval later, and flood or not the key verifies within that interval (one
// second; five in a flood) and the time of one fetch. The flood itself helps:
// its tokens always ask.
//
// A flood may make the issuer ask for more time, by Retry-After. That holds
// fetches for unknown kids for 30 seconds at most. If the issuer refuses again,
// they are ten seconds apart, then twenty, then thirty, until one succeeds.
//
// Nor can a flood take more: fetches are bounded as said, waiting tokens by
// Limits.Waiters, and memory since one number is kept for each kid that a fetch
// was spent on, and at most 1 024 in all.
//
// That memory is there for kids that keep being asked for: tokens under a key
// that was retired, or of another environment. A fetch for a kid that was missed
// before is allowed five seconds after the last fetch, and its further misses are
// not counted as fetches in vain, so that old tokens do not slow down a rotation
// for new ones. What is remembered is never a verdict.
//
// # Changed keys
//
// An issuer that was reinstalled may use an old kid for a new key, and an issuer
// may have no kids. A token whose signature no key verifies may cause a fetch,
// and so may one without kid, and one whose kid's keys have another algorithm:
// one fetch in 30 seconds for tokens with kid, and one for those without. Unknown
// kids do not use these up. The token that causes the fetch waits for it; others
// are answered from the set in use.
package jwkscache

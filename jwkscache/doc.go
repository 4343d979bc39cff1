// Package jwkscache says where the keys of an issuer come from and what they may
// cost. A [Source] goes into the Keys field of a validator.Issuer, [Limits] into
// its KeyLimits, and a [Trace] into the configuration of the validator. [Status]
// describes the keys of one issuer for operators.
//
// # Freshness
//
// A set is fresh for as long as Cache-Control or Expires say, within [Limits].
// While the validator runs, it asks for the set again within that time, at a random
// moment, so that the processes of a fleet do not ask at once: in the ninth tenth of
// it, or from the second to the ninth tenth after a fetch that other processes may
// have made at the same moment, as at a start, for an unknown kid or after a failure. An unchanged set is confirmed by its ETag. A set that is no longer fresh
// still serves while it is refreshed in the background, for Limits.Stale and
// never longer than Limits.MaxAge after it was fetched. After that, tokens are
// neither accepted nor refused: validation returns validator.Unavailable.
// Deadlines hold by the wall clock and by the monotonic clock, whichever passes
// first.
//
// An issuer that fails is asked again after one second, two, four and so on up
// to a minute, or after Retry-After. Each pause is random within its second half.
// Requests that find no usable keys at all may ask every five seconds. Where the
// URL of the keys comes from metadata, the metadata is read again when the key set
// is gone (404, 410 or a redirect), and when fetches have failed for a minute.
//
// A set without any usable key is used for Limits.MinFresh, counted from the
// first such set in a row. After that, no token is accepted or refused until the
// issuer publishes a usable key. If such a set lists keys that cannot be read, and
// does not show that the keys in use were withdrawn, the fetch counts as failed:
// the keys still serve within their bound.
//
// A key that is missing after a refresh, and a key that is forbidden, stop
// at once, also for cached tokens. A forbidden key stays forbidden, whatever a
// refresh returns.
//
// # Unknown kids
//
// A kid that is not in the set may be new or made up. The two look alike until the
// set is fetched. One fetch is allowed a second after the one before. After ten
// fetches in a row without a new key, one is allowed in five seconds. This ends
// with a fetch that returns a new key, and after five minutes without a fetch that
// returns none.
//
// A token whose kid is not in the set waits for the next fetch, also if that is
// not allowed yet. The token is refused as one of an unknown key only if a fetch
// that began after the token came does not return the key. So no token of a
// published key is refused as one of an unknown key. Validation returns
// validator.Unavailable if that fetch fails, if the last fetch failed and the next
// is not allowed yet, if Limits.Waiters tokens wait already, or if the next fetch
// is more than 30 seconds away.
//
// # Changed keys
//
// An issuer that was reinstalled may use an old kid for a new key, and an issuer
// may publish keys without kids. One fetch in 30 seconds is allowed for tokens
// whose kid is known and whose signature or algorithm fits no key, and another for
// tokens without kid. Unknown kids do not use these up.
package jwkscache

// Package issuerkeys holds the keys of one issuer. [Open] binds a
// [jwkscache.Source] to one issuer and its algorithms, and the resulting [Keys]
// find the keys to try for a token. Package jwkscache documents when sets are
// fetched and how long they serve.
//
// Keys never cross issuers: each issuer's configuration opens its own Keys, so two
// issuers may use the same kid (RFC 8725 §3.8). An outage or a flood of one issuer
// does not affect another.
//
// # Reading
//
// Readers take an immutable set by one atomic load. No lock is held while a
// document is fetched or a file is read. While a set may serve, no token with a
// known kid waits. There is at most one fetch per issuer at a time. It runs on its
// own clock, is abandoned if it does not end, and fails for all who wait for it if
// it panics. A caller that gives up waiting does not end the fetch.
//
// # Unknown kids
//
// A kid that is not in the set may be new or made up, and the two look alike until
// the set is fetched. So an attacker who makes up kids can cause fetches. The
// budget bounds how many, and the attacker cannot keep a new key from being found.
//
// No flood can starve a new key, because the key does not need a fetch of its own.
// Every fetch returns the whole set, so any token's fetch makes the new key known,
// and its tokens then need neither a fetch nor a place among those that wait. The
// interval runs from the start of the last fetch, and asking does not prolong it.
// So a fetch begins at most one interval after the key was published, and the key
// verifies within that interval (one second, five in a flood) and the time of one
// fetch, flood or not. The tokens of a flood cause these fetches too.
//
// A flood may make the issuer ask for more time, by Retry-After. That holds
// fetches for unknown kids for 30 seconds at most. If the issuer refuses again,
// they are ten seconds apart, then twenty, then thirty, until one succeeds.
//
// A flood cannot cost more than that. The fetches are bounded as described.
// Limits.Waiters bounds the tokens that wait. Memory is bounded because one number
// is kept for each kid that a fetch was spent on, and at most 1 024 in all.
//
// These numbers are there for kids that are asked for again and again: tokens
// under a retired key, or of another environment. A fetch for a kid that was
// missed before is allowed five seconds after the last fetch, and its further
// misses do not count as fetches in vain, so that old tokens do not slow down a
// rotation for new ones. A remembered kid is never a reason to refuse a token.
package issuerkeys

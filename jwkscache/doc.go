// Package jwkscache holds the keys of one issuer. A [Source] says where an
// issuer's keys come from; [Open] binds it to that issuer and its algorithms,
// and the resulting [Keys] answer which keys to try for a token.
//
// Keys never cross issuers: each issuer's configuration opens its own Keys,
// and two issuers that use the same kid do not meet (RFC 8725 §3.8).
//
// # Fetched keys
//
// Readers take an immutable snapshot by one atomic load; no lock is held while
// a document is fetched. There is at most one fetch per issuer at a time. It
// runs on its own clock: a caller that gives up frees itself and nobody else.
//
// A snapshot is fresh for as long as Cache-Control says (1 minute to 24 hours,
// 10 minutes if it says nothing). After that it goes on serving while it is
// refreshed in the background, for one hour and never more than 24 hours after
// it was fetched. Then tokens are neither accepted nor refused: the answer is
// [ErrUnavailable].
//
// A kid that is not in the snapshot may be new, or made up; only a fetch can
// tell. So one such fetch is allowed a second, and one in five seconds after
// ten in a row that failed or brought no new key. In between, unknown kids are
// answered from what the last fetch said: unknown if it succeeded, unavailable
// if it failed. Bad signatures under a known kid never cause a fetch.
//
// An issuer that fails is left alone for longer and longer: up to a minute
// while its last keys serve, up to five seconds once there are none to use.
package jwkscache

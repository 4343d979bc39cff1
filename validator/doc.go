// Package validator is the first door: it answers whether an access token is
// genuine, meant for this API, alive, and its bearer's to use. What it permits
// is the second door's question; see package scopes.
//
// A [Validator] is made by [New] from a [Config], which is checked whole: all
// faults are reported at once. [Validator.Validate] takes a [Presentation],
// what an adapter read from a request, and answers with a [Token] or with an
// [Error] that carries one [Reason] of a closed set.
//
// A *Token is the proof that validation took place: only this package makes
// one, its fields cannot be set, and the zero Token grants nothing.
//
// Checked are, in this order: size and form; the issuer, byte for byte; the
// algorithm against the issuer's list; the type (RFC 9068 §4, or a marker
// under [ProfileLegacy]); key and signature; required claims and their JSON
// types; expiry and the other times; audience; claims that the configuration
// declares, or that it makes a tenant, scopes or roles of; what the route
// demands.
//
// What a token may do is its issuer's to say only as far as the configuration
// lets it: Issuer.Grants bounds its scopes, and claims other than scope mean
// nothing without a [Mapping]. Package scopes asks a Token for what is left.
//
// A token that was verified lately is judged again without its signature and
// without the claims that cannot change: expiry and the other times, whether its
// key is still published and not forbidden, whether its issuer is still
// configured as it was, and what the route demands. [CacheConfig] bounds what is
// kept for that; it can be turned off.
//
// Not available yet, and therefore refused: opaque tokens and every
// sender-constrained token (any cnf, any DPoP presentation), because the
// binding cannot be checked. A bearer token that was stolen is not detected:
// nothing in the token can tell.
package validator

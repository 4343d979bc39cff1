// Package differential holds Sallyport against verifiers that share no code
// with it: go-jose and golang-jwt for signatures and keys, encoding/json and
// go-jose's JSON reader for claims. It has tests only, and is a module of its
// own so that the peers stay out of the root's dependencies.
//
// The property is one-sided. What Sallyport accepts, the peers must accept and
// read alike; what it refuses, they may well accept, since it is meant to be
// stricter. The reverse is asked only of tables of good tokens and of plain
// documents, so that refusing everything does not pass.
//
// Run a target with: go test -run '^$' -fuzz '^FuzzClaims$' .
package differential

// Package differential compares Sallyport with verifiers that share no code with it:
// with go-jose and golang-jwt for signatures and keys, and with encoding/json and
// the JSON reader of go-jose for claims. It contains only tests. It is a module of
// its own, so that the root module does not depend on the peers.
//
// The comparison has one direction. The peers must accept what Sallyport accepts,
// and read the same in it. They may accept more, since Sallyport is meant to be
// stricter. Tables of good tokens and of plain documents check the other direction:
// Sallyport must accept them.
//
// Run a target with: go test -run '^$' -fuzz '^FuzzClaims$' .
package differential

// Package claims reads the claims of JSON Web Tokens (RFC 7519 §4) by the JSON
// types that they must have, and verifies signed JWTs of one issuer.
//
// The readers ([Text], [Texts], [Date], [Boolean], [Object], [Scope] and the
// checks beside them) take a [strictjson.Value]; an absent claim is an error, so
// the caller reads only the members that are present. [JWT] verifies tokens
// whose issuer is known in advance: signed introspection responses, logout
// tokens and security event tokens. Access tokens, whose issuer is looked up
// from the token, use the same parts in an order of their own.
//
// No error holds bytes of a token.
package claims

// Package introspect says how an API asks an authorization server whether an access
// token is active (RFC 7662, RFC 9701). Opaque tokens mean nothing to anyone but their
// issuer, so the issuer has to be asked about them; it may also be asked about JWTs that
// can be revoked.
//
// A [Client] is configuration: set it as Issuer.Opaque of package validator. That package
// checks the Client, sends the requests, judges the answers by the issuer's configuration
// and caches them. Its Issuer.Answers holds what single servers need besides.
//
// If the issuer gives no verdict, nothing is known about the token. The [Error] has a
// [Kind] of a closed set, and callers of the API get 503.
package introspect

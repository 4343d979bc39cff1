// Package jose is the part of JOSE that Sallyport trusts: signed tokens in
// compact serialisation (RFC 7515 §7.1) under asymmetric algorithms, and the
// public keys that verify them (RFC 7517).
//
// Two rules carry the package. The key decides the algorithm: a [Key] is bound
// to exactly one at import, and a token's alg header is only compared with it
// (RFC 8725 §3.1). And nothing unverified looks verified: [ParseCompact]
// answers with an [Unverified], whose accessors say so, and only [Key.Verify]
// vouches for it.
//
// There is no "none", no HMAC, no JWE and no JSON serialisation here, not even
// as a name that could be switched on. A header's jwk, jku, x5u, x5c and x5t
// are never looked at; keys come from a [Set] that the caller chose.
//
// # Which algorithm a key gets
//
// A JWK's alg decides if it is there and fits the key. Without it, a curve has
// only one algorithm (P-256 ES256, P-384 ES384, P-521 ES512, Ed25519 EdDSA),
// and an RSA key gets the first RSA algorithm in the list that the issuer's
// configuration gives ([ParseSet]); without one there, the key is ignored. So
// an issuer that signs with PS256 and publishes RSA keys without alg needs
// PS256 before RS256 in its list, or alone. The choice is made once: the same
// key never verifies both an RS256 and a PS256 token.
//
// # What a key may cost
//
// Anyone can make up a token that costs one signature check, so keys under which
// a check costs more than four checks under ES256 are not used unless the
// configuration asks for them: RSA keys over 4096 bits or with an exponent over
// 65537 ([Limits]), and keys on P-384 and P-521 (ES384 and ES512 in the list of
// [ParseSet]). Keys that share a kid and an algorithm are tried cheapest first,
// as long as all of them together cost no more than that.
//
// The package does not check claims, types, times or revocation; see package
// validator. Factors of weak RSA moduli (ROCA) are not looked for.
package jose

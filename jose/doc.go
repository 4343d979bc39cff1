// Package jose is the part of JOSE that Sallyport uses: signed tokens in compact
// serialisation (RFC 7515 §7.1) under asymmetric algorithms, and the public keys
// that verify them (RFC 7517).
//
// Two rules hold for the whole package. First, the key decides the algorithm: a
// [Key] is bound to exactly one when it is parsed, and a token's alg header is
// only compared with it (RFC 8725 §3.1). Second, unverified content is named so:
// [ParseCompact] returns an [Unverified], whose accessors have that word in their
// names, and only [Key.Verify] checks the signature.
//
// There is no "none", no HMAC, no JWE and no JSON serialisation, and no option for
// them. A header's jku, x5u, x5c and x5t are never read. Its jwk is read by
// [Header.EmbeddedKey] alone, for proofs of possession; the keys of tokens come
// from a [Set] that the caller chose.
//
// # Which algorithm a key gets
//
// A JWK's alg decides if it is present and fits the key. Without alg, a curve has
// only one algorithm (P-256 ES256, P-384 ES384, P-521 ES512, Ed25519 EdDSA), and
// an RSA key gets the first RSA algorithm in the list that the issuer's
// configuration gives ([ParseSet]). If the list has none, the key is ignored. So
// an issuer that signs with PS256 and publishes RSA keys without alg needs PS256
// before RS256 in its list, or alone. If a document lists one key for several
// algorithms, the key gets the first of them in that list. A key never verifies both
// an RS256 and a PS256 token.
//
// # What a signature check may cost
//
// Anyone can make up a token that costs one signature check. So keys under which a
// check costs more than four checks under ES256 are used only if the configuration
// asks for them: RSA keys over 4096 bits or with an exponent over 65537
// ([Limits]), and keys on P-384 and P-521 (ES384 and ES512 in the list of
// [ParseSet]). Keys that share a kid and an algorithm are tried cheapest first, as
// long as all of them together cost no more than that, and so are the keys for a token
// without kid.
//
// # Key sets in the field
//
// A document of keys comes from the issuer, so [ParseSet] accepts several ways to write
// the same key: leading zero bytes of n and e, padding and the alphabet of base64, and
// members that are null. The key in a header's jwk must be written as RFC 7518 says.
//
// The package does not check claims, types, times or revocation; see package
// validator. It does not look for factors of weak RSA moduli (ROCA).
package jose

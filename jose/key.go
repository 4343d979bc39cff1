package jose

// Key is one public key bound to one [Algorithm]. It is immutable. Work that
// depends on the key alone is done once, when it is parsed. [ParseSet] and
// [ParseKey] return Keys; the zero Key verifies nothing.
type Key struct {
	algorithm  Algorithm
	id         string
	hasID      bool
	thumbprint string
	verifier   verifier
	cost       int         // of a signature check; see costES256
	index      int         // in the document's keys
	pinned     bool        // the JWK has no alg and could have another: the issuer's configuration chose
	listed     []Algorithm // for which the document lists the key, if these are several
}

// noKey is read in place of a nil Key.
var noKey Key

func (k *Key) read() *Key {
	if k == nil {
		return &noKey
	}
	return k
}

// Algorithm returns the one algorithm that k verifies.
func (k *Key) Algorithm() Algorithm { return k.read().algorithm }

// ID returns the kid of the JWK (RFC 7517 §4.5), and whether it has one. Keys of
// different issuers, and sometimes of one issuer, may have the same kid.
func (k *Key) ID() (string, bool) { return k.read().id, k.read().hasID }

// Thumbprint returns the JWK SHA-256 thumbprint (RFC 7638) in base64url.
func (k *Key) Thumbprint() string { return k.read().thumbprint }

// same reports whether k and other have the same key material.
func (k *Key) same(other *Key) bool { return k.thumbprint == other.thumbprint }

// Verify checks the signature of u over the bytes received. The error is
// [ErrAlgorithm] if the header's alg is not k's, [ErrSignature] if the signature
// does not verify, [ErrMalformed] for a nil u and [ErrUnknownKey] for a nil or
// zero k. Verify does not compare kid and does not check claims.
func (k *Key) Verify(u *Unverified) error {
	if k == nil || k.verifier == nil {
		return ErrUnknownKey
	}
	if u == nil {
		return ErrMalformed
	}
	p := u.read()
	if p.header.algorithm != k.algorithm { // alg is compared; it never selects the algorithm
		return k.notOf(p.header)
	}
	if !k.verifier.verify(p.signingInput, p.signature) {
		return k.notVerified(len(p.signature))
	}
	return nil
}

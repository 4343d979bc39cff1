package jose

// Key is one public key bound to one [Algorithm]. It is immutable and owns its
// prepared verifier, so that work that depends on the key alone is done once,
// at import. Keys come from [ParseSet]; the zero Key verifies nothing.
type Key struct {
	algorithm  Algorithm
	id         string
	hasID      bool
	thumbprint string
	verifier   verifier
	cost       int // of a signature check; see costES256
	index      int // in the document's keys
}

// verifier checks a signature under one key and one algorithm.
type verifier interface {
	verify(signingInput string, signature []byte) bool
}

// noKey is what a nil Key reads as.
var noKey Key

func (k *Key) read() *Key {
	if k == nil {
		return &noKey
	}
	return k
}

// Algorithm is the one algorithm that k verifies.
func (k *Key) Algorithm() Algorithm { return k.read().algorithm }

// ID is the kid of the JWK (RFC 7517 §4.5) and whether it has one. It is unique
// only within one issuer, and not always there.
func (k *Key) ID() (string, bool) { return k.read().id, k.read().hasID }

// Thumbprint is the JWK SHA-256 thumbprint of RFC 7638 in base64url.
func (k *Key) Thumbprint() string { return k.read().thumbprint }

// Verify checks the signature of u over the bytes received. The header's alg
// must be k's ([ErrAlgorithm]); otherwise the error is [ErrSignature]. It does
// not compare kid, and says nothing about the claims. A nil u is [ErrMalformed].
func (k *Key) Verify(u *Unverified) error {
	if k == nil || k.verifier == nil {
		return ErrUnknownKey
	}
	if u == nil {
		return ErrMalformed
	}
	p := u.read()
	if p.header.algorithm != k.algorithm { // a claim to check, not a choice to follow
		return ErrAlgorithm
	}
	if !k.verifier.verify(p.signingInput, p.signature) {
		return ErrSignature
	}
	return nil
}

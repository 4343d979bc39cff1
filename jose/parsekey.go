package jose

import (
	"slices"
	"strings"
)

// maxEmbeddedKey bounds the jwk of a header, in bytes. An RSA key of 8192 bits
// takes half of it.
const maxEmbeddedKey = 4096

var (
	errJWKAlg     = unusable("alg is not a supported signature algorithm, or does not fit the key type and curve")
	errUnpinned   = unusable("an RSA key without alg, and the issuer's list has no RSA algorithm to bind it to")
	errPrivateKey = unusable("it is a private or symmetric key; give the public key alone")
	errNoEmbedded = malformed("the header has no jwk")
	errLongKey    = malformed("the header's jwk is longer than 4096 bytes")
)

// ParseKey reads one JWK (RFC 7517 §4), such as a key file has. The Key is bound to
// an algorithm as one of a set is; see [ParseSet], also for algorithms and for keys
// that are not used. A JWK with private or symmetric key material is refused. The
// error is [ErrUnusableKey] and holds no key material.
func ParseKey(document []byte, algorithms []Algorithm) (*Key, error) {
	return Limits{}.ParseKey(document, algorithms)
}

// ParseKey returns what the function [ParseKey] returns, with the limits l.
func (l Limits) ParseKey(document []byte, algorithms []Algorithm) (*Key, error) {
	return l.parseKey(string(document), algorithms)
}

func (l Limits) parseKey(document string, algorithms []Algorithm) (*Key, error) {
	k, err := parseJWK(document)
	switch {
	case k.private:
		return nil, errPrivateKey
	case err != nil:
		return nil, err
	default:
		return k.importKey(algorithms, l.withDefaults())
	}
}

// EmbeddedKey returns the key in the header's jwk, bound to the header's alg, which
// must be one of algorithms. Whoever made the token chose the key, so a signature
// that it verifies proves only the possession of the key: this is for proofs (RFC
// 9449 §4.3), and never for access tokens.
//
// The error is [ErrAlgorithm], [ErrMalformed] if there is no jwk or it is longer
// than 4096 bytes, or [ErrUnusableKey], also for a private key.
func (h Header) EmbeddedKey(algorithms []Algorithm) (*Key, error) {
	if !slices.Contains(algorithms, h.algorithm) {
		return nil, ErrAlgorithm
	}
	switch {
	case h.key == "":
		return nil, errNoEmbedded
	case len(h.key) > maxEmbeddedKey:
		return nil, errLongKey
	}
	key, err := Limits{}.parseKey(h.key, []Algorithm{h.algorithm})
	if err != nil {
		return nil, err
	}
	if key.algorithm != h.algorithm {
		return nil, ErrAlgorithm
	}
	return key, nil
}

// importKey returns the Key of k, bound to its one algorithm, or the reason why it
// cannot be used. limits must have its defaults.
func (k *jwk) importKey(algorithms []Algorithm, limits Limits) (*Key, error) {
	if len(k.id) > maxKeyID {
		return nil, errKeyIDLength
	}
	if err := k.checkPurpose(); err != nil {
		return nil, err
	}
	material, err := k.material(limits)
	if err != nil {
		return nil, err
	}
	algorithm, err := k.bind(material, algorithms)
	if err != nil {
		return nil, err
	}
	if material.only != 0 && material.cost > maxCost && len(algorithms) > 0 && !slices.Contains(algorithms, algorithm) {
		return nil, errCurveCost
	}
	if err := checkCertificate(k.certificate, material.public); err != nil {
		return nil, err
	}
	return &Key{
		algorithm:  algorithm,
		id:         strings.Clone(k.id), // a part of the document would keep all of it in memory
		hasID:      k.hasID,
		thumbprint: material.thumbprint,
		verifier:   newVerifier(algorithm, material.public),
		cost:       material.cost,
		pinned:     !k.hasAlg && material.only == 0,
	}, nil
}

// bind returns the one algorithm of a key, as the package comment describes.
func (k *jwk) bind(m *material, algorithms []Algorithm) (Algorithm, error) {
	if k.hasAlg {
		named := algorithmNamed(k.algorithm)
		if !m.fits(named) { // 0 never fits
			return 0, errJWKAlg
		}
		return named, nil
	}
	if m.only != 0 {
		return m.only, nil
	}
	for _, a := range algorithms {
		if a.rsa() {
			return a, nil
		}
	}
	return 0, errUnpinned
}

package jose

import (
	"slices"
	"strings"
)

// maxEmbeddedKey bounds the jwk of a header, in bytes. An RSA key of 8192 bits
// takes half of it.
const maxEmbeddedKey = 4096

var (
	errJWKAlg     = unusable("alg is not a supported signature algorithm, or does not fit the key type and curve; let the issuer write the one that it signs with, or leave alg out")
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
	k, err := parseJWK(string(document))
	return k.single(err, KeyRules{Algorithms: algorithms, Limits: l.withDefaults()})
}

// single returns the Key of k, which does not belong to a set. err is the error of
// reading k.
func (k *jwk) single(err error, rules KeyRules) (*Key, error) {
	switch {
	case k.private:
		return nil, errPrivateKey
	case err != nil:
		return nil, err
	}
	offer, err := k.offer(rules)
	if err != nil {
		return nil, err
	}
	return offer.bind(offer.algorithm), nil
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
	k, err := parseExactJWK(h.key)
	key, err := k.single(err, KeyRules{Algorithms: []Algorithm{h.algorithm}, Limits: Limits{}.withDefaults()})
	if err != nil {
		return nil, err
	}
	if key.algorithm != h.algorithm {
		return nil, ErrAlgorithm
	}
	return key, nil
}

// offer is a key of a document that can be used under an algorithm.
type offer struct {
	index     int // in the document's keys
	id        string
	hasID     bool
	material  *material
	algorithm Algorithm
	named     bool // the document says so, by alg or by the curve; otherwise the issuer's list chose
}

// offer checks k, and returns it with its algorithm, or the reason why it cannot be
// used. The limits of rules must have their defaults.
func (k *jwk) offer(rules KeyRules) (*offer, error) {
	if len(k.id) > maxKeyID {
		return nil, errKeyIDLength
	}
	if err := k.checkIssuer(rules.Issuers); err != nil {
		return nil, err
	}
	if err := k.checkPurpose(); err != nil {
		return nil, err
	}
	material, err := k.material(rules.Limits)
	if err != nil {
		return nil, err
	}
	algorithm, err := k.choose(material, rules.Algorithms)
	if err != nil {
		return nil, err
	}
	if material.only != 0 && material.cost > maxCost && len(rules.Algorithms) > 0 && !slices.Contains(rules.Algorithms, algorithm) {
		return nil, errCurveCost
	}
	if err := checkCertificate(k.certificate, material.public); err != nil {
		return nil, err
	}
	return &offer{
		id:        strings.Clone(k.id), // a part of the document would keep all of it in memory
		hasID:     k.hasID,
		material:  material,
		algorithm: algorithm,
		named:     k.hasAlg || material.only != 0,
	}, nil
}

// choose returns the algorithm of a key, as the package comment describes.
func (k *jwk) choose(m *material, algorithms []Algorithm) (Algorithm, error) {
	if k.hasAlg {
		named := algorithmNamed(k.algorithm)
		if !m.fits(named) { // 0 never fits
			return 0, k.about(errJWKAlg, "alg", k.algorithm)
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

// bind returns the Key of o, bound to a.
func (o *offer) bind(a Algorithm) *Key {
	return &Key{
		algorithm:  a,
		id:         o.id,
		hasID:      o.hasID,
		thumbprint: o.material.thumbprint,
		verifier:   newVerifier(a, o.material.public),
		cost:       o.material.cost,
		index:      o.index,
		pinned:     !o.named,
	}
}

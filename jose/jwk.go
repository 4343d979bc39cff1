package jose

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errNotObject   = unusable("not one JSON object with unique member names")
	errMemberType  = unusable("a member of the key has the wrong JSON type (RFC 7517 §4)")
	errPrivate     = unusable("the document publishes private or symmetric key material; replace this key now")
	errKeyIDLength = unusable("the kid is longer than 256 bytes")
	errUse         = unusable("use is not sig (RFC 7517 §4.2)")
	errKeyOps      = unusable("key_ops lacks verify, repeats an operation, or contradicts use (RFC 7517 §4.3)")
	errJWKAlg      = unusable("alg is not a supported signature algorithm, or does not fit the key type and curve")
	errUnpinned    = unusable("an RSA key without alg, and the issuer's list has no RSA algorithm to bind it to")
)

// jwk is one JSON Web Key as published: typed, but not yet judged.
type jwk struct {
	id          string
	hasID       bool
	private     bool
	kty, crv    string
	n, e        string // RSA
	x, y        string // EC, OKP
	algorithm   string
	hasAlg      bool
	use         string
	hasUse      bool
	keyOps      []string
	hasKeyOps   bool
	certificate string // the first of x5c, or ""
}

// parseJWK reads the members that matter. On error, the id and whether key
// material leaked are still reported as far as they were read.
func parseJWK(doc string) (jwk, error) {
	var k jwk
	members, err := strictjson.ParseObject(doc, strictjson.TokenLimits, nil)
	if err != nil {
		return k, errNotObject
	}
	typed := true
	text := func(v strictjson.Value) string {
		s, ok := v.Text()
		typed = typed && ok
		return s
	}
	list := func(v strictjson.Value) []string {
		typed = typed && v.Kind() == strictjson.Array
		var all []string
		for element := range v.Elements() {
			all = append(all, text(element))
		}
		return all
	}
	for _, m := range members {
		switch m.Name {
		case "kid":
			k.id, k.hasID = text(m.Value), true
		case "kty":
			k.kty = text(m.Value)
		case "crv":
			k.crv = text(m.Value)
		case "n":
			k.n = text(m.Value)
		case "e":
			k.e = text(m.Value)
		case "x":
			k.x = text(m.Value)
		case "y":
			k.y = text(m.Value)
		case "alg":
			k.algorithm, k.hasAlg = text(m.Value), true
		case "use":
			k.use, k.hasUse = text(m.Value), true
		case "key_ops":
			k.keyOps, k.hasKeyOps = list(m.Value), true
		case "x5c":
			k.certificate = firstCertificate(m.Value)
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			k.private = true
		}
	}
	switch {
	case k.private || k.kty == "oct":
		k.private = true
		return k, errPrivate
	case !typed:
		return k, errMemberType
	default:
		return k, nil
	}
}

// key imports k bound to its one algorithm, or says why it cannot be used.
func (k *jwk) key(algorithms []Algorithm, limits Limits) (*Key, error) {
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
	if err := k.checkCertificate(material); err != nil {
		return nil, err
	}
	return &Key{
		algorithm:  algorithm,
		id:         strings.Clone(k.id), // or it would keep the document in memory
		hasID:      k.hasID,
		thumbprint: material.thumbprint,
		verifier:   material.verifier(algorithm),
		cost:       material.cost,
	}, nil
}

// checkPurpose applies use and key_ops (RFC 7517 §4.2, §4.3).
func (k *jwk) checkPurpose() error {
	if k.hasUse && k.use != "sig" {
		return errUse
	}
	if !k.hasKeyOps {
		return nil
	}
	seen := make(map[string]bool, len(k.keyOps))
	for _, op := range k.keyOps {
		contradicts := k.hasUse && op != "verify" && op != "sign"
		if seen[op] || contradicts {
			return errKeyOps
		}
		seen[op] = true
	}
	if !seen["verify"] {
		return errKeyOps
	}
	return nil
}

// bind chooses the one algorithm of a key: see the package comment.
func (k *jwk) bind(m *material, algorithms []Algorithm) (Algorithm, error) {
	if k.hasAlg {
		named := algorithmNamed(k.algorithm)
		if !m.fits(named) { // 0 fits no key
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

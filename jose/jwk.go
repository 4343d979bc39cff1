package jose

import "github.com/sallyport-auth/sallyport/internal/strictjson"

// maxKeyID is the length of the longest kid that can match, in bytes (R-JS-17).
const maxKeyID = 256

var (
	errNotObject   = unusable("not one JSON object with unique member names")
	errMemberType  = unusable("a member of the key has the wrong JSON type (RFC 7517 §4)")
	errPrivate     = unusable("the document publishes private or symmetric key material; replace this key now")
	errKeyIDLength = unusable("the kid is longer than 256 bytes")
	errUse         = unusable("use is not sig (RFC 7517 §4.2)")
	errKeyOps      = unusable("key_ops lacks verify, repeats an operation, or contradicts use (RFC 7517 §4.3)")
)

// jwk holds the members of one JSON Web Key, of the right JSON types, and not yet
// checked otherwise.
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
	certificate string // the first element of x5c, or ""
}

// parseJWK reads the members that this package uses. With an error, the id and
// private are still set as far as they were read.
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

// checkPurpose checks that use and key_ops allow the verification of signatures
// (RFC 7517 §4.2, §4.3).
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

package jose

import (
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// maxKeyID is the length of the longest kid that can match, in bytes (R-JS-17).
const maxKeyID = 256

var (
	errNotObject   = unusable("not one JSON object with unique member names")
	errPrivate     = unusable("the document publishes private or symmetric key material; replace this key now")
	errKeyIDLength = unusable("the kid is longer than 256 bytes")
	errUse         = unusable("use is not sig (RFC 7517 §4.2)")
	errKeyOps      = unusable("key_ops lacks verify, repeats an operation, or contradicts use (RFC 7517 §4.3); if the key is for signatures, let the issuer write key_ops with verify, or leave it out")
)

// jwk holds the members of one JSON Web Key, of the right JSON types, and not yet
// checked otherwise.
type jwk struct {
	id          string
	hasID       bool
	private     bool
	exact       bool // see parseExactJWK
	kty, crv    string
	n, e        string // RSA
	x, y        string // EC, OKP
	algorithm   string
	hasAlg      bool
	use         string
	hasUse      bool
	keyOps      []string
	hasKeyOps   bool
	certificate string           // the first element of x5c, or ""
	issuer      strictjson.Value // the member issuer, of any type
}

// parseJWK reads the members that this package uses of a key of a JWK Set. A member
// that is null counts as absent, because some issuers write all members of their keys.
// So do alg, use, key_ops and private members that are empty. With an error, the id and
// private are still set as far as they were read.
func parseJWK(doc string) (jwk, error) { return readJWK(doc, false) }

// parseExactJWK reads the key of a proof, which its sender chose. No member may be null,
// and each parameter must be encoded as RFC 7518 says, so that a key has one form.
func parseExactJWK(doc string) (jwk, error) { return readJWK(doc, true) }

func readJWK(doc string, exact bool) (jwk, error) {
	k := jwk{exact: exact}
	members, err := strictjson.ParseObject(doc, strictjson.TokenLimits, nil)
	if err != nil {
		return k, errNotObject
	}
	var mistyped error // the first member of a wrong type
	text := func(m strictjson.Member) string {
		s, ok := m.Value.Text()
		if !ok && mistyped == nil {
			mistyped = wrongKeyMember(m.Name, m.Value.Kind(), "a string")
		}
		return s
	}
	list := func(m strictjson.Member) []string {
		if m.Value.Kind() != strictjson.Array && mistyped == nil {
			mistyped = wrongKeyMember(m.Name, m.Value.Kind(), "an array")
		}
		var all []string
		for element := range m.Value.Elements() {
			all = append(all, text(strictjson.Member{Name: "an element of " + m.Name, Value: element}))
		}
		return all
	}
	for _, m := range members {
		if m.Value.Kind() == strictjson.Null && !exact {
			continue
		}
		switch m.Name {
		case "kid":
			k.id, k.hasID = text(m), true
		case "kty":
			k.kty = text(m)
		case "crv":
			k.crv = text(m)
		case "n":
			k.n = text(m)
		case "e":
			k.e = text(m)
		case "x":
			k.x = text(m)
		case "y":
			k.y = text(m)
		case "alg":
			k.algorithm = text(m)
			k.hasAlg = k.algorithm != "" || exact
		case "use":
			k.use = text(m)
			k.hasUse = k.use != "" || exact
		case "key_ops":
			k.keyOps = list(m)
			k.hasKeyOps = len(k.keyOps) > 0 || exact
		case "x5c":
			k.certificate = firstCertificate(m.Value)
		case "issuer":
			k.issuer = m.Value
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			k.private = k.private || exact || !isEmptyValue(m.Value)
		}
	}
	switch {
	case k.private || k.kty == "oct":
		k.private = true
		return k, errPrivate
	case mistyped != nil:
		return k, mistyped
	default:
		return k, nil
	}
}

// isEmptyValue reports whether v is an empty string or an empty array.
func isEmptyValue(v strictjson.Value) bool {
	if text, ok := v.Text(); ok {
		return text == ""
	}
	for range v.Elements() {
		return false
	}
	return v.Kind() == strictjson.Array
}

// wrongKeyMember returns the reason for which a key with a member of a wrong JSON type
// is not used.
func wrongKeyMember(name string, found strictjson.Kind, wanted string) error {
	return unusable(fmt.Sprintf("%s is %s and must be %s (RFC 7517 §4)", name, found, wanted))
}

// checkIssuer checks that the member issuer is one of issuers, if the key has the member
// and issuers is not nil.
func (k *jwk) checkIssuer(issuers []string) error {
	if issuers == nil || k.issuer.Kind() == strictjson.Absent {
		return nil
	}
	named, ok := k.issuer.Text()
	switch {
	case !ok:
		return wrongKeyMember("issuer", k.issuer.Kind(), "a string")
	case !slices.Contains(issuers, named):
		return &otherIssuer{cause.Quote(named)}
	default:
		return nil
	}
}

// otherIssuer is the reason for which a key that belongs to another issuer is not used.
type otherIssuer struct {
	named string // quoted
}

func (e *otherIssuer) Error() string {
	return ErrUnusableKey.Error() + ": its issuer is " + e.named + ", which is not one of Issuer.KeyIssuers; if its tokens are wanted too, add it there"
}

func (e *otherIssuer) Unwrap() error { return ErrUnusableKey }

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

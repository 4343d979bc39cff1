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
	r := jwkReader{jwk: jwk{exact: exact}}
	members, err := strictjson.ParseObject(doc, strictjson.HeaderLimits, nil)
	if err != nil {
		if exact {
			return r.jwk, errNotObject
		}
		return r.jwk, fmt.Errorf("%w: it is %s", errNotObject, strictjson.Describe(doc, strictjson.HeaderLimits, "kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "x5c"))
	}
	for _, m := range members {
		if exact || m.Value.Kind() != strictjson.Null {
			r.read(m)
		}
	}
	switch {
	case r.private || r.kty == "oct":
		r.private = true
		return r.jwk, errPrivate
	case r.mistyped != nil:
		return r.jwk, r.mistyped
	default:
		return r.jwk, nil
	}
}

// jwkReader reads the members of a jwk.
type jwkReader struct {
	jwk

	mistyped error // about the first member of a wrong type
}

// read reads one member.
func (r *jwkReader) read(m strictjson.Member) {
	switch m.Name {
	case "kid":
		r.id, r.hasID = r.text(m), true
	case "kty":
		r.kty = r.text(m)
	case "crv":
		r.crv = r.text(m)
	case "n":
		r.n = r.text(m)
	case "e":
		r.e = r.text(m)
	case "x":
		r.x = r.text(m)
	case "y":
		r.y = r.text(m)
	case "alg":
		r.algorithm = r.text(m)
		r.hasAlg = r.algorithm != "" || r.exact
	case "use":
		r.use = r.text(m)
		r.hasUse = r.use != "" || r.exact
	case "key_ops":
		r.keyOps = r.list(m)
		r.hasKeyOps = len(r.keyOps) > 0 || r.exact
	case "x5c":
		r.certificate = firstCertificate(m.Value)
	case "issuer":
		r.issuer = m.Value
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
		r.private = r.private || r.exact || !isEmptyValue(m.Value)
	}
}

// text returns the value of m, which must be a string.
func (r *jwkReader) text(m strictjson.Member) string {
	s, ok := m.Value.Text()
	if !ok && r.mistyped == nil {
		r.mistyped = wrongKeyMember(m.Name, m.Value.Kind(), "a string")
	}
	return s
}

// list returns the value of m, which must be an array of strings.
func (r *jwkReader) list(m strictjson.Member) []string {
	if m.Value.Kind() != strictjson.Array && r.mistyped == nil {
		r.mistyped = wrongKeyMember(m.Name, m.Value.Kind(), "an array")
	}
	var all []string
	for element := range m.Value.Elements() {
		all = append(all, r.text(strictjson.Member{Name: "an element of " + m.Name, Value: element}))
	}
	return all
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

// about returns reason with the value of a member, which a JWK Set publishes. Of the key
// in a header, which the sender of a token wrote, it returns reason alone.
func (k *jwk) about(reason error, member, value string) error {
	if k.exact {
		return reason
	}
	return fmt.Errorf("%w; %s is %s", reason, member, cause.Quote(value))
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
		return k.about(errUse, "use", k.use)
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

package jose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// keysOf returns the member keys of a JWK Set document (RFC 7517 §5), which is an array,
// or an [ErrNotJWKS] that says what the document is. A byte order mark at its beginning
// is left out, as RFC 8259 §8.1 permits.
func keysOf(document string) (strictjson.Value, error) {
	text := strings.TrimPrefix(document, "\ufeff")
	members, err := strictjson.ParseShallow(text)
	if err != nil {
		return strictjson.Value{}, notDocument(text, len(document))
	}
	at := slices.IndexFunc(members, func(m strictjson.Member) bool { return m.Name == "keys" })
	if at < 0 {
		return strictjson.Value{}, withoutKeys(members, len(document))
	}
	keys := members[at].Value
	if keys.Kind() != strictjson.Array {
		return strictjson.Value{}, notJWKS("keys, which is "+keys.Kind().String(), "", len(document))
	}
	return keys, nil
}

// notDocument returns the cause for a text that is no JSON object. length is that of the
// whole document.
func notDocument(text string, length int) error {
	begin := text[:min(len(text), 2)]
	switch {
	case strings.Contains(begin, "\x00") || begin == "\xff\xfe" || begin == "\xfe\xff":
		return notJWKS("text that seems to be UTF-16 or UTF-32", "write it in UTF-8 (RFC 8259 §8.1)", length)
	case strings.HasPrefix(text, "-----BEGIN "):
		return notJWKS("PEM", "convert the key to a JWK Set", length)
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "["):
		return notJWKS(strictjson.DescribeShallow(text), `if these are the keys, put {"keys": before them and } behind`, length)
	default:
		return notJWKS(strictjson.DescribeShallow(text), "", length)
	}
}

// withoutKeys returns the cause for an object without a member keys.
func withoutKeys(members []strictjson.Member, length int) error {
	has := func(name string) bool {
		return slices.ContainsFunc(members, func(m strictjson.Member) bool { return m.Name == name })
	}
	isPEM := func(m strictjson.Member) bool {
		text, _ := m.Value.Text()
		return strings.HasPrefix(text, "-----BEGIN ")
	}
	switch {
	case has("jwks_uri"):
		return notJWKS("the metadata of an issuer, whose jwks_uri names the key set", "", length)
	case has("kty"):
		return notJWKS("a single key", `put {"keys":[ before it and ]} behind`, length)
	case slices.ContainsFunc(members, isPEM):
		return notJWKS("certificates in PEM by kid, as Google has them at oauth2/v1/certs and robot/v1/metadata/x509",
			"name the JWK Set of the issuer: Google has it at https://www.googleapis.com/oauth2/v3/certs, and of a service account at service_accounts/v1/jwk", length)
	default:
		return notJWKS("an object with no member keys", "", length)
	}
}

// notJWKS returns the cause for a document of that length that is no JWK Set. It refers to
// nothing of the document.
func notJWKS(found, mend string, length int) error {
	found += fmt.Sprintf(" (%d bytes)", length)
	return cause.New(ErrNotJWKS, func() cause.Details { return cause.Details{Found: found, Mend: mend} })
}

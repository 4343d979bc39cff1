package testissuer

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
)

// signedType is the content type of signed answers, and their typ without
// "application/" (RFC 9701 §4, §5).
const signedType = "application/token-introspection+jwt"

// accepts reports whether a request accepts a content type by name.
func accepts(r *http.Request, kind string) bool {
	for _, field := range r.Header.Values("Accept") {
		for element := range strings.SplitSeq(field, ",") {
			if found, _, _ := mime.ParseMediaType(element); found == kind {
				return true
			}
		}
	}
	return false
}

// sign makes a signed answer of one whose body is an introspection response.
func (s *site) sign(answer *reply, c *Client, f Fault) {
	if f == SignedNot {
		return
	}
	kind := signedType
	token := s.signedAnswer(string(answer.body), c, f)
	switch f {
	case SignedOldForm:
		kind = "application/jwt"
	case SignedMember:
		kind, token = jsonType, string(encode(map[string]any{"jwt": token}))
	case SignedEncrypted:
		token = encrypted()
	default:
	}
	answer.header = http.Header{"Content-Type": {kind}}
	answer.body = []byte(token)
}

// signedAnswer returns an introspection response as a JWT for c.
func (s *site) signedAnswer(response string, c *Client, f Fault) string {
	k := s.keys.key("")
	t := Token{
		Header:    map[string]any{"typ": strings.TrimPrefix(signedType, "application/")},
		RawClaims: signedClaims(s.url, response, c, f),
	}
	maps.Copy(t.Header, signedHeaders[f])
	t.Forgery = signedForgeries[f]
	return t.sign(k, "", "")
}

// signedClaims returns the claims of a signed answer. The response is written as it is,
// because it may be JSON that no encoder would write.
func signedClaims(issuer, response string, c *Client, f Fault) string {
	audience := any(c.ID)
	switch len(c.AnswerAudiences) {
	case 0:
	case 1:
		audience = c.AnswerAudiences[0]
	default:
		audience = c.AnswerAudiences
	}
	now := time.Now()
	members := map[string]any{"iss": issuer, "aud": audience, "iat": now.Unix()}
	switch f {
	case SignedIssuerOther:
		members["iss"] = "https://other.test"
	case SignedIssuerMissing:
		delete(members, "iss")
	case SignedAudienceOther:
		members["aud"] = "https://other.test"
	case SignedAudienceMissing:
		delete(members, "aud")
	case SignedAudienceArray:
		members["aud"] = []any{"https://other.test", audience}
	case SignedTimeMissing:
		delete(members, "iat")
	case SignedTimeOld:
		members["iat"] = now.Add(-time.Hour).Unix()
	case SignedTimeFuture:
		members["iat"] = now.Add(time.Hour).Unix()
	case SignedActiveAbove, SignedContradiction, SignedOldForm:
		return aboveClaims(members, membersOf(response), f)
	default:
	}
	text := string(encode(members))
	if f == SignedAnswerMissing {
		return text
	}
	inner := `,"token_introspection":` + response
	if f == SignedAnswerTwice {
		inner = `,"token_introspection":{"active":false}` + inner
	}
	return strings.TrimSuffix(text, "}") + inner + "}"
}

// aboveClaims returns the claims of signed answers that have members of the response at
// the top level, where those of the answer itself win.
func aboveClaims(members map[string]any, response map[string]json.RawMessage, f Fault) string {
	below := map[string]any{}
	for name, value := range response {
		below[name] = value
	}
	switch f {
	case SignedActiveAbove:
		members[activeMember] = response[activeMember]
		delete(below, activeMember)
	case SignedContradiction:
		copyMissing(members, response)
		below[activeMember] = false
	default:
		copyMissing(members, response)
		return string(encode(members))
	}
	members["token_introspection"] = below
	return string(encode(members))
}

// copyMissing adds the members of from that are not there.
func copyMissing(members map[string]any, from map[string]json.RawMessage) {
	for name, value := range from {
		if _, has := members[name]; !has {
			members[name] = value
		}
	}
}

// signedHeaders holds what faults change in the header of a signed answer, as
// Token.Header takes it.
var signedHeaders = map[Fault]map[string]any{
	SignedTypeMissing: {"typ": nil},
	SignedTypeAccess:  {"typ": "at+jwt"},
	SignedTypeJWT:     {"typ": "JWT"},
	SignedUnknownKey:  {"kid": "unknown"},
}

// signedForgeries holds how faults forge a signed answer.
var signedForgeries = map[Fault]Forgery{
	SignedNone:       NoneAlgorithm,
	SignedHMAC:       HMACWithPublicKey,
	SignedTampered:   Tampered,
	SignedOtherKey:   ForeignKey,
	SignedUnknownKey: ForeignKey,
}

// encrypted returns random bytes in the form of a JWE (RFC 7516 §3.1).
func encrypted() string {
	segments := []string{testkey.Encode([]byte(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`))}
	for _, size := range []int{256, 12, 300, 16} {
		b := make([]byte, size)
		_, _ = rand.Read(b) // it never fails
		segments = append(segments, testkey.Encode(b))
	}
	return strings.Join(segments, ".")
}

package jose

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errHeader    = malformed("the header is not one JSON object with unique member names")
	errKeyID     = malformed("the header's kid is not a string")
	errCritical  = malformed("the header has crit, and no extension is implemented (RFC 7515 §4.1.11)")
	errUnencoded = malformed("the header has b64, and unencoded payloads are not allowed in a JWT (RFC 7797 §7)")
)

// Header is an unverified JOSE header (RFC 7515 §4). It keeps the members that
// Sallyport reads. No URL in it is ever fetched.
type Header struct {
	algorithm Algorithm        // 0: absent, not a string, or not supported
	named     strictjson.Value // alg as received
	keyID     string
	hasKeyID  bool
	mediaType string
	hasType   bool   // typ is present, of any JSON type
	isText    bool   // typ is a string
	key       string // jwk as JSON text, not parsed; "" if absent
	// issuer, subject and audience are claims that the header repeats
	// (RFC 7519 §5.3), as JSON text.
	issuer, subject, audience string
}

// parseHeader reads the JSON text of a header. The Header aliases text.
func parseHeader(text string) (Header, error) {
	var stack [8]strictjson.Member
	members, err := strictjson.ParseObject(text, strictjson.HeaderLimits, stack[:0])
	if err != nil {
		return Header{}, notHeader(text)
	}
	var h Header
	for _, m := range members {
		switch m.Name {
		case "alg":
			h.named = m.Value
			name, _ := m.Value.Text()
			h.algorithm = algorithmNamed(name)
		case "kid":
			if h.keyID, h.hasKeyID = m.Value.Text(); !h.hasKeyID {
				return Header{}, wrongMember(errKeyID, "kid", m.Value, "a string")
			}
		case "typ":
			h.hasType = true
			h.mediaType, h.isText = m.Value.Text()
		case "jwk":
			h.key = m.Value.Raw()
		case "crit":
			return Header{}, wrongMember(errCritical, "crit", m.Value, "no crit")
		case "b64":
			return Header{}, wrongMember(errUnencoded, "b64", m.Value, "no b64")
		case "iss":
			h.issuer = m.Value.Raw()
		case "sub":
			h.subject = m.Value.Raw()
		case "aud":
			h.audience = m.Value.Raw()
		}
	}
	return h, nil
}

// Format writes the algorithm, whatever the verb, and no text from the token.
func (h Header) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "Header("+h.algorithm.String()+")")
}

// LogValue returns the name of the algorithm.
func (h Header) LogValue() slog.Value { return slog.StringValue(h.algorithm.String()) }

// Algorithm returns the header's alg, or 0 if alg is absent, is not a string, or
// is not supported.
func (h Header) Algorithm() Algorithm { return h.algorithm }

// AlgorithmName returns the header's alg as received, and whether it is present and a
// string. It may be the name of no algorithm. It is for texts that people read, and
// never selects anything.
func (h Header) AlgorithmName() (string, bool) { return h.named.Text() }

// KeyID returns the header's kid, and whether it is present.
func (h Header) KeyID() (string, bool) { return h.keyID, h.hasKeyID }

// Type returns the header's typ, and whether it is present and a string.
// [Header.HasType] reports a typ of another JSON type.
func (h Header) Type() (string, bool) { return h.mediaType, h.isText }

// HasType reports whether the header has a typ of any JSON type.
func (h Header) HasType() bool { return h.hasType }

// ReplicatedClaims returns the header's iss, sub and aud as JSON text, and "" for
// an absent one. They must equal the claims of those names (RFC 7519 §5.3).
func (h Header) ReplicatedClaims() (issuer, subject, audience string) {
	return h.issuer, h.subject, h.audience
}

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

// Header is an unverified JOSE header (RFC 7515 §4). It keeps what Sallyport
// compares; nothing in it is ever followed.
type Header struct {
	algorithm Algorithm // 0: absent, not a string, or not supported
	keyID     string
	hasKeyID  bool
	mediaType string
	typed     Presence
	// Claims replicated in the header (RFC 7519 §5.3), as JSON text.
	issuer, subject, audience string
}

// Presence tells how a header member that ought to be a string occurs.
type Presence uint8

// The ways a member occurs.
const (
	Absent  Presence = iota
	Text             // present, a string
	NotText          // present, another JSON type
)

func parseHeader(text string) (Header, error) {
	var stack [8]strictjson.Member
	members, err := strictjson.ParseObject(text, strictjson.TokenLimits, stack[:0])
	if err != nil {
		return Header{}, errHeader
	}
	var h Header
	for _, m := range members {
		switch m.Name {
		case "alg":
			name, _ := m.Value.Text()
			h.algorithm = algorithmNamed(name)
		case "kid":
			if h.keyID, h.hasKeyID = m.Value.Text(); !h.hasKeyID {
				return Header{}, errKeyID
			}
		case "typ":
			var ok bool
			h.typed = NotText
			if h.mediaType, ok = m.Value.Text(); ok {
				h.typed = Text
			}
		case "crit":
			return Header{}, errCritical
		case "b64":
			return Header{}, errUnencoded
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

// Format writes the algorithm under every verb, and nothing that the sender chose.
func (h Header) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "Header("+h.algorithm.String()+")")
}

// LogValue is the algorithm.
func (h Header) LogValue() slog.Value { return slog.StringValue(h.algorithm.String()) }

// Algorithm is the header's alg, or the zero value if alg is absent, is not a
// string, or names nothing that this package supports.
func (h Header) Algorithm() Algorithm { return h.algorithm }

// KeyID is the header's kid and whether there is one.
func (h Header) KeyID() (string, bool) { return h.keyID, h.hasKeyID }

// Type is the header's typ, which is empty unless present as a string.
func (h Header) Type() (string, Presence) { return h.mediaType, h.typed }

// ReplicatedClaims gives the header's iss, sub and aud as the JSON text in
// which they stand there, or "" for an absent one. They must equal the claims
// of those names (RFC 7519 §5.3).
func (h Header) ReplicatedClaims() (issuer, subject, audience string) {
	return h.issuer, h.subject, h.audience
}

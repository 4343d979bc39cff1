package jose

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Dots in the compact serialisations of RFC 7515 §7.1 and RFC 7516 §7.1.
const (
	jwsDots = 2
	jweDots = 4
)

var (
	errSegments = malformed("not three segments separated by dots")
	errJWE      = malformed("five segments: this is a JWE, and encrypted tokens are not supported")
	errEmpty    = malformed("an empty segment")
	errBase64   = malformed("a segment is not canonical base64url without padding (RFC 7515 §2)")
)

// Unverified is a compact JWS (RFC 7515 §7.1) that was parsed and whose
// signature nobody has checked. Everything in it may be an attacker's.
type Unverified struct {
	header       Header
	known        bool   // the header was remembered
	protected    string // the header's segment as received
	signingInput string // the received bytes of the first two segments
	payload      string
	signature    []byte
	retained     int
}

// ParseCompact parses token without verifying it: two dots and three non-empty
// segments, each in canonical base64url, and a header that is one strict JSON
// object without crit and b64. The error is [ErrMalformed].
//
// The caller bounds the length of token. The payload is decoded, not parsed.
func ParseCompact(token string) (Unverified, error) { return (*Headers)(nil).ParseCompact(token) }

// ParseCompact is the function of that name, but for the work on headers that
// are known.
func (h *Headers) ParseCompact(token string) (Unverified, error) {
	protected, payload, signature, err := split(token)
	if err != nil {
		return Unverified{}, err
	}
	u := Unverified{protected: protected, signingInput: token[:len(protected)+1+len(payload)]}
	u.header, u.known = h.find(protected)
	if err := decode(&u, payload, signature); err != nil {
		return Unverified{}, err
	}
	return u, nil
}

// decode reads the segments of u, that of the header unless it is known.
func decode(u *Unverified, payload, signature string) (err error) {
	var stack [1536]byte
	decoded := stack[:0]
	if !u.known {
		if decoded, err = appendDecoded(decoded, u.protected); err != nil {
			return err
		}
	}
	header := len(decoded)
	if decoded, err = appendDecoded(decoded, payload); err != nil {
		return err
	}
	// One string for both, which every value read from them will alias.
	text := string(decoded)
	u.payload, u.retained = text[header:], len(text)
	if !u.known {
		if u.header, err = parseHeader(text[:header]); err != nil {
			return err
		}
	}
	u.signature, err = appendDecoded(nil, signature)
	return err
}

// Retained is how many bytes stay in memory as long as something that was read
// from the header or the payload does.
func (u Unverified) Retained() int { return u.retained }

// Format writes the algorithm and the length of the signed part under every
// verb: the whole would be a usable token.
func (u Unverified) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.redacted()) }

// LogValue is the algorithm and the length of the signed part.
func (u Unverified) LogValue() slog.Value { return slog.StringValue(u.redacted()) }

func (u Unverified) redacted() string {
	return fmt.Sprintf("Unverified(%s, %d bytes)", u.header.algorithm, len(u.signingInput))
}

// UnverifiedHeader is the JOSE header as received.
func (u Unverified) UnverifiedHeader() Header { return u.header }

// UnverifiedPayload is the decoded payload as received.
func (u Unverified) UnverifiedPayload() string { return u.payload }

// split cuts token at its dots.
func split(token string) (protected, payload, signature string, err error) {
	protected, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	switch {
	case !found:
		return "", "", "", errSegments
	case strings.IndexByte(signature, '.') < 0:
		if protected == "" || payload == "" || signature == "" {
			return "", "", "", errEmpty
		}
		return protected, payload, signature, nil
	case strings.Count(signature, ".") == jweDots-jwsDots:
		return "", "", "", errJWE
	default:
		return "", "", "", errSegments
	}
}

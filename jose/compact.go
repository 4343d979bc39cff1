package jose

import (
	"crypto/sha256"
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

// Compact is a compact JWS (RFC 7515 §7.1) cut at its dots. Nothing in it is
// decoded or checked yet.
type Compact struct {
	protected, payload, signature string
	signingInput                  string // the first two of them with their dot
	digest                        [sha256.Size]byte
	digested                      bool
}

// CutCompact cuts token: two dots and three segments that are not empty. The
// error is [ErrMalformed].
func CutCompact(token string) (Compact, error) {
	protected, payload, signature, err := split(token)
	if err != nil {
		return Compact{}, err
	}
	return Compact{
		protected: protected, payload: payload, signature: signature,
		signingInput: token[:len(protected)+1+len(payload)],
	}, nil
}

// Digest is SHA-256 of the JWS signing input (RFC 7515 §5.1). What is parsed
// from c afterwards uses it again where the algorithm hashes with SHA-256.
func (c *Compact) Digest() [sha256.Size]byte {
	if !c.digested {
		var stack [inputSize]byte
		c.digest, c.digested = sha256.Sum256(append(stack[:0], c.signingInput...)), true
	}
	return c.digest
}

// Signature is the third segment as received.
func (c *Compact) Signature() string { return c.signature }

// Format writes the length of the signed part under every verb: the whole would
// be a usable token.
func (c Compact) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.redacted()) }

// LogValue is the length of the signed part.
func (c Compact) LogValue() slog.Value { return slog.StringValue(c.redacted()) }

func (c Compact) redacted() string { return fmt.Sprintf("Compact(%d bytes)", len(c.signingInput)) }

// Unverified is a compact JWS (RFC 7515 §7.1) that was parsed and whose
// signature nobody has checked. Everything in it may be an attacker's.
type Unverified struct {
	header    Header
	protected string // the header's segment as received
	known     bool   // the header was remembered
	signed    signed
	payload   string
	signature []byte
	retained  int
}

// signed is what a signature is over.
type signed struct {
	input    string // the received bytes of the first two segments
	digest   [sha256.Size]byte
	digested bool // digest is SHA-256 of input
}

// ParseCompact parses token without verifying it: two dots and three non-empty
// segments, each in canonical base64url, and a header that is one strict JSON
// object without crit and b64. The error is [ErrMalformed].
//
// The caller bounds the length of token. The payload is decoded, not parsed.
func ParseCompact(token string) (Unverified, error) {
	c, err := CutCompact(token)
	if err != nil {
		return Unverified{}, err
	}
	return c.Parse(nil)
}

// Parse does the rest of [ParseCompact], and saves the parsing of headers that
// are known, if known is not nil.
func (c *Compact) Parse(known *Headers) (Unverified, error) {
	u := Unverified{protected: c.protected, signed: signed{c.signingInput, c.digest, c.digested}}
	u.header, u.known = known.find(c.protected)
	if err := u.decode(c); err != nil {
		return Unverified{}, err
	}
	return u, nil
}

// decode reads the segments.
func (u *Unverified) decode(c *Compact) (err error) {
	var stack [1536]byte
	decoded := stack[:0]
	if !u.known {
		if decoded, err = appendDecoded(decoded, c.protected); err != nil {
			return err
		}
	}
	header := len(decoded)
	if decoded, err = appendDecoded(decoded, c.payload); err != nil {
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
	u.signature, err = appendDecoded(nil, c.signature)
	return err
}

// Retained is how many bytes stay in memory as long as something that was read
// from the header or the payload does.
func (u *Unverified) Retained() int { return u.retained }

// Format writes the algorithm and the length of the signed part under every
// verb: the whole would be a usable token.
func (u Unverified) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.redacted()) }

// LogValue is the algorithm and the length of the signed part.
func (u Unverified) LogValue() slog.Value { return slog.StringValue(u.redacted()) }

func (u Unverified) redacted() string {
	return fmt.Sprintf("Unverified(%s, %d bytes)", u.header.algorithm, len(u.signed.input))
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

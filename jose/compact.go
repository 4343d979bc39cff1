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
// signature nobody has checked. Everything in it may be an attacker's. The zero
// Unverified has an empty header and payload, and verifies under no key.
//
// An Unverified prints redacted, also inside other structs.
type Unverified struct {
	// A double pointer, because fmt follows a single one under a wrong verb
	// and would print a usable token.
	parts **parts
}

// parts are those of a compact JWS.
type parts struct {
	header       Header
	known        bool   // the header was remembered
	protected    string // the header's segment as received
	signingInput string // the received bytes of the first two segments
	payload      string
	signature    []byte
	retained     int
}

// parsed is an Unverified in one piece of memory.
type parsed struct {
	pointer   *parts
	parts     parts
	signature [256]byte // room for that of RSA-2048 and of shorter ones
}

// noParts are those of the zero Unverified.
var noParts parts

// read returns the parts of u, which are not to be modified.
func (u Unverified) read() *parts {
	if u.parts == nil {
		return &noParts
	}
	return *u.parts
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
	p := parts{protected: protected, signingInput: token[:len(protected)+1+len(payload)]}
	p.header, p.known = h.find(protected)
	if err := p.decode(payload); err != nil {
		return Unverified{}, err
	}
	made := &parsed{parts: p}
	made.pointer = &made.parts
	if made.parts.signature, err = appendDecoded(made.signature[:0], signature); err != nil {
		return Unverified{}, err
	}
	return Unverified{&made.pointer}, nil
}

// decode reads the payload, and the header unless it is known.
func (p *parts) decode(payload string) (err error) {
	var stack [1536]byte
	decoded := stack[:0]
	if !p.known {
		if decoded, err = appendDecoded(decoded, p.protected); err != nil {
			return err
		}
	}
	header := len(decoded)
	if decoded, err = appendDecoded(decoded, payload); err != nil {
		return err
	}
	// One string for both, which every value read from them will alias.
	text := string(decoded)
	p.payload, p.retained = text[header:], len(text)
	if !p.known {
		p.header, err = parseHeader(text[:header])
	}
	return err
}

// Retained is how many bytes stay in memory as long as something that was read
// from the header or the payload does.
func (u Unverified) Retained() int { return u.read().retained }

// MarshalText writes the redacted form.
func (u Unverified) MarshalText() ([]byte, error) { return []byte(u.redacted()), nil }

// Format writes the algorithm and the length of the signed part under every
// verb: the whole would be a usable token.
func (u Unverified) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.redacted()) }

// LogValue is the algorithm and the length of the signed part.
func (u Unverified) LogValue() slog.Value { return slog.StringValue(u.redacted()) }

func (u Unverified) redacted() string {
	return fmt.Sprintf("Unverified(%s, %d bytes)", u.read().header.algorithm, len(u.read().signingInput))
}

// UnverifiedHeader is the JOSE header as received.
func (u Unverified) UnverifiedHeader() Header { return u.read().header }

// UnverifiedPayload is the decoded payload as received.
func (u Unverified) UnverifiedPayload() string { return u.read().payload }

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

package jose

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Numbers of dots in the compact serialisations of RFC 7515 §7.1 and RFC 7516 §7.1.
const (
	jwsDots = 2
	jweDots = 4
)

var (
	errSegments = malformed("not three segments separated by dots")
	errJWE      = malformed("five segments: this is a JWE, and encrypted tokens are not supported")
	errEmpty    = malformed("an empty segment")
)

// Unverified is a compact JWS (RFC 7515 §7.1) that was parsed and whose signature
// was not checked. An attacker may have written all of it. The zero Unverified has
// an empty header and payload, and verifies under no key.
//
// An Unverified is printed as its algorithm and length, also inside other structs.
type Unverified struct {
	// parts is a double pointer, because fmt follows a single one under a wrong
	// verb and would print a usable token.
	parts **parts
}

// parts holds the parts of a compact JWS.
type parts struct {
	header       Header
	known        bool   // the header came from a Headers
	protected    string // the header's segment as received
	signingInput string // the received bytes of the first two segments
	payload      string
	signature    []byte
	retained     int
}

// allocation holds all that an Unverified needs, so that it takes one allocation.
type allocation struct {
	pointer   *parts
	parts     parts
	signature [256]byte // enough for RSA-2048; a longer signature is allocated
}

// noParts is read in place of the parts of the zero Unverified.
var noParts parts

// read returns the parts of u. The caller must not modify them.
func (u Unverified) read() *parts {
	if u.parts == nil {
		return &noParts
	}
	return *u.parts
}

// ParseCompact parses token and does not verify it. token must have three
// segments that are not empty, each in canonical base64url, and a header that is
// one strict JSON object without crit and b64. The error is [ErrMalformed].
//
// The caller bounds the length of token. The payload is decoded, not parsed.
func ParseCompact(token string) (Unverified, error) { return (*Headers)(nil).ParseCompact(token) }

// ParseCompact returns what the function [ParseCompact] returns. It does not
// decode a header that h has stored.
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
	a := &allocation{parts: p}
	a.pointer = &a.parts
	if a.parts.signature, err = appendDecoded(a.signature[:0], signature); err != nil {
		return Unverified{}, notBase64("the signature", signature)
	}
	return Unverified{&a.pointer}, nil
}

// Remember stores the header of u, and may replace another. The caller must call
// it only for tokens that were accepted in full, so that nobody else can fill h.
// Headers without kid, and headers that replicate claims, are not stored.
func (h *Headers) Remember(u *Unverified) {
	if u == nil {
		return
	}
	if p := u.read(); !p.known {
		h.store(p.protected, p.header)
	}
}

// decode decodes the payload, and the header unless it is known.
func (p *parts) decode(payload string) (err error) {
	var stack [1536]byte
	decoded := stack[:0]
	if !p.known {
		if decoded, err = appendDecoded(decoded, p.protected); err != nil {
			return notBase64("the header", p.protected)
		}
	}
	header := len(decoded)
	if decoded, err = appendDecoded(decoded, payload); err != nil {
		return notBase64("the payload", payload)
	}
	// The header and the payload share one string, which all values alias.
	text := string(decoded)
	p.payload, p.retained = text[header:], len(text)
	if !p.known {
		p.header, err = parseHeader(text[:header])
	}
	return err
}

// Retained returns the number of bytes that stay in memory as long as any string
// from the header or the payload is in use.
func (u Unverified) Retained() int { return u.read().retained }

// MarshalText returns the algorithm and the length of the signed part.
func (u Unverified) MarshalText() ([]byte, error) { return []byte(u.redacted()), nil }

// Format writes the algorithm and the length of the signed part, whatever the
// verb. The rest would be a usable token.
func (u Unverified) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.redacted()) }

// LogValue returns the algorithm and the length of the signed part.
func (u Unverified) LogValue() slog.Value { return slog.StringValue(u.redacted()) }

func (u Unverified) redacted() string {
	return fmt.Sprintf("Unverified(%s, %d bytes)", u.read().header.algorithm, len(u.read().signingInput))
}

// UnverifiedHeader returns the JOSE header as received.
func (u Unverified) UnverifiedHeader() Header { return u.read().header }

// UnverifiedPayload returns the decoded payload as received.
func (u Unverified) UnverifiedPayload() string { return u.read().payload }

// split returns the three segments of token.
func split(token string) (protected, payload, signature string, err error) {
	protected, rest, found := strings.Cut(token, ".")
	payload, signature, whole := strings.Cut(rest, ".")
	switch {
	case !whole:
		segments := 1
		if found {
			segments = 2
		}
		return "", "", "", wrongSegments(errSegments, segments)
	case strings.IndexByte(signature, '.') < 0:
		if protected == "" || payload == "" || signature == "" {
			return "", "", "", emptySegment(protected, payload, signature)
		}
		return protected, payload, signature, nil
	case strings.Count(signature, ".") == jweDots-jwsDots:
		return "", "", "", wrongSegments(errJWE, jweDots+1)
	default:
		return "", "", "", wrongSegments(errSegments, strings.Count(token, ".")+1)
	}
}

package validator

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// Scheme is the authentication scheme under which a token was presented. The
// zero value means that the request has no credentials at all.
type Scheme uint8

// The schemes.
const (
	Bearer Scheme = iota + 1 // RFC 6750
	DPoP                     // RFC 9449 §7.1
	// OtherScheme means that the request has credentials, but they are not
	// Bearer or DPoP, or could not be used. Validate refuses them with
	// [NoCredentials], as it does the zero Scheme. A route that admits callers
	// without credentials does not admit these.
	OtherScheme
)

// String returns the scheme's registered name, "other" for [OtherScheme], and
// "none" for the zero Scheme.
func (s Scheme) String() string {
	switch s {
	case Bearer:
		return "Bearer"
	case DPoP:
		return "DPoP"
	case OtherScheme:
		return "other"
	default:
		return "none"
	}
}

// Presentation is what an adapter read from one request: the credentials, what
// may prove that they are the caller's, and what the route demands. Adapters
// parse; they never decide.
//
// A Presentation prints redacted, also in an exported field of another struct. But
// its fields are the secrets themselves: fmt prints them under the verbs %w and
// %p, and if the Presentation stands in an unexported field. Keep and print the
// result of [Presentation.Sealed] there.
type Presentation struct {
	Scheme      Scheme            // under which the token was presented
	Token       string            // as received, not decoded
	Proofs      []string          // values of the DPoP field
	Method      string            // of the request
	URL         *url.URL          // of the request, as the client sees it
	Certificate *x509.Certificate // of the client, if TLS verified one
	Demands     Demands           // of the route's policy
}

func (p Presentation) redacted() string {
	return fmt.Sprintf("Presentation(%s, %d bytes)", p.Scheme, len(p.Token))
}

// Format writes the scheme and the token's length. fmt does not call it under %w
// and %p, which are for errors and pointers, and prints the fields. The result of
// [Presentation.Sealed] prints nothing there.
func (p Presentation) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.redacted()) }

// LogValue returns the scheme and the token's length.
func (p Presentation) LogValue() slog.Value { return slog.StringValue(p.redacted()) }

// MarshalText returns the scheme and the token's length.
func (p Presentation) MarshalText() ([]byte, error) { return []byte(p.redacted()), nil }

// MarshalBinary returns the scheme and the token's length, for encoding/gob.
func (p Presentation) MarshalBinary() ([]byte, error) { return []byte(p.redacted()), nil }

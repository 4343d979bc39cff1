package validator

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// Scheme is the authentication scheme under which a token was presented. The
// zero value means that there were no credentials.
type Scheme uint8

// The schemes.
const (
	Bearer Scheme = iota + 1 // RFC 6750
	DPoP                     // RFC 9449 §7.1
)

// String is the scheme's registered name.
func (s Scheme) String() string {
	switch s {
	case Bearer:
		return "Bearer"
	case DPoP:
		return "DPoP"
	default:
		return "none"
	}
}

// Presentation is what an adapter read from one request: the credentials, what
// may prove that they are the caller's, and what the route demands. Adapters
// parse; they never decide.
//
// It prints redacted, also in an exported field of another struct, but its fields
// are the secrets themselves: fmt prints them where it stands in an unexported
// field, and under the verbs %w and %p. Keep and print the result of
// [Presentation.Sealed] there.
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

// Format writes the scheme and the token's length under every verb that fmt asks
// it about. fmt does not ask under %w and %p, which are for errors and pointers,
// and prints the fields. The result of [Presentation.Sealed] shows nothing there.
func (p Presentation) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.redacted()) }

// LogValue is the scheme and the token's length.
func (p Presentation) LogValue() slog.Value { return slog.StringValue(p.redacted()) }

// MarshalText writes the scheme and the token's length.
func (p Presentation) MarshalText() ([]byte, error) { return []byte(p.redacted()), nil }

// MarshalBinary writes the scheme and the token's length, for encoding/gob.
func (p Presentation) MarshalBinary() ([]byte, error) { return []byte(p.redacted()), nil }

// Demands is what a route asks of a token beyond its issuer's configuration.
// Validate judges it on every call. The zero value demands nothing more.
type Demands struct {
	// Audiences are the identifiers of the resource that the route belongs
	// to. The token's aud must name one of them that is also among the
	// Audiences of its issuer: an issuer has no say about a resource that it
	// is not configured for. Empty: any of the issuer's.
	Audiences []string
	// SoleAudience refuses a token whose aud also names someone outside its
	// issuer's Audiences, whatever the route demands: another resource server
	// that could replay it here.
	SoleAudience bool
	// MaxLifetime is the longest exp − iat allowed. 0: any.
	MaxLifetime time.Duration
	// MaxAge is the longest now − iat allowed: how long ago the token may
	// have been issued, which says nothing of when the user authenticated.
	// There is no leeway. 0: any.
	MaxAge time.Duration
	// SenderConstrained refuses a token that anyone who has it can use: one
	// without a cnf (RFC 7800) whose binding to the sender was checked. No
	// binding can be checked yet, so it refuses every token.
	SenderConstrained bool
}

var (
	errRouteAudience = refusal(WrongAudience, "aud names none of the audiences that the route demands and the issuer is configured for")
	errSoleAudience  = refusal(WrongAudience, "aud also names a foreign audience, and the route demands a sole one")
	errLifetime      = refusal(BadClaims, "exp − iat is longer than the route allows, or there is no iat")
	errAge           = refusal(BadClaims, "now − iat is longer than the route allows, or there is no iat")
	errUnbound       = refusal(BindingMismatch, "the token has no cnf, and the route demands one that is bound to its sender")
)

// judge holds the verified claims against the route's demands. own are the
// Audiences of the token's issuer.
func (d *Demands) judge(ctx context.Context, c *claims, own []string) *Error {
	if len(d.Audiences) > 0 && !c.namesOneOfBoth(d.Audiences, own) {
		return errRouteAudience
	}
	if d.SoleAudience && c.namesOther(own) {
		return errSoleAudience
	}
	if d.MaxLifetime != 0 && (c.issuedAt.IsZero() || c.expiry.Sub(c.issuedAt) > d.MaxLifetime) {
		return errLifetime
	}
	if d.MaxAge != 0 && (c.issuedAt.IsZero() || clock.Now(ctx).Sub(c.issuedAt) > d.MaxAge) {
		return errAge
	}
	if d.SenderConstrained && !c.bound { // what is bound does not come here unless that was checked
		return errUnbound
	}
	return nil
}

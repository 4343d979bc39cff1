package introspect

import (
	"fmt"
	"log/slog"
	"strings"
)

// Format writes the fields of c under every verb, the Endpoint without its query, which
// may be a secret.
func (c Client) Format(f fmt.State, verb rune) {
	type fields Client // without methods
	c.Endpoint = withoutQuery(c.Endpoint)
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), fields(c))
}

// LogValue returns the fields as Format writes them.
func (c Client) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// MarshalText returns the fields as Format writes them.
func (c Client) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", c), nil }

// Format writes the fields of b under every verb, the TokenEndpoint without its query,
// which may be a secret.
func (b Bearer) Format(f fmt.State, verb rune) {
	type fields Bearer // without methods
	b.TokenEndpoint = withoutQuery(b.TokenEndpoint)
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), fields(b))
}

// LogValue returns the fields as Format writes them.
func (b Bearer) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", b)) }

// MarshalText returns the fields as Format writes them.
func (b Bearer) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", b), nil }

// Format writes the fields of p under every verb, and of the Signer only its type.
func (p PrivateKeyJWT) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), struct {
		Key       Secret
		Signer    string
		KeyID     string
		Algorithm string
		Audience  string
	}{p.Key, fmt.Sprintf("%T", p.Signer), p.KeyID, p.Algorithm.String(), p.Audience})
}

// LogValue returns the fields as Format writes them.
func (p PrivateKeyJWT) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", p)) }

// MarshalText returns the fields as Format writes them.
func (p PrivateKeyJWT) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", p), nil }

// withoutQuery returns a URL without its query.
func withoutQuery(url string) string {
	before, _, found := strings.Cut(url, "?")
	if found {
		return before + "?…"
	}
	return url
}

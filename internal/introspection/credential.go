package introspection

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/introspect"
)

// message is one request before it is sent.
type message struct {
	header http.Header
	form   url.Values
}

// secrets returns what the server must not make known by repeating it: the token and what
// authenticates this API.
func (m *message) secrets() []string {
	all := []string{m.form.Get("token"), m.form.Get("client_secret"), m.form.Get("client_assertion")}
	scheme, credentials, _ := strings.Cut(m.header.Get("Authorization"), " ")
	if pair, err := base64.StdEncoding.DecodeString(credentials); err == nil && scheme == "Basic" {
		_, password, _ := strings.Cut(string(pair), ":")
		decoded, _ := url.QueryUnescape(password) // "" if it is not encoded
		all = append(all, password, decoded)
	}
	return append(all, credentials)
}

// credential authenticates this API at one endpoint. Its methods may wait for a secret
// or for the network, no longer than their context.
type credential interface {
	// authenticate adds to m what authenticates it, and returns the version of that.
	// It is called for each request, repeated ones included.
	authenticate(ctx context.Context, m *message) (version int, err error)
	// renew is called after the endpoint refused what authenticate added in that
	// version. It reports whether authenticate adds something else now, so that the
	// request can be repeated.
	renew(ctx context.Context, version int) bool
	// methods returns the names of the method in metadata
	// (introspection_endpoint_auth_methods_supported, RFC 8414 §2). One of them has to
	// be supported.
	methods() []string
	// hint says what else than a wrong secret may be the reason of a refusal, or
	// returns "".
	hint() string
}

// textCache returns a cache of a secret that is used as it is.
func textCache(s introspect.Secret) *secretCache[string] {
	return &secretCache[string]{read: func(ctx context.Context) (string, string, error) {
		text, err := s.Read(ctx)
		return text, text, err
	}}
}

// post sends ID and secret in the form (RFC 6749 §2.3.1).
type post struct {
	id     string
	secret *secretCache[string]
}

func (p *post) authenticate(ctx context.Context, m *message) (int, error) {
	secret, err := p.secret.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("the client secret cannot be read: %w", err)
	}
	m.form.Set("client_id", p.id)
	m.form.Set("client_secret", secret.value)
	return secret.version, nil
}

func (p *post) renew(ctx context.Context, version int) bool { return p.secret.renew(ctx, version) }
func (p *post) methods() []string                           { return []string{"client_secret_post"} }
func (p *post) hint() string                                { return "" }

package introspection

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/introspect"
)

const maxName = 1024 // bytes of a prefix, a hint, an ID

// checkClient checks all but Authentication.
func checkClient(client *introspect.Client, b Binding, f fault.List) {
	if client.Endpoint != "" {
		checkEndpoint(client.Endpoint, b, f.At("Endpoint"))
	}
	checkName(client.ID, f.At("ID"))
	if len(client.Prefix) > maxName || strings.IndexFunc(client.Prefix, func(c rune) bool { return !isTokenCharacter(c) }) >= 0 {
		f.At("Prefix").Add("has characters that no token begins with, or is too long", "use letters, digits and -._~+/ (RFC 6750 §2.1)")
	}
	if !isName(client.Hint) || strings.Contains(client.Hint, " ") {
		f.At("Hint").Add("is no token_type_hint", "leave it out for access_token, or use introspect.NoHint")
	}
	if client.AnswerAudiences != nil {
		checkAudiences(client, f.At("AnswerAudiences"))
	}
	for i, code := range client.InactiveErrors {
		if !isErrorCode(code) {
			f.Atf("InactiveErrors[%d]", i).Add("is no error code", "use one of RFC 6749 §5.2, such as invalid_token")
		}
		if slices.Contains([]string{"invalid_client", "unauthorized_client"}, code) {
			f.Atf("InactiveErrors[%d]", i).Addf("remove it, and check how this API is registered", "is %s, which says nothing about a token", code)
		}
	}
}

// checkEndpoint checks a URL that forms are sent to. Faults do not show it.
func checkEndpoint(endpoint string, b Binding, f fault.List) {
	if _, err := fetch.CheckURL(endpoint, b.InsecureAllowHTTP); err == nil {
		return
	}
	if u, err := url.Parse(endpoint); err == nil && u.User != nil {
		f.Add("has user information", "name the client in ID and the secret in Authentication")
		return
	}
	f.Add("is no URL with https and a host and without a fragment, and not http to a loopback host", "")
}

// checkName checks a value that is required and sent to the server.
func checkName(name string, f fault.List) {
	if name == "" {
		f.Add("is empty", "set the client_id under which this API is registered")
	} else if !isName(name) {
		f.Add("has control characters, is not UTF-8 or is too long", "set the client_id under which this API is registered")
	}
}

// isName reports whether name is short text without control characters.
func isName(name string) bool {
	return len(name) <= maxName && utf8.ValidString(name) && !claims.HasControl(name)
}

func checkAudiences(client *introspect.Client, f fault.List) {
	if !client.Signed {
		f.Add("is for signed answers", "set Signed, or leave it out")
	}
	if len(client.AnswerAudiences) == 0 || slices.Contains(client.AnswerAudiences, "") {
		f.Add("is empty, or has an empty name", "list the names of this API in the aud of signed answers, or leave it nil for ID")
	}
}

// isErrorCode reports whether code has the characters of RFC 6749 §5.2, or none.
func isErrorCode(code string) bool {
	return strings.IndexFunc(code, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) < 0
}

// authenticate makes the sender and its credential, and adds the faults of
// Client.Authentication to f.
func (x *exchange) authenticate(f fault.List) {
	build := &builder{x: x, transport: newTransport(x.binding, x.client.Limits)}
	x.sender.credential = build.credential(x.client.Authentication, f.At("Authentication"))
	if build.certified != nil {
		build.transport = build.certified
	}
	config := fetch.Config{
		HTTPClient: &http.Client{Transport: build.transport}, InsecureAllowHTTP: x.binding.InsecureAllowHTTP,
		Timeout: x.timeout, MaxBytes: int64(x.client.Limits.AnswerBytes),
	}
	x.sender.fetcher = fetch.New(config)
	if b, ok := x.sender.credential.(*bearer); ok {
		config.MaxBytes = errorBytes // of a token response
		b.sender.fetcher = fetch.New(config)
	}
}

// newTransport returns the transport of b, or one that keeps as many idle connections
// as requests may be under way.
func newTransport(b Binding, limits introspect.Limits) http.RoundTripper {
	if b.HTTPClient != nil && b.HTTPClient.Transport != nil {
		return b.HTTPClient.Transport
	}
	transport := fetch.NewTransport()
	transport.MaxIdleConnsPerHost = limits.Concurrency
	return transport
}

// builder makes the credentials of an exchange.
type builder struct {
	x         *exchange
	transport http.RoundTripper
	certified *certifiedTransport // set if the client certificate is configured here
}

// credential returns the credential that a configures. If there are faults, it may be
// nil.
func (b *builder) credential(a introspect.Authentication, f fault.List) credential {
	id := b.x.client.ID
	switch a := direct(a).(type) {
	case nil:
		f.Add("is required", "set one of ClientSecretBasic, ClientSecretPost, PrivateKeyJWT, TLSClientAuth and Bearer of package introspect (RFC 7662 §2.1)")
	case introspect.ClientSecretBasic:
		checkSecret(a.Secret, f.At("Secret"))
		if a.Raw && strings.Contains(id, ":") {
			f.At("Raw").Add("does not work with an ID that has a colon (RFC 7617 §2)", "leave it out")
		}
		return &basic{id: id, raw: a.Raw, secret: textCache(a.Secret)}
	case introspect.ClientSecretPost:
		checkSecret(a.Secret, f.At("Secret"))
		return &post{id, textCache(a.Secret)}
	case introspect.PrivateKeyJWT:
		return b.assertion(a, f)
	case introspect.TLSClientAuth:
		return b.certificate(a, f)
	case introspect.Bearer:
		return b.bearer(a, f)
	default:
		f.Addf("use one of package introspect", "is a %T, which is no method, or a nil pointer", a)
	}
	return nil
}

// direct returns the value that a points to, or a if it is none of the methods'
// pointers or nil.
func direct(a introspect.Authentication) introspect.Authentication {
	switch p := a.(type) {
	case *introspect.ClientSecretBasic:
		return pointee(p, a)
	case *introspect.ClientSecretPost:
		return pointee(p, a)
	case *introspect.PrivateKeyJWT:
		return pointee(p, a)
	case *introspect.TLSClientAuth:
		return pointee(p, a)
	case *introspect.Bearer:
		return pointee(p, a)
	default:
		return a
	}
}

func pointee[T introspect.Authentication](p *T, a introspect.Authentication) introspect.Authentication {
	if p == nil {
		return a
	}
	return *p
}

func checkSecret(s introspect.Secret, f fault.List) {
	if s.IsZero() {
		f.Add("is required", "set introspect.SecretFile, SecretFunc or SecretText")
	}
}

// assertion returns the credential of a private key.
func (b *builder) assertion(a introspect.PrivateKeyJWT, f fault.List) credential {
	if !isName(a.KeyID) {
		f.At("KeyID").Add("has control characters, is not UTF-8 or is too long", "set the kid of the registered key, or leave it out")
	}
	if !isName(a.Audience) {
		f.At("Audience").Add("has control characters, is not UTF-8 or is too long", "leave it out for the URL of the issuer")
	}
	if a.Algorithm != 0 && !a.Algorithm.Valid() {
		f.At("Algorithm").Add("is no algorithm", "leave it out for the one of the key")
	}
	if (a.Signer == nil) == a.Key.IsZero() {
		f.Add("needs one of Key and Signer", "set Key to the private key in PEM, or Signer if the key does not leave its device")
	}
	made := &assertion{id: b.x.client.ID, audience: cmp.Or(a.Audience, b.x.binding.Issuer), keyID: a.KeyID}
	if a.Signer == nil {
		made.key = &secretCache[signer]{read: func(ctx context.Context) (signer, string, error) {
			text, err := a.Key.Read(ctx)
			if err != nil {
				return signer{}, "", err
			}
			key, err := parseKey(text)
			if err != nil {
				return signer{}, "", err
			}
			s, err := newSigner(key, a.Algorithm)
			return s, text, err
		}}
		return made
	}
	s, err := signerOf(a)
	if err != nil {
		f.At("Signer").Addf("use a key that signs with one of the supported algorithms", "is not usable: %w", err)
	}
	made.key = &secretCache[signer]{read: func(context.Context) (signer, string, error) { return s, "", nil }}
	return made
}

// signerOf returns the signer of a.Signer, whose methods panic if it is a nil pointer.
func signerOf(a introspect.PrivateKeyJWT) (s signer, err error) {
	defer func() {
		if recover() != nil {
			err = errKeyType
		}
	}()
	return newSigner(a.Signer, a.Algorithm)
}

// certificate returns the credential of a client certificate.
func (b *builder) certificate(a introspect.TLSClientAuth, f fault.List) credential {
	made := &certificate{id: b.x.client.ID}
	transport, ok := b.transport.(*http.Transport)
	if a.Certificate.IsZero() && a.Key.IsZero() {
		if ok && !hasCertificate(transport) {
			f.Add("has no certificate", "set Certificate and Key, or give the transport of Issuer.HTTPClient one")
		}
		return made
	}
	if a.Certificate.IsZero() || a.Key.IsZero() {
		f.Add("has only one of Certificate and Key", "set both, or none if the transport of Issuer.HTTPClient has the certificate")
	}
	if !ok || transport.DialTLSContext != nil || transport.DialTLS != nil { //nolint:staticcheck // DialTLS is deprecated and works
		f.At("Certificate").Add("cannot be given to the transport of Issuer.HTTPClient, which is no *http.Transport or makes its own TLS connections",
			"leave Certificate and Key out, and let that transport have the certificate")
		return made
	}
	b.certified = &certifiedTransport{base: transport}
	made.pair, made.transport = pairCache(a.Certificate, a.Key), b.certified
	return made
}

// hasCertificate reports whether t may send a client certificate.
func hasCertificate(t *http.Transport) bool {
	config := t.TLSClientConfig
	return t.DialTLSContext != nil || t.DialTLS != nil || //nolint:staticcheck // as above
		config != nil && (len(config.Certificates) > 0 || config.GetClientCertificate != nil)
}

// bearer returns the credential of an access token.
func (b *builder) bearer(a introspect.Bearer, f fault.List) credential {
	inner := f.At("Authentication")
	if _, nested := direct(a.Authentication).(introspect.Bearer); nested {
		inner.Add("is another Bearer", "set how this API authenticates at the token endpoint")
		return nil
	}
	made := &bearer{
		sender: &sender{credential: b.credential(a.Authentication, inner)}, timeout: b.x.timeout,
		form: url.Values{"grant_type": {"client_credentials"}},
	}
	if a.TokenEndpoint != "" {
		checkEndpoint(a.TokenEndpoint, b.x.binding, f.At("TokenEndpoint"))
		made.locate = func(context.Context) (string, error) { return a.TokenEndpoint, nil }
	} else {
		b.x.location = true
		made.locate = b.x.tokenEndpoint
	}
	if a.Scope != "" {
		made.form.Set("scope", a.Scope)
		if slices.ContainsFunc(strings.Split(a.Scope, " "), func(s string) bool { return !claims.IsScopeToken(s) }) {
			f.At("Scope").Add("is no list of scope tokens separated by single spaces (RFC 6749 §3.3)", "")
		}
	}
	if a.Resource != "" {
		made.form.Set("resource", a.Resource)
		if u, err := url.Parse(a.Resource); err != nil || !u.IsAbs() || u.Fragment != "" || u.User != nil {
			f.At("Resource").Add("is no absolute URI without a fragment (RFC 8707 §2)", "")
		}
	}
	return made
}

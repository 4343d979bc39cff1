package issuertest

import (
	"log/slog"
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// Audience is the aud of tokens unless a Config of testissuer has another.
const Audience = "https://api.test"

// Claims replace claims of a token by name; nil removes one.
type Claims = map[string]any

// Issuer is an issuer under test, with all that testissuer offers.
type Issuer struct {
	*testissuer.Issuer

	audience string
}

// New returns an issuer in memory with one ES256 key. It is closed when the test ends.
func New(tb testing.TB) *Issuer {
	tb.Helper()
	return Start(tb, testissuer.Config{})
}

// At is like [New] for an issuer of that URL.
func At(tb testing.TB, url string) *Issuer {
	tb.Helper()
	return Start(tb, testissuer.Config{URL: url})
}

// Start is like [New] with a configuration. It sets InMemory.
func Start(tb testing.TB, config testissuer.Config) *Issuer {
	tb.Helper()
	config.InMemory = true
	return start(tb, config)
}

// Loopback is like [New] for an issuer that listens on a loopback address, for tests of
// sockets.
func Loopback(tb testing.TB) *Issuer {
	tb.Helper()
	return start(tb, testissuer.Config{})
}

// StartTLS is like [Loopback] with TLS, which clients other than that of the issuer do
// not trust.
func StartTLS(tb testing.TB) *Issuer {
	tb.Helper()
	return start(tb, testissuer.Config{TLS: true})
}

func start(tb testing.TB, config testissuer.Config) *Issuer {
	tb.Helper()
	if config.Audience == "" {
		config.Audience = Audience
	}
	is, err := testissuer.Start(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(is.Close)
	return &Issuer{is, config.Audience}
}

// Token returns a good token with claims replaced. For more, use Sign.
func (is *Issuer) Token(claims Claims) string {
	return is.Sign(testissuer.Token{Claims: claims})
}

// Bearer returns [Issuer.Token] as a client presents it.
func (is *Issuer) Bearer(claims Claims) validator.Presentation { return Bearer(is.Token(claims)) }

// Bearer returns a bearer token as a client presents it.
func Bearer(token string) validator.Presentation {
	return validator.Presentation{Scheme: validator.Bearer, Token: token}
}

// Config returns the configuration that makes a Validator accept tokens of is: its
// URL, its audience and a copy of its keys, with the changes applied in order.
func (is *Issuer) Config(changes ...func(*validator.Issuer)) validator.Issuer {
	config := validator.Issuer{URL: is.URL(), Audiences: []string{is.audience}, Keys: jwkscache.Static(is.JWKS())}
	for _, change := range changes {
		change(&config)
	}
	return config
}

// OpaqueConfig returns the configuration that makes a Validator introspect all tokens of
// the issuer, with the changes applied in order. It has no Keys. It authenticates as
// the client that the issuer has by default.
func (is *Issuer) OpaqueConfig(changes ...func(*validator.Issuer)) validator.Issuer {
	config := is.HybridConfig()
	config.Keys = nil
	for _, change := range changes {
		change(&config)
	}
	return config
}

// HybridConfig is like [Issuer.OpaqueConfig] with a copy of the keys: a Validator
// validates JWTs locally, and can introspect them too.
func (is *Issuer) HybridConfig(changes ...func(*validator.Issuer)) validator.Issuer {
	config := is.Config()
	config.HTTPClient = is.Client()
	config.Opaque = &introspect.Client{
		Endpoint:       is.IntrospectionURL(),
		ID:             testissuer.ClientID,
		Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText(testissuer.ClientSecret)},
	}
	for _, change := range changes {
		change(&config)
	}
	return config
}

// OpaqueToken returns a good opaque token with claims replaced in its introspection
// response. For more, use Opaque.
func (is *Issuer) OpaqueToken(claims Claims) string {
	return is.Opaque(testissuer.Token{Claims: claims})
}

// OpaqueBearer returns [Issuer.OpaqueToken] as a client presents it.
func (is *Issuer) OpaqueBearer(claims Claims) validator.Presentation {
	return Bearer(is.OpaqueToken(claims))
}

// Fetched is a change for [Issuer.Config]: the keys are found by the metadata of the
// issuer and fetched from it.
func (is *Issuer) Fetched(config *validator.Issuer) {
	config.Keys, config.HTTPClient = nil, is.Client()
}

// Validator returns a Validator for [Issuer.Config].
func (is *Issuer) Validator(tb testing.TB, changes ...func(*validator.Issuer)) *validator.Validator {
	tb.Helper()
	return Validator(tb, validator.Config{Issuers: []validator.Issuer{is.Config(changes...)}})
}

// Guard returns the Guard of config, with [Issuer.Validator] as its Validator.
func (is *Issuer) Guard(tb testing.TB, config middleware.Config, changes ...func(*validator.Issuer)) *middleware.Guard {
	tb.Helper()
	config.Validator = is.Validator(tb, changes...)
	return Guard(tb, config)
}

// Validator returns the Validator of config, with a Logger that logs nothing unless config
// has one. Faults fail the test.
func Validator(tb testing.TB, config validator.Config) *validator.Validator {
	tb.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	v, err := validator.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// Guard returns the Guard of config. Faults fail the test.
func Guard(tb testing.TB, config middleware.Config) *middleware.Guard {
	tb.Helper()
	guard, err := middleware.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return guard
}

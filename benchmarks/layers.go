package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Layers are parts of the work, from the innermost to the outermost. They show where
// the time is spent, and cannot be compared with each other.
var Layers = []Subject{
	{Name: "jose.Key.Verify", Checks: "alg and signature of a token already parsed", Prepare: prepareKeyVerify},
	{Name: "jwx/v3 jwsbb.Verify", Module: "github.com/lestrrat-go/jwx/v3", Checks: "signature of a token already split and decoded", Prepare: prepareJWXLowLevel},
	{Name: "jwx/v3 jws.VerifyCompactFast", Module: "github.com/lestrrat-go/jwx/v3", Checks: "alg and signature under one given key; no claims", Prepare: prepareJWXFast},
	{Name: "jose, parse to verify", Checks: "form, alg, kid, signature; no claims", Prepare: prepareJOSE},
	{
		Name: "validator.Validate, Cache.Off", Checks: "the whole token, which is not kept",
		Prepare: sallyport(func(c *validator.Config) { c.Cache.Off = true }),
	},
	{Name: "validator.Validate", Checks: "the whole token, kept where another gives way: Sallyport in the other tables", Prepare: sallyport(nil)},
	{Name: "middleware.Guard.Require", Checks: "a net/http request: the whole token, and two scopes", Prepare: prepareGuard},
}

func prepareKeyVerify(m *Material) (Run, error) {
	set, err := jose.ParseSet(m.JWKS, Algorithms)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	parsed := make([]jose.Unverified, len(m.Tokens))
	for i, token := range m.Tokens {
		if parsed[i], err = jose.ParseCompact(token); err != nil {
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
	}
	keys, err := set.Find(parsed[0].UnverifiedHeader())
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return func(i int) error { return keys[0].Verify(&parsed[i%len(parsed)]) }, nil
}

func prepareJWXLowLevel(m *Material) (Run, error) {
	parts, err := m.split()
	if err != nil {
		return nil, err
	}
	name := m.Algorithm.String()
	return func(i int) error {
		part := &parts[i%len(parts)]
		return jwsbb.Verify(m.Public, name, part.input, part.signature)
	}, nil
}

func prepareJWXFast(m *Material) (Run, error) {
	algorithm, ok := jwa.LookupSignatureAlgorithm(m.Algorithm.String())
	if !ok {
		return nil, fmt.Errorf("benchmarks: jwx does not know %s", m.Algorithm)
	}
	return m.each(func(token string) error {
		_, err := jws.VerifyCompactFast(m.Public, []byte(token), algorithm)
		return err
	}), nil
}

func prepareJOSE(m *Material) (Run, error) {
	set, err := jose.ParseSet(m.JWKS, Algorithms)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return m.each(func(token string) error {
		parsed, err := jose.ParseCompact(token)
		if err != nil {
			return err
		}
		keys, err := set.Find(parsed.UnverifiedHeader())
		if err != nil {
			return err
		}
		return keys[0].Verify(&parsed)
	}), nil
}

// prepareGuard prepares a Guard that serves one request for each token. The
// ResponseWriter keeps only the status.
func prepareGuard(m *Material) (Run, error) {
	v, err := newValidator(m, nil)
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	handler := guard.Require(scopes.All("orders:read", "orders:write"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.TokenFrom(r.Context()).HasScope("orders:read") {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	requests := make([]*http.Request, len(m.Tokens))
	for i, token := range m.Tokens {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://api.example.com/orders/17", http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		requests[i] = r
	}
	return func(i int) error {
		w := statusWriter{header: make(http.Header, 2)}
		handler.ServeHTTP(&w, requests[i%len(requests)])
		if w.status != http.StatusNoContent {
			return errors.New("benchmarks: the guard does not permit the request")
		}
		return nil
	}, nil
}

// statusWriter keeps the status and discards the rest.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
func (w *statusWriter) Write(b []byte) (int, error) { return len(b), nil }

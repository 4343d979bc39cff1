package benchmarks

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	auth0 "github.com/auth0/go-jwt-middleware/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// HTTPDoor is one way to validate the token of an HTTP request, in a middleware.
type HTTPDoor struct {
	Name   string
	Module string // see [Subject]
	// Checks and Adapter are as those of a Subject.
	Checks, Adapter string
	// Type and Ours are as those of a Subject.
	Type, Ours bool
	// Prepare does what an application does once at its start, and returns next behind
	// the middleware. seen is as that of a [Door].
	Prepare func(m *Material, seen bool, next http.Handler) (http.Handler, error)
}

// HTTPDoors are the middlewares that are compared. The first is that of Sallyport.
// golang-jwt and go-oidc have none, so the adapter reads the Authorization field.
var HTTPDoors = []HTTPDoor{
	{
		Name: "Sallyport", Type: true, Ours: true,
		Checks:  "RFC 9068 in full; a scope; the handler does not see the credentials",
		Prepare: prepareRequire,
	},
	{
		Name: "golang-jwt + keyfunc", Module: "github.com/golang-jwt/jwt/v5",
		Checks:  "alg, signature, iss, aud, exp, iat, nbf; registered claims decoded; not scopes",
		Adapter: "typ; the Authorization field", Type: true,
		Prepare: prepareGolangJWTHandler,
	},
	{
		Name: "go-oidc", Module: "github.com/coreos/go-oidc/v3",
		Checks:  "alg, signature, iss, aud, exp, nbf; keys by URL; not typ; not scopes",
		Adapter: "the Authorization field",
		Prepare: prepareGoOIDCHandler,
	},
	{
		Name: "auth0/go-jwt-middleware v3", Module: "github.com/auth0/go-jwt-middleware/v3",
		Checks:  "alg, signature, iss, aud, exp if there is one, iat, nbf; all claims decoded, twice; not typ; not scopes",
		Prepare: prepareAuth0Handler,
	},
}

// prepareRequire prepares middleware.Guard.Require. Its cache holds all tokens if they
// will be seen again, and else the fewest possible.
func prepareRequire(m *Material, seen bool, next http.Handler) (http.Handler, error) {
	v, err := newValidator(m, func(c *validator.Config) {
		if seen {
			c.Cache.Entries = max(10_000, 2*len(m.Tokens))
		}
	})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return guard.Require(scopes.All("orders:read"), next), nil
}

// bearer returns next behind a middleware that gives the bearer token to check. The
// context that check returns has what it found in the token.
func bearer(check func(ctx context.Context, token string) (context.Context, error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		ctx, err := check(r.Context(), token)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func prepareGolangJWTHandler(m *Material, _ bool, next http.Handler) (http.Handler, error) {
	parse, err := golangJWTParser(m, func() jwt.Claims { return &jwt.RegisteredClaims{} })
	if err != nil {
		return nil, err
	}
	return bearer(func(ctx context.Context, token string) (context.Context, error) {
		parsed, err := parse(token)
		if err != nil {
			return nil, err
		}
		return context.WithValue(ctx, claimsKey{}, parsed.Claims), nil
	}, next), nil
}

func prepareGoOIDCHandler(m *Material, _ bool, next http.Handler) (http.Handler, error) {
	verify, err := newGoOIDC(m)
	if err != nil {
		return nil, err
	}
	return bearer(func(ctx context.Context, token string) (context.Context, error) {
		parsed, err := verify(ctx, token)
		if err != nil {
			return nil, err
		}
		return context.WithValue(ctx, claimsKey{}, parsed), nil
	}, next), nil
}

// newGoOIDC returns a function that validates a token with go-oidc, with keys that are
// known.
func newGoOIDC(m *Material) (func(ctx context.Context, token string) (*oidc.IDToken, error), error) {
	url, err := m.JWKSURL()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	verifier := oidc.NewVerifier(Issuer, oidc.NewRemoteKeySet(ctx, url), &oidc.Config{
		ClientID: Audience, SupportedSigningAlgs: []string{m.Algorithm.String()},
	})
	if _, err := verifier.Verify(ctx, m.good); err != nil { // fetches the keys
		return nil, fmt.Errorf("benchmarks: go-oidc: %w", err)
	}
	return verifier.Verify, nil
}

func prepareAuth0Handler(m *Material, _ bool, next http.Handler) (http.Handler, error) {
	v, err := newAuth0v3(m)
	if err != nil {
		return nil, err
	}
	door, err := auth0.New(auth0.WithValidator(v))
	if err != nil {
		return nil, fmt.Errorf("benchmarks: auth0 v3: %w", err)
	}
	return door.CheckJWT(next), nil
}

// Published is what other processes may know of a [Material]: no private key, and one
// token.
type Published struct {
	Algorithm string `json:"algorithm"`
	KeyID     string `json:"keyID"`
	JWKS      []byte `json:"jwks"`
	Good      string `json:"good"`
	Tokens    int    `json:"tokens"` // how many there are
}

// Published returns what m publishes.
func (m *Material) Published() Published {
	return Published{m.Algorithm.String(), m.KeyID, m.JWKS, m.good, len(m.Tokens)}
}

// Material returns a Material that validates tokens and signs none. The caller must
// Close it.
func (p Published) Material() (*Material, error) {
	a, err := jose.ParseAlgorithm(p.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	m := &Material{Algorithm: a, KeyID: p.KeyID, JWKS: p.JWKS, Tokens: make([]string, p.Tokens), good: p.Good}
	m.server = &server{document: p.JWKS}
	return m, nil
}

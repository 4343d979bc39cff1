package benchmarks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/keyfunc/v3"
	auth0v2 "github.com/auth0/go-jwt-middleware/v2/validator"
	auth0v3 "github.com/auth0/go-jwt-middleware/v3/validator"
	gojose "github.com/go-jose/go-jose/v4"
	gojosejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	jwkv2 "github.com/lestrrat-go/jwx/v2/jwk"
	jwtv2 "github.com/lestrrat-go/jwx/v2/jwt"
	jwkv3 "github.com/lestrrat-go/jwx/v3/jwk"
	jwtv3 "github.com/lestrrat-go/jwx/v3/jwt"
	gojosev2 "gopkg.in/go-jose/go-jose.v2"
)

// Peers are the other libraries. Each is used as its documentation shows, with its
// fastest way to choose a key by kid. None decodes more claims than its checks need,
// unless the library has no way to avoid it.
var Peers = []Subject{
	{
		Name: "golang-jwt + keyfunc, map claims", Module: "github.com/golang-jwt/jwt/v5",
		Checks:  "alg, signature, iss, aud, exp, iat, nbf; all claims decoded",
		Adapter: "typ", Type: true,
		Prepare: golangJWT(func() jwt.Claims { return jwt.MapClaims{} }),
	},
	{
		Name: "golang-jwt + keyfunc, registered claims", Module: "github.com/golang-jwt/jwt/v5",
		Checks:  "alg, signature, iss, aud, exp, iat, nbf; registered claims decoded",
		Adapter: "typ", Type: true,
		Prepare: golangJWT(func() jwt.Claims { return &jwt.RegisteredClaims{} }),
	},
	{
		Name: "go-oidc", Module: "github.com/coreos/go-oidc/v3",
		Checks:  "alg, signature, iss, aud, exp, nbf; keys by URL, since its static set knows no kid; not typ",
		Prepare: prepareGoOIDC,
	},
	{
		Name: "go-jose", Module: "github.com/go-jose/go-jose/v4",
		Checks:  "alg, signature, iss, aud, exp if there is one, iat, nbf; registered claims decoded",
		Adapter: "exp is there; typ", Type: true,
		Prepare: prepareGoJOSE,
	},
	{
		Name: "jwx/v2", Module: "github.com/lestrrat-go/jwx/v2",
		Checks:  "signature under the alg of the JWK, iss, aud, exp, iat, nbf; all claims decoded; not that the header names that alg; not typ",
		Prepare: prepareJWXv2,
	},
	{
		Name: "jwx/v3", Module: "github.com/lestrrat-go/jwx/v3",
		Checks:  "signature under the alg of the JWK, iss, aud, exp, iat, nbf; all claims decoded; not that the header names that alg; not typ",
		Prepare: prepareJWXv3,
	},
	{
		Name: "auth0/go-jwt-middleware v2", Module: "github.com/auth0/go-jwt-middleware/v2",
		Checks:  "alg, signature, iss, aud, exp if there is one, iat, nbf; registered claims decoded; not typ",
		Adapter: "exp is there",
		Prepare: prepareAuth0v2,
	},
	{
		Name: "auth0/go-jwt-middleware v3", Module: "github.com/auth0/go-jwt-middleware/v3",
		Checks:  "alg, signature, iss, aud, exp if there is one, iat, nbf; all claims decoded, twice; not typ",
		Adapter: "exp is there",
		Prepare: prepareAuth0v3,
	},
}

const accessTokenType = "at+jwt"

var (
	errNoExpiry  = errors.New("benchmarks: no exp")
	errWrongType = errors.New("benchmarks: typ is not at+jwt")
)

func golangJWT(claims func() jwt.Claims) func(m *Material) (Run, error) {
	return func(m *Material) (Run, error) {
		parse, err := golangJWTParser(m, claims)
		if err != nil {
			return nil, err
		}
		return m.each(func(token string) error {
			_, err := parse(token)
			return err
		}), nil
	}
}

// golangJWTParser returns a function that validates a token with golang-jwt and keyfunc.
func golangJWTParser(m *Material, claims func() jwt.Claims) (func(token string) (*jwt.Token, error), error) {
	keys, err := keyfunc.NewJWKSetJSON(m.JWKS)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: keyfunc: %w", err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{m.Algorithm.String()}),
		jwt.WithIssuer(Issuer), jwt.WithAudience(Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
	)
	return func(token string) (*jwt.Token, error) {
		parsed, err := parser.ParseWithClaims(token, claims(), keys.Keyfunc)
		if err != nil {
			return nil, err
		}
		if parsed.Header["typ"] != accessTokenType {
			return nil, errWrongType
		}
		return parsed, nil
	}, nil
}

func prepareGoOIDC(m *Material) (Run, error) {
	verify, err := newGoOIDC(m)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return m.each(func(token string) error {
		_, err := verify(ctx, token)
		return err
	}), nil
}

func prepareGoJOSE(m *Material) (Run, error) {
	var keys gojose.JSONWebKeySet
	if err := json.Unmarshal(m.JWKS, &keys); err != nil {
		return nil, fmt.Errorf("benchmarks: go-jose: %w", err)
	}
	algorithms := []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(m.Algorithm.String())}
	expected := gojosejwt.Expected{Issuer: Issuer, AnyAudience: gojosejwt.Audience{Audience}}
	return m.each(func(token string) error {
		parsed, err := gojosejwt.ParseSigned(token, algorithms)
		if err != nil {
			return err
		}
		if parsed.Headers[0].ExtraHeaders[gojose.HeaderType] != accessTokenType {
			return errWrongType
		}
		var claims gojosejwt.Claims
		if err := parsed.Claims(&keys, &claims); err != nil {
			return err
		}
		if claims.Expiry == nil {
			return errNoExpiry
		}
		return claims.ValidateWithLeeway(expected, 0)
	}), nil
}

func prepareJWXv2(m *Material) (Run, error) {
	keys, err := jwkv2.Parse(m.JWKS)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: jwx/v2: %w", err)
	}
	options := []jwtv2.ParseOption{
		jwtv2.WithKeySet(keys), jwtv2.WithIssuer(Issuer), jwtv2.WithAudience(Audience),
		jwtv2.WithRequiredClaim(jwtv2.ExpirationKey),
	}
	return m.each(func(token string) error {
		_, err := jwtv2.ParseString(token, options...)
		return err
	}), nil
}

func prepareJWXv3(m *Material) (Run, error) {
	keys, err := jwkv3.Parse(m.JWKS)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: jwx/v3: %w", err)
	}
	options := []jwtv3.ParseOption{
		jwtv3.WithKeySet(keys), jwtv3.WithIssuer(Issuer), jwtv3.WithAudience(Audience),
		jwtv3.WithRequiredClaim(jwtv3.ExpirationKey),
	}
	return m.each(func(token string) error {
		_, err := jwtv3.ParseString(token, options...)
		return err
	}), nil
}

func prepareAuth0v2(m *Material) (Run, error) {
	keys := &gojosev2.JSONWebKeySet{}
	if err := json.Unmarshal(m.JWKS, keys); err != nil {
		return nil, fmt.Errorf("benchmarks: go-jose.v2: %w", err)
	}
	v, err := auth0v2.New(
		func(context.Context) (any, error) { return keys, nil },
		auth0v2.SignatureAlgorithm(m.Algorithm.String()), Issuer, []string{Audience},
	)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: auth0 v2: %w", err)
	}
	ctx := context.Background()
	return m.each(func(token string) error {
		claims, err := v.ValidateToken(ctx, token)
		if err != nil {
			return err
		}
		if valid, ok := claims.(*auth0v2.ValidatedClaims); !ok || valid.RegisteredClaims.Expiry == 0 {
			return errNoExpiry
		}
		return nil
	}), nil
}

func prepareAuth0v3(m *Material) (Run, error) {
	v, err := newAuth0v3(m)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return m.each(func(token string) error {
		claims, err := v.ValidateToken(ctx, token)
		if err != nil {
			return err
		}
		if valid, ok := claims.(*auth0v3.ValidatedClaims); !ok || valid.RegisteredClaims.Expiry == 0 {
			return errNoExpiry
		}
		return nil
	}), nil
}

func newAuth0v3(m *Material) (*auth0v3.Validator, error) {
	keys, err := jwkv3.Parse(m.JWKS)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: jwx/v3: %w", err)
	}
	v, err := auth0v3.New(
		auth0v3.WithKeyFunc(func(context.Context) (any, error) { return keys, nil }),
		auth0v3.WithAlgorithm(auth0v3.SignatureAlgorithm(m.Algorithm.String())),
		auth0v3.WithIssuer(Issuer), auth0v3.WithAudience(Audience),
	)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: auth0 v3: %w", err)
	}
	return v, nil
}

package benchmarks

import (
	"context"
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Subject is one way to judge a token, or a part of it.
type Subject struct {
	Name   string
	Checks string // what it checks, so that unequal work is not compared in silence
	// Prepare does once what an application does at start-up. The function
	// that it returns judges the material's token once, and may be called by
	// several goroutines.
	Prepare func(m *Material) (func() error, error)
}

// Sallyport is validator.Validate with static keys.
var Sallyport = Subject{
	Name:    "Sallyport",
	Checks:  "RFC 9068 in full",
	Prepare: prepareSallyport,
}

// Subjects are all that is held against the floor. Sallyport comes first.
var Subjects = []Subject{
	Sallyport,
	{Name: "jose.Key.Verify", Checks: "alg and signature of a parsed token", Prepare: prepareKeyVerify},
	{Name: "jwx/v3 jwsbb.Verify", Checks: "signature of a parsed token", Prepare: prepareJWXLowLevel},
	{Name: "jwx/v3 VerifyCompactFast", Checks: "alg and signature; no claims", Prepare: prepareJWXFast},
}

// NewValidator makes the validator that is measured.
func NewValidator(jwks []byte) (*validator.Validator, error) {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       Issuer,
		Audiences: []string{Audience},
		Keys:      jwkscache.Static(jwks),
	}}})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return v, nil
}

func prepareSallyport(m *Material) (func() error, error) {
	v, err := NewValidator(m.JWKS)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return func() error {
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: m.Token})
		return err
	}, nil
}

func prepareKeyVerify(m *Material) (func() error, error) {
	set, err := jose.ParseSet(m.JWKS, Algorithms)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	unverified, err := jose.ParseCompact(m.Token)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	keys, err := set.Find(unverified.UnverifiedHeader())
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return func() error { return keys[0].Verify(&unverified) }, nil
}

func prepareJWXLowLevel(m *Material) (func() error, error) {
	name := m.Algorithm.String()
	return func() error { return jwsbb.Verify(m.Public, name, m.SigningInput, m.Signature) }, nil
}

func prepareJWXFast(m *Material) (func() error, error) {
	algorithm, ok := jwa.LookupSignatureAlgorithm(m.Algorithm.String())
	if !ok {
		return nil, fmt.Errorf("benchmarks: jwx does not know %s", m.Algorithm)
	}
	compact := []byte(m.Token)
	return func() error {
		_, err := jws.VerifyCompactFast(m.Public, compact, algorithm)
		return err
	}, nil
}

package validator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for the hashes of 384 and 512 bits
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	testIssuer   = "https://as.example.com"
	testAudience = "https://api.example.com"
	testNow      = 1700000000
)

// at is a context whose clock stands at testNow and offset.
func at(offset time.Duration) context.Context {
	return clock.At(context.Background(), time.Unix(testNow, 0).Add(offset))
}

// object is a JSON object as text, member by member, so that a test can also
// write what no encoder would.
type object []member

type member struct{ name, raw string }

// with sets a member to a JSON text, in its place if it is there already.
func (o object) with(name, raw string) object {
	next := make(object, 0, len(o)+1)
	found := false
	for _, m := range o {
		if m.name == name {
			m.raw, found = raw, true
		}
		next = append(next, m)
	}
	if !found {
		next = append(next, member{name, raw})
	}
	return next
}

func (o object) without(names ...string) object {
	var next object
	for _, m := range o {
		keep := true
		for _, name := range names {
			keep = keep && m.name != name
		}
		if keep {
			next = append(next, m)
		}
	}
	return next
}

func (o object) text() string {
	members := make([]string, 0, len(o))
	for _, m := range o {
		members = append(members, strconv.Quote(m.name)+":"+m.raw)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// baseClaims are those of a good token (RFC 9068 §2.2).
var baseClaims = object{
	{"iss", `"` + testIssuer + `"`},
	{"sub", `"user-1"`},
	{"aud", `"` + testAudience + `"`},
	{"exp", "1700003600"},
	{"iat", "1699999940"},
	{"jti", `"jti-0001"`},
	{"client_id", `"client-1"`},
	{"scope", `"read write"`},
}

// signer is a key of a test issuer.
type signer struct {
	alg jose.Algorithm
	kid string
	key crypto.Signer
}

// edSigner makes an Ed25519 key from its label, the same in every process:
// fuzzing runs in several.
func edSigner(kid, label string) *signer {
	seed := sha256.Sum256([]byte(label))
	return &signer{jose.EdDSA, kid, ed25519.NewKeyFromSeed(seed[:])}
}

func ecSigner(alg jose.Algorithm, curve elliptic.Curve, kid string) *signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return &signer{alg, kid, key}
}

// The keys. All but RSA keys are cheap to make.
var (
	testKey    = edSigner("k1", "sallyport test key")
	foreignKey = edSigner("k1", "sallyport test key of another issuer") // the same kid
	ec256Key   = sync.OnceValue(func() *signer { return ecSigner(jose.ES256, elliptic.P256(), "ec256") })
	ec384Key   = sync.OnceValue(func() *signer { return ecSigner(jose.ES384, elliptic.P384(), "ec384") })
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func rsaSigner(alg jose.Algorithm, kid string) *signer { return &signer{alg, kid, rsaKey()} }

// header is the one of a good token.
func (s *signer) header() object {
	return object{{"alg", strconv.Quote(s.alg.String())}, {"typ", `"at+jwt"`}, {"kid", strconv.Quote(s.kid)}}
}

// token signs an object under the signer's own header.
func (s *signer) token(claims object) string { return s.sign(s.header().text(), claims.text()) }

// sign signs any text as header and as payload.
func (s *signer) sign(header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(s.signature(input)))
}

func (s *signer) signature(input string) []byte {
	hash := hashOf(s.alg)
	digest := []byte(input)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	var options crypto.SignerOpts = hash
	if s.alg >= jose.PS256 && s.alg <= jose.PS512 {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := s.key.Sign(rand.Reader, digest, options)
	if err != nil {
		panic(err)
	}
	if key, ok := s.key.(*ecdsa.PrivateKey); ok {
		return fixedLength(signature, (key.Params().BitSize+7)/8)
	}
	return signature
}

// fixedLength is an ASN.1 ECDSA signature as R‖S (RFC 7518 §3.4).
func fixedLength(signature []byte, size int) []byte {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &rs); err != nil {
		panic(err)
	}
	return append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
}

func hashOf(alg jose.Algorithm) crypto.Hash {
	switch alg {
	case jose.RS256, jose.PS256, jose.ES256:
		return crypto.SHA256
	case jose.RS384, jose.PS384, jose.ES384:
		return crypto.SHA384
	case jose.RS512, jose.PS512, jose.ES512:
		return crypto.SHA512
	default:
		return 0
	}
}

// jwk is the public key, with its kid and alg.
func (s *signer) jwk() object {
	jwk := object{{"kid", strconv.Quote(s.kid)}, {"alg", strconv.Quote(s.alg.String())}}
	switch public := s.key.Public().(type) {
	case ed25519.PublicKey:
		return append(jwk, object{{"kty", `"OKP"`}, {"crv", `"Ed25519"`}, {"x", quoted(public)}}...)
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return append(jwk, object{{"kty", `"EC"`}, {"crv", strconv.Quote(public.Params().Name)}, {"x", quoted(x)}, {"y", quoted(y)}}...)
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return append(jwk, object{{"kty", `"RSA"`}, {"n", quoted(public.N.Bytes())}, {"e", quoted(e)}}...)
	default:
		panic(fmt.Sprintf("no JWK of a %T", public))
	}
}

func quoted(b []byte) string { return `"` + b64(string(b)) + `"` }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// jwks is a JWK Set document.
func jwks(keys ...object) []byte {
	texts := make([]string, 0, len(keys))
	for _, key := range keys {
		texts = append(texts, key.text())
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

func keysOf(signers ...*signer) jwkscache.Source {
	keys := make([]object, 0, len(signers))
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	return jwkscache.Static(jwks(keys...))
}

// baseConfig accepts tokens of testKey with baseClaims.
func baseConfig() validator.Config {
	return validator.Config{Issuers: []validator.Issuer{{
		URL:       testIssuer,
		Audiences: []string{testAudience},
		Keys:      keysOf(testKey),
	}}}
}

// allScopes are the grants of an issuer beside others, where a test is about
// something else.
var allScopes = []string{validator.AllScopes}

// legacyConfig is baseConfig for an issuer without at+jwt.
func legacyConfig() validator.Config {
	config := baseConfig()
	config.Issuers[0].Profile = validator.ProfileLegacy
	config.Issuers[0].Marker = []validator.ClaimRule{{Name: "token_use", Equals: "access"}}
	return config
}

func newValidator(tb testing.TB, config validator.Config) *validator.Validator {
	tb.Helper()
	v, err := validator.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func bearer(token string) validator.Presentation {
	return validator.Presentation{Scheme: validator.Bearer, Token: token}
}

// expect validates p at testNow and offset, and compares the reason ("" means
// accepted) and, if cause is not empty, what the cause says.
func expect(
	tb testing.TB, v *validator.Validator, p validator.Presentation, offset time.Duration, want validator.Reason, cause string,
) *validator.Token {
	tb.Helper()
	token, err := v.Validate(at(offset), p)
	if got := validator.ReasonOf(err); got != want {
		tb.Fatalf("reason %q (cause: %v), want %q", string(got), causeOf(err), string(want))
	}
	if (token == nil) != (err != nil) {
		tb.Fatalf("token is nil: %t, error: %v", token == nil, err)
	}
	if want == "" {
		return token
	}
	if got := fmt.Sprint(causeOf(err)); !strings.Contains(got, cause) {
		tb.Fatalf("cause is %q, want one about %q", got, cause)
	}
	return nil
}

// causeOf is the cause of a refusal.
func causeOf(err error) error {
	if refusal, ok := err.(*validator.Error); ok { //nolint:errorlint // Validate answers with an *Error itself, and a test says so
		return refusal.Unwrap()
	}
	return err
}

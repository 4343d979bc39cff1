package benchmarks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Algorithms are those that are measured: the default ones.
var Algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// What the measured token says of itself.
const (
	Issuer   = "https://login.example.com/realms/main"
	Audience = "https://api.example.com/orders"
)

// Material is one issuer with a token of the usual size: 414 bytes of claims,
// 715 bytes in all under ES256 and EdDSA, 971 under RSA-2048.
type Material struct {
	Algorithm jose.Algorithm
	KeyID     string
	JWKS      []byte // three keys of three types, one of them the token's
	Token     string

	// The token as the floor takes it.
	Public       crypto.PublicKey
	SigningInput []byte
	Signature    []byte

	private crypto.Signer
}

// NewMaterial makes keys and a token that is valid for an hour.
func NewMaterial(a jose.Algorithm) (*Material, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	public, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	m := &Material{Algorithm: a}
	rsaAlgorithm := jose.RS256
	switch a {
	case jose.RS256, jose.PS256:
		rsaAlgorithm, m.private, m.KeyID = a, rsaKey, "rsa-key-2026-11-a"
	case jose.ES256:
		m.private, m.KeyID = ecKey, "ecc-key-2026-11-a"
	case jose.EdDSA:
		m.private, m.KeyID = edKey, "edd-key-2026-11-a"
	default:
		return nil, fmt.Errorf("benchmarks: %s is not measured", a)
	}
	m.Public = m.private.Public()
	if m.JWKS, err = jwks(
		rsaJWK("rsa-key-2026-11-a", rsaAlgorithm, &rsaKey.PublicKey),
		ecJWK("ecc-key-2026-11-a", &ecKey.PublicKey),
		edJWK("edd-key-2026-11-a", public),
	); err != nil {
		return nil, err
	}
	if m.Token, err = m.Sign(m.Header(), Claims(time.Now())); err != nil {
		return nil, err
	}
	cut := strings.LastIndexByte(m.Token, '.')
	m.SigningInput = []byte(m.Token[:cut])
	if m.Signature, err = base64.RawURLEncoding.DecodeString(m.Token[cut+1:]); err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return m, nil
}

// Header is the JOSE header of the measured token.
func (m *Material) Header() string {
	return fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, m.Algorithm, m.KeyID)
}

// Claims are the claims of the measured token: those of RFC 9068 §2.2, two
// audiences, six scopes and four roles.
func Claims(now time.Time) string {
	return fmt.Sprintf(`{"iss":%q,"aud":[%q,"https://api.example.com/billing"],`+
		`"sub":"0f8fad5b-d9cb-469f-a165-70867728950e","client_id":"web-shop-frontend-app",`+
		`"exp":%d,"iat":%d,"nbf":%d,"jti":"7c9e6679-7425-40de-944b-e07fc1f90ae7",`+
		`"scope":"orders:read orders:write billing:read profile email phone",`+
		`"roles":["customer","reviewer","beta","staff"]}`,
		Issuer, Audience, now.Add(time.Hour).Unix(), now.Unix(), now.Unix())
}

// Sign makes a compact JWS.
func (m *Material) Sign(header, payload string) (string, error) {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := m.sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("benchmarks: %w", err)
	}
	return input + "." + encode(signature), nil
}

func (m *Material) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := m.private.(type) {
	case *rsa.PrivateKey:
		if m.Algorithm == jose.PS256 {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], options)
		}
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &pair); err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		pair.R.FillBytes(signature[:32])
		pair.S.FillBytes(signature[32:])
		return signature, nil
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	default:
		return nil, errors.New("no private key")
	}
}

var errFloor = errors.New("benchmarks: the floor does not verify its own token")

// Floor is the least that a verifier has to do.
func (m *Material) Floor() (func() error, error) {
	input, signature := m.SigningInput, m.Signature
	switch key := m.Public.(type) {
	case *rsa.PublicKey:
		if m.Algorithm == jose.PS256 {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return func() error {
				digest := sha256.Sum256(input)
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, options)
			}, nil
		}
		return func() error {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
		}, nil
	case *ecdsa.PublicKey:
		pair := struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])}
		der, err := asn1.Marshal(pair)
		if err != nil {
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
		return func() error {
			digest := sha256.Sum256(input)
			if !ecdsa.VerifyASN1(key, digest[:], der) {
				return errFloor
			}
			return nil
		}, nil
	case ed25519.PublicKey:
		return func() error {
			if !ed25519.Verify(key, input, signature) {
				return errFloor
			}
			return nil
		}, nil
	default:
		return nil, fmt.Errorf("benchmarks: a public key of type %T", key)
	}
}

func jwks(keys ...map[string]string) ([]byte, error) {
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return document, nil
}

func rsaJWK(id string, a jose.Algorithm, key *rsa.PublicKey) map[string]string {
	return map[string]string{
		"kty": "RSA", "use": "sig", "kid": id, "alg": a.String(),
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}
}

func ecJWK(id string, key *ecdsa.PublicKey) map[string]string {
	point, err := key.Bytes()
	if err != nil {
		panic(err) // a key that was just generated is on its curve
	}
	return map[string]string{
		"kty": "EC", "use": "sig", "kid": id, "alg": "ES256", "crv": "P-256",
		"x": encode(point[1:33]), "y": encode(point[33:]),
	}
}

func edJWK(id string, key ed25519.PublicKey) map[string]string {
	return map[string]string{"kty": "OKP", "use": "sig", "kid": id, "alg": "EdDSA", "crv": "Ed25519", "x": encode(key)}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

package benchmarks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Algorithms are the measured algorithms: the defaults of Sallyport.
var Algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// Claims of the measured tokens.
const (
	Issuer   = "https://login.example.com/realms/main"
	Audience = "https://api.example.com/orders"
)

// Material is one issuer with tokens of the usual size: 414 bytes of claims, and in
// all 715 bytes with ES256 and EdDSA, and 971 bytes with RSA-2048.
type Material struct {
	Algorithm jose.Algorithm
	KeyID     string
	JWKS      []byte   // three keys of three types, one of which signed the tokens
	Tokens    []string // to validate
	Public    crypto.PublicKey

	good    string // a token that is valid, whatever Tokens are
	private crypto.Signer
	server  *server
}

// newRSAKey returns one key for the whole process, because making one takes long.
var newRSAKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewMaterial makes keys and this number of different tokens, which are valid for an
// hour. The caller must Close it.
func NewMaterial(a jose.Algorithm, tokens int) (*Material, error) {
	rsaKey, err := newRSAKey()
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
	m.server = &server{document: m.JWKS}
	m.Tokens = make([]string, tokens)
	now := time.Now()
	for i := range m.Tokens {
		if m.Tokens[i], err = m.Sign(m.Header(), Claims(now, i)); err != nil {
			return nil, err
		}
	}
	m.good = m.Tokens[0]
	return m, nil
}

// With returns the same issuer with other tokens. Closing m closes it, too.
func (m *Material) With(tokens ...string) *Material {
	other := *m
	other.Tokens = tokens
	return &other
}

// JWKSURL returns the URL of the issuer's keys, on a loopback address.
func (m *Material) JWKSURL() (string, error) { return m.server.url() }

// Close stops the server behind JWKSURL, if there is one.
func (m *Material) Close() { m.server.close() }

// Header returns the JOSE header of the measured tokens.
func (m *Material) Header() string {
	return fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, m.Algorithm, m.KeyID)
}

// Claims returns the claims of the i-th measured token: those of RFC 9068 §2.2 with
// two audiences, six scopes and four roles.
func Claims(now time.Time, i int) string {
	return fmt.Sprintf(`{"iss":%q,"aud":[%q,"https://api.example.com/billing"],`+
		`"sub":"0f8fad5b-d9cb-469f-a165-70867728950e","client_id":"web-shop-frontend-app",`+
		`"exp":%d,"iat":%d,"nbf":%d,"jti":"%08x-7425-40de-944b-e07fc1f90ae7",`+
		`"scope":"orders:read orders:write billing:read profile email phone",`+
		`"roles":["customer","reviewer","beta","staff"]}`,
		Issuer, Audience, now.Add(time.Hour).Unix(), now.Unix(), now.Unix(), i)
}

// Sign returns a compact JWS.
func (m *Material) Sign(header, payload string) (string, error) {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := m.sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("benchmarks: %w", err)
	}
	return input + "." + encode(signature), nil
}

// forge returns a token with alg HS256 and the public key as the secret. A library
// that uses the algorithm of the header would accept it.
func (m *Material) forge(payload string) string {
	key, err := x509.MarshalPKIXPublicKey(m.Public)
	if err != nil {
		panic(err) // keys of these types can be marshalled
	}
	header := strings.Replace(m.Header(), m.Algorithm.String(), "HS256", 1)
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
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

// split is a token that is split and decoded for the floor.
type split struct{ input, signature []byte }

func (m *Material) split() ([]split, error) {
	parts := make([]split, len(m.Tokens))
	for i, token := range m.Tokens {
		cut := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
		if err != nil {
			return nil, fmt.Errorf("benchmarks: %w", err)
		}
		parts[i] = split{[]byte(token[:cut]), signature}
	}
	return parts, nil
}

var errFloor = errors.New("benchmarks: the floor does not verify its own token")

// Floor prepares the least that a verifier has to do: hash and signature check.
func (m *Material) Floor() (Run, error) {
	parts, err := m.split()
	if err != nil {
		return nil, err
	}
	switch key := m.Public.(type) {
	case *rsa.PublicKey:
		if m.Algorithm == jose.PS256 {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return func(i int) error {
				part := &parts[i%len(parts)]
				digest := sha256.Sum256(part.input)
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], part.signature, options)
			}, nil
		}
		return func(i int) error {
			part := &parts[i%len(parts)]
			digest := sha256.Sum256(part.input)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], part.signature)
		}, nil
	case *ecdsa.PublicKey:
		for i, part := range parts {
			r, s := new(big.Int).SetBytes(part.signature[:32]), new(big.Int).SetBytes(part.signature[32:])
			if parts[i].signature, err = asn1.Marshal(struct{ R, S *big.Int }{r, s}); err != nil {
				return nil, fmt.Errorf("benchmarks: %w", err)
			}
		}
		return func(i int) error {
			part := &parts[i%len(parts)]
			digest := sha256.Sum256(part.input)
			if !ecdsa.VerifyASN1(key, digest[:], part.signature) {
				return errFloor
			}
			return nil
		}, nil
	case ed25519.PublicKey:
		return func(i int) error {
			part := &parts[i%len(parts)]
			if !ed25519.Verify(key, part.input, part.signature) {
				return errFloor
			}
			return nil
		}, nil
	default:
		return nil, fmt.Errorf("benchmarks: a public key of type %T", key)
	}
}

// Digest prepares SHA-256 of the token, which tokens that were validated before are
// compared with.
func (m *Material) Digest() Run {
	texts := make([][]byte, len(m.Tokens))
	for i, token := range m.Tokens {
		texts[i] = []byte(token)
	}
	return func(i int) error {
		digest := sha256.Sum256(texts[i%len(texts)])
		if digest == [sha256.Size]byte{} { // uses the digest, so that the compiler keeps it
			return errors.New("benchmarks: a digest of zeros")
		}
		return nil
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
		panic(err) // a new key is on its curve
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

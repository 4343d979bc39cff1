package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for the hashes of 384 and 512 bits
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Token is a token to be signed. The zero value is a good access token of RFC
// 9068: iss, sub "user-1", client_id "client-1", aud, iat, exp, a random jti,
// and a header with alg, kid and typ "at+jwt".
type Token struct {
	// Scope is the scope claim. Empty means none.
	Scope string
	// Lifetime is the time until exp. 0 means 5 minutes. A token with a
	// negative one expired so long ago, and was issued 5 minutes before
	// that.
	Lifetime time.Duration
	// Claims replace claims by name; nil removes one. For a JSON null, use
	// json.RawMessage("null").
	Claims map[string]any
	// Header replaces members of the header in the same way. The signature
	// does not follow: it is made by Key with Algorithm.
	Header map[string]any
	// RawClaims, unless empty, is the exact payload, be it JSON or not.
	RawClaims string
	// RawHeader, unless empty, is the exact header, be it JSON or not.
	RawHeader string
	// Key is the ID of the key that signs, published or not. Empty means
	// [Issuer.SigningKey].
	Key string
	// Algorithm is the algorithm that signs. 0 means that of the key. An
	// RSA key can sign with any RSA algorithm; no other key has a choice.
	Algorithm jose.Algorithm
	// Fault forges the signature. 0 does not.
	Fault Fault
}

// Fault is a way to forge a token. The zero value forges nothing.
type Fault uint8

// The faults.
const (
	// Tampered has a genuine signature, made over another payload.
	Tampered Fault = iota + 1
	// ForeignKey is signed by a key that the issuer never published, under
	// the kid of one that it did.
	ForeignKey
	// EmbeddedKey is a ForeignKey that the header offers as its jwk.
	EmbeddedKey
	// NoneAlgorithm has alg "none" and an empty signature (RFC 7519 §6).
	NoneAlgorithm
	// HMACWithPublicKey has alg "HS256", keyed with the PEM text of the
	// public key: the confusion of RFC 8725 §2.1.
	HMACWithPublicKey
	// EmptySignature has an empty signature under the alg of the key.
	EmptySignature
	// ZeroSignature has a signature of the right length, all zero.
	ZeroSignature
	// DERSignature has a true ECDSA signature in the ASN.1 form, not in
	// that of RFC 7518 §3.4. For keys of ES256, ES384 and ES512 only.
	DERSignature
)

const defaultLifetime = 5 * time.Minute

// Sign makes t a token in compact serialisation.
func (i *Issuer) Sign(t Token) string {
	s := t.signer(i.key(t.Key))
	header, payload := []byte(t.RawHeader), []byte(t.RawClaims)
	if len(header) == 0 {
		header = encode(t.header(s))
	}
	if len(payload) == 0 {
		payload = encode(t.claims(&i.config))
	}
	input := encoded(header) + "." + encoded(payload)
	return input + "." + encoded(t.signature(s, input))
}

// signer is who signs, and what for.
type signer struct {
	key       *key
	algorithm jose.Algorithm
	private   crypto.Signer // the key's, unless that is forged
}

func (t *Token) signer(k *key) signer {
	s := signer{k, t.Algorithm, k.private}
	if s.algorithm == 0 {
		s.algorithm = k.algorithm
	}
	if s.algorithm != k.algorithm && (!isRSA(s.algorithm) || !isRSA(k.algorithm)) {
		panic(fmt.Sprintf("testissuer: Sign: key %q of %s cannot sign with %s", k.id, k.algorithm, s.algorithm))
	}
	switch t.Fault {
	case 0, Tampered, NoneAlgorithm, HMACWithPublicKey, EmptySignature, ZeroSignature:
	case ForeignKey, EmbeddedKey:
		s.private = foreignPrivate(s.algorithm)
	case DERSignature:
		if _, ok := s.private.(*ecdsa.PrivateKey); !ok {
			panic(fmt.Sprintf("testissuer: Sign: DERSignature needs an ECDSA key, and %q is of %s", k.id, k.algorithm))
		}
	default:
		panic("testissuer: Sign: Fault is not one of the constants")
	}
	return s
}

func (t *Token) header(s signer) map[string]any {
	members := map[string]any{"alg": s.algorithm, "typ": "at+jwt"}
	if s.key.kid != nil {
		members["kid"] = s.key.kid
	}
	switch t.Fault {
	case NoneAlgorithm:
		members["alg"] = "none"
	case HMACWithPublicKey:
		members["alg"] = "HS256"
	case EmbeddedKey:
		members["jwk"] = publicJWK(s.private.Public())
	default:
	}
	override(members, t.Header)
	return members
}

func (t *Token) claims(c *Config) map[string]any {
	issued := time.Now()
	lifetime := t.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	expiry := issued.Add(lifetime)
	if lifetime < 0 {
		issued = expiry.Add(-defaultLifetime)
	}
	members := map[string]any{
		"iss":       c.URL,
		"sub":       "user-1",
		"client_id": "client-1",
		"aud":       c.Audience,
		"iat":       issued.Unix(),
		"exp":       expiry.Unix(),
		"jti":       rand.Text(),
	}
	if t.Scope != "" {
		members["scope"] = t.Scope
	}
	override(members, t.Claims)
	return members
}

func (t *Token) signature(s signer, input string) []byte {
	switch t.Fault {
	case NoneAlgorithm, EmptySignature:
		return nil
	case HMACWithPublicKey:
		der := must(x509.MarshalPKIXPublicKey(s.private.Public()))
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case Tampered:
		return s.sign(input + "0")
	case ZeroSignature:
		return make([]byte, len(s.sign(input)))
	case DERSignature:
		return s.signASN1(input)
	default:
		return s.sign(input)
	}
}

// sign is the signature of RFC 7518 §3 or RFC 8037 §3.1.
func (s signer) sign(input string) []byte {
	private, ok := s.private.(*ecdsa.PrivateKey)
	if !ok {
		return s.signASN1(input)
	}
	first, second, err := ecdsa.Sign(rand.Reader, private, digest(hashOf(s.algorithm), input))
	if err != nil {
		panic(fmt.Sprintf("testissuer: Sign: %v", err))
	}
	size := (private.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	first.FillBytes(signature[:size])
	second.FillBytes(signature[size:])
	return signature
}

// signASN1 is sign, except that it leaves ECDSA signatures in ASN.1.
func (s signer) signASN1(input string) []byte {
	hash := hashOf(s.algorithm)
	var options crypto.SignerOpts = hash
	if s.algorithm >= jose.PS256 && s.algorithm <= jose.PS512 {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	if _, ok := s.private.(ed25519.PrivateKey); ok {
		return must(s.private.Sign(nil, []byte(input), options))
	}
	return must(s.private.Sign(rand.Reader, digest(hash, input), options))
}

func digest(hash crypto.Hash, input string) []byte {
	h := hash.New()
	h.Write([]byte(input))
	return h.Sum(nil)
}

// hashOf is the hash of a, or 0 for EdDSA, which takes the input itself.
func hashOf(a jose.Algorithm) crypto.Hash {
	switch a {
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

func isRSA(a jose.Algorithm) bool { return a >= jose.RS256 && a <= jose.PS512 }

package testissuer

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// Token is a token that [Issuer.Sign] or [Issuer.Opaque] makes. The zero value is a
// good access token of RFC 9068 with the claims iss, sub "user-1", client_id
// "client-1", aud, iat, exp and a random jti. Its header has alg, kid and typ
// "at+jwt". An opaque token has the claims in its introspection response.
type Token struct {
	// Scope is the scope claim. Empty means none.
	Scope string
	// Lifetime is the time until exp. 0 means 5 minutes. A negative Lifetime
	// is the time since exp; such a token was issued 5 minutes before exp.
	Lifetime time.Duration
	// Claims replace claims by name; nil removes one. For a JSON null, use
	// json.RawMessage("null").
	Claims map[string]any
	// Header replaces members of the header in the same way. It does not
	// change the signature, which is made by Key with Algorithm.
	Header map[string]any
	// RawClaims is the exact payload, JSON or not, unless it is empty. Of an
	// opaque token it is the exact introspection response while the token is
	// not revoked.
	RawClaims string
	// RawHeader is the exact header, JSON or not, unless it is empty.
	RawHeader string
	// Key is the ID of the key that signs, published or not. Empty means
	// [Issuer.SigningKey].
	Key string
	// Algorithm is the algorithm that signs. 0 means that of the key. An
	// RSA key can sign with any RSA algorithm; no other key has a choice.
	Algorithm jose.Algorithm
	// Forgery makes a forged token. 0 means a genuine one.
	Forgery Forgery
	// Text is the text of an opaque token behind Prefix. Empty means a random
	// one. [Issuer.Sign] refuses it.
	Text string
	// Prefix is the beginning of an opaque token. [Issuer.Sign] refuses it.
	Prefix string
	// Fault is how the introspection endpoint answers about the token. 0 means
	// as it should. See [Issuer.Answer].
	Fault Fault
}

// Forgery is a way to forge a token. The zero value does not forge it.
type Forgery uint8

// The forgeries.
const (
	// Tampered has a genuine signature of another payload.
	Tampered Forgery = iota + 1
	// ForeignKey is signed by a key that the issuer never published, with the
	// kid of one that it published.
	ForeignKey
	// EmbeddedKey is like ForeignKey, with the key in the jwk of the header.
	EmbeddedKey
	// NoneAlgorithm has alg "none" and an empty signature (RFC 7519 §6).
	NoneAlgorithm
	// HMACWithPublicKey has alg "HS256" and the PEM text of the public key as
	// the secret: the attack of RFC 8725 §2.1.
	HMACWithPublicKey
	// EmptySignature has an empty signature, and the alg of the key.
	EmptySignature
	// ZeroSignature has a signature of the right length with only zero bytes.
	ZeroSignature
	// DERSignature has a genuine ECDSA signature in ASN.1, and not in the form
	// of RFC 7518 §3.4. It needs a key of ES256, ES384 or ES512.
	DERSignature
)

const defaultLifetime = 5 * time.Minute

// sign returns t in compact serialisation, signed by k. Its claims say issuer and
// audience unless t changes them.
func (t *Token) sign(k *key, issuer, audience string) string {
	signing := t.signingKey(k)
	header, payload := t.RawHeader, t.RawClaims
	if header == "" {
		header = string(encode(t.header(k, signing)))
	}
	if payload == "" {
		payload = string(encode(t.claims(issuer, audience)))
	}
	input := testkey.Encode([]byte(header)) + "." + testkey.Encode([]byte(payload))
	return input + "." + testkey.Encode(t.signature(signing, input))
}

// signingKey returns the key that signs t if k is its key: k itself, unless the
// token is forged with another.
func (t *Token) signingKey(k *key) testkey.Key {
	signing := k.signer()
	if t.Algorithm != 0 {
		signing.Algorithm = t.Algorithm
	}
	if signing.Algorithm != k.algorithm && (!testkey.IsRSA(signing.Algorithm) || !testkey.IsRSA(k.algorithm)) {
		panic(fmt.Sprintf("testissuer: Sign: key %q of %s cannot sign with %s", k.id, k.algorithm, signing.Algorithm))
	}
	switch t.Forgery {
	case 0, Tampered, NoneAlgorithm, HMACWithPublicKey, EmptySignature, ZeroSignature:
	case ForeignKey, EmbeddedKey:
		signing.Private = foreignPrivate(signing.Algorithm)
	case DERSignature:
		if _, ok := signing.Private.(*ecdsa.PrivateKey); !ok {
			panic(fmt.Sprintf("testissuer: Sign: DERSignature needs an ECDSA key, and %q is of %s", k.id, k.algorithm))
		}
	default:
		panic("testissuer: Sign: Forgery is not one of the constants")
	}
	return signing
}

// header returns the members of the header.
func (t *Token) header(k *key, signing testkey.Key) map[string]any {
	members := map[string]any{"alg": signing.Algorithm, "typ": "at+jwt"}
	if k.kid != nil {
		members["kid"] = k.kid
	}
	switch t.Forgery {
	case NoneAlgorithm:
		members["alg"] = "none"
	case HMACWithPublicKey:
		members["alg"] = "HS256"
	case EmbeddedKey:
		members["jwk"] = testkey.PublicJWK(signing.Private.Public())
	default:
	}
	override(members, t.Header)
	return members
}

// claims returns the claims.
func (t *Token) claims(issuer, audience string) map[string]any {
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
		"iss":       issuer,
		"sub":       "user-1",
		"client_id": "client-1",
		"aud":       audience,
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

// signature returns the signature of input, or what the Forgery puts in its place.
func (t *Token) signature(signing testkey.Key, input string) []byte {
	switch t.Forgery {
	case NoneAlgorithm, EmptySignature:
		return nil
	case HMACWithPublicKey:
		der := must(x509.MarshalPKIXPublicKey(signing.Private.Public()))
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case Tampered:
		return signing.Signature(input + "0")
	case ZeroSignature:
		return make([]byte, len(signing.Signature(input)))
	case DERSignature:
		return signing.SignatureASN1(input)
	default:
		return signing.Signature(input)
	}
}

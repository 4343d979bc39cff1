// Command generate writes new sample keys and tokens for examples/verify. It shows how
// good and bad access tokens are made with the standard library alone. It does not
// keep the private keys.
//
//	go run ./examples/verify/generate examples/verify
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// now is the time at which the samples are to be verified.
const now = 1700000000

type object map[string]any

// signers are the issuer's keys.
type signers struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

// sample is one input line of sallyport verify.
type sample struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Route string `json:"route,omitempty"`
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: generate FOLDER")
	}
	keys := newSigners()
	write(filepath.Join(os.Args[1], "jwks.json"), object{"keys": keys.published()})
	var lines []any
	for _, s := range samples(keys) {
		lines = append(lines, s)
	}
	write(filepath.Join(os.Args[1], "tokens.ndjson"), lines...)
}

func newSigners() signers {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	return signers{rsaKey, ecKey, edKey}
}

// published returns the JWK Set. Sallyport cannot use its last key, and uses the others
// all the same.
func (s signers) published() []object {
	point, err := s.ec.PublicKey.Bytes()
	check(err)
	edPublic := s.ed[ed25519.PrivateKeySize-ed25519.PublicKeySize:] // RFC 8032 §5.1.5
	return []object{
		{
			"kty": "RSA", "kid": "rsa-1", "use": "sig", "alg": "RS256",
			"n": encode(s.rsa.N.Bytes()), "e": encode(big.NewInt(int64(s.rsa.E)).Bytes()),
		},
		{
			"kty": "EC", "kid": "ec-1", "use": "sig", "alg": "ES256", "crv": "P-256",
			"x": encode(point[1:33]), "y": encode(point[33:]),
		},
		{
			"kty": "OKP", "kid": "ed-1", "use": "sig", "crv": "Ed25519",
			"x": encode(edPublic),
		},
		{"kty": "AKP", "kid": "pq-1", "alg": "ML-DSA-65", "pub": "AAAA"},
	}
}

// header returns the JOSE header of an RFC 9068 access token.
func header(alg, kid string) object { return object{"alg": alg, "typ": "at+jwt", "kid": kid} }

// claims returns the claims of a good token after changes; nil removes a claim.
func claims(changes object) object {
	c := object{
		"iss": "https://issuer.example", "aud": "https://api.example", "sub": "user-1", "client_id": "shop",
		"exp": now + 600, "iat": now - 60, "jti": "a1b2c3", "scope": "orders:read",
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func samples(k signers) []sample {
	good := k.token(header("RS256", "rsa-1"), claims(nil))
	parts := strings.Split(good, ".")
	forged := parts[0] + "." + encode(marshal(claims(object{"sub": "admin"}))) + "." + parts[2]
	return []sample{
		{Name: "good, RS256", Token: good},
		{Name: "good, ES256", Token: k.token(header("ES256", "ec-1"), claims(nil))},
		{Name: "good, EdDSA", Token: k.token(header("EdDSA", "ed-1"), claims(nil))},
		{Name: "good, on a route", Token: good, Route: "GET /orders/42"},
		{Name: "scope missing for the route", Token: good, Route: "POST /orders"},
		{Name: "expired", Token: k.token(header("RS256", "rsa-1"), claims(object{"exp": now - 600}))},
		{Name: "not valid yet", Token: k.token(header("RS256", "rsa-1"), claims(object{"nbf": now + 600}))},
		{Name: "for another API", Token: k.token(header("RS256", "rsa-1"), claims(object{"aud": "https://other.example"}))},
		{Name: "from another issuer", Token: k.token(header("RS256", "rsa-1"), claims(object{"iss": "https://issuer.example/"}))},
		{Name: "an ID token", Token: k.token(object{"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}, claims(object{"nonce": "n"}))},
		{Name: "without client_id", Token: k.token(header("RS256", "rsa-1"), claims(object{"client_id": nil}))},
		{Name: "claims changed", Token: forged},
		{Name: "alg none", Token: encode(marshal(header("none", "rsa-1"))) + "." + encode(marshal(claims(nil))) + ".AA"},
		{Name: "HS256 with the public key", Token: k.token(header("HS256", "rsa-1"), claims(nil))},
		{Name: "unknown key", Token: k.token(header("RS256", "rsa-2"), claims(nil))},
		{Name: "sender-constrained (DPoP)", Token: k.token(header("RS256", "rsa-1"), claims(object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}))},
		{Name: "not a token", Token: "swordfish"},
	}
}

// token returns a token that is signed with the algorithm of its header.
func (s signers) token(header, claims object) string {
	input := encode(marshal(header)) + "." + encode(marshal(claims))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch header["alg"] {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(nil, s.rsa, crypto.SHA256, digest[:])
	case "ES256":
		signature, err = signES256(s.ec, digest[:])
	case "EdDSA":
		signature = ed25519.Sign(s.ed, []byte(input))
	case "HS256": // an attack by someone who knows only the public key
		mac := hmac.New(sha256.New, s.rsa.N.Bytes())
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	}
	check(err)
	return input + "." + encode(signature)
}

// signES256 returns R and S, each in 32 bytes (RFC 7518 §3.4).
func signES256(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	check(err)
	return b
}

// write writes each value as a line of JSON.
func write(path string, values ...any) {
	var b bytes.Buffer
	for _, v := range values {
		b.Write(marshal(v))
		b.WriteByte('\n')
	}
	check(os.WriteFile(path, b.Bytes(), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

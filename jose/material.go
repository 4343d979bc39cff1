package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	jwxjwk "github.com/lestrrat-go/jwx/v3/jwk"
)

// Bounds of RSA keys (R-JS-10), whatever [Limits] say: shorter keys can be broken,
// and longer ones make verification slow.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	errKeyType     = unusable("kty or crv is not supported; RSA, EC P-256, P-384, P-521 and OKP Ed25519 are")
	errLength      = unusable("a coordinate does not have the full length of its curve (RFC 7518 §6.2.1, RFC 8037 §2); let the issuer keep leading zero bytes, and add none")
	errLeadingZero = unusable("n or e has leading zero bytes (RFC 7518 §6.3.1)")
	errEven        = unusable("the RSA modulus is even")
	errExponent    = unusable("the RSA exponent is even, below 3 or above 2^31-1")
	errPoint       = unusable("the point is not on its curve")
	errSmallOrder  = unusable("the Ed25519 point has small order, so that anyone can sign under it")
	errImport      = unusable("the key cannot be imported")
)

// material is an imported public key, without its purpose and its kid.
type material struct {
	public     publicKey
	thumbprint string    // RFC 7638
	only       Algorithm // the only algorithm that is possible, or 0 for RSA
	cost       int       // of a signature check; see costES256
}

// fits reports whether a can be used with m.
func (m *material) fits(a Algorithm) bool {
	if m.only == 0 {
		return a.rsa()
	}
	return a == m.only
}

// curveName is the kty and the crv of a JWK.
type curveName struct{ kty, crv string }

// curve describes a supported curve of RFC 7518 §6.2.1.1 or RFC 8037 §2.
type curve struct {
	algorithm Algorithm
	size      int // of a coordinate, in bytes
	cost      int
}

// curves holds the supported curves.
var curves = map[curveName]curve{
	{"EC", "P-256"}:    {ES256, 32, costES256},
	{"EC", "P-384"}:    {ES384, 48, costES384},
	{"EC", "P-521"}:    {ES512, 66, costES512},
	{"OKP", "Ed25519"}: {EdDSA, ed25519.PublicKeySize, costEdDSA},
}

// material checks the parameters of k and imports it.
func (k *jwk) material(limits Limits) (*material, error) {
	if k.kty == "RSA" {
		return k.rsaMaterial(limits)
	}
	c, ok := curves[curveName{k.kty, k.crv}]
	if !ok {
		reason := k.about(errKeyType, "kty", k.kty)
		if k.crv != "" {
			reason = k.about(reason, "crv", k.crv)
		}
		return nil, reason
	}
	if k.kty == "OKP" {
		return k.ed25519Material(c)
	}
	return k.ecMaterial(c)
}

// rsaMaterial imports an RSA key.
func (k *jwk) rsaMaterial(limits Limits) (*material, error) {
	n, err := k.integer("n", k.n)
	if err != nil {
		return nil, err
	}
	e, err := k.integer("e", k.e)
	if err != nil {
		return nil, err
	}
	modulus := new(big.Int).SetBytes(n)
	switch bits := modulus.BitLen(); {
	case bits < minRSABits || bits > maxRSABits:
		return nil, unusable(fmt.Sprintf("the RSA modulus has %d bits, and %d to %d are used; let the issuer make a new key", bits, minRSABits, maxRSABits))
	case modulus.Bit(0) == 0:
		return nil, errEven
	}
	const maxExponent = 1<<31 - 1 // the bound of the standard library
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > maxExponent || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil, errExponent
	}
	if err := limits.checkRSA(modulus.BitLen(), int(exponent.Int64())); err != nil {
		return nil, err
	}
	var public rsa.PublicKey
	m, err := imported(`{"e":"`+encode(e)+`","kty":"RSA","n":"`+encode(n)+`"}`, &public)
	m.public, m.cost = &public, costRSA(modulus.BitLen(), multiplications(public.E))
	return m, err
}

// ecMaterial imports a key on one of the NIST curves.
func (k *jwk) ecMaterial(c curve) (*material, error) {
	x, err := k.coordinate("x", k.x, c)
	if err != nil {
		return nil, err
	}
	y, err := k.coordinate("y", k.y, c)
	if err != nil {
		return nil, err
	}
	var public ecdsa.PublicKey
	m, err := imported(`{"crv":"`+k.crv+`","kty":"EC","x":"`+encode(x)+`","y":"`+encode(y)+`"}`, &public)
	if err != nil { // only points off the curve are left to the library
		return nil, errPoint
	}
	m.public, m.only, m.cost = &public, c.algorithm, c.cost
	return m, nil
}

// ed25519Material imports an Ed25519 key.
func (k *jwk) ed25519Material(c curve) (*material, error) {
	x, err := k.coordinate("x", k.x, c)
	if err != nil {
		return nil, err
	}
	if ofSmallOrder(x) {
		return nil, errSmallOrder
	}
	var public ed25519.PublicKey
	m, err := imported(`{"crv":"Ed25519","kty":"OKP","x":"`+encode(x)+`"}`, &public)
	m.public, m.only, m.cost = public, c.algorithm, c.cost
	return m, err
}

// ofSmallOrder reports whether x encodes one of the eight points whose order
// divides the cofactor, in any encoding that the standard library accepts. Anyone
// can make a signature that verifies under such a key.
func ofSmallOrder(x []byte) bool {
	const sign = 0x80 // the sign bit of the x coordinate
	y := [ed25519.PublicKeySize]byte(x)
	y[len(y)-1] &^= sign
	return slices.Contains(smallOrder[:], hex.EncodeToString(y[:]))
}

// smallOrder holds the y coordinates of the points of small order, little-endian.
// The last two encode 0 and 1 without reduction.
var smallOrder = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// parameter decodes a base64url parameter. An empty one counts as missing. In a JWK Set,
// padding and the alphabet of base64 are accepted too, because some issuers use them:
// the value is the same.
func (k *jwk) parameter(name, text string) ([]byte, error) {
	if !k.exact {
		text = base64url(text)
	}
	b, _ := appendDecoded(nil, text) // nil with an error
	if len(b) == 0 {
		return nil, unusable(name + " is missing or not base64url (RFC 7515 §2)")
	}
	return b, nil
}

// base64url returns a text in base64 in the alphabet of base64url and without padding.
func base64url(text string) string {
	if len(text)%4 == 0 && strings.HasSuffix(text, "=") {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	return urlAlphabet.Replace(text)
}

// urlAlphabet replaces the two characters of base64 that base64url does not have.
var urlAlphabet = strings.NewReplacer("+", "-", "/", "_")

// integer decodes n or e of an RSA key. In a JWK Set, leading zero bytes are left out:
// libraries whose integers have a sign write them (RFC 7518 §6.3.1.1).
func (k *jwk) integer(name, text string) ([]byte, error) {
	b, err := k.parameter(name, text)
	if err != nil {
		return nil, err
	}
	if k.exact && b[0] == 0 {
		return nil, errLeadingZero
	}
	return bytes.TrimLeft(b, "\x00"), nil
}

// coordinate decodes a coordinate of a point on c.
func (k *jwk) coordinate(name, text string, c curve) ([]byte, error) {
	b, err := k.parameter(name, text)
	if err != nil {
		return nil, err
	}
	if len(b) != c.size {
		return nil, errLength
	}
	return b, nil
}

// encode returns b in base64url.
func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// imported reads a JWK in the canonical form of RFC 7638 §3 into public, and
// computes its thumbprint from the same bytes. The library gets no other bytes.
func imported(canonical string, public any) (*material, error) {
	sum := sha256.Sum256([]byte(canonical))
	m := &material{thumbprint: encode(sum[:])}
	key, err := jwxjwk.ParseKey([]byte(canonical))
	if err == nil {
		err = jwxjwk.Export(key, public)
	}
	if err != nil {
		return m, errImport
	}
	return m, nil
}

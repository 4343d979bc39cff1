package differential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport-auth/sallyport/jose"
)

// preferred begins with PS256, so RSA keys without alg are bound to it.
var preferred = []jose.Algorithm{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA, jose.ES384, jose.ES512}

// publishedKeys returns the keys of a JWK Set as text. encoding/json reads the set.
func publishedKeys(t *testing.T, document []byte) []json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(document, []byte("\ufeff")), &members); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	var keys []json.RawMessage
	if err := json.Unmarshal(members["keys"], &keys); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	return keys
}

// confirmSet compares every usable key of set with what go-jose and crypto/* read.
func confirmSet(t *testing.T, document []byte, set *jose.Set) {
	t.Helper()
	published := publishedKeys(t, document)
	ignored := make(map[int]bool)
	for _, key := range set.Ignored() {
		ignored[key.Index] = true
	}
	bound, declared := make(map[string]jose.Algorithm), make(map[string]bool)
	usable := set.Keys()
	for index, text := range published {
		if at := usable; !ignored[index] && len(at) > 0 {
			if _, ok := plainMembers(t, text)["alg"]; ok {
				declared[at[0].Thumbprint()] = true
			}
			usable = at[1:]
		}
	}
	usable = set.Keys()
	for index, text := range published {
		if ignored[index] {
			continue
		}
		if len(usable) == 0 {
			t.Fatalf("keys[%d] is neither usable nor ignored", index)
		}
		confirmKey(t, plainMembers(t, text), usable[0], declared[usable[0].Thumbprint()])
		if first, ok := bound[usable[0].Thumbprint()]; ok && first != usable[0].Algorithm() {
			t.Errorf("keys[%d] is bound to %s and to %s", index, first, usable[0].Algorithm())
		}
		bound[usable[0].Thumbprint()] = usable[0].Algorithm()
		usable = usable[1:]
	}
	if len(usable) != 0 {
		t.Errorf("%d usable keys that are not in the document", len(usable))
	}
}

// plainMembers returns the members of a JWK as go-jose reads them: without those that say
// nothing, and with parameters in base64url without padding.
func plainMembers(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	for name, value := range members {
		switch text := fmt.Sprint(value); {
		case value == nil, name != "kid" && text == "", text == "[]":
			delete(members, name)
		case slices.Contains([]string{"n", "e", "x", "y"}, name):
			members[name] = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)
		}
	}
	return members
}

// confirmKey compares a usable key with its members. declared says that the set names an
// algorithm for the key, perhaps elsewhere.
func confirmKey(t *testing.T, members map[string]any, key *jose.Key, declared bool) {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	peer, err := peerKey(text)
	if err != nil {
		t.Fatalf("go-jose refuses %s: %v", text, err)
	}
	if !peer.Valid() || !peer.IsPublic() {
		t.Fatalf("go-jose: not a valid public key: %s", text)
	}
	if got := thumbprint(peer); got != key.Thumbprint() {
		t.Errorf("thumbprint: go-jose %s, Sallyport %s", got, key.Thumbprint())
	}
	id, _ := key.ID()
	if peer.KeyID != id {
		t.Errorf("kid: go-jose %q, Sallyport %q", peer.KeyID, id)
	}
	if fault := weakness(peer.Key); fault != "" {
		t.Errorf("%s: %s", fault, text)
	}
	if want := expectedAlgorithm(members, peer.Key); (members["alg"] != nil || !declared) && key.Algorithm().String() != want {
		t.Errorf("bound to %s, want %s: %s", key.Algorithm(), want, text)
	}
	if fault := purpose(members); fault != "" {
		t.Errorf("%s: %s", fault, text)
	}
}

// peerKey reads a JWK with go-jose. If go-jose refuses its certificate members, of
// which Sallyport reads only the first certificate of x5c, peerKey reads the JWK
// without them.
func peerKey(text []byte) (*gojose.JSONWebKey, error) {
	var key gojose.JSONWebKey
	err := key.UnmarshalJSON(text)
	if err == nil {
		return &key, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return nil, err
	}
	before := len(members)
	for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u"} {
		delete(members, name)
	}
	if len(members) == before {
		return nil, err
	}
	if text, err = json.Marshal(members); err != nil {
		return nil, err
	}
	err = key.UnmarshalJSON(text)
	return &key, err
}

// weakness returns why a public key must not be used, or "".
func weakness(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits < 2048 || bits > 8192:
			return fmt.Sprintf("a modulus of %d bits", bits)
		case key.N.Bit(0) == 0:
			return "an even modulus"
		case key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1:
			return fmt.Sprintf("the exponent %d", key.E)
		}
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err != nil {
			return "a point off its curve"
		}
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return "a short Ed25519 key"
		}
	default:
		return fmt.Sprintf("a key of type %T", key)
	}
	return ""
}

// expectedAlgorithm returns the one algorithm that a key is for.
func expectedAlgorithm(members map[string]any, key crypto.PublicKey) string {
	alg, declared := members["alg"].(string)
	only := ""
	switch key := key.(type) {
	case *rsa.PublicKey:
		if !declared {
			return "PS256"
		}
		if slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg) {
			return alg
		}
		return "none: " + alg
	case *ecdsa.PublicKey:
		only = map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}[key.Curve]
	case ed25519.PublicKey:
		only = "EdDSA"
		if alg == "Ed25519" {
			alg = only
		}
	}
	if declared && alg != only {
		return "none: " + alg
	}
	return only
}

// purpose returns why a key must not verify signatures, or must not be published,
// or "".
func purpose(members map[string]any) string {
	if use, ok := members["use"]; ok && use != "sig" {
		return fmt.Sprintf("use is %v", use)
	}
	if operations, ok := members["key_ops"]; ok {
		list, _ := operations.([]any)
		if !slices.Contains(list, any("verify")) {
			return fmt.Sprintf("key_ops is %v", operations)
		}
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := members[name]; ok {
			return "has the private member " + name
		}
	}
	return ""
}

func jwkSet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func published(tb testing.TB, key gojose.JSONWebKey) string {
	tb.Helper()
	text, err := key.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func goodKeys(tb testing.TB) []string {
	tb.Helper()
	var all []string
	for _, s := range signers {
		all = append(all, published(tb, webKey(s.algorithm, s.private)))
	}
	for _, private := range []crypto.Signer{rsaKey, p256Key, p384Key, p521Key, ed25519Key} {
		all = append(all, published(tb, gojose.JSONWebKey{Key: private.Public()}))
	}
	key := webKey(jose.ES256, p256Key)
	key.Certificates = []*x509.Certificate{certificate(tb)}
	ed := published(tb, webKey(jose.EdDSA, ed25519Key))
	return append(
		all,
		published(tb, key),
		strings.Replace(ed, "EdDSA", "Ed25519", 1),
		strings.Replace(ed, "{", `{"key_ops":["verify"],"x5t":"!","ext":true,`, 1),
		strings.Replace(ed, `"kty"`, `"\u006bty"`, 1),
		// As issuers write them in the field.
		strings.Replace(ed, "{", `{"key_ops":[],"x5c":[],"oth":[],"d":null,"k":"",`, 1),
		strings.Replace(all[0], `"AQAB"`, `"AAEAAQ=="`, 1),
	)
}

// certificate returns a certificate for p256Key.
func certificate(tb testing.TB) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, p256Key.Public(), p256Key)
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate
}

func badKeys(tb testing.TB) []string {
	tb.Helper()
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	n := rsaKey.N
	rsaJWK := func(n, e *big.Int) string {
		return fmt.Sprintf(`{"kty":"RSA","alg":"RS256","n":%q,"e":%q}`, number(n), number(e))
	}
	e := big.NewInt(65537)
	one := big.NewInt(1)
	powerPlusOne := func(bits uint) *big.Int { return new(big.Int).SetBit(new(big.Int).Lsh(one, bits), 0, 1) }
	ec := published(tb, webKey(jose.ES256, p256Key))
	otherEC := published(tb, webKey(jose.ES256, otherP256Key))
	ed := published(tb, webKey(jose.EdDSA, ed25519Key))
	x := func(jwk string) string {
		var members struct{ X string }
		if err := json.Unmarshal([]byte(jwk), &members); err != nil {
			tb.Fatal(err)
		}
		return members.X
	}
	withCertificate := webKey(jose.ES256, p256Key)
	withCertificate.Certificates = []*x509.Certificate{certificate(tb)}
	return append(smallOrderKeys(ed, x(ed)), []string{
		rsaJWK(powerPlusOne(2046), e), // 2047 bits
		rsaJWK(new(big.Int).Sub(n, one), e),
		rsaJWK(powerPlusOne(8192), e), // 8193 bits
		rsaJWK(n, one),                // with this exponent, every digest is its own signature
		rsaJWK(n, big.NewInt(2)),
		rsaJWK(n, big.NewInt(65536)),
		rsaJWK(n, powerPlusOne(32)),
		rsaJWK(n, powerPlusOne(64)),
		strings.Replace(rsaJWK(n, e), `"e":"`, `"e":"AA`, 1),
		published(tb, gojose.JSONWebKey{Key: rsaKey, Algorithm: "RS256"}),
		published(tb, gojose.JSONWebKey{Key: p256Key}),
		published(tb, gojose.JSONWebKey{Key: ed25519Key}),
		published(tb, gojose.JSONWebKey{Key: []byte("a symmetric key, published by mistake")}),
		strings.Replace(ec, "ES256", "ES384", 1),
		strings.Replace(ec, "ES256", "HS256", 1),
		strings.Replace(ec, "P-256", "P-384", 1),
		strings.Replace(ec, "P-256", "p-256", 1),
		strings.Replace(ec, `"sig"`, `"enc"`, 1),
		strings.Replace(ec, "{", `{"key_ops":["sign"],`, 1),
		strings.Replace(ec, "{", `{"kty":"EC",`, 1),
		strings.Replace(ec, x(ec), x(otherEC), 1), // off the curve
		strings.Replace(published(tb, withCertificate), x(ec), x(otherEC), 1),
		strings.Replace(published(tb, withCertificate), fmt.Sprintf("%q", x(ec)), "null", 1),
		strings.Replace(ed, x(ed), x(ed)[:42]+"=", 1),
		strings.Replace(ed, x(ed), x(ed)[:40], 1),
		strings.Replace(ed, "Ed25519", "Ed448", 1),
		strings.Replace(ed, "Ed25519", "X25519", 1),
		`{"kty":"AKP","alg":"ML-DSA-65","pub":"AA"}`,
		`{"kty":"RSA"}`, `{}`, `null`, `[]`, `1`, `"RSA"`,
	}...)
}

// smallOrderKeys returns Ed25519 keys with which a signature verifies that can be
// made without a private key, in every encoding that the standard library accepts.
func smallOrderKeys(jwk, x string) []string {
	var all []string
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		for range 2 {
			all = append(all, strings.Replace(jwk, x, encoded(string(point)), 1))
			point[len(point)-1] ^= 0x80
		}
	}
	return all
}

func TestGoodKeys(t *testing.T) {
	for _, text := range goodKeys(t) {
		document := []byte(jwkSet(text))
		set, err := jose.ParseSet(document, preferred)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Keys()) != 1 {
			t.Errorf("%s: %v", text, set.Ignored()[0].Reason)
			continue
		}
		confirmSet(t, document, set)
	}
}

func TestBadKeysAreIgnored(t *testing.T) {
	good := published(t, webKey(jose.ES384, p384Key))
	for _, text := range badKeys(t) {
		document := []byte(jwkSet(text, good))
		set, err := jose.ParseSet(document, preferred)
		if err != nil {
			t.Errorf("%s: makes ParseSet refuse the set: %v", text, err)
			continue
		}
		if len(set.Keys()) != 1 || len(set.Ignored()) != 1 {
			t.Errorf("%s: usable", text)
		}
		confirmSet(t, document, set)
	}
}

// FuzzJWKS checks every key that ParseSet calls usable: go-jose reads the same key,
// it is strong enough, it is bound to the algorithm that it is for, and it is meant
// to verify signatures.
func FuzzJWKS(f *testing.F) {
	good, bad := goodKeys(f), badKeys(f)
	for _, key := range slices.Concat(good, bad) {
		f.Add([]byte(jwkSet(key)))
	}
	f.Add([]byte(jwkSet(good...)))
	f.Add([]byte(jwkSet(bad...)))
	f.Add([]byte(`{"keys":[],"keys":[]}`))
	f.Add([]byte(` { "x" : [ 1 ] , "keys" : [ ` + good[0] + ` , ` + good[9] + ` ] } `))
	f.Add(bytes.Replace([]byte(jwkSet(good[9])), []byte("kid"), []byte("\xff"), 1))
	f.Fuzz(func(t *testing.T, document []byte) {
		if set, err := jose.ParseSet(document, preferred); err == nil {
			confirmSet(t, document, set)
		}
	})
}

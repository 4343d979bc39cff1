package differential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-auth/sallyport/jose"
)

// verdict is the result of Sallyport for a token and a set of keys.
type verdict struct {
	key     *jose.Key
	payload string
}

func accepts(set *jose.Set, token string) (verdict, bool) {
	unverified, err := jose.ParseCompact(token)
	if err != nil {
		return verdict{}, false
	}
	keys, err := set.Find(unverified.UnverifiedHeader())
	if err != nil {
		return verdict{}, false
	}
	for _, key := range keys {
		if key.Verify(&unverified) == nil {
			return verdict{key, unverified.UnverifiedPayload()}, true
		}
	}
	return verdict{}, false
}

// confirm checks that both peers verify token with the same key and find the same
// payload.
func confirm(t *testing.T, token string, v verdict, public crypto.PublicKey) {
	t.Helper()
	if public == nil {
		t.Fatalf("verified with a key that is not in the set: %s", v.key.Thumbprint())
	}
	name := algorithmName(t, token)
	if name != "Ed25519" { // the name of RFC 9864, which go-jose does not know
		confirmByGoJOSE(t, token, name, v.payload, public)
	}
	confirmByGolangJWT(t, token, v, public)
}

// algorithmName returns alg as encoding/json reads it.
func algorithmName(t *testing.T, token string) string {
	t.Helper()
	protected, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(protected)
	if err != nil {
		t.Fatalf("header: %v", err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("header: %v", err)
	}
	name, ok := members["alg"].(string)
	if !ok {
		t.Fatalf("header %s: no alg", text)
	}
	return name
}

func confirmByGoJOSE(t *testing.T, token, algorithm, payload string, public crypto.PublicKey) {
	t.Helper()
	jws, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatalf("go-jose does not parse it: %v", err)
	}
	got, err := jws.Verify(public)
	if err != nil {
		t.Fatalf("go-jose does not verify it: %v", err)
	}
	if string(got) != payload {
		t.Fatalf("payload: go-jose has %q, Sallyport %q", got, payload)
	}
}

func confirmByGolangJWT(t *testing.T, token string, v verdict, public crypto.PublicKey) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments", len(parts))
	}
	parser := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	signature, err := parser.DecodeSegment(parts[2])
	if err != nil {
		t.Fatalf("golang-jwt does not decode the signature: %v", err)
	}
	method := jwt.GetSigningMethod(v.key.Algorithm().String())
	if err := method.Verify(parts[0]+"."+parts[1], signature, public); err != nil {
		t.Fatalf("golang-jwt does not verify it: %v", err)
	}
	got, err := parser.DecodeSegment(parts[1])
	if err != nil || string(got) != v.payload {
		t.Fatalf("payload: golang-jwt has %q (%v), Sallyport %q", got, err, v.payload)
	}
}

func TestGoodTokens(t *testing.T) {
	mixed := sets[len(sets)-1]
	for i, s := range signers {
		t.Run(s.algorithm.String(), func(t *testing.T) {
			token := s.token(t)
			v, ok := accepts(sets[i].set, token)
			if !ok {
				t.Fatal("refused")
			}
			if v.key.Algorithm() != s.algorithm {
				t.Errorf("verified as %s", v.key.Algorithm())
			}
			confirm(t, token, v, s.private.Public())

			// In the other sets the same key has another algorithm, or there is
			// another key. The mixed set has some of the keys unchanged.
			for j, other := range sets {
				if _, ok := accepts(other.set, token); ok && j != i && other != mixed {
					t.Errorf("accepted under the key of %s", signers[j].algorithm)
				}
			}
		})
	}
	t.Run("Ed25519", func(t *testing.T) {
		s := signerOf(jose.EdDSA)
		token := s.sign(t, header("Ed25519"), `{}`)
		v, ok := accepts(mixed.set, token)
		if !ok {
			t.Fatal("refused")
		}
		confirm(t, token, v, s.private.Public())
	})
}

// attack is a token that must be refused with the keys of signers[set], or with
// those of the mixed set.
type attack struct {
	name  string
	set   int
	token string
}

const mixedSet = 10

func attacks(tb testing.TB) []attack {
	tb.Helper()
	all := slices.Concat(algorithmAttacks(tb), symmetricAttacks(tb), foreignKeyAttacks(tb), headerAttacks(tb))
	for i, s := range signers {
		all = append(all, formAttacks(s.algorithm.String(), i, s.token(tb))...)
	}
	for _, a := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512} {
		all = append(all, ecdsaAttacks(tb, a)...)
	}
	return append(all, attack{"EdDSA S+L", mixedSet, resigned(signerOf(jose.EdDSA).token(tb), addOrder)})
}

// algorithmAttacks returns tokens whose alg was changed after signing, and tokens
// signed with an algorithm that the key is not for.
func algorithmAttacks(tb testing.TB) []attack {
	tb.Helper()
	var all []attack
	for i, s := range signers {
		_, rest, _ := strings.Cut(s.token(tb), ".")
		for _, alg := range []string{"none", "None", "", "HS256", "ES256K", strings.ToLower(s.algorithm.String())} {
			all = append(all, attack{s.algorithm.String() + " as " + alg, i, encoded(header(alg)) + "." + rest})
		}
		for _, other := range signers {
			if other.algorithm == s.algorithm {
				continue
			}
			name := fmt.Sprintf("%s as %s", s.algorithm, other.algorithm)
			all = append(
				all,
				attack{name, i, encoded(header(other.algorithm.String())) + "." + rest},
				attack{name + ", signed so", i, other.token(tb)},
			)
		}
	}
	return all
}

// symmetricAttacks returns tokens whose HMAC secret is a form of the public key.
func symmetricAttacks(tb testing.TB) []attack {
	tb.Helper()
	var all []attack
	for i, s := range signers {
		der, err := x509.MarshalPKIXPublicKey(s.private.Public())
		if err != nil {
			tb.Fatal(err)
		}
		secrets := map[string][]byte{
			"DER":   der,
			"PEM":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
			"JWKS":  sets[i].document,
			"empty": nil,
		}
		for form, secret := range secrets {
			for _, alg := range []string{"HS256", s.algorithm.String()} {
				input := encoded(header(alg)) + "." + encoded(`{"sub":"mallory"}`)
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				name := fmt.Sprintf("HMAC with the %s of the %s key, alg %s", form, s.algorithm, alg)
				all = append(all, attack{name, i, input + "." + encoded(string(mac.Sum(nil)))})
			}
		}
	}
	return all
}

// foreignKeyAttacks returns tokens signed with keys that are not in the set. The
// header of some offers the key.
func foreignKeyAttacks(tb testing.TB) []attack {
	tb.Helper()
	var all []attack
	for _, s := range []signer{
		{jose.RS256, otherRSAKey},
		{jose.PS256, rsaKey}, // the mixed set has this key for RS256
		{jose.ES256, otherP256Key},
		{jose.EdDSA, otherEd25519Key},
	} {
		name := s.algorithm.String()
		key := webKey(s.algorithm, s.private)
		jwk, err := key.MarshalJSON()
		if err != nil {
			tb.Fatal(err)
		}
		all = append(
			all,
			attack{name + ", another key", mixedSet, s.token(tb)},
			attack{name + ", embedded jwk", mixedSet, s.sign(tb, fmt.Sprintf(`{"alg":%q,"kid":%q,"jwk":%s}`, name, keyID, jwk), `{}`)},
			attack{name + ", embedded jwk without kid", mixedSet, s.sign(tb, fmt.Sprintf(`{"alg":%q,"jwk":%s}`, name, jwk), `{}`)},
			attack{name + ", jku", mixedSet, s.sign(tb, fmt.Sprintf(`{"alg":%q,"kid":%q,"jku":"https://mallory.example/jwks"}`, name, keyID), `{}`)},
		)
	}
	return all
}

// headerAttacks returns properly signed tokens whose header can be read in two
// ways, or needs an extension.
func headerAttacks(tb testing.TB) []attack {
	tb.Helper()
	es256 := signerOf(jose.ES256)
	var all []attack
	for _, text := range []string{
		`{"alg":"none","alg":"ES256","kid":"k"}`,
		`{"alg":"ES256","alg":"none","kid":"k"}`,
		`{"alg":"ES256","alg":"ES256","kid":"k"}`,
		`{"alg":"ES256","kid":"k","kid":"other"}`,
		`{"ALG":"ES256","kid":"k"}`,
		`{"alg":["ES256"],"kid":"k"}`,
		`{"alg":"ES256","kid":null}`,
		`{"alg":"ES256","kid":1}`,
		`{"alg":"ES256","kid":"k "}`,
		`{"alg":"ES256","kid":"K"}`,
		`{"alg":"ES256","kid":""}`,
		`{"alg":"ES256","kid":"k","crit":[]}`,
		`{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}`,
		`{"alg":"ES256","kid":"k","b64":true}`,
		`{"alg":"ES256","kid":"k","b64":false,"crit":["b64"]}`,
		`{"alg":"ES256","kid":"k"} {}`,
		`{"alg":"ES256","kid":"k"`,
		`["alg","ES256"]`,
		`null`,
		"\ufeff" + header("ES256"),
		"{\"alg\":\"ES256\",\"kid\":\"k\",\"x\":\"\xff\"}",
	} {
		all = append(all, attack{"header " + text, int(jose.ES256 - jose.RS256), es256.sign(tb, text, `{}`)})
	}
	return all
}

// formAttacks returns good tokens in another form.
func formAttacks(name string, set int, token string) []attack {
	parts := strings.Split(token, ".")
	protected, payload, signature := parts[0], parts[1], parts[2]
	raw, _ := base64.RawURLEncoding.DecodeString(signature)
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	all := []attack{
		{"without signature", set, join(protected, payload, "")},
		{"without payload", set, join(protected, "", signature)},
		{"without header", set, join("", payload, signature)},
		{"two segments", set, join(protected, payload)},
		{"four segments", set, join(protected, payload, signature, "")},
		{"five segments", set, join(protected, payload, signature, "", "")},
		{"padding", set, join(protected+"=", payload, signature)},
		{"newline", set, join(protected, payload, signature) + "\n"},
		{"newline within", set, join(protected[:4]+"\n"+protected[4:], payload, signature)},
		{"leading space", set, " " + token},
		{"another payload", set, join(protected, encoded(`{"sub":"mallory"}`), signature)},
		{"truncated", set, join(protected, payload, encoded(string(raw[:len(raw)-1])))},
		{"first byte cut", set, join(protected, payload, encoded(string(raw[1:])))},
		{"a zero appended", set, join(protected, payload, encoded(string(raw)+"\x00"))},
		{"a zero before", set, join(protected, payload, encoded("\x00"+string(raw)))},
		{"all zero", set, join(protected, payload, encoded(string(make([]byte, len(raw)))))},
		{"all ones", set, join(protected, payload, encoded(strings.Repeat("\xff", len(raw))))},
		{"one bit flipped", set, join(protected, payload, encoded(string(raw[:len(raw)-1])+string(raw[len(raw)-1]^1)))},
	}
	if len(raw)%3 != 0 { // the last character has spare bits
		all = append(all, attack{"spare bits", set, join(protected, payload, spareBits(signature))})
	}
	for i := range all {
		all[i].name = name + " " + all[i].name
	}
	return all
}

// spareBits returns an encoding of the same bytes with another last character.
func spareBits(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + alphabet[last+1:last+2]
}

// resigned returns token with another signature.
func resigned(token string, change func(signature []byte) []byte) string {
	cut := strings.LastIndexByte(token, '.')
	raw, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
	if err != nil {
		panic(err)
	}
	return token[:cut+1] + encoded(string(change(raw)))
}

func ecdsaAttacks(tb testing.TB, a jose.Algorithm) []attack {
	tb.Helper()
	s := signerOf(a)
	curve := s.private.(*ecdsa.PrivateKey).Curve
	size := (curve.Params().BitSize + 7) / 8
	order, field := curve.Params().N, curve.Params().P
	pair := func(r, s *big.Int) func([]byte) []byte {
		return func([]byte) []byte {
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	}
	zero, one := big.NewInt(0), big.NewInt(1)
	changes := map[string]func([]byte) []byte{
		"0, 0": pair(zero, zero),
		"0, 1": pair(zero, one),
		"1, 0": pair(one, zero),
		"1, 1": pair(one, one),
		"n, n": pair(order, order),
		"n, 1": pair(order, one),
		"p, 1": pair(field, one),
		"DER": func([]byte) []byte {
			digest := []byte("not the digest, but the form is refused before")
			der, err := ecdsa.SignASN1(rand.Reader, s.private.(*ecdsa.PrivateKey), digest)
			if err != nil {
				tb.Fatal(err)
			}
			return der
		},
		"DER of the same": derOf,
		"r + n": func(raw []byte) []byte {
			r := new(big.Int).Add(new(big.Int).SetBytes(raw[:size]), order)
			if r.BitLen() > 8*size { // too long: refused for its length, which other rows check
				return append(r.Bytes(), raw[size:]...)
			}
			return append(r.FillBytes(make([]byte, size)), raw[size:]...)
		},
		"swapped": func(raw []byte) []byte { return append(bytes.Clone(raw[size:]), raw[:size]...) },
	}
	var all []attack
	for name, change := range changes {
		all = append(all, attack{fmt.Sprintf("%s %s", a, name), int(a - jose.RS256), resigned(s.token(tb), change)})
	}
	return all
}

// derOf returns the signature R‖S in ASN.1.
func derOf(raw []byte) []byte {
	var body []byte
	for _, half := range [][]byte{raw[:len(raw)/2], raw[len(raw)/2:]} {
		b := new(big.Int).SetBytes(half).Bytes()
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		body = append(append(body, 2, byte(len(b))), b...)
	}
	if len(body) >= 0x80 {
		return append([]byte{0x30, 0x81, byte(len(body))}, body...)
	}
	return append([]byte{0x30, byte(len(body))}, body...)
}

// addOrder returns an Ed25519 signature with the order of the base point added to
// S, which must be refused (RFC 8032 §5.1.7).
func addOrder(raw []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := bytes.Clone(raw[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(bytes.Clone(raw[:32]), sum...)
}

func TestAttacksAreRefused(t *testing.T) {
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			if _, ok := accepts(sets[a.set].set, a.token); ok {
				t.Errorf("accepted: %s", a.token)
			}
		})
	}
}

// TestECDSAIsMalleable checks that an ECDSA signature is not unique: (r, n−s) verifies
// as well as (r, s). So a cache or a replay list must not use the bytes of a token
// to identify it.
func TestECDSAIsMalleable(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512} {
		t.Run(a.String(), func(t *testing.T) {
			s := signerOf(a)
			params := s.private.(*ecdsa.PrivateKey).Params()
			size := (params.BitSize + 7) / 8
			token := s.token(t)
			twin := resigned(token, func(raw []byte) []byte {
				s := new(big.Int).Sub(params.N, new(big.Int).SetBytes(raw[size:]))
				return append(bytes.Clone(raw[:size]), s.FillBytes(make([]byte, size))...)
			})
			if token == twin {
				t.Fatal("the signature did not change")
			}
			for _, text := range []string{token, twin} {
				v, ok := accepts(sets[a-jose.RS256].set, text)
				if !ok {
					t.Fatal("refused")
				}
				confirm(t, text, v, s.private.Public())
			}
		})
	}
}

// TestPSSSaltLength checks that the salt is as long as the hash (R-JS-09). Both peers accept any
// salt.
func TestPSSSaltLength(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.PS256, jose.PS384, jose.PS512} {
		s := signerOf(a)
		hash := s.method().(*jwt.SigningMethodRSAPSS).Hash
		for _, salt := range []int{0, 1, hash.Size() - 1, hash.Size(), hash.Size() + 1, rsaKey.Size() - 2 - hash.Size()} {
			t.Run(fmt.Sprintf("%s %d", a, salt), func(t *testing.T) {
				input := encoded(header(a.String())) + "." + encoded(`{}`)
				h := hash.New()
				h.Write([]byte(input))
				options := rsa.PSSOptions{SaltLength: salt}
				if salt == 0 { // for rsa.PSSOptions, 0 means as long as possible
					options.SaltLength = rsa.PSSSaltLengthAuto
				}
				signature, err := rsa.SignPSS(rand.Reader, rsaKey, hash, h.Sum(nil), &options)
				if err != nil {
					t.Fatal(err)
				}
				token := input + "." + encoded(string(signature))
				v, ok := accepts(sets[a-jose.RS256].set, token)
				if want := salt == hash.Size(); ok != want {
					t.Fatalf("accepted: %v, want %v", ok, want)
				}
				if ok {
					confirm(t, token, v, rsaKey.Public())
				} else {
					confirmByGoJOSE(t, token, a.String(), `{}`, rsaKey.Public()) // the signature is valid apart from the salt
				}
			})
		}
	}
}

// FuzzCompact checks that both peers verify what ParseCompact, Find and Verify
// accept, with the same key and the same payload.
func FuzzCompact(f *testing.F) {
	for i, s := range signers {
		f.Add(s.token(f), uint8(i))
		f.Add(s.token(f), uint8(mixedSet))
	}
	f.Add(signerOf(jose.EdDSA).sign(f, header("Ed25519"), `{}`), uint8(mixedSet))
	f.Add(signerOf(jose.ES256).sign(f, `{"alg":"ES256"}`, `not JSON`), uint8(mixedSet))
	seen := make(map[string]bool)
	for _, a := range attacks(f) {
		// One of each kind is enough as a seed.
		kind := a.name[strings.IndexByte(a.name, ' ')+1:]
		if !seen[kind] {
			seen[kind] = true
			f.Add(a.token, uint8(a.set))
		}
	}
	f.Fuzz(func(t *testing.T, token string, index uint8) {
		s := sets[int(index)%len(sets)]
		if v, ok := accepts(s.set, token); ok {
			confirm(t, token, v, s.public[v.key.Thumbprint()])
		}
	})
}

// FuzzBase64 checks that a segment is decoded as the strict encoding/base64 does,
// except that CR and LF, which encoding/base64 skips, are refused.
func FuzzBase64(f *testing.F) {
	for _, seed := range []string{
		"", "A", "AA", "AB", "AAA", "AAB", "AAE", "AAAA", "AAAAA", "AAAAAAA", "AAAAAAAA", "AAAAAAAAA", "e30", "e30=", "e31", "e3A", "e3B",
		"-_-_-_-_-_-_", "+/+/+/+/", "AAAAAAAAAAAA\n", "\rAAAAAAAAAAAA", "AAAAAAAA\r\nAAAA", "A AAAAAA", "AAAAAAA\x00", "AAAAAAA\xff", "AAAAAAA\x80",
		"AA==", "AAAAAAAAAAA=", "eyJzdWIiOiJhbGljZSJ9", "eyJzdWIiOiJib2IifQ",
	} {
		f.Add(seed)
	}
	protected := encoded(header("ES256"))
	f.Fuzz(func(t *testing.T, segment string) {
		if segment == "" || strings.Contains(segment, ".") {
			return // not one segment
		}
		want, err := base64.RawURLEncoding.Strict().DecodeString(segment)
		canonical := err == nil && !strings.ContainsAny(segment, "\r\n")
		payload, err := jose.ParseCompact(protected + "." + segment + ".AA")
		if (err == nil) != canonical {
			t.Errorf("payload %q: error %v, canonical: %v", segment, err, canonical)
		}
		if err == nil && payload.UnverifiedPayload() != string(want) {
			t.Errorf("payload %q is read as %q, encoding/base64 has %q", segment, payload.UnverifiedPayload(), want)
		}
		if _, err := jose.ParseCompact(protected + ".AA." + segment); (err == nil) != canonical {
			t.Errorf("signature %q: error %v, canonical: %v", segment, err, canonical)
		}
	})
}

// FuzzHeader checks tokens with arbitrary headers, properly signed. Other readers
// see the same alg, kid and typ in what is accepted, and no member that a verifier
// must understand.
func FuzzHeader(f *testing.F) {
	s := signerOf(jose.ES256)
	set := sets[jose.ES256-jose.RS256]
	f.Add(header("ES256"))
	f.Add(`{"alg":"ES256"}`)
	f.Add(` { "typ" : "JWT" , "alg" : "ES256" , "x" : [ 1 , { } ] } `)
	f.Add(`{"\u0061lg":"\u0045S256","kid":"\u006b"}`)
	f.Add(`{"alg":"ES256","Alg":"none","typ":1,"jku":"https://mallory.example","iss":["x"]}`)
	f.Add(`{"alg":"ES256","jwk":{},"x5c":[1],"nonce":2}`)
	for _, a := range headerAttacks(f) {
		f.Add(strings.TrimPrefix(a.name, "header "))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			return
		}
		token := s.sign(t, text, `{"sub":"alice"}`)
		v, ok := accepts(set.set, token)
		if !ok {
			return
		}
		unverified, err := jose.ParseCompact(token)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if members["alg"] != "ES256" {
			t.Errorf("alg is %v", members["alg"])
		}
		if id, ok := unverified.UnverifiedHeader().KeyID(); ok && members["kid"] != id || !ok && members["kid"] != nil {
			t.Errorf("kid is %v, read as %q", members["kid"], id)
		}
		if typ, ok := unverified.UnverifiedHeader().Type(); ok && members["typ"] != typ {
			t.Errorf("typ is %v, read as %q", members["typ"], typ)
		}
		for _, name := range []string{"crit", "b64"} {
			if _, ok := members[name]; ok {
				t.Errorf("has %s", name)
			}
		}
		confirmByGolangJWT(t, token, v, s.private.Public())
		if members["jwk"] == nil && members["x5c"] == nil && members["nonce"] == nil { // which go-jose reads
			confirmByGoJOSE(t, token, "ES256", v.payload, s.private.Public())
		}
	})
}

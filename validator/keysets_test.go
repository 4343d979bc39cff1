package validator_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

var updateKeySets = flag.Bool("update", false, "write the tables in docs that tests make")

// keySet is a document of keys as it was seen in the field, and what tokens of its issuer
// get. Placeholders such as <rsa.n> stand for parameters of keys; see [keySetText].
type keySet struct {
	Name       string
	Origin     string // where it was reported: an issue of a project, or a document
	Algorithms []jose.Algorithm
	KeyIssuers []string `json:"key_issuers"`
	Document   json.RawMessage
	Text       string   // the document, where it is no JSON or has a member twice
	Ignored    []string // "0: why", for each key that is not used
	Error      string   // what is wrong with a document that is no set
	Tokens     []keySetToken
}

type keySetToken struct {
	Key    string // that signs it
	Header map[string]any
	Gets   string // "accepted" or the reason
}

// keySets returns the documents of testdata/keysets.json.
func keySets(t *testing.T) []keySet {
	t.Helper()
	text, err := os.ReadFile("testdata/keysets.json")
	noError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var all []keySet
	noError(t, decoder.Decode(&all))
	return all
}

// document returns the document of c with its keys.
func (c *keySet) document(t *testing.T) []byte {
	t.Helper()
	if c.Text != "" {
		return []byte(keySetText(t, c.Text))
	}
	return []byte(keySetText(t, string(c.Document)))
}

// issuer returns the configuration of an issuer with the keys of source.
func (c *keySet) issuer(url string, source jwkscache.Source) validator.Issuer {
	return validator.Issuer{
		URL: url, Audiences: []string{issuertest.Audience}, Keys: source, Algorithms: c.Algorithms, KeyIssuers: c.KeyIssuers,
	}
}

// check checks the verdicts of v on the tokens of c. While the issuer is down, it may have
// a key by now for a token that no key of the set is for.
func (c *keySet) check(t *testing.T, v *validator.Validator, url string, down bool) {
	t.Helper()
	if err := v.Warm(t.Context()); (err != nil) != (c.Error != "") {
		t.Errorf("Warm: %v", err)
	}
	for _, token := range c.Tokens {
		_, err := v.Validate(t.Context(), bearer(token.sign(t, url)))
		got := string(validator.ReasonOf(err))
		if err == nil {
			got = "accepted"
		}
		undetermined := down && got == "unavailable" && (token.Gets == "unknown_key" || token.Gets == "algorithm_not_allowed")
		if got != token.Gets && !undetermined {
			t.Errorf("%v of %s: %s (%v), want %s", token.Header, token.Key, got, causeOf(err), token.Gets)
		}
	}
	status := v.Status().Issuers[0]
	if c.Error != "" {
		if status.LastError == nil || !strings.Contains(status.LastError.Error(), c.Error) {
			t.Errorf("the error is %v, want %s", status.LastError, c.Error)
		}
		return
	}
	if len(status.Ignored) != len(c.Ignored) {
		t.Fatalf("ignored %+v", status.Ignored)
	}
	for i, ignored := range status.Ignored {
		index, why, _ := strings.Cut(c.Ignored[i], ": ")
		if fmt.Sprint(ignored.Index) != index || !strings.Contains(ignored.Reason.Error(), why) {
			t.Errorf("keys[%d] is ignored: %v; want %s", ignored.Index, ignored.Reason, c.Ignored[i])
		}
	}
}

// sign returns the token, with good claims.
func (k *keySetToken) sign(t *testing.T, url string) string {
	t.Helper()
	header := map[string]any{"typ": "at+jwt"}
	for name, value := range k.Header {
		if text, ok := value.(string); ok {
			value = keySetText(t, text)
		}
		header[name] = value
	}
	text, err := json.Marshal(header)
	noError(t, err)
	algorithm, err := jose.ParseAlgorithm(header["alg"].(string))
	noError(t, err)
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"sub":"user-1","aud":%q,"client_id":"client-1","iat":%d,"exp":%d,"jti":"1"}`, url, issuertest.Audience, now, now+300)
	return testkey.Key{Algorithm: algorithm, Private: keySetKey(k.Key)}.Sign(string(text), claims)
}

// TestKeySets covers R-JK-05, R-JK-06, R-JK-07, R-JK-14, R-JK-15, R-JK-17 and R-JK-18 over
// documents as issuers have published them: what tokens get does not depend on where the
// document comes from.
func TestKeySets(t *testing.T) {
	const url = "https://issuer.test"
	for _, c := range keySets(t) {
		t.Run(c.Name, func(t *testing.T) {
			document := c.document(t)
			path := filepath.Join(t.TempDir(), "jwks.json")
			noError(t, os.WriteFile(path, document, 0o600))
			for name, source := range map[string]jwkscache.Source{
				"static": jwkscache.Static(document), "file": jwkscache.File(path), "fallback": jwkscache.WithFallback(jwkscache.File(path+".new"), document),
			} {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						v, err := validator.New(validator.Config{Issuers: []validator.Issuer{c.issuer(url, source)}})
						if c.Error != "" && name != "file" {
							if err == nil || !strings.Contains(err.Error(), c.Error) {
								t.Errorf("New: %v, want %s", err, c.Error)
							}
							return
						}
						noError(t, err)
						c.check(t, v, url, name == "fallback")
					})
				})
			}
		})
	}
}

// TestKeySetsFetched is TestKeySets for documents that are fetched.
func TestKeySetsFetched(t *testing.T) {
	for _, c := range keySets(t) {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := issuertest.New(t)
				is.Behave(testissuer.JWKS, testissuer.Behaviour{Body: c.document(t)})
				config := is.Config(is.Fetched)
				config.Algorithms, config.KeyIssuers = c.Algorithms, c.KeyIssuers
				c.check(t, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}}), is.URL(), false)
			})
		})
	}
}

// TestKeySetsTable checks that docs/key-sets.md has the documents and what tokens get.
func TestKeySetsTable(t *testing.T) {
	const path, begin, end = "../docs/key-sets.md", "<!-- made by go test ./validator -run TestKeySetsTable -update -->\n", "<!-- end -->\n"
	all := keySets(t)
	names := make(map[string]bool)
	var table strings.Builder
	table.WriteString("\n| the key set has | its tokens | what an operator reads |\n|---|---|---|\n")
	for _, c := range all {
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
		table.WriteString(c.row(t))
	}
	table.WriteString("\n")
	if len(all) < 60 {
		t.Errorf("%d documents", len(all))
	}
	page, err := os.ReadFile(path)
	noError(t, err)
	before, rest, found := strings.Cut(string(page), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks the marks of the table", path)
	}
	want := before + begin + table.String() + end + after
	if *updateKeySets {
		noError(t, os.WriteFile(path, []byte(want), 0o600))
	} else if want != string(page) {
		t.Errorf("%s is not what the test data say: run go test ./validator -run TestKeySetsTable -update", path)
	}
}

// row returns c as a row of the table.
func (c *keySet) row(t *testing.T) string {
	t.Helper()
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;").Replace
	name := cell(c.Name)
	if c.Origin != "" {
		name += " (" + cell(c.Origin) + ")"
	}
	if c.Algorithms != nil {
		name += fmt.Sprintf("; `Algorithms` %v", c.Algorithms)
	}
	if c.KeyIssuers != nil {
		name += "; `KeyIssuers`"
	}
	tokens := make([]string, 0, len(c.Tokens))
	for _, token := range c.Tokens {
		tokens = append(tokens, cell(token.describe()))
	}
	why := c.reasons(t)
	for i := range why {
		why[i] = cell(why[i])
	}
	return fmt.Sprintf("| %s | %s | %s |\n", name, strings.Join(tokens, "<br>"), strings.Join(why, "<br>"))
}

// describe returns the token and what it gets.
func (k *keySetToken) describe() string {
	text := fmt.Sprint(k.Header["alg"])
	switch kid, has := k.Header["kid"]; {
	case !has:
		text += ", no kid"
	case kid == "":
		text += ", an empty kid"
	default:
		text += fmt.Sprintf(", kid %.30v", kid)
	}
	if strings.ContainsAny(k.Key, "23456") && k.Header["kid"] != k.Key {
		text += ", signed by " + k.Key
	}
	return text + ": " + strings.ReplaceAll(k.Gets, "_", " ")
}

// sizeText is the size of a document in a cause.
var sizeText = regexp.MustCompile(` \(\d+ bytes\)`)

// reasons returns why keys of c, or all of it, are not used, as an operator reads it.
func (c *keySet) reasons(t *testing.T) []string {
	t.Helper()
	set, err := jose.KeyRules{Algorithms: c.algorithms(), Issuers: c.KeyIssuers}.ParseSet(c.document(t))
	if err != nil {
		return []string{sizeText.ReplaceAllString(strings.TrimPrefix(err.Error(), jose.ErrNotJWKS.Error()+"; "), "")}
	}
	var all []string
	for _, ignored := range set.Ignored() {
		all = append(all, fmt.Sprintf("keys[%d]: %s", ignored.Index, strings.TrimPrefix(ignored.Reason.Error(), jose.ErrUnusableKey.Error()+": ")))
	}
	return all
}

// algorithms returns the algorithms of the issuer.
func (c *keySet) algorithms() []jose.Algorithm {
	if c.Algorithms != nil {
		return c.Algorithms
	}
	return []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

var (
	keySetMutex sync.Mutex
	keySetKeys  = make(map[string]crypto.Signer)
)

// keySetKey returns the key of that name, of which the letters say the kind. A process
// makes it once.
func keySetKey(name string) crypto.Signer {
	keySetMutex.Lock()
	defer keySetMutex.Unlock()
	if key := keySetKeys[name]; key != nil {
		return key
	}
	kinds := map[string]jose.Algorithm{"rsa": jose.RS256, "ec": jose.ES256, "ed": jose.EdDSA, "p": jose.ES384, "zero": jose.ES256, "many": jose.EdDSA}
	algorithm := kinds[strings.TrimRight(name, "0123456789")]
	key := testkey.Of(algorithm, name).Private
	for name == "zero" { // x begins with a zero byte
		key = testkey.NewPrivate(algorithm)
		if point, err := key.(*ecdsa.PrivateKey).PublicKey.Bytes(); err == nil && point[1] == 0 {
			break
		}
	}
	keySetKeys[name] = key
	return key
}

var (
	keyPlaceholder  = regexp.MustCompile(`<(\w+)\.(\w+)( \w+)?>`)
	manyPlaceholder = regexp.MustCompile(`"<many (\d+)>"`)
)

// keySetText returns text with keys in place of placeholders: <rsa.n> is n of the key
// rsa, <rsa.n zero> is n in another spelling, and "<many 9>" stands for nine keys.
func keySetText(t *testing.T, text string) string {
	t.Helper()
	text = manyPlaceholder.ReplaceAllStringFunc(text, func(found string) string {
		var n int
		_, err := fmt.Sscanf(found, `"<many %d>"`, &n)
		noError(t, err)
		jwk := testkey.Key{Algorithm: jose.EdDSA, Private: keySetKey("many")}.JWK()
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf(`{"kid":"many-%d",`, i) + jwk[1:]
		}
		return strings.Join(keys, ",")
	})
	return keyPlaceholder.ReplaceAllStringFunc(text, func(found string) string {
		parts := keyPlaceholder.FindStringSubmatch(found)
		value := keyParameter(t, parts[1], parts[2], strings.TrimSpace(parts[3]))
		escaped, err := json.Marshal(value)
		noError(t, err)
		return string(escaped[1 : len(escaped)-1])
	})
}

// keyParameter returns a parameter of a key in a spelling.
func keyParameter(t *testing.T, key, parameter, spelling string) string {
	t.Helper()
	switch {
	case parameter == "n" && strings.Trim(key, "0123456789") == "": // a modulus of that many bits
		var bits uint
		_, err := fmt.Sscan(key, &bits)
		noError(t, err)
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return testkey.Encode(n.SetBit(n, 0, 1).Bytes())
	case parameter == "certificate":
		return keyCertificate(t, key, spelling)
	case parameter == "x5t":
		sum := sha1.Sum(keyDER(t, key, time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC)))
		return testkey.Encode(sum[:])
	case parameter == "publickey":
		der, err := x509.MarshalPKIXPublicKey(keySetKey(key).Public())
		noError(t, err)
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	b, err := base64.RawURLEncoding.DecodeString(testkey.PublicJWK(keySetKey(key).Public())[parameter])
	noError(t, err)
	switch spelling {
	case "":
		return testkey.Encode(b)
	case "zero":
		return testkey.Encode(append([]byte{0}, b...))
	case "short":
		return testkey.Encode(b[1:])
	case "standard":
		return base64.StdEncoding.EncodeToString(b)
	case "padded":
		return base64.URLEncoding.EncodeToString(b)
	case "broken":
		return testkey.Encode(b)[:20] + "\n" + testkey.Encode(b)[20:]
	default:
		t.Fatalf("no spelling %q", spelling)
		return ""
	}
}

// keyCertificate returns a certificate of a key as x5c has it, in a spelling.
func keyCertificate(t *testing.T, key, spelling string) string {
	t.Helper()
	until := time.Now().Add(time.Hour)
	if spelling == "expired" {
		until = time.Now().Add(-time.Hour)
	}
	der := keyDER(t, key, until)
	text := base64.StdEncoding.EncodeToString(der)
	switch spelling {
	case "negative":
		return base64.StdEncoding.EncodeToString(bytes.Replace(der, keySerial, append([]byte{keySerial[0] | 0x80}, keySerial[1:]...), 1))
	case "pem":
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	case "broken":
		return text[:64] + "\r\n" + text[64:] + "\r\n"
	default:
		return text
	}
}

// keySerial is the serial number of all certificates.
var keySerial = []byte("\x7f\x11\x22\x33\x44\x55\x66\x77")

// keyDER returns a certificate of a key in DER.
func keyDER(t *testing.T, key string, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(keySerial), NotBefore: until.Add(-24 * time.Hour), NotAfter: until}
	private := keySetKey(key)
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	noError(t, err)
	return der
}

// TestMendOfDocuments checks what the log tells an operator to do about a document that is
// no JWK Set: what its kind needs, and in general to name another URL.
func TestMendOfDocuments(t *testing.T) {
	for document, want := range map[string]string{
		`{"kty":"RSA"}`: `put {"keys":[ before it`,
		`[]`:            `put {"keys": before them`,
		`{"a":"-----BEGIN CERTIFICATE-----\nMIIB"}`: "name the JWK Set of the issuer",
		`{}`:             "name the URL of the key set in Issuer.Keys",
		`{"keys":[1,2]}`: "raise Issuer.KeyLimits.Keys",
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			is := issuertest.New(t)
			is.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte(document)})
			config := is.Config(is.Fetched)
			config.KeyLimits.Keys = 1
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err := v.Warm(t.Context()); err == nil {
				t.Errorf("%s: no error", document)
			}
			synctest.Wait()
			_, mend, _ := strings.Cut(strings.ReplaceAll(log.String(), `\"`, `"`), " mend=")
			if !strings.Contains(mend, want) {
				t.Errorf("%s: %s, want the mend %s", document, &log, want)
			}
		})
	}
}

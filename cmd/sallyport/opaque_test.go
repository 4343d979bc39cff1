package main

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// canary is the secret in all files and variables of these tests.
	canary    = "canary-secret-1"
	variable1 = "SALLYPORT_TEST_SECRET"
	emptyVar  = "SALLYPORT_TEST_EMPTY"
)

// opaque returns a configuration whose only issuer has these members below opaque, from
// line 5 on.
func opaque(members ...string) string {
	return "issuers:\n  - url: https://issuer.example\n    audiences: [https://api.example]\n    opaque:\n      " + strings.Join(members, "\n      ") + "\n"
}

// basic is the client of most configurations.
const basic = "client: {id: api, secret_file: secret.txt}"

// pemOf returns der in PEM.
func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// pkcs8 returns a private key in PEM.
func pkcs8(key crypto.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf("PRIVATE KEY", der, err)
}

// selfSigned returns a certificate for the key in PEM.
func selfSigned(key crypto.Signer) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return pemOf("CERTIFICATE", der, err)
}

// opaqueFolder returns a folder with the files that these configurations name. It sets
// the environment, too.
func opaqueFolder(t *testing.T) string {
	t.Helper()
	t.Setenv(variable1, canary)
	t.Setenv(emptyVar, " \n")
	key, other, rsaKey := testkey.NewPrivate(jose.ES256), testkey.NewPrivate(jose.ES256), testkey.NewPrivate(jose.RS256)
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	pair := selfSigned(key)
	exchange, errExchange := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil || errExchange != nil {
		t.Fatal(err, errExchange)
	}
	return folder(t, map[string]string{
		"jwks.json":     read(t, samples+"/jwks.json"),
		"broken.json":   "<html>" + canary,
		"secret.txt":    canary + "\n",
		"empty.txt":     "",
		"blank.txt":     " \r\n",
		"large.txt":     strings.Repeat(canary, 1+maxSecretFile/len(canary)),
		"pkcs8.pem":     pkcs8(key),
		"pkcs1.pem":     pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey.(*rsa.PrivateKey)), nil),
		"sec1.pem":      pemOf("EC PARAMETERS", []byte("x"), nil) + pemOf("EC PRIVATE KEY", sec1, err),
		"other.pem":     pkcs8(other),
		"damaged.pem":   pemOf("PRIVATE KEY", []byte(canary), nil),
		"damaged1.pem":  pemOf("RSA PRIVATE KEY", []byte(canary), nil),
		"damagedec.pem": pemOf("EC PRIVATE KEY", []byte(canary), nil),
		"exchange.pem":  pkcs8(exchange),
		"locked.pem":    pemOf("ENCRYPTED PRIVATE KEY", []byte(canary), nil),
		"locked1.pem":   "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
		"cert.pem":      pkcs8(key) + pair,
		"two.pem":       pair + pemOf("CERTIFICATE", []byte(canary), nil),
	})
}

// TestOpaqueFaults covers R-IN-02 and R-OP-01 for files: every fault of the part about
// opaque tokens is reported with its place, and none shows a secret.
func TestOpaqueFaults(t *testing.T) {
	const id, at = "client: {id: api, ", "issuers[0].opaque."
	const noFile = "names a file that cannot be read: no such file or directory; give the path of a file; it is not shown here, because it may be the secret itself"
	const notPEM = "; give a private key in PEM (PKCS#8, PKCS#1 or SEC 1)"
	dir := opaqueFolder(t)
	for _, test := range []struct {
		name, config string
		want         []string // FILE stands for the folder
	}{
		// What the method needs.
		{"no client", opaque("signed: false"), []string{
			"4:5: " + at + "client: is incomplete for auth basic; give secret_file or secret_env", "4:5: " + at + "client.id: is empty; set the client_id",
		}},
		{"no secret", opaque("auth: post", "client: {id: api}"), []string{"6:7: " + at + "client: is incomplete for auth post; give secret_file or secret_env"}},
		{"no private key", opaque(id+"key_id: a}", "auth: private_key_jwt"), []string{
			"5:7: " + at + "client: is incomplete for auth private_key_jwt; give private_key_file",
		}},
		{"no certificate", opaque(id+"key_file: pkcs8.pem}", "auth: tls"), []string{
			"5:7: " + at + "client: is incomplete for auth tls; give certificate_file and key_file",
		}},
		{"no key", opaque(id+"certificate_file: cert.pem}", "auth: self_signed_tls"), []string{
			"5:7: " + at + "client: is incomplete for auth self_signed_tls; give certificate_file and key_file",
		}},
		// What it does not need.
		{"two secrets", opaque(id + "secret_file: secret.txt,\n        secret_env: " + variable1 + "}"), []string{
			"6:9: " + at + "client.secret_env: is given beside secret_file; keep one of them",
		}},
		{"private key for basic", opaque(id + "private_key_file: pkcs8.pem}"), []string{
			"5:25: " + at + "client.private_key_file: is for auth private_key_jwt, and auth is basic; leave it out, or set auth to private_key_jwt",
		}},
		{"secret and certificate for post", opaque("auth: post", id+"secret_file: secret.txt, certificate_file: cert.pem, key_file: pkcs8.pem}"), []string{
			"6:50: " + at + "client.certificate_file: is for auth tls or self_signed_tls, and auth is post; leave it out, or set auth to tls or self_signed_tls",
			"6:78: " + at + "client.key_file: is for auth tls or self_signed_tls, and auth is post",
		}},
		{"secret for private_key_jwt", opaque("auth: private_key_jwt", id+"secret_env: "+variable1+", private_key_file: pkcs8.pem}"), []string{
			"6:25: " + at + "client.secret_env: is for auth basic or post, and auth is private_key_jwt; leave it out, or set auth to basic or post",
		}},
		{"secret for TLS", opaque("auth: tls", id+"secret_file: secret.txt}"), []string{
			"6:25: " + at + "client.secret_file: is for auth basic or post, and auth is tls",
		}},
		{"no secret, and what belongs to others", opaque(id+"key_id: a}", "assertion_audience: https://issuer.example/token"), []string{
			"5:7: " + at + "client: is incomplete for auth basic", "5:25: " + at + "client.key_id: is for auth private_key_jwt, and auth is basic",
			"6:7: " + at + "assertion_audience: is for auth private_key_jwt, and auth is basic",
		}},
		{"raw for post", opaque(basic, "auth: post", "raw: true"), []string{"7:7: " + at + "raw: is for auth basic, and auth is post; leave it out, or set auth to basic"}},
		{"another method", opaque(basic, "auth: bearer"), []string{
			"6:7: " + at + `auth: is "bearer"; give basic, post, private_key_jwt, tls or self_signed_tls`,
		}},
		// Secrets.
		{"secret in the file", opaque("client: {id: api, secret: " + canary + "}"), []string{
			"5:25: " + at + "client.secret: is not a known key; known here: id, secret_file, secret_env, private_key_file, ",
		}},
		{"secret in place of the client", opaque("client: " + canary), []string{"5:7: " + at + "client: is a single value; give a mapping"}},
		{"secret in place of a list", opaque("client:", "  id: api", "  secret_file: ["+canary+"]"), []string{"7:9: " + at + "client.secret_file: is a list; give a string"}},
		{"secret in place of a variable", opaque(id + "secret_env: " + canary + "}"), []string{
			"5:25: " + at + "client.secret_env: is not the name of an environment variable; give a name such as INTROSPECTION_SECRET",
		}},
		{"no such variable", opaque(id + "secret_env: SALLYPORT_TEST_NONE}"), []string{
			"5:25: " + at + "client.secret_env: names the environment variable SALLYPORT_TEST_NONE, which is not set; set it to the secret",
		}},
		{"empty variable", opaque(id + "secret_env: " + emptyVar + "}"), []string{
			"5:25: " + at + "client.secret_env: names the environment variable " + emptyVar + ", which is empty; set it to the secret",
		}},
		{"no such file", opaque(id + "secret_file: none.txt}"), []string{"5:25: " + at + "client.secret_file: " + noFile}},
		{"secret in place of its file", opaque(id + "secret_file: " + canary + "}"), []string{"5:25: " + at + "client.secret_file: " + noFile}},
		{"long secret in place of its file", opaque(id + "secret_file: " + strings.Repeat(canary, 99) + "}"), []string{
			"5:25: " + at + "client.secret_file: names a file that cannot be read: file name too long; give the path of a file",
		}},
		{"secret with a NUL in place of its file", opaque(id + `secret_file: "` + canary + `\0"}`), []string{
			"5:25: " + at + "client.secret_file: names a file that cannot be read: invalid argument; give the path of a file",
		}},
		{"folder", opaque(id + "secret_file: .}"), []string{"5:25: " + at + "client.secret_file: names a file that cannot be read: not a regular file; give the path of a file"}},
		{"empty file", opaque(id + "secret_file: empty.txt}"), []string{"5:25: " + at + "client.secret_file: names the file FILE/empty.txt, which is empty"}},
		{"blank file", opaque(id + "secret_file: blank.txt}"), []string{"5:25: " + at + "client.secret_file: names the file FILE/blank.txt, which is empty"}},
		{"large file", opaque(id + "secret_file: large.txt}"), []string{
			"5:25: " + at + "client.secret_file: names a file that cannot be read: too large: it has more than 65536 bytes; give the path of a file",
		}},
		// Keys and certificates.
		{"no key in the file", opaque("auth: private_key_jwt", id+"private_key_file: secret.txt}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/secret.txt, which has no private key in PEM" + notPEM,
		}},
		{"damaged key", opaque("auth: private_key_jwt", id+"private_key_file: damaged.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/damaged.pem, whose private key cannot be parsed or cannot sign" + notPEM,
		}},
		{"damaged PKCS#1", opaque("auth: private_key_jwt", id+"private_key_file: damaged1.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/damaged1.pem, whose private key cannot be parsed or cannot sign",
		}},
		{"damaged SEC 1", opaque("auth: private_key_jwt", id+"private_key_file: damagedec.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/damagedec.pem, whose private key cannot be parsed or cannot sign",
		}},
		{"key that does not sign", opaque("auth: private_key_jwt", id+"private_key_file: exchange.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/exchange.pem, whose private key cannot be parsed or cannot sign" + notPEM,
		}},
		{"encrypted key", opaque("auth: private_key_jwt", id+"private_key_file: locked.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/locked.pem, whose private key is encrypted; decrypt it, and protect",
		}},
		{"encrypted in the old way", opaque("auth: private_key_jwt", id+"private_key_file: locked1.pem}"), []string{
			"6:25: " + at + "client.private_key_file: names the file FILE/locked1.pem, whose private key is encrypted",
		}},
		{"no such key", opaque("auth: private_key_jwt", id+"private_key_file: none.pem}"), []string{"6:25: " + at + "client.private_key_file: " + noFile}},
		{"key in place of its file", opaque("auth: private_key_jwt", id+"private_key_file: "+canary+"}"), []string{"6:25: " + at + "client.private_key_file: " + noFile}},
		{"certificate and key in place of their files", opaque("auth: tls", id+"certificate_file: "+canary+", key_file: "+canary+"}"), []string{
			"6:25: " + at + "client.certificate_file: " + noFile, "6:60: " + at + "client.key_file: " + noFile,
		}},
		{"no certificate, no key in the files", opaque("auth: tls", id+"certificate_file: pkcs8.pem, key_file: damaged.pem}"), []string{
			"6:25: " + at + "client.certificate_file: names the file FILE/pkcs8.pem, which has no certificate in PEM; give certificates in PEM",
			"6:54: " + at + "client.key_file: names the file FILE/damaged.pem, whose private key cannot be parsed or cannot sign" + notPEM,
		}},
		{"no such files", opaque("auth: tls", id+"certificate_file: none.pem, key_file: none.pem}"), []string{
			"6:25: " + at + "client.certificate_file: " + noFile, "6:53: " + at + "client.key_file: " + noFile,
		}},
		{"damaged certificate", opaque("auth: tls", id+"certificate_file: two.pem, key_file: pkcs8.pem}"), []string{
			"6:25: " + at + "client.certificate_file: names the file FILE/two.pem, whose certificate 2 cannot be parsed; give certificates in PEM",
		}},
		{"key of another certificate", opaque("auth: tls", id+"certificate_file: cert.pem, key_file: other.pem}"), []string{
			"6:53: " + at + "client.key_file: does not name the key of the first certificate in certificate_file; give the two that belong together",
		}},
		// Certificate authorities of the issuer.
		{"no CA file", opaque(basic) + "    ca_file: none.pem\n", []string{"6:5: issuers[0].ca_file: cannot be read: stat FILE/none.pem: "}},
		{"CA file empty", opaque(basic) + "    ca_file: empty.txt\n", []string{"6:5: issuers[0].ca_file: names the file FILE/empty.txt, which is empty"}},
		{"CA file without certificate", opaque(basic) + "    ca_file: pkcs8.pem\n", []string{
			"6:5: issuers[0].ca_file: names the file FILE/pkcs8.pem, which has no certificate in PEM",
		}},
		{"damaged CA", opaque(basic) + "    ca_file: two.pem\n", []string{"6:5: issuers[0].ca_file: names the file FILE/two.pem, whose certificate 2 cannot be parsed"}},
		// Signed answers.
		{"keys of unsigned answers", opaque(basic, "keys: {file: jwks.json}", "answer_audiences: [api]"), []string{
			"6:7: " + at + "keys: is for signed answers; set signed: true, or leave it out", "7:7: " + at + "answer_audiences: is for signed answers",
		}},
		{"two sources of keys", opaque(basic, "signed: true", "keys: {file: jwks.json, url: https://issuer.example/jwks}"), []string{
			"7:7: " + at + "keys: needs either file or url; keep one of them",
		}},
		{"no such key file", opaque(basic, "signed: true", "keys: {file: none.json}"), []string{"7:14: " + at + "keys.file: cannot be read: stat FILE/none.json: "}},
		// Values.
		{"durations", opaque(basic, "cache: {ttl: soon, negative: -1ns}") + "    active_within: -30s\n    keys: {}\n", []string{
			"6:15: " + at + `cache.ttl: is "soon", which is not a duration; give one such as 30s`, "6:26: " + at + "cache.negative: is -1ns; give one such as 30s",
			"7:5: issuers[0].active_within: is -30s; give one such as 30s, or each_request",
		}},
		{"no time", opaque(basic) + "    keys: {}\n    active_within: 0s\n", []string{"7:5: issuers[0].active_within: is 0s; give one such as 30s, or each_request"}},
		{"not a time", opaque(basic) + "    keys: {}\n    active_within: always\n", []string{`7:5: issuers[0].active_within: is "always", which is not a duration; give one such as 30s, or each`}},
		{"types", opaque(basic, "signed: 'yes'", "raw: 1", "filters_audience: []", "scope_lists: no thanks", "token_types: a", "inactive_errors: a"), []string{
			"6:7: " + at + `signed: is the string "yes"; give true or false`, "7:7: " + at + "raw: is the number 1; give true or false",
			"8:7: " + at + "filters_audience: is a list; give true or false", "9:7: " + at + `scope_lists: is the string "no thanks"; give true or false`,
			"10:7: " + at + `token_types: is the string "a"; give a list`, "11:7: " + at + `inactive_errors: is the string "a"; give a list`,
		}},
		{"unknown keys", opaque(basic, "cach: {}", "cache: {positive: 30s}"), []string{
			"6:7: " + at + "cach: is not a known key; did you mean cache? known here: endpoint, client, auth, cache, limits, signed, ",
			"7:15: " + at + "cache.positive: is not a known key; known here: ttl, negative",
		}},
		{"no values", opaque("client:", "auth:", "cache: {ttl: }"), []string{
			"5:7: " + at + "client: has no value", "6:7: " + at + "auth: has no value", "7:15: " + at + "cache.ttl: has no value",
		}},
		{"no values of an issuer", strings.Replace(opaque(), "      \n", "", 1) + "    ca_file:\n    active_within:\n", []string{
			"4:5: issuers[0].opaque: has no value", "5:5: issuers[0].ca_file: has no value", "6:5: issuers[0].active_within: has no value",
		}},
		{"active within without introspection", minimal + "    active_within: 30s\n", []string{
			"5:5: issuers[0].active_within: needs an issuer that can be asked; give it opaque, or leave it out",
		}},
		{"active within without JWTs", opaque(basic) + "    active_within: 30s\n", []string{
			"6:5: issuers[0].active_within: is for JWTs, and without keys all tokens of the issuer are opaque; give keys ({} for discovery), or leave it out",
		}},
		{"marker", opaque(basic, "marker:", "  - {name: a, type: number}"), []string{"7:21: " + at + `marker[0].type: is "number"; give string, strings, boolean or object`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i := range test.want {
				test.want[i] = strings.ReplaceAll(test.want[i], "FILE", dir)
			}
			if text := checkFaultsIn(t, dir, test.config, test.want); strings.Contains(text, canary) {
				t.Errorf("a secret is shown:\n%s", text)
			}
		})
	}
}

// TestOpaqueLibraryFaults checks the faults that the library finds in the part about
// opaque tokens: they have their place, and the names of the file.
func TestOpaqueLibraryFaults(t *testing.T) {
	const at = "issuers[0].opaque."
	dir := opaqueFolder(t)
	withPrefix := func(url, prefix string) string {
		return strings.Replace(strings.TrimPrefix(opaque(basic, "prefix: "+prefix), "issuers:\n"), "https://issuer.example", url, 1) + all
	}
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"no id", opaque("client: {secret_file: secret.txt}"), []string{"5:7: " + at + "client.id: is empty; set the client_id under which"}},
		{"endpoint with a password", opaque(basic, "endpoint: https://api:"+canary+"@issuer.example/"), []string{
			"6:7: " + at + "endpoint: has user information; give an https URL without user information",
		}},
		{"endpoint without TLS", opaque(basic, "endpoint: http://issuer.example/?"+canary), []string{"6:7: " + at + "endpoint: is no URL with https"}},
		{"prefix", opaque(basic, "prefix: 'a b'"), []string{"6:7: " + at + "prefix: has characters that no token begins with"}},
		{"prefixes that fit the same tokens", "issuers:\n" + withPrefix("https://a.example", "at_") + withPrefix("https://b.example", "at_b_"), []string{
			`12:7: issuers[1].opaque.prefix: "at_b_" and that of issuers[0], "at_", fit the same tokens; give prefixes of which none begins with another`,
		}},
		{"hint", opaque(basic, "hint: a b"), []string{"6:7: " + at + "hint: is no token_type_hint; leave it out for access_token, or give none"}},
		{"cache", opaque(basic, "cache: {ttl: 6m, negative: 6s}"), []string{"6:15: " + at + "cache.ttl: is 6m0s; ", "6:24: " + at + "cache.negative: is 6s; "}},
		{"no names", opaque(basic, "signed: true", "answer_audiences: []"), []string{"7:7: " + at + "answer_audiences: is empty, or has an empty name; list the names"}},
		{"keys of answers by http", opaque(basic, "signed: true", "keys: {url: 'http://issuer.example/jwks'}"), []string{"7:7: " + at + "keys: "}},
		{"keys of answers no JWKS", opaque(basic, "signed: true", "keys: {file: broken.json}"), []string{"7:7: " + at + "keys: has a document that cannot be used"}},
		{"error codes", opaque(basic, "inactive_errors: [invalid_client,", "  'a\"b']"), []string{
			"6:25: " + at + "inactive_errors[0]: is invalid_client, which says nothing about a token", "7:9: " + at + "inactive_errors[1]: is no error code",
		}},
		{"raw with a colon", opaque("client: {id: 'a:b', secret_file: secret.txt}", "raw: true"), []string{"6:7: " + at + "raw: does not work with an ID that has a colon"}},
		{"key id", opaque("auth: private_key_jwt", `client: {id: api, private_key_file: pkcs8.pem, key_id: "a\x01"}`, `assertion_audience: "a\x01"`), []string{
			"6:54: " + at + "client.key_id: has control characters", "7:7: " + at + "assertion_audience: has control characters",
		}},
		{"token types", opaque(basic, "token_types: [refresh_token,", "  '']"), []string{
			"6:21: " + at + `token_types[0]: "refresh_token" is no access token`, "7:9: " + at + `token_types[1]: "" is empty`,
		}},
		{"marker", opaque(basic, "marker:", "  - {name: ''}", "  - {name: a, type: boolean, equals: x}"), []string{
			"7:12: " + at + "marker[0].name: is empty", "8:36: " + at + `marker[1].equals: "x" is not a value of the boolean claim "a"`,
		}},
		{"active within", opaque(basic) + "    keys: {}\n    active_within: 6m\n", []string{"7:5: issuers[0].active_within: is 6m0s; give 1s to 5m, or each_request"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := checkFaultsIn(t, dir, test.config, test.want)
			if strings.Contains(text, canary) {
				t.Errorf("a secret is shown:\n%s", text)
			}
			checkGoNames(t, text)
		})
	}
}

// TestFaultsOfSecrets checks that a fault of a secret is that of the key which the file
// has, and of the first that it could have if it has none.
func TestFaultsOfSecrets(t *testing.T) {
	const client, library = "issuers[0].opaque.client", "Issuers[0].Opaque.Authentication"
	for _, test := range []struct{ path, written, want string }{
		{library + ".Secret", client + ".secret_file", client + ".secret_file"},
		{library + ".Secret", client + ".secret_env", client + ".secret_env"},
		{library + ".Secret", client, client + ".secret_file"},
		{library + ".Key", client + ".private_key_file", client + ".private_key_file"},
		{library + ".Key", client + ".key_file", client + ".key_file"},
		{library + ".Certificate", client + ".certificate_file", client + ".certificate_file"},
		{library, client, "issuers[0].opaque"},
		{"Issuers[0].Opaque.StoreSecret", client, "issuers[0].opaque"},
	} {
		if got := inFile(fault.Fault{Path: test.path}, places{test.written: {1, 1}}); got.Path != test.want {
			t.Errorf("%s: %s, want %s", test.path, got.Path, test.want)
		}
	}
}

// TestFaultsOfOtherFields checks that a fault of a field that a file cannot set names it.
func TestFaultsOfOtherFields(t *testing.T) {
	for path, want := range map[string]fault.Fault{
		"SharedLimits.Fetches":          {Problem: "SharedLimits.Fetches is odd"},
		"Issuers[1].Opaque.StoreSecret": {Path: "issuers[1].opaque", Problem: "issuers[1].Opaque.StoreSecret is odd"},
	} {
		if got := inFile(fault.Fault{Path: path, Problem: "is odd"}, nil); got.Path != want.Path || got.Problem != want.Problem {
			t.Errorf("%s: %q %q", path, got.Path, got.Problem)
		}
	}
}

// converted returns the only issuer that the configuration in dir describes.
func converted(t *testing.T, dir, config, jwks string) *validator.Issuer {
	t.Helper()
	node, err := parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	var file configFile
	r, faults := newReader(node, false), fault.In("sallyport")
	r.read(node, "", reflect.ValueOf(&file).Elem())
	result := converter{dir, jwks, r.places, faults, faults}.config(&file)
	if r.faults.Err() != nil || faults.Err() != nil {
		t.Fatalf("%v %v", r.faults.Err(), faults.Err())
	}
	return &result.Issuers[0]
}

// secretOf returns the text of a secret.
func secretOf(t *testing.T, s introspect.Secret) string {
	t.Helper()
	text, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOpaqueClient checks what each key below opaque means for the library.
func TestOpaqueClient(t *testing.T) {
	dir := opaqueFolder(t)
	for _, test := range []struct {
		name    string
		members []string
		want    introspect.Client // without Authentication
	}{
		{"nothing else", nil, introspect.Client{}},
		{"all defaults as DESIGN writes them", []string{
			"endpoint: https://issuer.example/introspect", "cache: {ttl: 30s, negative: 5s}", "signed: false", "prefix: ''",
		}, introspect.Client{Endpoint: "https://issuer.example/introspect", Cache: introspect.Cache{TTL: 30 * time.Second, Negative: 5 * time.Second}}},
		{"no cache", []string{"cache: {ttl: 0s, negative: 0s}"}, introspect.Client{Cache: introspect.Cache{TTL: introspect.NoCache, Negative: introspect.NoCache}}},
		{"prefix", []string{"prefix: at_"}, introspect.Client{Prefix: "at_"}},
		{"hint", []string{"hint: jwt"}, introspect.Client{Hint: "jwt"}},
		{"no hint", []string{"hint: none"}, introspect.Client{Hint: introspect.NoHint}},
		{"inactive errors", []string{"inactive_errors: ['', invalid_token]"}, introspect.Client{InactiveErrors: []string{"", "invalid_token"}}},
		{"signed", []string{"signed: true"}, introspect.Client{Signed: true, AnswerAudiences: []string{"api", "https://api.example"}}},
		{"signed for other names", []string{"signed: true", "answer_audiences: [rs]", "keys: {url: https://issuer.example/jwks}"}, introspect.Client{
			Signed: true, AnswerAudiences: []string{"rs"}, AnswerKeys: jwkscache.URL("https://issuer.example/jwks"),
		}},
		{"signed with keys in a file", []string{"signed: true", "keys: {file: jwks.json}"}, introspect.Client{
			Signed: true, AnswerAudiences: []string{"api", "https://api.example"}, AnswerKeys: jwkscache.Static([]byte(read(t, samples+"/jwks.json"))),
		}},
		{"signed with keys by discovery", []string{"signed: true", "keys: {}"}, introspect.Client{
			Signed: true, AnswerAudiences: []string{"api", "https://api.example"}, AnswerKeys: jwkscache.Discovered(),
		}},
	} {
		got := *converted(t, dir, opaque(append([]string{basic}, test.members...)...), "").Opaque
		got.Authentication = nil
		if test.want.ID = "api"; !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestAnswerAudiences checks that the default names of this API in signed answers have
// each name once.
func TestAnswerAudiences(t *testing.T) {
	config := strings.Replace(opaque(basic, "signed: true"), "[https://api.example]", "[b, api, c]", 1)
	if got := converted(t, opaqueFolder(t), config, "").Opaque.AnswerAudiences; !reflect.DeepEqual(got, []string{"api", "b", "c"}) {
		t.Errorf("audiences %q", got)
	}
}

// TestOpaqueAuthentication covers R-IN-02 for files: each method gets its secret, from a
// file beside the configuration, from one elsewhere, or from the environment.
func TestOpaqueAuthentication(t *testing.T) {
	dir := opaqueFolder(t)
	for _, test := range []struct {
		client, want string // want has the type and what of it is no secret
		secrets      []string
	}{
		{basic, "ClientSecretBasic false", []string{canary}},
		{"client: {id: api, secret_file: " + filepath.Join(dir, "secret.txt") + "}", "ClientSecretBasic false", []string{canary}},
		{"client: {id: api, secret_env: " + variable1 + "}\n      auth: basic\n      raw: true", "ClientSecretBasic true", []string{canary}},
		{"client: {id: api, secret_env: " + variable1 + "}\n      auth: post", "ClientSecretPost", []string{canary}},
		{"client: {id: api, private_key_file: pkcs8.pem}\n      auth: private_key_jwt", "PrivateKeyJWT  ", []string{read(t, dir+"/pkcs8.pem")}},
		{"client: {id: api, private_key_file: pkcs1.pem, key_id: k1}\n      auth: private_key_jwt", "PrivateKeyJWT k1 ", []string{read(t, dir+"/pkcs1.pem")}},
		{"client: {id: api, private_key_file: sec1.pem}\n      auth: private_key_jwt\n      assertion_audience: x", "PrivateKeyJWT  x", []string{read(t, dir+"/sec1.pem")}},
		{"client: {id: api, certificate_file: cert.pem, key_file: sec1.pem}\n      auth: tls", "TLSClientAuth", []string{read(t, dir+"/cert.pem"), read(t, dir+"/sec1.pem")}},
		{"client: {id: api, certificate_file: cert.pem, key_file: pkcs8.pem}\n      auth: self_signed_tls", "TLSClientAuth", []string{read(t, dir+"/cert.pem"), read(t, dir+"/pkcs8.pem")}},
	} {
		got, secrets := "", []introspect.Secret(nil)
		switch a := converted(t, dir, opaque(test.client), "").Opaque.Authentication.(type) {
		case introspect.ClientSecretBasic:
			got, secrets = "ClientSecretBasic false", []introspect.Secret{a.Secret}
			if a.Raw {
				got = "ClientSecretBasic true"
			}
		case introspect.ClientSecretPost:
			got, secrets = "ClientSecretPost", []introspect.Secret{a.Secret}
		case introspect.PrivateKeyJWT:
			got, secrets = "PrivateKeyJWT "+a.KeyID+" "+a.Audience, []introspect.Secret{a.Key}
		case introspect.TLSClientAuth:
			got, secrets = "TLSClientAuth", []introspect.Secret{a.Certificate, a.Key}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.client, got, test.want)
		}
		for i, want := range test.secrets {
			if text := secretOf(t, secrets[i]); text != strings.TrimSuffix(want, "\n") {
				t.Errorf("%s: secret %d is another one", test.client, i)
			}
		}
	}
}

// TestSecretChanges checks that a file of a secret is read again when the library needs
// it, so that the secret can change without a restart.
func TestSecretChanges(t *testing.T) {
	dir := opaqueFolder(t)
	secret := converted(t, dir, opaque(basic), "").Opaque.Authentication.(introspect.ClientSecretBasic).Secret
	if err := os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := secretOf(t, secret); text != "changed" {
		t.Errorf("the secret is %q", text)
	}
}

// TestOpaqueIssuer checks the keys beside opaque, and those below it that say what an
// answer must have.
func TestOpaqueIssuer(t *testing.T) {
	dir := opaqueFolder(t)
	jwks := jwkscache.Static([]byte(read(t, samples+"/jwks.json")))
	for _, test := range []struct {
		name, config string
		want         func(*validator.Issuer)
	}{
		{"opaque tokens only", opaque(basic), func(*validator.Issuer) {}},
		{"JWTs by discovered keys", opaque(basic) + "    keys: {}\n", func(is *validator.Issuer) { is.Keys = jwkscache.Discovered() }},
		{"JWTs by the keys of a file", opaque(basic) + "    keys: {file: jwks.json}\n", func(is *validator.Issuer) { is.Keys = jwks }},
		{"JWTs by the keys of a URL", opaque(basic) + "    keys: {url: https://issuer.example/jwks}\n", func(is *validator.Issuer) {
			is.Keys = jwkscache.URL("https://issuer.example/jwks")
		}},
		{"active within", opaque(basic) + "    keys: {}\n    active_within: 1m30s\n", func(is *validator.Issuer) {
			is.Keys, is.ActiveWithin = jwkscache.Discovered(), 90*time.Second
		}},
		{"active at each request", opaque(basic) + "    keys: {}\n    active_within: each_request\n", func(is *validator.Issuer) {
			is.Keys, is.ActiveWithin = jwkscache.Discovered(), validator.EachRequest
		}},
		{"marker", opaque(basic, "marker: [{name: a, equals: b}, {name: c, type: boolean}]"), func(is *validator.Issuer) {
			is.Answers.Marker = []validator.ClaimRule{{Name: "a", Equals: "b"}, {Name: "c", Type: validator.ClaimBoolean}}
		}},
		{"token types", opaque(basic, "token_types: [access]"), func(is *validator.Issuer) { is.Answers.TokenTypes = []string{"access"} }},
		{"filters audience", opaque(basic, "filters_audience: true"), func(is *validator.Issuer) { is.Answers.FiltersAudience = true }},
		{"scope lists", opaque(basic, "scope_lists: true"), func(is *validator.Issuer) { is.Answers.ScopeLists = true }},
	} {
		got := converted(t, dir, test.config, "")
		if got.Opaque == nil {
			t.Errorf("%s: no opaque tokens", test.name)
		}
		got.Opaque = nil
		want := validator.Issuer{URL: "https://issuer.example", Audiences: []string{"https://api.example"}}
		if test.want(&want); !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, want %+v", test.name, *got, want)
		}
	}
}

// TestJWKSWithOpaque checks that the option counts as the issuer's keys: its JWTs are
// validated with them, and its signed answers, unless these have keys of their own.
func TestJWKSWithOpaque(t *testing.T) {
	dir := opaqueFolder(t)
	got := converted(t, dir, opaque(basic, "signed: true"), filepath.Join(dir, "jwks.json"))
	if !reflect.DeepEqual(got.Keys, jwkscache.Static([]byte(read(t, samples+"/jwks.json")))) || got.Opaque.AnswerKeys != nil {
		t.Errorf("keys %v, of answers %v", got.Keys, got.Opaque.AnswerKeys)
	}
}

// TestCAFile checks that connections to an issuer with a CA file trust nobody else, and
// keep what the library's own do.
func TestCAFile(t *testing.T) {
	dir := opaqueFolder(t)
	got := converted(t, dir, opaque(basic)+"    ca_file: cert.pem\n", "")
	if got.HTTPClient == nil {
		t.Fatal("there is no client")
	}
	transport := transportOf(t, got.HTTPClient)
	want := x509.NewCertPool()
	want.AppendCertsFromPEM([]byte(read(t, dir+"/cert.pem")))
	if !transport.TLSClientConfig.RootCAs.Equal(want) || transport.Proxy != nil || transport.DialContext == nil {
		t.Errorf("transport %+v", transport)
	}
}

func transportOf(t *testing.T, client *http.Client) *http.Transport {
	t.Helper()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("transport %T", client.Transport)
	}
	return transport
}

// TestRouteFaults checks the faults of the keys of routes about opaque tokens.
func TestRouteFaults(t *testing.T) {
	dir := opaqueFolder(t)
	for _, test := range []struct {
		config string
		want   []string
	}{
		{opaque(basic) + "routes:\n  GET /:\n    scopes: {all: [a]}\n    active_within: 0s\n    opaque_issuer: https://other.example\n", []string{
			`9:5: routes["GET /"].active_within: is 0s; give one such as 30s, or each_request`,
			`10:5: routes["GET /"].opaque_issuer: is "https://other.example", which is the url of none with opaque; give the url of an issuer that has opaque`,
		}},
		{minimal + "routes:\n  GET /:\n    scopes: {all: [a]}\n    active_within: 30s\n    opaque_issuer: https://issuer.example\n", []string{
			`8:5: routes["GET /"].active_within: needs an issuer that can be asked, and none has opaque; give one of them opaque, or leave it out`,
			`9:5: routes["GET /"].opaque_issuer: is "https://issuer.example", which is the url of none with opaque`,
		}},
		{opaque(basic) + "routes:\n  GET /: {scopes: {all: [a]}, active_within: , opaque_issuer: []}\n", []string{
			`7:31: routes["GET /"].active_within: has no value`, `7:48: routes["GET /"].opaque_issuer: is a list; give a string`,
		}},
	} {
		checkFaultsIn(t, dir, test.config, test.want)
	}
}

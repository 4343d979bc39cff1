package main

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/introspect"
)

// The values of auth.
const (
	authBasic         = "basic"
	authPost          = "post"
	authPrivateKeyJWT = "private_key_jwt"
	authTLS           = "tls"
	authSelfSignedTLS = "self_signed_tls"
)

var (
	secretMethods = []string{authBasic, authPost}
	tlsMethods    = []string{authTLS, authSelfSignedTLS}
	authMethods   = slices.Concat(secretMethods, []string{authPrivateKeyJWT}, tlsMethods)
)

// clientFile says who this API is at the issuer, and where its secret or key is.
type clientFile struct {
	ID              string `yaml:"id"`
	SecretFile      string `yaml:"secret_file"`
	SecretEnv       string `yaml:"secret_env"`
	PrivateKeyFile  string `yaml:"private_key_file"`
	KeyID           string `yaml:"key_id"`
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
}

// credential is a key of the file that some methods use.
type credential struct {
	path    string // below opaque
	given   bool
	secret  bool // it can be what the method authenticates with
	methods []string
}

// credentials returns the keys of file that only some methods use.
func (file *opaqueFile) credentials() []credential {
	client := &file.Client
	return []credential{
		{"client.secret_file", client.SecretFile != "", true, secretMethods},
		{"client.secret_env", client.SecretEnv != "", true, secretMethods},
		{"client.private_key_file", client.PrivateKeyFile != "", true, []string{authPrivateKeyJWT}},
		{"client.key_id", client.KeyID != "", false, []string{authPrivateKeyJWT}},
		{"client.certificate_file", client.CertificateFile != "", true, tlsMethods},
		{"client.key_file", client.KeyFile != "", true, tlsMethods},
		{"raw", file.Raw, false, []string{authBasic}},
		{"assertion_audience", file.AssertionAudience != "", false, []string{authPrivateKeyJWT}},
	}
}

// authentication returns how this API authenticates at the endpoint. After a fault it
// returns a method that the library finds no second one in.
func (c converter) authentication(file *opaqueFile) introspect.Authentication {
	method := file.Auth
	if method == "" {
		method = authBasic
	}
	if !slices.Contains(authMethods, method) {
		c.at("auth").faults.Addf("give "+oneOf(authMethods), "is %q", method)
		return faultyAuthentication
	}
	misplaced := false
	for _, key := range file.credentials() {
		if key.given && !slices.Contains(key.methods, method) {
			c.at(key.path).faults.Addf("leave it out, or set auth to "+oneOf(key.methods), "is for auth %s, and auth is %s", oneOf(key.methods), method)
			misplaced = misplaced || key.secret
		}
	}
	at := c.at("client")
	if missing := file.Client.missing(method); missing != "" {
		if !misplaced {
			at.faults.Addf("give "+missing, "is incomplete for auth %s", method)
		}
		return faultyAuthentication
	}
	switch method {
	case authBasic:
		return introspect.ClientSecretBasic{Secret: at.secret(&file.Client), Raw: file.Raw}
	case authPost:
		return introspect.ClientSecretPost{Secret: at.secret(&file.Client)}
	case authPrivateKeyJWT:
		key := at.at("private_key_file").privateKey(file.Client.PrivateKeyFile)
		return introspect.PrivateKeyJWT{Key: key, KeyID: file.Client.KeyID, Audience: file.AssertionAudience}
	default:
		return at.certificate(&file.Client)
	}
}

// missing returns the keys that method needs and the file lacks, or "".
func (file *clientFile) missing(method string) string {
	switch {
	case method == authPrivateKeyJWT && file.PrivateKeyFile == "":
		return "private_key_file"
	case slices.Contains(tlsMethods, method) && (file.CertificateFile == "" || file.KeyFile == ""):
		return "certificate_file and key_file"
	case slices.Contains(secretMethods, method) && file.SecretFile == "" && file.SecretEnv == "":
		return "secret_file or secret_env"
	default:
		return ""
	}
}

var faultyAuthentication = introspect.ClientSecretBasic{Secret: faultySecret}

// oneOf returns "a", "a or b", or "a, b or c".
func oneOf(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

package introspection

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// embedding is a type of a user that has the methods of another method.
type embedding struct{ introspect.ClientSecretBasic }

// TestFaults checks that each fault of a configuration is found and names its field, and
// that no fault shows a secret (R-IN-02).
func TestFaults(t *testing.T) {
	secret := introspect.SecretText(canaries.secret)
	basic := introspect.ClientSecretBasic{Secret: secret}
	key := testkey.NewPrivate(jose.ES256)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Log(err) // small keys may be switched off
	}
	with := func(a introspect.Authentication) func(*introspect.Client) {
		return func(c *introspect.Client) { c.Authentication = a }
	}
	bearer := func(change func(*introspect.Bearer)) func(*introspect.Client) {
		b := introspect.Bearer{TokenEndpoint: issuerURL + "/token", Authentication: basic}
		change(&b)
		return with(b)
	}
	for name, test := range map[string]struct {
		change func(*introspect.Client)
		paths  []string
		says   string
	}{
		"nothing":               {func(*introspect.Client) {}, nil, ""},
		"discovered":            {func(c *introspect.Client) { c.Endpoint = "" }, nil, ""},
		"loopback":              {func(c *introspect.Client) { c.Endpoint = "http://localhost:1/x" }, nil, ""},
		"query":                 {func(c *introspect.Client) { c.Endpoint += "?a=b" }, nil, ""},
		"plain http":            {func(c *introspect.Client) { c.Endpoint = "http://as.example/x" }, []string{"Endpoint"}, "https"},
		"no URL":                {func(c *introspect.Client) { c.Endpoint = "as.example" }, []string{"Endpoint"}, "https"},
		"fragment":              {func(c *introspect.Client) { c.Endpoint += "#x" }, []string{"Endpoint"}, "fragment"},
		"user information":      {func(c *introspect.Client) { c.Endpoint = "https://api:" + canaries.secret + "@as.example/x" }, []string{"Endpoint"}, "user information"},
		"no ID":                 {func(c *introspect.Client) { c.ID = "" }, []string{"ID"}, "empty"},
		"ID with a line break":  {func(c *introspect.Client) { c.ID = "a\nb" }, []string{"ID"}, "control"},
		"ID not UTF-8":          {func(c *introspect.Client) { c.ID = "a\xff" }, []string{"ID"}, "UTF-8"},
		"long ID":               {func(c *introspect.Client) { c.ID = strings.Repeat("a", maxName+1) }, []string{"ID"}, "long"},
		"prefix":                {func(c *introspect.Client) { c.Prefix = "ory_at_A9-._~+/" }, nil, ""},
		"prefix with a space":   {func(c *introspect.Client) { c.Prefix = "a b" }, []string{"Prefix"}, "RFC 6750"},
		"prefix with =":         {func(c *introspect.Client) { c.Prefix = "a=" }, []string{"Prefix"}, "RFC 6750"},
		"prefix with é":         {func(c *introspect.Client) { c.Prefix = "é" }, []string{"Prefix"}, "RFC 6750"},
		"long prefix":           {func(c *introspect.Client) { c.Prefix = strings.Repeat("a", maxName+1) }, []string{"Prefix"}, "long"},
		"hint":                  {func(c *introspect.Client) { c.Hint = "a b" }, []string{"Hint"}, "NoHint"},
		"hint with control":     {func(c *introspect.Client) { c.Hint = "a\x00b" }, []string{"Hint"}, "NoHint"},
		"audiences unsigned":    {func(c *introspect.Client) { c.AnswerAudiences = []string{"x"} }, []string{"AnswerAudiences"}, "Signed"},
		"audiences":             {func(c *introspect.Client) { c.Signed, c.AnswerAudiences = true, []string{"x"} }, nil, ""},
		"no audiences":          {func(c *introspect.Client) { c.Signed, c.AnswerAudiences = true, []string{} }, []string{"AnswerAudiences"}, "empty"},
		"empty audience":        {func(c *introspect.Client) { c.Signed, c.AnswerAudiences = true, []string{"x", ""} }, []string{"AnswerAudiences"}, "empty"},
		"codes":                 {func(c *introspect.Client) { c.InactiveErrors = []string{"", "invalid_token", "own code"} }, nil, ""},
		"bad code":              {func(c *introspect.Client) { c.InactiveErrors = []string{"", `a"b`} }, []string{"InactiveErrors[1]"}, "RFC 6749"},
		"code of credentials":   {func(c *introspect.Client) { c.InactiveErrors = []string{"invalid_client"} }, []string{"InactiveErrors[0]"}, "nothing about a token"},
		"several":               {func(c *introspect.Client) { c.ID, c.Endpoint, c.Authentication = "", "x", nil }, []string{"Authentication", "Endpoint", "ID"}, ""},
		"no authentication":     {with(nil), []string{"Authentication"}, "is required"},
		"a nil pointer":         {with((*introspect.ClientSecretBasic)(nil)), []string{"Authentication"}, "nil pointer"},
		"a nil pointer, post":   {with((*introspect.ClientSecretPost)(nil)), []string{"Authentication"}, "nil pointer"},
		"a nil pointer, key":    {with((*introspect.PrivateKeyJWT)(nil)), []string{"Authentication"}, "nil pointer"},
		"a nil pointer, TLS":    {with((*introspect.TLSClientAuth)(nil)), []string{"Authentication"}, "nil pointer"},
		"a nil pointer, bearer": {with((*introspect.Bearer)(nil)), []string{"Authentication"}, "nil pointer"},
		"an embedding type":     {with(embedding{basic}), []string{"Authentication"}, "introspection.embedding"},
		"basic without secret":  {with(introspect.ClientSecretBasic{}), []string{"Authentication.Secret"}, "is required"},
		"raw with a colon": {func(c *introspect.Client) {
			c.ID, c.Authentication = "https://api", introspect.ClientSecretBasic{Secret: secret, Raw: true}
		}, []string{"Authentication.Raw"}, "colon"},
		"encoded with a colon":     {func(c *introspect.Client) { c.ID = "https://api" }, nil, ""},
		"post without secret":      {with(&introspect.ClientSecretPost{}), []string{"Authentication.Secret"}, "is required"},
		"no key":                   {with(introspect.PrivateKeyJWT{}), []string{"Authentication"}, "one of Key and Signer"},
		"two keys":                 {with(introspect.PrivateKeyJWT{Key: secret, Signer: key}), []string{"Authentication"}, "one of Key and Signer"},
		"signer is a nil pointer":  {with(introspect.PrivateKeyJWT{Signer: (*ecdsa.PrivateKey)(nil)}), []string{"Authentication.Signer"}, "not usable"},
		"signer is too small":      {with(introspect.PrivateKeyJWT{Signer: small}), []string{"Authentication.Signer"}, "2048"},
		"signer of another alg":    {with(introspect.PrivateKeyJWT{Signer: key, Algorithm: jose.RS256}), []string{"Authentication.Signer"}, "RS256"},
		"no algorithm":             {with(introspect.PrivateKeyJWT{Key: secret, Algorithm: 99}), []string{"Authentication.Algorithm"}, "no algorithm"},
		"kid with control":         {with(introspect.PrivateKeyJWT{Key: secret, KeyID: "\n"}), []string{"Authentication.KeyID"}, "control"},
		"audience not UTF-8":       {with(introspect.PrivateKeyJWT{Key: secret, Audience: "\xff"}), []string{"Authentication.Audience"}, "UTF-8"},
		"certificate alone":        {with(introspect.TLSClientAuth{Certificate: secret}), []string{"Authentication"}, "only one"},
		"key alone":                {with(introspect.TLSClientAuth{Key: secret}), []string{"Authentication"}, "only one"},
		"no certificate at all":    {with(introspect.TLSClientAuth{}), []string{"Authentication"}, "no certificate"},
		"bearer":                   {bearer(func(b *introspect.Bearer) { b.Scope, b.Resource = "a b", "https://as.example" }), nil, ""},
		"bearer by nothing":        {bearer(func(b *introspect.Bearer) { b.Authentication = nil }), []string{"Authentication.Authentication"}, "is required"},
		"bearer by bearer":         {bearer(func(b *introspect.Bearer) { b.Authentication = introspect.Bearer{} }), []string{"Authentication.Authentication"}, "another Bearer"},
		"bearer by bearer pointer": {bearer(func(b *introspect.Bearer) { b.Authentication = &introspect.Bearer{} }), []string{"Authentication.Authentication"}, "another Bearer"},
		"bearer without secret":    {bearer(func(b *introspect.Bearer) { b.Authentication = introspect.ClientSecretPost{} }), []string{"Authentication.Authentication.Secret"}, "is required"},
		"token endpoint":           {bearer(func(b *introspect.Bearer) { b.TokenEndpoint = "http://as.example" }), []string{"Authentication.TokenEndpoint"}, "https"},
		"scope":                    {bearer(func(b *introspect.Bearer) { b.Scope = "a  b" }), []string{"Authentication.Scope"}, "scope tokens"},
		"resource":                 {bearer(func(b *introspect.Bearer) { b.Resource = "as.example" }), []string{"Authentication.Resource"}, "absolute"},
		"resource fragment":        {bearer(func(b *introspect.Bearer) { b.Resource = "https://as.example#x" }), []string{"Authentication.Resource"}, "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			client := introspect.Client{Endpoint: issuerURL + "/introspect", ID: apiID, Authentication: basic}
			test.change(&client)
			found := map[string]bool{}
			var text strings.Builder
			for _, f := range faults(client, Binding{Issuer: issuerURL}) {
				found[f.Path] = true
				text.WriteString(f.Error() + "\n")
			}
			if paths := slices.Sorted(maps.Keys(found)); !slices.Equal(paths, test.paths) || !strings.Contains(text.String(), test.says) || strings.Contains(text.String(), "CANARY") {
				t.Errorf("%q:\n%s", paths, &text)
			}
		})
	}
}

// roundTripper is a transport that is no *http.Transport.
type roundTripper struct{ http.RoundTripper }

// TestTransportFaults checks where a client certificate can be set.
func TestTransportFaults(t *testing.T) {
	own := certificateOf(t, "a")
	for name, test := range map[string]struct {
		authentication introspect.Authentication
		transport      http.RoundTripper
		faults         int
	}{
		"here, default transport":        {own, nil, 0},
		"here, http.Transport":           {own, &http.Transport{}, 0},
		"here, another transport":        {own, roundTripper{}, 1},
		"here, own TLS connections":      {own, &http.Transport{DialTLSContext: (&net.Dialer{}).DialContext}, 1},
		"there, another transport":       {introspect.TLSClientAuth{}, roundTripper{}, 0},
		"there, a transport without one": {introspect.TLSClientAuth{}, &http.Transport{}, 1},
	} {
		b := Binding{Issuer: issuerURL}
		if test.transport != nil {
			b.HTTPClient = &http.Client{Transport: test.transport}
		}
		client := introspect.Client{ID: apiID, Authentication: test.authentication}
		if found := faults(client, b); len(found) != test.faults {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// exposedSigner is a Signer that prints its secret.
type exposedSigner struct {
	crypto.Signer

	Secret string
}

// TestNothingPrintsSecrets checks that no way of printing a configuration shows a secret.
func TestNothingPrintsSecrets(t *testing.T) {
	secret := introspect.SecretText(canaries.secret)
	for _, a := range []introspect.Authentication{
		introspect.ClientSecretBasic{Secret: secret},
		&introspect.ClientSecretPost{Secret: secret},
		introspect.PrivateKeyJWT{Key: secret},
		&introspect.PrivateKeyJWT{Signer: exposedSigner{Secret: canaries.secret}},
		introspect.TLSClientAuth{Certificate: secret, Key: secret},
		introspect.Bearer{Authentication: &introspect.ClientSecretBasic{Secret: secret}},
		&introspect.Bearer{TokenEndpoint: "https://as.example/token?key=" + canaries.secret, Authentication: introspect.PrivateKeyJWT{Key: secret}},
	} {
		client := introspect.Client{Endpoint: "https://as.example/introspect?key=" + canaries.secret, ID: apiID, Authentication: a, StoreSecret: secret}
		for _, value := range []any{client, &client, a, secret, &secret, []introspect.Secret{secret}, map[string]introspect.Secret{"a": secret}, struct{ s introspect.Secret }{secret}, struct{ C introspect.Client }{client}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
				text := fmt.Sprintf(verb, value)
				if strings.Contains(text, canaries.secret) || strings.Contains(text, fmt.Sprintf("%x", canaries.secret)) || strings.Contains(text, fmt.Sprintf("%X", canaries.secret)) {
					t.Errorf("%s of %T: %s", verb, value, text)
				}
			}
			encoded, err := json.Marshal(value)
			if err != nil || strings.Contains(string(encoded), canaries.secret) {
				t.Errorf("JSON of %T: %s, %v", value, encoded, err)
			}
			var logged strings.Builder
			slog.New(slog.NewTextHandler(&logged, nil)).Info("log", "value", value)
			if strings.Contains(logged.String(), canaries.secret) {
				t.Errorf("log of %T: %s", value, &logged)
			}
		}
	}
}

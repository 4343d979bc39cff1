package validator_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestEchoes (A2, R-OB-01): an introspection endpoint that repeats the token and the
// secret of this API, in any member of any answer, gets neither into an error.
func TestEchoes(t *testing.T) {
	const secret = "c0ffee-secret-of-this-api"
	is := issuertest.Start(t, testissuer.Config{Clients: []testissuer.Client{{ID: "basic", Secret: secret}, {ID: "post", Secret: secret, Post: true}}})
	for form, token := range map[string]string{"opaque": is.OpaqueToken(nil), "JWT": is.Token(nil)} {
		for method, authentication := range map[string]introspect.Authentication{
			"basic": introspect.ClientSecretBasic{Secret: introspect.SecretText(secret)},
			"post":  introspect.ClientSecretPost{Secret: introspect.SecretText(secret)},
		} {
			config := is.OpaqueConfig(func(config *validator.Issuer) {
				config.Opaque.ID, config.Opaque.Authentication = method, authentication
			})
			echoed := []string{token, secret}
			if method == "basic" {
				echoed = []string{"value: " + token + " and more", "Basic " + base64.StdEncoding.EncodeToString([]byte("basic:"+secret))}
			}
			for name, echo := range echoes(echoed) {
				v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}}) // without a breaker that is open
				is.Behave(testissuer.Introspection, echo)
				_, err := v.Validate(t.Context(), bearer(token))
				if err == nil {
					t.Errorf("%s, %s, %s: accepted", form, method, name)
					continue
				}
				text := chainTexts(err)
				secrets := append(issuertest.SecretsOf(token), token, secret, base64.StdEncoding.EncodeToString([]byte("basic:"+secret)))
				if piece := issuertest.Shows(text, secrets...); piece != "" {
					t.Errorf("%s, %s, %s: %v shows %q", form, method, name, causeOf(err), piece)
				}
				if strings.HasPrefix(name, "500 ") && !strings.Contains(text, "; its body is ") {
					t.Errorf("%s, %s, %s: %v does not describe the body", form, method, name, causeOf(err))
				}
				if validator.ReasonOf(err) != validator.Unavailable {
					wantCause(t, err)
				}
				t.Logf("%s, %s, %s: %v", form, method, name, causeOf(err))
			}
		}
	}
}

// echoes are answers that repeat texts.
func echoes(texts []string) map[string]testissuer.Behaviour {
	all := map[string]testissuer.Behaviour{}
	for _, echoed := range texts {
		html := http.Header{"Content-Type": {"text/html"}, "Www-Authenticate": {`Bearer error="` + echoed + `", error_description="` + echoed + `"`}}
		text := strconv.Quote(echoed) // printable ASCII
		for _, status := range []int{200, 400, 401, 500} {
			name := fmt.Sprintf("%d %.10s", status, echoed)
			all[name+" text"] = testissuer.Behaviour{Status: status, Body: []byte(echoed)}
			all[name+" HTML"] = testissuer.Behaviour{Status: status, Body: []byte("<p>" + echoed), Header: html}
			all[name+" type"] = testissuer.Behaviour{Status: status, Body: []byte("{}"), Header: http.Header{"Content-Type": {echoed}}}
			all[name+" error"] = testissuer.Behaviour{Status: status, Body: []byte(`{"error":` + text + `,"error_description":` + text + `}`), Header: http.Header{"Www-Authenticate": {echoed}}}
		}
		for _, member := range []string{
			"active", "iss", "sub", "aud", "client_id", "scope", "exp", "nbf", "iat", "auth_time", "acr", "amr", "jti", "token_type", "token_use", "typ", "act", "cnf", "username", "nonce",
		} {
			for form, value := range map[string]string{"text": text, "array": "[" + text + "]", "object": "{" + text + ":" + text + "}"} {
				members := object{{"active", "true"}, {"aud", `"x"`}, {"token_type", `"Bearer"`}}.with(member, value)
				all[fmt.Sprintf("%.10s in %s as %s", echoed, member, form)] = testissuer.Behaviour{Body: []byte(members.text())}
			}
		}
		all[echoed[:6]+" twice"] = testissuer.Behaviour{Body: []byte(`{` + text + `:1,` + text + `:2}`)}
		all[echoed[:6]+" cut"] = testissuer.Behaviour{Body: []byte(`{"active":true,"aud":` + text)}
	}
	return all
}

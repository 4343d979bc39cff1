package testissuer_test

import (
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestRefusedForms checks what is refused though a part of it can be read, and that only a refusal with 401 names a scheme.
func TestRefusedForms(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	good := testissuer.ClientID + ":" + testissuer.ClientSecret
	token := issuer.Opaque(testissuer.Token{})
	for _, row := range []struct {
		name, body, query, authorization string
		status                           int
	}{
		{"a parameter that cannot be decoded", "token=" + token + "&x=%zz", "", "", http.StatusBadRequest},
		{"a token in the URL", "token_type_hint=x", "?token=" + token, "", http.StatusBadRequest},
		{"credentials that are base64 up to a character", "token=" + token, "", "Basic " + base64.StdEncoding.EncodeToString([]byte(good)) + "!", http.StatusUnauthorized},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer.IntrospectionURL()+row.query, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(testissuer.ClientID, testissuer.ClientSecret)
		if row.authorization != "" {
			request.Header.Set("Authorization", row.authorization)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := issuer.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if challenged := response.Header.Get("WWW-Authenticate") != ""; response.StatusCode != row.status || challenged != (row.status == http.StatusUnauthorized) {
			t.Errorf("%s: status %d with a challenge %t, want %d", row.name, response.StatusCode, challenged, row.status)
		}
	}
}

// TestFormCutShort checks that a form of which only a part arrives has no answer and is not kept.
func TestFormCutShort(t *testing.T) {
	issuer := start(t, testissuer.Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(issuer.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	credentials := base64.StdEncoding.EncodeToString([]byte(testissuer.ClientID + ":" + testissuer.ClientSecret))
	_, err = io.WriteString(conn, "POST "+strings.TrimPrefix(issuer.RevocationURL(), issuer.URL())+" HTTP/1.1\r\nHost: x\r\n"+
		"Authorization: Basic "+credentials+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken=x")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); len(answer) > 0 || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
	if n := len(issuer.Received(testissuer.Revocation)); n != 0 {
		t.Errorf("%d were kept", n)
	}
}

// TestRefusedAssertions checks that the description of a refusal says what is wrong with an assertion that cannot be read.
func TestRefusedAssertions(t *testing.T) {
	own := testkey.Of(jose.ES256, "a")
	issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{{ID: "api", Key: own.Private.Public()}}})
	for assertion, want := range map[string]string{
		"x":                                      "is no signed JWT",
		own.Sign(`{"alg":"ES256"}`, `{"iss":1}`): "has the wrong type",
	} {
		a := post(t, issuer, form{public: true, values: url.Values{
			"token": {"x"}, "client_assertion": {assertion}, "client_assertion_type": {assertionType},
		}})
		if text, _ := object(t, a.body)["error_description"].(string); !strings.Contains(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
}

// TestMethodsOfAllClients checks that the metadata has the method of a client with a key, and signed answers whichever client gets them.
func TestMethodsOfAllClients(t *testing.T) {
	key := testissuer.Client{ID: "key", Key: testkey.Of(jose.ES256, "a").Private.Public(), Signed: true}
	secret := testissuer.Client{ID: "secret", Secret: "x"}
	for _, clients := range [][]testissuer.Client{{key, secret}, {secret, key}} {
		issuer := inMemory(t, testissuer.Config{Clients: clients})
		members := object(t, get(t, issuer, issuer.URL()+"/.well-known/openid-configuration").body)
		methods, _ := members["introspection_endpoint_auth_methods_supported"].([]any)
		if !slices.Contains(methods, any("private_key_jwt")) || members["introspection_signing_alg_values_supported"] == nil {
			t.Errorf("methods %v, algorithms %v", methods, members["introspection_signing_alg_values_supported"])
		}
	}
}

// TestFaultsOfActiveAnswersOnly checks that members are repeated in active answers only, and that only a token with StatusRedirect is asked for
// after a redirect.
func TestFaultsOfActiveAnswersOnly(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for _, fault := range []testissuer.Fault{testissuer.ActiveTwice, testissuer.AudienceTwice} {
		token := issuer.Opaque(testissuer.Token{Fault: fault})
		issuer.Revoke(token)
		if a := ask(t, issuer, token); strings.TrimSpace(a.body) != `{"active":false}` {
			t.Errorf("fault %d of a revoked token: %v", fault, a)
		}
	}
}

// TestFaultOfAnotherRequest checks that only StatusRedirect ends with the redirect, and that ActiveAnyway has no claims, also of a token with exact ones.
func TestFaultOfAnotherRequest(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	token := issuer.Opaque(testissuer.Token{Fault: testissuer.ActiveString})
	a := post(t, issuer, form{url: issuer.IntrospectionURL() + "?redirected", values: url.Values{"token": {token}}})
	if object(t, a.body)["active"] == true {
		t.Errorf("after a redirect: %v", a)
	}
	token = issuer.Opaque(testissuer.Token{RawClaims: `{"active":true,"sub":"a"}`, Fault: testissuer.ActiveAnyway})
	if a := ask(t, issuer, token); strings.TrimSpace(a.body) != `{"active":true}` {
		t.Errorf("ActiveAnyway of exact claims: %v", a)
	}
}

// TestNullExpiry checks that an exp that is null is no time.
func TestNullExpiry(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	if !isActive(t, issuer, issuer.Sign(testissuer.Token{RawClaims: `{"exp":null,"nbf":null}`})) {
		t.Error("not active")
	}
}

// TestEmptyAudience checks that an aud of an assertion that is no string is not that of a client with an empty audience.
func TestEmptyAudience(t *testing.T) {
	own := testkey.Of(jose.ES256, "a")
	issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{{ID: "api", Key: own.Private.Public(), Audiences: []string{""}}}})
	for audience, want := range map[any]string{"": "active", 1: denied} {
		if got := asserted(t, issuer, assertion(t, own, members{"aud": audience}), nil); got != want {
			t.Errorf("aud %v: %s, want %s", audience, got, want)
		}
	}
}

// TestCertificateWithoutTLS checks that a certificate of a client is a fault without TLS, also on a loopback address.
func TestCertificateWithoutTLS(t *testing.T) {
	own := certificate(t, nil, func(*x509.Certificate) {})
	_, err := testissuer.Start(testissuer.Config{Clients: []testissuer.Client{{ID: "a", Certificate: own.Leaf}}})
	if err == nil || !strings.Contains(err.Error(), "serves no TLS") {
		t.Errorf("%v", err)
	}
}

package interop_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// oauth is a client of an authorization server: it gets tokens and revokes them, as the
// callers of an API do.
type oauth struct {
	authorize, token, revoke, introspect string         // endpoints
	redirect                             string         // redirect_uri
	jar                                  http.CookieJar // the session of a user; nil for a new one
}

// with returns o with the session of a user.
func (o oauth) with(jar http.CookieJar) oauth {
	o.jar = jar
	return o
}

// answer is what a server says.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) member(t *testing.T, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(a.body, &members); err != nil {
		t.Fatalf("status %d: %v: %q", a.status, err, a.body)
	}
	text, ok := members[name].(string)
	if !ok {
		t.Fatalf("status %d, no %s: %s", a.status, name, a.body)
	}
	return text
}

// active reports what an introspection response says.
func (a answer) active(t *testing.T) bool {
	t.Helper()
	var response struct {
		Active *bool `json:"active"`
	}
	if err := json.Unmarshal(a.body, &response); err != nil || response.Active == nil || a.status != http.StatusOK {
		t.Fatalf("status %d, no introspection response: %s", a.status, a.body)
	}
	return *response.Active
}

// post sends a form. client is the name of a client that authenticates with its secret,
// or "".
func post(t *testing.T, h *http.Client, endpoint, client string, form url.Values, header http.Header) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		request.SetBasicAuth(client, secretOf(client))
	}
	return send(t, h, request)
}

func send(t *testing.T, h *http.Client, request *http.Request) answer {
	t.Helper()
	response, err := h.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

// secretOf returns the secret of a client. All the servers here have the same.
func secretOf(client string) string { return client + "-secret" }

// forItself returns a token that a client gets by the client credentials grant. target is
// the parameter that names the API, and its value.
func (o oauth) forItself(t *testing.T, client, scope string, target ...string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	if len(target) == 2 {
		form.Set(target[0], target[1])
	}
	return post(t, new(http.Client), o.token, client, form, nil).member(t, "access_token")
}

// forUser returns the tokens that the client "web" gets for a user by the authorization
// code grant with PKCE. The server logs in the user without asking.
func (o oauth) forUser(t *testing.T, parameters url.Values) (access, refresh string) {
	t.Helper()
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {o.redirect}, "state": {rand.Text()}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	maps.Copy(query, parameters)
	code := o.code(t, o.authorize+"?"+query.Encode())
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {o.redirect}, "code_verifier": {verifier}}
	got := post(t, new(http.Client), o.token, "web", form, nil)
	return got.member(t, "access_token"), got.member(t, "refresh_token")
}

// code follows redirects, as a browser does, up to the one that has the code.
func (o oauth) code(t *testing.T, from string) string {
	t.Helper()
	jar := o.jar
	if jar == nil {
		var err error
		if jar, err = cookiejar.New(nil); err != nil {
			t.Fatal(err)
		}
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := send(t, browser, request)
		next, err := at.Parse(got.header.Get("Location"))
		if err != nil || got.header.Get("Location") == "" {
			t.Fatalf("%s answers %d without a redirect: %s", at.Path, got.status, got.body)
		}
		if strings.HasPrefix(next.String(), o.redirect) {
			code := next.Query().Get("code")
			if code == "" {
				t.Fatalf("no code: %s", next.Query().Get("error_description"))
			}
			return code
		}
		at = next
	}
	t.Fatal("ten redirects and no code")
	return ""
}

// revokeToken revokes a token of the client "cc".
func (o oauth) revokeToken(t *testing.T, token string) {
	t.Helper()
	if got := post(t, new(http.Client), o.revoke, "cc", url.Values{"token": {token}}, nil); got.status != http.StatusOK {
		t.Fatalf("revocation: %d %s", got.status, got.body)
	}
}

// introspectAs returns what the server itself says of a token to a client with a secret.
func (o oauth) introspectAs(t *testing.T, client, token string) answer {
	t.Helper()
	return post(t, new(http.Client), o.introspect, client, url.Values{"token": {token}}, nil)
}

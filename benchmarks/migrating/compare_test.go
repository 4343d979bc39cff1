package migrating

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

var update = flag.Bool("update", false, "write the table of docs/migrating.md")

const (
	document = "../../docs/migrating.md"
	audience = "https://api.example.com"
)

// request is a request to the API.
type request struct {
	name  string
	token *testissuer.Token // nil: none is sent
	// fields returns the Authorization fields; nil means one with Bearer and the token.
	fields func(token string) []string
}

// requests returns the requests of the table. issuer is the iss of the tokens.
func requests(issuer string) []request {
	with := func(claims map[string]any) *testissuer.Token {
		return &testissuer.Token{Scope: "orders:read", Claims: claims}
	}
	now := time.Now().Unix()
	good := with(nil)
	return []request{
		{name: "access token, `typ` `at+jwt`", token: good},
		{name: "access token, `typ` `JWT`", token: &testissuer.Token{Scope: "orders:read", Header: map[string]any{"typ": "JWT"}}},
		{name: "access token without the scope", token: &testissuer.Token{}},
		{name: "ID token of a client whose id is the audience", token: &testissuer.Token{
			Scope: "orders:read", Header: map[string]any{"typ": "JWT"}, Claims: map[string]any{"nonce": "n", "client_id": nil},
		}},
		{name: "no token"},
		{name: "expired 10 s ago", token: &testissuer.Token{Scope: "orders:read", Lifetime: -10 * time.Second}},
		{name: "expired 40 s ago", token: &testissuer.Token{Scope: "orders:read", Lifetime: -40 * time.Second}},
		{name: "no `exp`", token: with(map[string]any{"exp": nil})},
		{name: "no `sub`", token: with(map[string]any{"sub": nil})},
		{name: "`iat` an hour ahead", token: with(map[string]any{"iat": now + 3600})},
		{name: "`exp` is a string", token: with(map[string]any{"exp": fmt.Sprint(now + 3600)})},
		{name: "`sub` twice", token: &testissuer.Token{RawClaims: fmt.Sprintf(
			`{"iss":%q,"aud":%q,"sub":"user-1","sub":"admin","client_id":"web","jti":"1","scope":"orders:read","iat":%d,"exp":%d}`, issuer, audience, now, now+300)}},
		{name: "`Scope` in place of `scope`", token: &testissuer.Token{Claims: map[string]any{"Scope": "orders:read"}}},
		{name: "bound to a key (`cnf`), sent as Bearer", token: with(map[string]any{"cnf": map[string]any{"jkt": "a"}})},
		{name: "for another API", token: with(map[string]any{"aud": "https://other.example.com"})},
		{name: "of another issuer", token: with(map[string]any{"iss": "https://other.example.com"})},
		{name: "forged", token: &testissuer.Token{Scope: "orders:read", Forgery: testissuer.ForeignKey}},
		{name: "`alg` `none`", token: &testissuer.Token{Scope: "orders:read", Forgery: testissuer.NoneAlgorithm}},
		{name: "`alg` `HS256` with the public key", token: &testissuer.Token{Scope: "orders:read", Forgery: testissuer.HMACWithPublicKey}},
		{name: "no `Bearer` before the token", token: good, fields: func(token string) []string { return []string{token} }},
		{name: "two `Authorization` fields", token: good, fields: func(token string) []string { return []string{"Bearer " + token, "Bearer x"} }},
	}
}

// TestAnswers sends the requests to the APIs of the document, which has the table of the
// answers. With -update it writes the table.
func TestAnswers(t *testing.T) {
	issuer, err := testissuer.Start(testissuer.Config{URL: "/", Audience: audience, Algorithm: jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // each refusal is a line
	t.Cleanup(func() { slog.SetDefault(before) })
	ctx, url, keys := t.Context(), issuer.URL(), issuer.JWKSURL()
	must := func(api http.Handler, err error) http.Handler {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return api
	}
	strict := must(afterGoOIDC(ctx, url, audience))
	columns := []http.Handler{
		must(beforeGolangJWT(ctx, url, keys, audience)), must(beforeGoOIDC(ctx, url, audience)), must(beforeAuth0(url, audience)),
		strict, must(afterAuth0(ctx, url, audience)),
	}
	configured := must(afterGolangJWT(ctx, url, keys, audience))
	var table strings.Builder
	table.WriteString("| request | golang-jwt, keyfunc | go-oidc | auth0 | Sallyport | Sallyport, `Auth0` |\n|---|---|---|---|---|---|\n")
	for _, r := range requests(url) {
		fmt.Fprintf(&table, "| %s |", r.name)
		for _, api := range columns {
			fmt.Fprintf(&table, " %d |", r.send(t, issuer, api))
		}
		table.WriteString("\n")
		if one, other := r.send(t, issuer, strict), r.send(t, issuer, configured); one != other {
			t.Errorf("%s: the two strict APIs answer %d and %d", r.name, one, other)
		}
	}
	checkTable(t, table.String())
}

// send returns the status that an API answers to the request.
func (r *request) send(t *testing.T, issuer *testissuer.Issuer, api http.Handler) int {
	t.Helper()
	sent := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/7", nil)
	if r.token != nil {
		token := issuer.Sign(*r.token)
		sent.Header["Authorization"] = []string{"Bearer " + token}
		if r.fields != nil {
			sent.Header["Authorization"] = r.fields(token)
		}
	}
	response := httptest.NewRecorder()
	api.ServeHTTP(response, sent)
	return response.Code
}

// checkTable checks that the document has the table.
func checkTable(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Index(string(text), "| request | golang-jwt")
	if start < 0 {
		t.Fatalf("%s has no table of requests", document)
	}
	end := start + strings.Index(string(text[start:]), "\n\n") + 1
	if *update {
		changed := string(text[:start]) + table + string(text[end:])
		if err := os.WriteFile(document, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if string(text[start:end]) != table {
		t.Errorf("%s does not have this table: go test ./benchmarks/migrating -update\n%s", document, table)
	}
}

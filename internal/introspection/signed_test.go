package introspection

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	answerKey   = testkey.Of(jose.ES256, "answers").WithID("a")
	strangerKey = testkey.Of(jose.ES256, "stranger").WithID("a")
)

// signedServer answers with body under mediaType.
func signedServer(t *testing.T, status int, mediaType, body string) *server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// askSigned asks s for a signed answer.
func askSigned(t *testing.T, s *server, changes ...func(*introspect.Client, *Binding)) attempt {
	t.Helper()
	set, err := jose.ParseSet(testkey.Set(answerKey), []jose.Algorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	client, b := s.client(), s.binding()
	client.Signed = true
	b.Algorithms = []jose.Algorithm{jose.ES256}
	b.AnswerKeys = func(_ context.Context, h jose.Header) ([]*jose.Key, error) { return set.Find(h) }
	for _, change := range changes {
		change(&client, &b)
	}
	return exchanging(t, client, b).ask(t.Context(), Question{Token: canaries.token})
}

type members = map[string]any

// signedAnswer signs an answer with claims replaced; nil removes one.
func signedAnswer(t *testing.T, key testkey.Key, header string, changes members) string {
	t.Helper()
	claims := members{"iss": issuerURL, "aud": apiID, "iat": time.Now().Unix(), "token_introspection": members{"active": true, "scope": "inner"}}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := strictjson.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return key.Sign(header, payload)
}

const answerHeader = `{"alg":"ES256","kid":"a","typ":"token-introspection+jwt"}`

// TestSigned checks signed answers: the request asks for nothing else (R-IN-16), and each
// of typ, algorithm, key, iss, aud, iat and token_introspection is checked (R-IN-17,
// R-IN-18).
func TestSigned(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		body  string
		kind  introspect.Kind
		cause string
	}{
		"good":              {signedAnswer(t, answerKey, answerHeader, nil), "", ""},
		"prefixed typ":      {signedAnswer(t, answerKey, strings.ReplaceAll(answerHeader, "token-", "application/token-"), nil), "", ""},
		"typ in capitals":   {signedAnswer(t, answerKey, strings.ReplaceAll(answerHeader, "token-", "Token-"), nil), "", ""},
		"several aud":       {signedAnswer(t, answerKey, answerHeader, members{"aud": []string{"x", apiID}}), "", ""},
		"a bit old":         {signedAnswer(t, answerKey, answerHeader, members{"iat": now - 50}), "", ""},
		"a bit ahead":       {signedAnswer(t, answerKey, answerHeader, members{"iat": now + 50}), "", ""},
		"no typ":            {signedAnswer(t, answerKey, `{"alg":"ES256","kid":"a"}`, nil), introspect.UntrustedAnswer, "typ"},
		"an access token":   {signedAnswer(t, answerKey, `{"alg":"ES256","kid":"a","typ":"at+jwt"}`, nil), introspect.UntrustedAnswer, "typ"},
		"other algorithm":   {signedAnswer(t, testkey.Of(jose.EdDSA, "x").WithID("a"), `{"alg":"EdDSA","kid":"a","typ":"token-introspection+jwt"}`, nil), introspect.UntrustedAnswer, "algorithm"},
		"alg none":          {signedAnswer(t, answerKey, `{"alg":"none","kid":"a","typ":"token-introspection+jwt"}`, nil), introspect.UntrustedAnswer, ""},
		"unknown key":       {signedAnswer(t, answerKey, strings.ReplaceAll(answerHeader, `"a"`, `"b"`), nil), introspect.UntrustedAnswer, "unknown key"},
		"another's key":     {signedAnswer(t, strangerKey, answerHeader, nil), introspect.UntrustedAnswer, "bad signature"},
		"no iss":            {signedAnswer(t, answerKey, answerHeader, members{"iss": nil}), introspect.UntrustedAnswer, "iss"},
		"other iss":         {signedAnswer(t, answerKey, answerHeader, members{"iss": issuerURL + "/"}), introspect.UntrustedAnswer, "iss"},
		"no aud":            {signedAnswer(t, answerKey, answerHeader, members{"aud": nil}), introspect.UntrustedAnswer, "aud"},
		"other aud":         {signedAnswer(t, answerKey, answerHeader, members{"aud": "https://api.example"}), introspect.UntrustedAnswer, "aud"},
		"no iat":            {signedAnswer(t, answerKey, answerHeader, members{"iat": nil}), introspect.UntrustedAnswer, "iat"},
		"old":               {signedAnswer(t, answerKey, answerHeader, members{"iat": now - 70}), introspect.UntrustedAnswer, "iat"},
		"ahead":             {signedAnswer(t, answerKey, answerHeader, members{"iat": now + 70}), introspect.UntrustedAnswer, "iat"},
		"expired":           {signedAnswer(t, answerKey, answerHeader, members{"exp": now - 120}), introspect.UntrustedAnswer, "exp"},
		"claims at the top": {signedAnswer(t, answerKey, answerHeader, members{"token_introspection": nil, "active": true}), introspect.UntrustedAnswer, "token_introspection"},
		"inner string":      {signedAnswer(t, answerKey, answerHeader, members{"token_introspection": `{"active":true}`}), introspect.UntrustedAnswer, "token_introspection"},
		"inner array":       {signedAnswer(t, answerKey, answerHeader, members{"token_introspection": []members{{"active": true}}}), introspect.UntrustedAnswer, "token_introspection"},
		"encrypted":         {"eyJhbGciOiJkaXIifQ.a.b.c.d", introspect.UntrustedAnswer, "encrypted"},
		"no JWT":            {"CANARY-BODY", introspect.UntrustedAnswer, "malformed"},
		"a line break":      {signedAnswer(t, answerKey, answerHeader, nil) + "\n", introspect.UntrustedAnswer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := signedServer(t, 200, "Application/Token-Introspection+JWT; charset=utf-8", test.body)
			a := askSigned(t, s)
			if accept := s.got()[0].header.Values("Accept"); len(accept) != 1 || accept[0] != "application/token-introspection+jwt" {
				t.Errorf("Accept %q", accept)
			}
			if a.kind != test.kind || a.answer.Active != (test.kind == "") {
				t.Fatalf("%+v", a)
			}
			if test.kind == "" {
				if a.answer.Document != `{"active":true,"scope":"inner"}` || len(a.answer.Members) != 2 {
					t.Errorf("%+v", a.answer)
				}
				return
			}
			if text := a.err.Error(); !strings.Contains(text, test.cause) || strings.Contains(text, "CANARY") || !strings.HasPrefix(text, s.URL) {
				t.Error(text)
			}
		})
	}
}

// TestSignedInside checks that only token_introspection says whether the token is active,
// and that it is as strict as a plain answer (R-IN-04, R-IN-18).
func TestSignedInside(t *testing.T) {
	for name, test := range map[string]struct {
		changes members
		odd     bool
	}{
		"inactive inside, active outside": {members{"active": true, "token_introspection": members{"active": false}}, false},
		"a string inside":                 {members{"active": true, "token_introspection": members{"active": "true"}}, true},
		"nothing inside":                  {members{"active": true, "token_introspection": members{}}, true},
	} {
		a := askSigned(t, signedServer(t, 200, signedJSON, signedAnswer(t, answerKey, answerHeader, test.changes)))
		if a.kind != "" || a.answer.Active || (a.answer.Odd != nil) != test.odd {
			t.Errorf("%s: %+v", name, a)
		}
	}
	twice := answerKey.Sign(answerHeader, `{"iss":"`+issuerURL+`","aud":"api","iat":1,"token_introspection":{"active":false},"token_introspection":{"active":true}}`)
	if a := askSigned(t, signedServer(t, 200, signedJSON, twice)); a.kind != introspect.UntrustedAnswer {
		t.Errorf("%+v", a)
	}
}

// TestNoDowngrade checks that signed mode takes nothing else: no plain JSON, and none of
// the forms that are older than RFC 9701 (R-IN-16). The status comes first: errors come
// as JSON in signed mode too.
func TestNoDowngrade(t *testing.T) {
	signed := signedAnswer(t, answerKey, answerHeader, nil)
	atTop := signedAnswer(t, answerKey, answerHeader, members{"active": true})
	for _, test := range []struct {
		status          int
		mediaType, body string
		kind            introspect.Kind
		cause           string
	}{
		{200, "application/json", activeBody, introspect.UntrustedAnswer, "unsigned"},
		{200, "application/json", signed, introspect.UntrustedAnswer, "unsigned"},
		{200, "application/x+json", `{"active":true}`, introspect.UntrustedAnswer, "unsigned"},
		{200, "application/json", `{"active":true,"jwt":"` + signed + `"}`, introspect.UntrustedAnswer, "unsigned"},
		{200, "application/jwt", atTop, introspect.UntrustedAnswer, "application/jwt, which is not RFC 9701"},
		{200, "application/at+jwt", signed, introspect.NotAnAnswer, "serve the document as application/token-introspection+jwt"},
		{200, "text/plain", signed, introspect.NotAnAnswer, "text/plain"},
		{401, "application/json", `{"error":"invalid_client"}`, introspect.CredentialsRefused, "invalid_client"},
		{403, signedJSON, signed, introspect.CredentialsRefused, "403"},
		{429, "application/json", `{}`, introspect.Throttled, "429"},
		{500, signedJSON, signed, introspect.ServerError, "500"},
	} {
		s := signedServer(t, test.status, test.mediaType, test.body)
		if a := askSigned(t, s); a.kind != test.kind || a.answer.Active || !strings.Contains(a.err.Error(), test.cause) {
			t.Errorf("%d %s: %+v", test.status, test.mediaType, a)
		}
	}
}

// TestAnswerAudiences checks that the aud of a signed answer is the name of this API at
// the server and has nothing to do with the aud of the token.
func TestAnswerAudiences(t *testing.T) {
	for _, test := range []struct {
		configured []string
		outer      any
		ok         bool
	}{
		{nil, apiID, true},
		{nil, "https://api.example", false},
		{[]string{"https://api.example"}, "https://api.example", true},
		{[]string{"https://api.example"}, apiID, false},
		{[]string{"a", "b"}, []string{"c", "b"}, true},
		{[]string{"a", "b"}, []string{"c"}, false},
	} {
		body := signedAnswer(t, answerKey, answerHeader, members{"aud": test.outer, "token_introspection": members{"active": true, "aud": "https://other.example"}})
		a := askSigned(t, signedServer(t, 200, signedJSON, body), func(c *introspect.Client, _ *Binding) { c.AnswerAudiences = test.configured })
		if (a.kind == "") != test.ok {
			t.Errorf("%v, %v: %+v", test.configured, test.outer, a)
		}
	}
}

// TestAnswerKeysMissing checks that keys that cannot be fetched are another kind than an
// answer that does not verify.
func TestAnswerKeysMissing(t *testing.T) {
	s := signedServer(t, 200, signedJSON, signedAnswer(t, answerKey, answerHeader, nil))
	failing := func(err error) func(*introspect.Client, *Binding) {
		return func(_ *introspect.Client, b *Binding) {
			b.AnswerKeys = func(context.Context, jose.Header) ([]*jose.Key, error) { return nil, err }
		}
	}
	if a := askSigned(t, s, failing(errors.New("injected"))); a.kind != introspect.AnswerKeysMissing {
		t.Errorf("%+v", a)
	}
	if a := askSigned(t, s, failing(jose.ErrUnknownKey)); a.kind != introspect.UntrustedAnswer {
		t.Errorf("%+v", a)
	}
	if a := askSigned(t, s, func(_ *introspect.Client, b *Binding) { b.AnswerKeys = nil }); a.kind != introspect.UntrustedAnswer {
		t.Errorf("%+v", a)
	}
}

// TestRFC9701 reads the answer of RFC 9701 §5, whose key is not published: it has the
// right type, and fails only for the key and, at its own time, for nothing else.
func TestRFC9701(t *testing.T) {
	dir := os.Getenv("SALLYPORT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	} else if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "rfc", "rfc9701.json"))
	if err != nil {
		t.Skipf("no third-party vectors in %s; set SALLYPORT_VECTORS", dir)
	}
	var file struct {
		Cases []struct {
			Token string `json:"token"`
		} `json:"cases"`
	}
	if err := strictjson.Unmarshal(string(text), &file); err != nil {
		t.Fatal(err)
	}
	asked := 0
	b := Binding{
		Issuer: "https://as.example.com/", Algorithms: []jose.Algorithm{jose.RS256},
		AnswerKeys: func(_ context.Context, h jose.Header) ([]*jose.Key, error) {
			if kid, _ := h.KeyID(); kid == "wG6D" {
				asked++
			}
			return nil, jose.ErrUnknownKey
		},
	}
	example := newSignedAnswers(b, []string{"https://rs.example.com/resource"})
	if _, err := example.jwt.Verify(clock.At(t.Context(), time.Unix(1514797892, 0)), file.Cases[0].Token); !errors.Is(err, jose.ErrUnknownKey) || asked != 1 {
		t.Errorf("%v after %d searches", err, asked)
	}
}

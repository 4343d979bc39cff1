package middleware

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

var errGrammar = errors.New("not one challenge of RFC 9110 §11.3")

// parseChallenge is a strict reader of one challenge, written from the grammar
// and not from the writer: auth-scheme 1*SP auth-param *( OWS "," OWS auth-param )
// where every value is a quoted-string.
func parseChallenge(text string) (scheme string, params map[string]string, err error) {
	params = make(map[string]string)
	scheme, rest, found := strings.Cut(text, " ")
	if !found || !isToken(scheme) {
		return "", nil, errGrammar
	}
	for {
		name, after, found := strings.Cut(strings.TrimLeft(rest, " "), "=")
		if _, twice := params[strings.ToLower(name)]; !found || twice || !isToken(name) {
			return "", nil, errGrammar
		}
		value, left, err := quotedString(after)
		if err != nil {
			return "", nil, err
		}
		params[strings.ToLower(name)] = value
		if left == "" {
			return scheme, params, nil
		}
		if rest, found = strings.CutPrefix(strings.TrimLeft(left, " "), ","); !found {
			return "", nil, errGrammar
		}
	}
}

// isToken is the token of RFC 9110 §5.6.2.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// quotedString reads the quoted-string of RFC 9110 §5.6.4 that text starts with.
func quotedString(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text) && text[0] == '"'; i++ {
		c := text[i]
		switch {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\\':
			if i++; i == len(text) || text[i] < ' ' || text[i] == 0x7f {
				return "", "", errGrammar
			}
			b.WriteByte(text[i])
		case c < ' ' && c != '\t', c == 0x7f:
			return "", "", errGrammar
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errGrammar
}

// checkChallenge holds a challenge against R-CH-02, R-CH-05 and R-CH-10.
func checkChallenge(t *testing.T, text string) map[string]string {
	t.Helper()
	scheme, params, err := parseChallenge(text)
	if err != nil || len(params) == 0 || scheme != "Bearer" && scheme != "DPoP" {
		t.Errorf("%q: %v", text, err)
	}
	for name, value := range params {
		if !slices.Contains([]string{"realm", "error", "error_description", "scope"}, name) {
			t.Errorf("%q: parameter %s", text, name)
		}
		if name == "realm" {
			continue
		}
		for i := range len(value) {
			if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
				t.Errorf("%q: %s has %q (RFC 6750 §3)", text, name, c)
			}
		}
	}
	return params
}

// FuzzChallenge covers R-CH-05 as a property: whatever realm and scopes a
// configuration gets through, every challenge is one well-formed challenge with
// just those.
func FuzzChallenge(f *testing.F) {
	for _, realm := range []string{"api", `a "quoted\ realm`, "a, Basic realm=\"b\"", "a\r\nSet-Cookie: b", "é", " ", "\x7f", `\`} {
		f.Add(realm, "read write")
		f.Add("api", realm)
	}
	f.Fuzz(func(t *testing.T, realm, scopeList string) {
		g, err := New(Config{Validator: new(validator.Validator), Realm: realm})
		if err != nil {
			return
		}
		policy := scopes.All(strings.Split(scopeList, " ")...)
		var told []string
		if policy.Err() == nil {
			told = policy.Decide(t.Context(), nil, scopes.Operation{}).Scopes
		}
		for reason := range maps.Keys(answers) {
			for _, challenge := range g.deny(reason, told).Challenges {
				params := checkChallenge(t, challenge)
				if realm != "" && params["realm"] != realm {
					t.Errorf("realm %q came out as %q", realm, params["realm"])
				}
				if params["scope"] != strings.Join(told, " ") {
					t.Errorf("scopes %q came out as %q", told, params["scope"])
				}
			}
		}
	})
}

// FuzzAuthorization covers R-OP-09 for the Authorization field: no panic, no
// request let through but with the one good token, a well-formed answer, and a
// token only where the grammar of RFC 6750 §2.1 has one.
func FuzzAuthorization(f *testing.F) {
	for _, field := range []string{
		"", " ", "Bearer", "Bearer ", "Bearer abc", "bearer  abc.def.ghi", "Bearer\tabc", "Bearer a b", "Bearer a, Bearer b",
		"Basic dTpw", "DPoP abc", `Bearer "abc"`, "Bearer=abc", "\x00", "Bearer \xff", "Bearer a\r\nX: y", "Bearer abc=",
	} {
		f.Add(field, "access_token=1")
	}
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		f.Fatal(err)
	}
	defer issuer.Close()
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		f.Fatal(err)
	}
	g, err := New(Config{Validator: v})
	if err != nil {
		f.Fatal(err)
	}
	good := issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour})
	f.Add("Bearer GOOD", "")
	f.Add("bearer   GOOD", "")
	f.Add("Bearer GOOD and GOOD", "")
	f.Add("Basic GOOD, Bearer GOOD", "")
	f.Fuzz(func(t *testing.T, field, query string) {
		field = strings.ReplaceAll(field, "GOOD", good) // which no fuzzer would hit upon
		p, err := presentation(http.Header{"Authorization": {field}})
		if p.Scheme != 0 {
			scheme, rest, found := strings.Cut(strings.Trim(field, " \t"), " ")
			if err != nil || !found || !strings.EqualFold(scheme, p.Scheme.String()) || strings.TrimLeft(rest, " ") != p.Token || p.Token == "" {
				t.Errorf("%q was read as %s %q, %v", field, p.Scheme, p.Token, err)
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{field}
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		g.Require(scopes.Authenticated(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if p.Token != good {
				t.Errorf("%q was let through", field)
			}
		})).ServeHTTP(w, r)
		if p.Token == good && p.Scheme == validator.Bearer {
			if w.Code != http.StatusOK {
				t.Errorf("%q: %d", field, w.Code)
			}
			return
		}
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", field, w.Code)
		}
		challenges := w.Header().Values("WWW-Authenticate")
		if len(challenges) != 1 {
			t.Errorf("%q: challenges %q", field, challenges)
		}
		for _, challenge := range challenges {
			checkChallenge(t, challenge)
		}
	})
}

// TestParseChallenge shows that the reader the fuzz tests rely on is strict.
func TestParseChallenge(t *testing.T) {
	for _, text := range []string{`Bearer realm="a"`, `Bearer realm="a, b", error="c"`, `DPoP realm="a \"b\\"`} {
		if _, _, err := parseChallenge(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "Bearer", "Bearer ", `Bearer realm=a`, `Bearer realm="a`, `Bearer realm="a\`, `Bearer realm="a" error="b"`, `Bearer realm="a",`,
		`Bearer realm="a", realm="b"`, `Bearer realm="a", Realm="b"`, "Bearer realm=\"a\nb\"", `Bearer realm="a"b"`, `Be@rer realm="a"`, `Bearer ="a"`,
		`Bearer realm="a", Basic realm="b"`,
	} {
		if _, _, err := parseChallenge(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

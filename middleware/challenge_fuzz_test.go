package middleware

import (
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

// FuzzChallenge covers R-CH-02, R-CH-05, R-CH-10 and R-CH-12 as a property:
// for every realm, metadata and policy that the constructors accept, and for every
// request, the answer has one well-formed challenge with these values and nothing
// else, and no value can split a field.
func FuzzChallenge(f *testing.F) {
	for _, text := range []string{"api", `a "quoted\ realm`, "a, Basic realm=\"b\"", "a\r\nSet-Cookie: b", "é", " ", "\x7f", `\`, "offline_access"} {
		f.Add(text, "https://api.test/x", "read write", "urn:mfa", "X-A", "b")
		f.Add("api", "https://api.test/"+text, "read", "", "Authorization", "Bearer "+text)
		f.Add("api", "", text, "", "Authorization", text)
		f.Add("api", "", "", text+" b", "Origin", text)
	}
	f.Fuzz(func(t *testing.T, realm, metadata, scopeList, acr, name, value string) {
		g, err := New(Config{Validator: AnyValidator(), Realm: realm, ResourceMetadata: metadata, ExposeHeaders: true})
		if err != nil {
			return
		}
		var wanted scopes.Refusal
		policy := scopes.Authenticated()
		if p := scopes.All(strings.Split(scopeList, " ")...); p.Err() == nil {
			policy = p
			wanted.Scopes = p.Decide(t.Context(), nil, scopes.Operation{}).Scopes
		}
		if values := strings.Split(acr, " "); scopes.ACR(values...).Err() == nil {
			wanted.ACRValues, wanted.MaxAuthAge = values, time.Duration(len(acr))*time.Second
		}
		asked := strings.Join(slices.DeleteFunc(slices.Clone(wanted.Scopes), func(s string) bool { return s == "offline_access" }), " ")
		route, err := g.Route("GET /", policy)
		if err != nil {
			t.Fatal(err)
		}
		for reason := range maps.Keys(classOf) {
			denial := route.deny(reason, &wanted)
			for _, challenge := range denial.Challenges {
				params := checkChallenge(t, challenge)
				if realm != "" && params["realm"] != realm || params["scope"] != asked || params["acr_values"] != strings.Join(wanted.ACRValues, " ") ||
					denial.Status != http.StatusBadRequest && params["resource_metadata"] != metadata {
					t.Errorf("realm %q, metadata %q, %+v came out as %q", realm, metadata, wanted, params)
				}
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[name] = []string{value}
		w := httptest.NewRecorder()
		g.Require(policy, http.NotFoundHandler()).ServeHTTP(w, r)
		checkFields(t, w.Header())
		challenges := w.Header().Values("WWW-Authenticate")
		if (len(challenges) == 1) == (w.Code == http.StatusServiceUnavailable) || len(challenges) > 1 {
			t.Errorf("%d with challenges %q", w.Code, challenges)
		}
		for _, challenge := range challenges {
			checkChallenge(t, challenge)
		}
	})
}

// FuzzAuthorization covers R-OP-09 for the Authorization field: nothing panics, only
// the valid token is accepted, every answer is well-formed, and a token is read only
// where the grammar of RFC 6750 §2.1 has one.
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
		p, err := credentials(http.Header{"Authorization": {field}})
		if p.Token != "" || p.Scheme == validator.Bearer && err == nil {
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

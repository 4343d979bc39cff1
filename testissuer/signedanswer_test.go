package testissuer_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const signedType = "application/token-introspection+jwt"

// signedAnswer introspects a token and asks for a signed answer.
func signedAnswer(tb testing.TB, issuer *testissuer.Issuer, token, accept string) answer {
	tb.Helper()
	return post(tb, issuer, form{values: url.Values{"token": {token}}, header: http.Header{"Accept": {accept}}})
}

// askSigned returns the claims of a signed answer, whose signature it checks.
func askSigned(tb testing.TB, issuer *testissuer.Issuer, token string) map[string]any {
	tb.Helper()
	a := signedAnswer(tb, issuer, token, signedType)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != signedType || !verifies(tb, issuer, a.body) {
		tb.Fatalf("%v", a)
	}
	_, claims := parts(tb, a.body)
	return claims
}

// verifies reports whether a key of the issuer signed a JWT, and is named by its kid.
func verifies(tb testing.TB, issuer *testissuer.Issuer, token string) bool {
	tb.Helper()
	set, err := jose.ParseSet(issuer.JWKS(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	u, err := jose.ParseCompact(token)
	if err != nil {
		return false
	}
	keys, err := set.Find(u.UnverifiedHeader())
	return err == nil && keys[0].Verify(&u) == nil
}

// TestSignedAnswer checks a good signed answer, and when there is one.
func TestSignedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{
			{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: true},
			{ID: "plain", Secret: "x"},
			{ID: "one", Secret: "x", Signed: true, AnswerAudiences: []string{"urn:one"}},
			{ID: "two", Secret: "x", Signed: true, AnswerAudiences: []string{"urn:one", "urn:two"}},
		}})
		token := issuer.Opaque(testissuer.Token{Scope: "a"})
		plain := object(t, ask(t, issuer, token).body)
		claims := askSigned(t, issuer, token)
		want := members{"iss": issuer.URL(), "aud": "api", "iat": float64(time.Now().Unix()), "token_introspection": plain}
		if !reflect.DeepEqual(claims, want) {
			t.Errorf("claims %v, want %v", claims, want)
		}
		issuer.Rotate()
		header, _ := parts(t, signedAnswer(t, issuer, token, signedType).body)
		if !maps.Equal(header, members{"alg": "ES256", "kid": "key-2", "typ": "token-introspection+jwt"}) {
			t.Errorf("header %v", header)
		}
		if inner := askSigned(t, issuer, "unknown")["token_introspection"]; !reflect.DeepEqual(inner, members{"active": false}) {
			t.Errorf("about an unknown token: %v", inner)
		}
		for accept, signed := range map[string]bool{
			"": false, "application/json": false, "*/*": false, "application/jwt": false,
			"Application/Token-Introspection+JWT;q=1": true, "application/json, " + signedType: true,
		} {
			if kind := signedAnswer(t, issuer, token, accept).header.Get("Content-Type"); (kind == signedType) != signed {
				t.Errorf("Accept %q: %s", accept, kind)
			}
		}
		for id, want := range map[string]any{"plain": nil, "one": "urn:one", "two": []any{"urn:one", "urn:two"}} {
			header := http.Header{"Accept": {signedType}, "Authorization": {basic(id, "x")}}
			a := post(t, issuer, form{values: url.Values{"token": {token}}, header: header})
			if want == nil {
				if a.header.Get("Content-Type") != "application/json" || object(t, a.body)["active"] != true {
					t.Errorf("%s: %v", id, a)
				}
			} else if _, claims := parts(t, a.body); !reflect.DeepEqual(claims["aud"], want) {
				t.Errorf("%s: aud %v", id, claims["aud"])
			}
		}
		if body := signedAnswer(t, issuer, "", signedType).body; object(t, body)["error"] != "invalid_request" {
			t.Errorf("an error is %s", body)
		}
	})
}

// signedFault is what a fault changes in a signed answer.
type signedFault struct {
	header  members
	claims  members
	inner   members // in token_introspection
	forged  bool    // the signature does not verify
	kind    string  // content type
	special func(t *testing.T, body, good string)
}

// signedFaults holds the faults of signed answers.
var signedFaults = map[testissuer.Fault]signedFault{
	testissuer.SignedTypeMissing:     {header: members{"typ": nil}},
	testissuer.SignedTypeAccess:      {header: members{"typ": "at+jwt"}},
	testissuer.SignedTypeJWT:         {header: members{"typ": "JWT"}},
	testissuer.SignedNone:            {header: members{"alg": "none"}, forged: true},
	testissuer.SignedHMAC:            {header: members{"alg": "HS256"}, forged: true},
	testissuer.SignedTampered:        {forged: true},
	testissuer.SignedOtherKey:        {forged: true},
	testissuer.SignedUnknownKey:      {header: members{"kid": "unknown"}, forged: true},
	testissuer.SignedIssuerOther:     {claims: members{"iss": "https://other.test"}},
	testissuer.SignedIssuerMissing:   {claims: members{"iss": nil}},
	testissuer.SignedAudienceOther:   {claims: members{"aud": "https://other.test"}},
	testissuer.SignedAudienceMissing: {claims: members{"aud": nil}},
	testissuer.SignedAudienceArray:   {claims: members{"aud": []any{"https://other.test", "api"}}},
	testissuer.SignedTimeMissing:     {claims: members{"iat": nil}},
	testissuer.SignedTimeOld:         {claims: members{"iat": 946684800.0 - 3600}},
	testissuer.SignedTimeFuture:      {claims: members{"iat": 946684800.0 + 3600}},
	testissuer.SignedAnswerMissing:   {claims: members{"token_introspection": nil}},
	testissuer.SignedActiveAbove:     {claims: members{"active": true}, inner: members{"active": nil}},
	testissuer.SignedContradiction: {inner: members{"active": false}, claims: members{
		"active": true, "token_type": "Bearer", "sub": "user-1", "client_id": "client-1", "exp": 946685100.0, "jti": "1", "scope": "a b",
	}},
	testissuer.SignedOldForm: {kind: "application/jwt", claims: members{
		"token_introspection": nil, "active": true, "token_type": "Bearer",
		"sub": "user-1", "client_id": "client-1", "exp": 946685100.0, "jti": "1", "scope": "a b",
	}},
	testissuer.SignedAnswerTwice: {special: func(t *testing.T, body, good string) {
		_, payload, _ := strings.Cut(body, ".")
		payload, _, _ = strings.Cut(payload, ".")
		want := `,"token_introspection":{"active":false},"token_introspection":` + good + "}"
		if got := decoded(t, payload); !strings.HasSuffix(got, want) || !strings.HasPrefix(got, `{"aud":"api"`) {
			t.Error(got)
		}
	}},
	testissuer.SignedNot: {kind: "application/json", special: func(t *testing.T, body, good string) {
		if body != good {
			t.Error(body)
		}
	}},
	testissuer.SignedMember: {kind: "application/json", special: func(t *testing.T, body, good string) {
		m := object(t, body)
		if _, claims := parts(t, m["jwt"].(string)); len(m) != 1 || !reflect.DeepEqual(claims["token_introspection"], object(t, good)) {
			t.Error(body)
		}
	}},
	testissuer.SignedEncrypted: {special: func(t *testing.T, body, _ string) {
		segments := strings.Split(body, ".")
		if header := object(t, decoded(t, segments[0])); len(segments) != 5 || header["enc"] != "A256GCM" || header["alg"] != "RSA-OAEP-256" {
			t.Error(body)
		}
		for _, segment := range segments {
			decoded(t, segment)
		}
	}},
}

// TestSignedFaults checks that each fault changes what it says and nothing else, and
// nothing in a plain answer.
func TestSignedFaults(t *testing.T) {
	for f, want := range signedFaults {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, testissuer.Config{})
				twin := signedAnswer(t, issuer, issuer.Opaque(faultToken(0)), signedType)
				header, claims := parts(t, twin.body)
				token := issuer.Opaque(faultToken(f))
				plain := ask(t, issuer, token)
				if plain.status != 200 || !reflect.DeepEqual(object(t, plain.body), claims["token_introspection"]) {
					t.Errorf("the plain answer is %v", plain)
				}
				a := signedAnswer(t, issuer, token, signedType)
				if kind := want.kind; a.status != 200 || a.header.Get("Content-Type") != orDefault(kind, signedType) {
					t.Errorf("%v", a)
				}
				if want.special != nil {
					want.special(t, a.body, plain.body)
					return
				}
				claims["token_introspection"] = changed(claims["token_introspection"].(members), want.inner)
				gotHeader, gotClaims := parts(t, a.body)
				if header, claims = changed(header, want.header), changed(claims, want.claims); !maps.Equal(gotHeader, header) || !reflect.DeepEqual(gotClaims, claims) {
					t.Errorf("%v %v, want %v %v", gotHeader, gotClaims, header, claims)
				}
				if verifies(t, issuer, a.body) == want.forged {
					t.Errorf("forged: %t", !want.forged)
				}
			})
		})
	}
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// TestSignedShapes checks a token_introspection that is an array or a string, or has a
// member twice.
func TestSignedShapes(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	inner := func(f testissuer.Fault) any {
		return askSigned(t, issuer, issuer.Opaque(testissuer.Token{Fault: f}))["token_introspection"]
	}
	if list, ok := inner(testissuer.AnswerArray).([]any); !ok || list[0].(members)["active"] != true {
		t.Error("no array")
	}
	if text, ok := inner(testissuer.AnswerString).(string); !ok || object(t, text)["active"] != true {
		t.Error("no string")
	}
	twice := signedAnswer(t, issuer, issuer.Opaque(testissuer.Token{Fault: testissuer.ActiveTwice}), signedType).body
	payload := decoded(t, strings.Split(twice, ".")[1])
	if strings.Count(payload, `"active"`) != 2 || !json.Valid([]byte(payload)) {
		t.Error(payload)
	}
	if a := signedAnswer(t, issuer, issuer.Opaque(testissuer.Token{Fault: testissuer.AnswerTrailing}), signedType); verifies(t, issuer, a.body) {
		t.Error(a.body)
	}
}

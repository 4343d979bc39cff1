package validator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// causeText returns the text of the cause of err, or "".
func causeText(err error) string { return fmt.Sprint(causeOf(err)) }

// opaqueIssuer is an issuer of opaque tokens with a Validator that asks it.
type opaqueIssuer struct {
	*issuertest.Issuer

	v *validator.Validator
}

// newOpaqueIssuer returns an issuer in memory. The changes are made to the configuration
// for opaque tokens only.
func newOpaqueIssuer(t *testing.T, changes ...func(*validator.Issuer)) *opaqueIssuer {
	t.Helper()
	is := issuertest.New(t)
	return &opaqueIssuer{is, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(changes...)}})}
}

// asked returns how many introspection requests have arrived.
func (is *opaqueIssuer) asked() int { return is.Requests(testissuer.Introspection) }

// wantAsked compares the number of introspection requests.
func (is *opaqueIssuer) wantAsked(t *testing.T, what string, want int) {
	t.Helper()
	if got := is.asked(); got != want {
		t.Errorf("%s: %d introspection requests in all, want %d", what, got, want)
	}
}

// wantVerdict validates p and compares reason, source and cause. It returns the Token.
func wantVerdict(
	t *testing.T, what string, v *validator.Validator, p validator.Presentation, want validator.Reason, source validator.Source, cause string,
) *validator.Token {
	t.Helper()
	done := v.Inspect(t.Context(), p)
	if done.Reason != want || done.Source != source {
		t.Errorf("%s: reason %q, source %q (%v); want %q, %q", what, done.Reason, done.Source, causeOf(done.Err), want, source)
	}
	if cause != "" && !strings.Contains(causeText(done.Err), cause) {
		t.Errorf("%s: the cause is %q; want it to have %q", what, causeText(done.Err), cause)
	}
	if (done.Token != nil) != (want == "") {
		t.Errorf("%s: Token %v with reason %q", what, done.Token, done.Reason)
	}
	return done.Token
}

// cache is a change that sets how long active answers are used.
func cache(ttl time.Duration) func(*validator.Issuer) {
	return func(config *validator.Issuer) {
		client := *config.Opaque
		client.Cache = introspect.Cache{TTL: ttl}
		config.Opaque = &client
	}
}

// TestOpaqueToken (R-IN-04, R-IN-10) reads what an answer says about a token, and uses it for
// the next request.
func TestOpaqueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		expiry := time.Now().Add(10 * time.Minute).Truncate(time.Second)
		p := is.OpaqueBearer(issuertest.Claims{
			"sub": "user-1", "client_id": "app", "scope": "orders:read orders:write", "exp": expiry.Unix(), "username": "admin", "sid": "s1", "jti": "j1",
		})
		token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		again := wantVerdict(t, "again", is.v, p, "", validator.Cached, "")
		is.wantAsked(t, "two requests", 1)
		if token != again {
			t.Error("the cache returns another Token")
		}
		if token.Issuer() != is.URL() || token.Subject() != "user-1" || token.ClientID() != "app" || !token.Expiry().Equal(expiry) ||
			!slices.Equal(token.Scopes(), []string{"orders:read", "orders:write"}) || token.SessionID() != "s1" || token.ID() != "j1" || !token.HasUser() {
			t.Errorf("the Token has %v %v %v %v %v", token.Subject(), token.ClientID(), token.Expiry(), token.Scopes(), token.HasUser())
		}
		if byID, byThumbprint := token.Key(); token.Algorithm() != 0 || byID.KeyID != "" || byThumbprint.Thumbprint != "" {
			t.Error("the Token of an answer has a key")
		}
		var claims struct {
			Active   bool   `json:"active"`
			Username string `json:"username"`
		}
		if err := token.Claims(&claims); err != nil || !claims.Active || claims.Username != "admin" {
			t.Errorf("Claims: %+v, %v", claims, err)
		}
	})
}

// TestAnswerFaults (R-IN-04, R-IN-05, R-IN-06, R-IN-07, R-IN-08, R-IN-09, R-IN-10, R-AT-13) judges answers that are wrong or are of the forms that servers
// use. Each is asked about once more at the next request, or not, as noted.
func TestAnswerFaults(t *testing.T) {
	none := func(*validator.Issuer) {}
	filters := func(config *validator.Issuer) { config.Answers.FiltersAudience = true }
	lists := func(config *validator.Issuer) { config.Answers.ScopeLists = true }
	types := func(config *validator.Issuer) { config.Answers.TokenTypes = []string{"access_token"} }
	marked := func(config *validator.Issuer) { config.Answers.Marker = rules{{Name: "jti"}} }
	for _, row := range []struct {
		name   string
		fault  testissuer.Fault
		change func(*validator.Issuer)
		want   validator.Reason
		cause  string
	}{
		{"active as a string", testissuer.ActiveString, none, validator.Inactive, "active"},
		{"active as a number", testissuer.ActiveNumber, none, validator.Inactive, "active"},
		{"active null", testissuer.ActiveNull, none, validator.Inactive, "active"},
		{"active missing", testissuer.ActiveMissing, none, validator.Inactive, "active"},
		{"Active", testissuer.ActiveCapital, none, validator.Inactive, "active"},
		{"active twice", testissuer.ActiveTwice, none, validator.Inactive, "twice"},

		{"aud empty", testissuer.AudienceEmpty, none, validator.WrongAudience, ""},
		{"aud null", testissuer.AudienceNull, none, validator.BadClaims, ""},
		{"aud a number", testissuer.AudienceNumber, none, validator.BadClaims, ""},
		{"aud of another API", testissuer.AudienceOther, none, validator.WrongAudience, ""},
		{"aud missing", testissuer.AudienceMissing, none, validator.WrongAudience, "FiltersAudience"},
		{"an issuer that filters: aud empty", testissuer.AudienceEmpty, filters, validator.WrongAudience, ""},
		{"an issuer that filters: aud null", testissuer.AudienceNull, filters, validator.BadClaims, ""},
		{"an issuer that filters: aud a number", testissuer.AudienceNumber, filters, validator.BadClaims, ""},
		{"an issuer that filters: aud of another API", testissuer.AudienceOther, filters, validator.WrongAudience, ""},
		{"an issuer that filters: aud missing", testissuer.AudienceMissing, filters, "", ""},
		{"an answer for a stranger", testissuer.Stripped, none, validator.WrongAudience, "found none of aud client_id exp scope sub"},

		{"iss of another issuer", testissuer.IssuerOther, none, validator.UnknownIssuer, "iss"},
		{"iss missing", testissuer.IssuerMissing, none, "", ""},
		{"sub missing", testissuer.SubjectMissing, none, "", ""},
		{"exp missing", testissuer.ExpiryMissing, none, "", ""},
		{"exp as a string", testissuer.ExpiryString, none, validator.BadClaims, ""},
		{"scope as an array", testissuer.ScopeArray, none, validator.BadClaims, "ScopeLists"},
		{"scope as an array, allowed", testissuer.ScopeArray, lists, "", ""},

		{"token_type missing", testissuer.TokenTypeMissing, none, validator.WrongType, "Marker"},
		{"token_type missing, marked", testissuer.TokenTypeMissing, marked, "", ""},
		{"token_type in lower case", testissuer.TokenTypeLower, none, "", ""},
		{"token_type access_token", testissuer.TokenTypeAccess, none, validator.WrongType, `"access_token"`},
		{"token_type access_token, allowed", testissuer.TokenTypeAccess, types, "", ""},
		{"token_type refresh_token", testissuer.TokenTypeRefresh, none, validator.WrongType, `"refresh_token"`},
		{"token_type refresh_token, marked", testissuer.TokenTypeRefresh, marked, validator.WrongType, `"refresh_token"`},
		{"token_type id_token", testissuer.TokenTypeID, none, validator.WrongType, ""},
		{"token_type a number", testissuer.TokenTypeNumber, none, validator.WrongType, ""},
		{"a refresh token", testissuer.RefreshToken, none, validator.WrongType, ""},
		{"a refresh token, marked", testissuer.RefreshToken, marked, validator.WrongType, "Marker"},
		{"a refresh token with token_type Bearer", testissuer.RefreshTokenBearer, none, validator.WrongType, "token_use"},

		{"token_type DPoP", testissuer.TokenTypeDPoP, none, validator.BindingMismatch, "DPoP"},
		{"bound to a key", testissuer.BoundToKey, none, validator.BindingMismatch, "DPoP"},
		{"bound to a key with token_type Bearer", testissuer.BoundToKeyBearer, none, validator.BindingMismatch, "contradicts"},
		{"bound to a certificate", testissuer.BoundToCertificate, none, validator.BindingMismatch, "cnf"},

		{"inactive with claims", testissuer.InactiveWithClaims, none, validator.Inactive, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newOpaqueIssuer(t, row.change)
			token := is.Opaque(testissuer.Token{Fault: row.fault})
			wantVerdict(t, "first", is.v, issuertest.Bearer(token), row.want, validator.Introspected, row.cause)
		})
	}
}

// TestTokenTypeInCause (R-OB-02): the cause of a refusal shows a token_type that is known, in small letters, and of others no more than the
// length: a server may put the token there.
func TestTokenTypeInCause(t *testing.T) {
	const others = "; wanted Bearer, DPoP or one of Issuer.Answers.TokenTypes"
	const token = "opaque-token-1"
	for value, want := range map[string]string{
		`"Access_Token"`: `"access_token"`, `"refresh_token"`: `"refresh_token"`, `"N_A"`: `"n_a"`, `"mac"`: `"mac"`, `"PoP"`: `"pop"`,
		`"urn:ietf:params:oauth:token-type:access_token"`: `"urn:ietf:params:oauth:token-type:access_token"`,
		`""`: "empty or no string", "1": "empty or no string", `"` + token + `"`: "an unknown value of 14 bytes", `"mac ` + token + `"`: "an unknown value of 18 bytes",
	} {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"token_type":` + value + `}`)})
		_, err := is.v.Validate(t.Context(), issuertest.Bearer(token))
		if text := causeText(err); !strings.Contains(text, "found token_type "+want+others) || strings.Contains(text, token) {
			t.Errorf("%s: %s", value, text)
		}
	}
}

// TestAnswerWithoutVerdict (R-IN-11, R-IN-12) shows that an answer that is no verdict is 503, and is not remembered: the
// next good answer counts at once.
func TestAnswerWithoutVerdict(t *testing.T) {
	for fault, kind := range map[testissuer.Fault]introspect.Kind{
		testissuer.AnswerArray: introspect.NotAnAnswer, testissuer.AnswerString: introspect.NotAnAnswer, testissuer.AnswerHTML: introspect.NotAnAnswer,
		testissuer.AnswerEmpty: introspect.NotAnAnswer, testissuer.AnswerMarked: introspect.NotAnAnswer, testissuer.AnswerTrailing: introspect.NotAnAnswer,
		testissuer.AnswerLarge: introspect.NotAnAnswer,
	} {
		is := newOpaqueIssuer(t)
		token := is.Opaque(testissuer.Token{Fault: fault})
		done := is.v.Inspect(t.Context(), issuertest.Bearer(token))
		if done.Reason != validator.Unavailable || !errors.Is(done.Err, kind) {
			t.Errorf("fault %d: %q (%v), want unavailable and %q", fault, done.Reason, causeOf(done.Err), kind)
		}
		is.Answer(token, 0)
		wantVerdict(t, "mended", is.v, issuertest.Bearer(token), "", validator.Introspected, "")
	}
}

// TestAnswerTTL (R-IN-13) counts the requests for a token: an answer is used for the TTL, counted from the beginning of
// its request, and not after exp.
func TestAnswerTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, cache(10*time.Second))
		p := is.OpaqueBearer(nil)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second, Times: 1})
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "") // begun at 0 s, answered at 1 s
		time.Sleep(9*time.Second - 1)
		wantVerdict(t, "just before the TTL", is.v, p, "", validator.Cached, "")
		time.Sleep(1 * time.Nanosecond)
		wantVerdict(t, "at the TTL", is.v, p, "", validator.Introspected, "")
		is.wantAsked(t, "three requests", 2)

		short := is.OpaqueBearer(issuertest.Claims{"exp": time.Now().Add(3 * time.Second).Unix()})
		wantVerdict(t, "a short one", is.v, short, "", validator.Introspected, "")
		time.Sleep(3 * time.Second)
		if done := is.v.Inspect(t.Context(), short); done.Source != validator.Introspected {
			t.Errorf("after exp, the answer is %q %q; want the issuer to be asked", done.Source, done.Reason)
		}
	})
}

// TestAnswerInLeeway (R-IN-13): an answer about a token that is past exp by less than the leeway counts, and is not
// kept.
func TestAnswerInLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		for offset, want := range map[time.Duration]validator.Reason{
			time.Second: "", 0: "", -time.Second: "", -29 * time.Second: "", -30 * time.Second: validator.Expired, -time.Hour: validator.Expired,
		} {
			before, stored := is.asked(), 2
			if offset == time.Second || want != "" {
				stored = 1 // until exp, or among the refused
			}
			token := is.Opaque(testissuer.Token{Claims: issuertest.Claims{"exp": time.Now().Add(offset).Unix()}, Fault: testissuer.ExpiredActive})
			for range 2 {
				if _, err := is.v.Validate(t.Context(), issuertest.Bearer(token)); validator.ReasonOf(err) != want {
					t.Errorf("exp at %v: %v, want %q", offset, err, want)
				}
			}
			if n := is.asked() - before; n != stored {
				t.Errorf("exp at %v: %d requests for two, want %d", offset, n, stored)
			}
		}
	})
}

// TestNoExpiry: an answer without exp is used for the TTL, its Expiry is unknown, and a route with a longest lifetime
// refuses it.
func TestNoExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: testissuer.ExpiryMissing}))
		token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		if !token.Expiry().IsZero() {
			t.Errorf("Expiry is %v", token.Expiry())
		}
		time.Sleep(29 * time.Second)
		wantVerdict(t, "29 s later", is.v, p, "", validator.Cached, "")
		time.Sleep(2 * time.Second)
		wantVerdict(t, "31 s later", is.v, p, "", validator.Introspected, "")
		p.Demands.MaxLifetime = time.Hour
		wantVerdict(t, "a longest lifetime", is.v, p, validator.BadClaims, validator.Cached, "")
	})
}

// TestNoUserByClientName (R-CL-13): a token without sub has no user, whatever its client is called, and username is not read.
func TestNoUserByClientName(t *testing.T) {
	is := newOpaqueIssuer(t)
	token := wantVerdict(t, "client", is.v, is.OpaqueBearer(issuertest.Claims{"sub": nil, "client_id": "alice", "username": "alice"}), "", validator.Introspected, "")
	if token.Subject() != "" || token.HasUser() || !token.ClientOnly() || token.Is(is.URL(), "alice") {
		t.Errorf("subject %q, user %t, client only %t", token.Subject(), token.HasUser(), token.ClientOnly())
	}
	nobody := wantVerdict(t, "nobody", is.v, is.OpaqueBearer(issuertest.Claims{"sub": nil, "client_id": nil}), "", validator.Introspected, "")
	if nobody.HasUser() || nobody.ClientOnly() {
		t.Error("a token without sub and client_id is known to be somebody's")
	}
}

// TestOpaqueSelection (R-IN-03) sends tokens of all shapes to the issuer that the configuration selects, once, or to nobody.
func TestOpaqueSelection(t *testing.T) {
	own := issuertest.At(t, "https://own.test")
	jwt := own.Token(nil)
	noise := "x.y.z"
	unsigned := func(payload string) string { return "eyJhbGciOiJub25lIn0." + encoded(payload) + "." }
	for _, row := range []struct {
		name, token        string
		onlyOpaque, hybrid int // requests
		hybridReason       validator.Reason
	}{
		{"random", "8xLOxBtZp8", 1, 1, ""},
		{"one dot", "ory_at_a.b", 1, 1, ""},
		{"three segments of noise", noise, 1, 1, ""},
		{"five segments", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c", 1, 1, ""},
		{"JWS without iss", unsigned(`{"sub":"a"}`), 1, 1, ""},
		{"JWS of an unknown iss", unsigned(`{"iss":"https://other.test"}`), 1, 1, ""},
		{"JWS of the issuer, unsigned", unsigned(`{"iss":"https://own.test"}`), 1, 0, validator.MalformedToken},
		{"JWS of the issuer with a header that is no JSON", "eHh4." + encoded(`{"iss":"https://own.test"}`) + ".", 1, 0, validator.MalformedToken},
		{"JWS with two iss", unsigned(`{"iss":"https://other.test","iss":"https://own.test"}`), 1, 0, validator.MalformedToken},
		{"JWS of the issuer", jwt, 1, 0, ""},
		{"expired JWS of the issuer", own.Token(issuertest.Claims{"exp": 1000}), 1, 0, validator.Expired},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, hybrid := range []bool{false, true} {
				is := issuertest.At(t, "https://own.test")
				config, want, asked := is.OpaqueConfig(), validator.Reason(""), row.onlyOpaque
				if hybrid {
					config, want, asked = is.HybridConfig(), row.hybridReason, row.hybrid
					config.Keys = own.Config().Keys
				}
				if row.token != jwt && !strings.HasPrefix(row.name, "expired") {
					is.Opaque(testissuer.Token{Text: row.token})
				} else if !hybrid {
					is.Opaque(testissuer.Token{Text: row.token})
				}
				v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
				_, err := v.Validate(t.Context(), issuertest.Bearer(row.token))
				if got := validator.ReasonOf(err); got != want {
					t.Errorf("hybrid %t: %q (%v), want %q", hybrid, got, causeOf(err), want)
				}
				if n := is.Requests(testissuer.Introspection); n != asked {
					t.Errorf("hybrid %t: %d requests, want %d", hybrid, n, asked)
				}
				if n := is.Requests(testissuer.JWKS); n != 0 {
					t.Errorf("hybrid %t: %d requests for keys", hybrid, n)
				}
			}
		})
	}
}

// encoded returns text as a segment of a JWS.
func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestNobodyIsAsked (R-IN-03): a token that is selected for no issuer is refused without any request.
func TestNobodyIsAsked(t *testing.T) {
	first, second := issuertest.At(t, "https://first.test"), issuertest.At(t, "https://second.test")
	prefixed := func(is *issuertest.Issuer, prefix string) validator.Issuer {
		return is.OpaqueConfig(func(config *validator.Issuer) {
			client := *config.Opaque
			client.Prefix = prefix
			config.Opaque, config.Grants = &client, allScopes
		})
	}
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{prefixed(first, "one_"), prefixed(second, "two_")}})
	for _, token := range []string{"a", "one", "on_e", "a.b", "a.b.c", "a.b.c.d.e", first.Token(nil)} {
		_, err := v.Validate(t.Context(), issuertest.Bearer(token))
		if validator.ReasonOf(err) != validator.UnknownIssuer || !strings.Contains(causeText(err), "no issuer of opaque tokens is selected") {
			t.Errorf("%.20q: %v", token, causeOf(err))
		}
	}
	for _, token := range []string{"", "one_\x00", "one_ a", "öne_"} {
		if _, err := v.Validate(t.Context(), issuertest.Bearer(token)); validator.ReasonOf(err) != validator.MalformedRequest {
			t.Errorf("%q: %v, want malformed_request", token, err)
		}
	}
	if first.Requests(testissuer.Introspection)+second.Requests(testissuer.Introspection) != 0 {
		t.Error("an issuer was asked")
	}
	token := first.Opaque(testissuer.Token{Prefix: "one_"})
	if _, err := v.Validate(t.Context(), issuertest.Bearer(token)); err != nil {
		t.Errorf("a prefixed token: %v", causeOf(err))
	}
	if first.Requests(testissuer.Introspection) != 1 || second.Requests(testissuer.Introspection) != 0 {
		t.Error("a prefixed token went to another issuer")
	}
}

// TestOpaqueIssuerOfRoute (R-IN-03): a route, or the URL of the request, selects the issuer. The same token is asked about at each
// issuer apart.
func TestOpaqueIssuerOfRoute(t *testing.T) {
	first, second := issuertest.At(t, "https://first.test"), issuertest.At(t, "https://second.test")
	all := func(config *validator.Issuer) { config.Grants = allScopes }
	first.Opaque(testissuer.Token{Text: "same"})
	for _, row := range []struct {
		name, demanded, chosen string
		want                   validator.Reason
	}{
		{"none", "", "", validator.UnknownIssuer},
		{"the route names the first", first.URL(), "", ""},
		{"the route names the second", second.URL(), "", validator.Inactive},
		{"the request names the first", "", first.URL(), ""},
		{"the route comes before the request", first.URL(), second.URL(), ""},
		{"an unknown one", "https://third.test", "", validator.UnknownIssuer},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := validator.Config{Issuers: []validator.Issuer{first.OpaqueConfig(all), second.OpaqueConfig(all)}}
			if row.chosen != "" {
				config.OpaqueIssuer = func(context.Context, *url.URL) string { return row.chosen }
			}
			v := issuertest.Validator(t, config)
			p := issuertest.Bearer("same")
			p.Demands.OpaqueIssuer = row.demanded
			for range 2 {
				if _, err := v.Validate(t.Context(), p); validator.ReasonOf(err) != row.want {
					t.Errorf("%v, want %q", causeOf(err), row.want)
				}
			}
		})
	}
}

package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// cognito is the configuration of an issuer whose access tokens have no aud.
func cognito(changes ...func(*validator.Issuer)) validator.Config {
	config := legacyConfig()
	config.Issuers[0].Audiences, config.Issuers[0].ClientIDs = nil, []string{"app", "machine"}
	for _, change := range changes {
		change(&config.Issuers[0])
	}
	return config
}

func withAudience(c *validator.Issuer) { c.Audiences = []string{testAudience} }

// TestClientIDs (R-CL-03): a token without aud must name a listed client. A token with aud
// is judged by it, whoever its client is.
func TestClientIDs(t *testing.T) {
	listed := legacyClaims.without("aud").with("client_id", `"app"`)
	named := func(claim string) func(*validator.Issuer) {
		return func(c *validator.Issuer) { c.ClientClaim = claim }
	}
	for _, row := range []struct {
		name   string
		change func(*validator.Issuer)
		claims object
		want   validator.Reason
		cause  string
	}{
		{"a listed client", nil, listed, "", ""},
		{"the second", nil, listed.with("client_id", `"machine"`), "", ""},
		{"written with an escape", nil, listed.with("client_id", `"\u0061pp"`), "", ""},
		{"another client", nil, listed.with("client_id", `"other"`), validator.WrongAudience, `found no aud, and the client "other"; wanted one of "app", "machine"; if tokens that this client gets`},
		{"another case", nil, listed.with("client_id", `"App"`), validator.WrongAudience, `the client "App"`},
		{"a prefix", nil, listed.with("client_id", `"ap"`), validator.WrongAudience, `the client "ap"`},
		{"a longer name", nil, listed.with("client_id", `"app "`), validator.WrongAudience, `the client "app "`},
		{"both in one name", nil, listed.with("client_id", `"app machine"`), validator.WrongAudience, ""},
		{"no client", nil, listed.without("client_id"), validator.WrongAudience, "found no aud, and no client that is known; wanted one of"},
		{"a client of the wrong type", nil, listed.with("client_id", `["app"]`), validator.BadClaims, "wrong JSON type"},
		{"an empty client", nil, listed.with("client_id", `""`), validator.BadClaims, ""},
		{"the client in azp", nil, listed.without("client_id").with("azp", `"app"`), "", ""},
		{"cid and azp that differ", nil, listed.without("client_id").with("azp", `"app"`).with("cid", `"other"`), validator.WrongAudience, "no client that is known"},
		{"client_id before azp", nil, listed.with("client_id", `"other"`).with("azp", `"app"`), validator.WrongAudience, `the client "other"`},
		{"the claim of the client", named("cid"), listed.with("client_id", `"other"`).with("cid", `"app"`), "", ""},
		{"another claim than that of the client", named("cid"), listed.with("cid", `"other"`), validator.WrongAudience, `the client "other"`},
		{"without the claim of the client", named("cid"), listed, validator.WrongAudience, "no client that is known"},
		{"the claim of the client of the wrong type", named("cid"), listed.with("cid", `1`), validator.BadClaims, "wrong JSON type"},

		{"aud, and no Audiences", nil, listed.with("aud", `"https://api.example.com"`), validator.WrongAudience, `found aud "https://api.example.com"; wanted no aud, because Issuer.Audiences is empty`},
		{"aud with the client", nil, listed.with("aud", `["app","machine"]`), validator.WrongAudience, "wanted no aud"},
		{"aud that is the client", nil, listed.with("aud", `"app"`), validator.WrongAudience, "wanted no aud"},
		{"an empty array", nil, listed.with("aud", `[]`), validator.WrongAudience, "wanted no aud"},
		{"null", nil, listed.with("aud", `null`), validator.BadClaims, "aud is neither"},
		{"false", nil, listed.with("aud", `false`), validator.BadClaims, "aud is neither"},
		{"an empty string", nil, listed.with("aud", `""`), validator.BadClaims, ""},
		{"an object", nil, listed.with("aud", `{}`), validator.BadClaims, "aud is neither"},

		{"aud of this API", withAudience, listed.with("aud", `"https://api.example.com"`), "", ""},
		{"aud of this API, another client", withAudience, listed.with("aud", `"https://api.example.com"`).with("client_id", `"other"`), "", ""},
		{"aud of another API", withAudience, listed.with("aud", `"https://other.example.com"`), validator.WrongAudience, `wanted "https://api.example.com"`},
		{"an empty array beside Audiences", withAudience, listed.with("aud", `[]`), validator.WrongAudience, ""},
		{"null beside Audiences", withAudience, listed.with("aud", `null`), validator.BadClaims, ""},
		{"no aud beside Audiences", withAudience, listed, "", ""},
		{"no aud beside Audiences, another client", withAudience, listed.with("client_id", `"other"`), validator.WrongAudience, ""},
		{"a claim of another case", withAudience, listed.with("Aud", `"https://other.example.com"`), "", ""},

		{"no ClientIDs", func(c *validator.Issuer) { withAudience(c); c.ClientIDs = nil }, listed, validator.WrongAudience, "aud is missing"},
		{"an ID token", nil, listed.with("aud", `"app"`).with("token_use", `"id"`), validator.WrongType, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := cognito()
			if row.change != nil {
				row.change(&config.Issuers[0])
			}
			v := issuertest.Validator(t, config)
			p := bearer(testKey.untyped(row.claims))
			token := expect(t, v, p, 0, row.want, row.cause)
			if row.want == "" && len(token.Audience()) > 0 != strings.Contains(row.claims.text(), `"aud"`) {
				t.Errorf("Audience is %q", token.Audience())
			}
			judged := v.Explain(at(0), p, v.Inspect(at(0), p))
			if row.want != "" {
				return
			}
			found := "aud " // as in: aud "https://api.example.com"
			if !strings.Contains(row.claims.text(), `"aud"`) {
				found = `no aud, and the client "`
			}
			if j := judgementOf(t, judged, "audience"); !strings.HasPrefix(j.Found, found) {
				t.Errorf("explained as %+v, want found %s", j, found)
			}
		})
	}
}

// TestClientIDsNeedMarker (R-AT-03): a listed client does not make an access token of
// another token.
func TestClientIDsNeedMarker(t *testing.T) {
	v := issuertest.Validator(t, cognito())
	header := testKey.header().with("typ", `"JWT"`).text()
	listed := legacyClaims.without("aud").with("client_id", `"app"`)
	expect(t, v, bearer(testKey.Sign(header, listed.text())), 0, "", "")
	expect(t, v, bearer(testKey.Sign(header, listed.without("token_use").text())), 0, validator.WrongType, "marker does not match")
	expect(t, v, bearer(testKey.Sign(header, listed.with("token_use", `"id"`).text())), 0, validator.WrongType, "")
}

// TestClientIDsAndDemands (R-CL-05): a route that demands an audience refuses a token
// without aud, also when its facts come from the cache.
func TestClientIDsAndDemands(t *testing.T) {
	v := issuertest.Validator(t, cognito(withAudience))
	p := bearer(testKey.token(legacyClaims.without("aud").with("client_id", `"app"`)))
	const mend = "a route that demands an audience refuses tokens without aud"
	for range 2 {
		for _, demands := range []validator.Demands{
			{Audiences: []string{testAudience}}, {Audiences: []string{"app"}}, {Audiences: []string{""}}, {SoleAudience: true},
		} {
			demanded := p
			demanded.Demands = demands
			expect(t, v, demanded, 0, validator.WrongAudience, mend)
		}
		token := cached(at(0), t, v, p)
		if err := token.Meets(at(0), validator.Demands{Audiences: []string{testAudience}}); validator.ReasonOf(err) != validator.WrongAudience {
			t.Errorf("Meets: %v", err)
		}
		if err := v.Recheck(at(0), token, validator.Demands{SoleAudience: true}); validator.ReasonOf(err) != validator.WrongAudience {
			t.Errorf("Recheck: %v", err)
		}
	}
	if err := v.CanMeet(validator.Demands{SoleAudience: true}); err != nil {
		t.Errorf("with Audiences: %v", err)
	}
	if err := issuertest.Validator(t, cognito()).CanMeet(validator.Demands{SoleAudience: true}); err == nil {
		t.Error("a sole audience can be met without Audiences")
	}
	if err := issuertest.Validator(t, cognito()).CanMeet(validator.Demands{}); err != nil {
		t.Errorf("nothing is demanded: %v", err)
	}
}

// TestClientIDsOfAnswers (R-IN-06): ClientIDs hold for answers without aud, also if the
// issuer filters.
func TestClientIDsOfAnswers(t *testing.T) {
	clients := func(c *validator.Issuer) {
		c.Profile, c.Marker, c.ClientIDs = validator.ProfileLegacy, rules{{Name: "client_id"}}, []string{"app"}
	}
	filters := func(c *validator.Issuer) { clients(c); c.Answers.FiltersAudience = true }
	for _, row := range []struct {
		name   string
		change func(*validator.Issuer)
		claims issuertest.Claims
		want   validator.Reason
	}{
		{"a listed client", clients, issuertest.Claims{"aud": nil, "client_id": "app"}, ""},
		{"another client", clients, issuertest.Claims{"aud": nil, "client_id": "other"}, validator.WrongAudience},
		{"no client", clients, issuertest.Claims{"aud": nil, "client_id": nil}, validator.WrongAudience},
		{"a listed client, and the issuer filters", filters, issuertest.Claims{"aud": nil, "client_id": "app"}, ""},
		{"another client, and the issuer filters", filters, issuertest.Claims{"aud": nil, "client_id": "other"}, validator.WrongAudience},
		{"aud of this API, another client", clients, issuertest.Claims{"client_id": "other"}, ""},
		{"aud of another API", clients, issuertest.Claims{"aud": "https://other.test", "client_id": "app"}, validator.WrongAudience},
		{"an empty aud", clients, issuertest.Claims{"aud": []string{}, "client_id": "app"}, validator.WrongAudience},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newOpaqueIssuer(t, row.change)
			p := is.OpaqueBearer(row.claims)
			wantVerdict(t, "the answer", is.v, p, row.want, validator.Introspected, "")
			p.Demands.Audiences = []string{issuertest.Audience}
			demanded := validator.WrongAudience
			if _, changed := row.claims["aud"]; !changed {
				demanded = ""
			}
			wantVerdict(t, "a demanded audience", is.v, p, demanded, validator.Cached, "")
		})
	}
}

// TestClientIDsOfJWTsAskedAbout: an answer with an aud that a JWT without aud does not
// have is refused, and one without aud changes nothing.
func TestClientIDsOfJWTsAskedAbout(t *testing.T) {
	for answer, want := range map[string]validator.Reason{
		`{"active":true}`:                            "",
		`{"active":true,"client_id":"app"}`:          "",
		`{"active":true,"client_id":"other"}`:        validator.BadClaims,
		`{"active":true,"aud":"https://api.test"}`:   validator.BadClaims,
		`{"active":true,"aud":"https://other.test"}`: validator.WrongAudience,
		`{"active":true,"aud":[]}`:                   validator.WrongAudience,
	} {
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig(func(c *validator.Issuer) {
			c.Profile, c.Marker, c.ClientIDs = validator.ProfileLegacy, rules{{Name: "client_id"}}, []string{"app"}
			c.ActiveWithin = validator.EachRequest
		})}})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(answer)})
		_, err := v.Validate(t.Context(), is.Bearer(issuertest.Claims{"aud": nil, "client_id": "app"}))
		if validator.ReasonOf(err) != want {
			t.Errorf("%s: %q (%v), want %q", answer, validator.ReasonOf(err), causeOf(err), want)
		}
	}
}

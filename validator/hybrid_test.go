package validator_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// newHybridIssuer returns an issuer in memory whose JWTs are validated locally and may be asked about.
func newHybridIssuer(t *testing.T, changes ...func(*validator.Issuer)) *opaqueIssuer {
	t.Helper()
	is := issuertest.New(t)
	return &opaqueIssuer{is, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig(changes...)}})}
}

// TestJWTsAskNobody: a JWT on a route without a demand has nothing to do with introspection, also if the endpoint is dead.
func TestJWTsAskNobody(t *testing.T) {
	is := newHybridIssuer(t)
	is.Behave(testissuer.Introspection, testissuer.Behaviour{Abort: true})
	if err := is.v.Warm(t.Context()); err != nil {
		t.Error(err)
	}
	for range 1000 {
		if _, err := is.v.Validate(t.Context(), is.Bearer(nil)); err != nil {
			t.Fatal(causeOf(err))
		}
	}
	if err := is.v.Ready(); err != nil {
		t.Error(err)
	}
	is.wantAsked(t, "1000 JWTs", 0)
}

// TestHybrid (R-IN-19): a JWT is validated locally first, and one that fails is not asked about. A revoked one is refused where the route or
// the issuer demands an answer, and only there.
func TestHybrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newHybridIssuer(t)
		for name, p := range map[string]validator.Presentation{
			"expired":           is.Bearer(issuertest.Claims{"exp": 1000}),
			"another audience":  is.Bearer(issuertest.Claims{"aud": "https://other.test"}),
			"another signature": issuertest.Bearer(is.Sign(testissuer.Token{Forgery: testissuer.Tampered})),
		} {
			if _, err := is.v.Validate(t.Context(), within(p, time.Minute)); err == nil || validator.ReasonOf(err) == validator.Inactive {
				t.Errorf("%s: %v", name, causeOf(err))
			}
			is.wantAsked(t, name, 0)
		}
		refused := within(is.Bearer(nil), time.Minute)
		refused.Demands.Audiences = []string{"https://other.test"}
		wantVerdict(t, "a demand that is not met", is.v, refused, validator.WrongAudience, validator.Verified, "")
		is.wantAsked(t, "a demand that is not met", 0)

		p := is.Bearer(nil)
		wantVerdict(t, "no demand", is.v, p, "", validator.Verified, "")
		wantVerdict(t, "fresh", is.v, within(p, 10*time.Second), "", validator.Introspected, "")
		wantVerdict(t, "fresh again", is.v, within(p, 10*time.Second), "", validator.Cached, "")
		is.Revoke(p.Token)
		time.Sleep(10 * time.Second)
		wantVerdict(t, "revoked, fresh", is.v, within(p, 10*time.Second), validator.Inactive, validator.Introspected, "")
		wantVerdict(t, "revoked, no demand", is.v, p, "", validator.Cached, "")
		is.wantAsked(t, "in all", 2)
	})
}

// TestIssuerDemandsAnswers: Issuer.ActiveWithin demands answers for all JWTs of an issuer; a route may demand fresher ones.
func TestIssuerDemandsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newHybridIssuer(t, func(config *validator.Issuer) { config.ActiveWithin = 20 * time.Second })
		p := is.Bearer(nil)
		token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		time.Sleep(10 * time.Second)
		wantVerdict(t, "10 s later", is.v, p, "", validator.Cached, "")
		wantVerdict(t, "10 s later, for 5 s", is.v, within(p, 5*time.Second), "", validator.Introspected, "")
		time.Sleep(20 * time.Second)
		if err := is.v.Recheck(t.Context(), token, validator.Demands{}); !errors.Is(err, introspect.AnswerOutdated) {
			t.Errorf("Recheck: %v", causeOf(err))
		}
		wantVerdict(t, "20 s later", is.v, p, "", validator.Introspected, "")
		if err := is.v.Recheck(t.Context(), token, validator.Demands{}); err != nil {
			t.Errorf("Recheck after a newer answer: %v", causeOf(err))
		}
	})
}

// TestAnswersOnlyNarrow: an answer about a JWT takes scopes and time away and adds nothing. It must name the same parties.
func TestAnswersOnlyNarrow(t *testing.T) {
	exp := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	jwt := issuertest.Claims{"sub": "user-1", "client_id": "app", "scope": "a b c", "exp": exp.Unix()}
	for _, row := range []struct {
		name   string
		answer string
		want   validator.Reason
		scopes []string
		expiry time.Time
	}{
		{"nothing but active", `{"active":true}`, "", []string{"a", "b", "c"}, exp},
		{"fewer scopes, and another one", `{"active":true,"scope":"c a d"}`, "", []string{"a", "c"}, exp},
		{"no scopes", `{"active":true,"scope":""}`, "", nil, exp},
		{"an earlier exp", `{"active":true,"exp":` + unix(exp.Add(-time.Minute)) + `}`, "", []string{"a", "b", "c"}, exp.Add(-time.Minute)},
		{"a later exp", `{"active":true,"exp":` + unix(exp.Add(time.Hour)) + `}`, "", []string{"a", "b", "c"}, exp},
		{"an exp that is over", `{"active":true,"exp":1000}`, validator.Expired, nil, time.Time{}},
		{"the same parties", `{"active":true,"iss":"ISS","sub":"user-1","client_id":"app","aud":"` + issuertest.Audience + `"}`, "", []string{"a", "b", "c"}, exp},
		{"another issuer", `{"active":true,"iss":"https://other.test"}`, validator.BadClaims, nil, time.Time{}},
		{"another subject", `{"active":true,"sub":"user-2"}`, validator.BadClaims, nil, time.Time{}},
		{"another client", `{"active":true,"client_id":"other"}`, validator.BadClaims, nil, time.Time{}},
		{"another audience", `{"active":true,"aud":"https://other.test"}`, validator.WrongAudience, nil, time.Time{}},
		{"this API and an audience that the JWT does not have", `{"active":true,"aud":["` + issuertest.Audience + `","https://other.test"]}`, validator.BadClaims, nil, time.Time{}},
		{"a binding", `{"active":true,"cnf":{"jkt":"a"}}`, validator.BadClaims, nil, time.Time{}},
		{"a refresh token", `{"active":true,"token_type":"refresh_token"}`, validator.WrongType, nil, time.Time{}},
		{"a subject of the wrong type", `{"active":true,"sub":1}`, validator.BadClaims, nil, time.Time{}},
		{"not active", `{"active":false}`, validator.Inactive, nil, time.Time{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newHybridIssuer(t)
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(strings.ReplaceAll(row.answer, "ISS", is.URL()))})
			p := is.Bearer(jwt)
			token := wantVerdict(t, "asked about", is.v, within(p, time.Minute), row.want, validator.Introspected, "")
			if row.want == "" && (!slices.Equal(token.Scopes(), row.scopes) || !token.Expiry().Equal(row.expiry) || token.Subject() != "user-1") {
				t.Errorf("scopes %v, exp %v, sub %q", token.Scopes(), token.Expiry(), token.Subject())
			}
			local := wantVerdict(t, "not asked about", is.v, p, "", validator.Cached, "")
			if !slices.Equal(local.Scopes(), []string{"a", "b", "c"}) || !local.Expiry().Equal(exp) {
				t.Errorf("the answer changed the JWT for other routes: %v, %v", local.Scopes(), local.Expiry())
			}
		})
	}
}

// TestNarrowedClaimIsRefused: what the configuration makes of scope is refused if the scopes that an answer leaves are.
func TestNarrowedClaimIsRefused(t *testing.T) {
	is := newHybridIssuer(t, func(config *validator.Issuer) {
		config.Tenant = validator.TenantRule{Claim: "scope", Owned: []string{"t1"}}
	})
	p := is.Bearer(issuertest.Claims{"scope": "t1"})
	for answer, want := range map[string]validator.Reason{`{"active":true,"scope":"t1 t2"}`: "", `{"active":true,"scope":"t2"}`: validator.BadClaims} {
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(answer)})
		wantVerdict(t, answer, is.v, within(p, validator.EachRequest), want, validator.Introspected, "")
	}
}

// TestIssuerCannotBeAsked: a route that demands an answer refuses the tokens of an issuer that cannot be asked, with 503, because nothing is known
// against the token.
func TestIssuerCannotBeAsked(t *testing.T) {
	is := issuertest.New(t)
	v := is.Validator(t)
	p := is.Bearer(nil)
	for range 2 {
		if _, err := v.Validate(t.Context(), within(p, time.Minute)); validator.ReasonOf(err) != validator.Unavailable || !strings.Contains(causeText(err), "has no Opaque") {
			t.Errorf("%v", causeOf(err))
		}
	}
	if v.CanMeet(validator.Demands{ActiveWithin: time.Minute}) == nil || v.CanMeet(validator.Demands{OpaqueIssuer: is.URL()}) == nil {
		t.Error("CanMeet finds nothing missing")
	}
	asked := newHybridIssuer(t)
	if err := asked.v.CanMeet(validator.Demands{ActiveWithin: time.Minute, OpaqueIssuer: asked.URL()}); err != nil {
		t.Error(err)
	}
}

// unix returns t as a NumericDate.
func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

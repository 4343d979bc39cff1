package validator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// The resources of an API that serves two, and a partner of one of them.
const ordersAudience, payrollAudience = "https://orders.example.com", "https://payroll.example.com"

// TestAudienceOfAnotherIssuer (R-AT-07, R-CL-05): an issuer that is configured for
// one resource opens no route of another, whatever aud names: configured or
// resolved, first seen or cached, asked by Validate or of the Token.
func TestAudienceOfAnotherIssuer(t *testing.T) {
	partner := validator.Issuer{URL: resolvedA, Audiences: []string{ordersAudience}, Keys: resolvedKeys, Grants: allScopes}
	config := func() validator.Config {
		config := baseConfig()
		config.Issuers[0].Audiences, config.Issuers[0].Grants = []string{ordersAudience, payrollAudience}, allScopes
		return config
	}
	configured, resolved := config(), config()
	configured.Issuers = append(configured.Issuers, partner)
	d := newDirectory()
	d.set(resolvedA, answering(partner))
	resolved.ResolveIssuer = d.find
	demand := func(audiences ...string) validator.Demands { return validator.Demands{Audiences: audiences} }
	both := `["` + ordersAudience + `","` + payrollAudience + `"]`
	for _, row := range []struct {
		issuer, aud string
		demands     validator.Demands
		want        validator.Reason
	}{
		{testIssuer, both, demand(payrollAudience), ""},
		{testIssuer, both, demand(ordersAudience), ""},
		{resolvedA, both, demand(ordersAudience), ""},
		{resolvedA, both, demand(), ""},
		{resolvedA, both, demand(payrollAudience), validator.WrongAudience},
		{resolvedA, both, demand(payrollAudience, ordersAudience), ""},
		{resolvedA, `"` + ordersAudience + `"`, demand(payrollAudience), validator.WrongAudience},
		{resolvedA, both, validator.Demands{SoleAudience: true}, validator.WrongAudience},
		{resolvedA, both, validator.Demands{SoleAudience: true, Audiences: []string{ordersAudience, payrollAudience}}, validator.WrongAudience},
		{testIssuer, both, validator.Demands{SoleAudience: true, Audiences: []string{payrollAudience}}, ""},
	} {
		for name, config := range map[string]validator.Config{"configured": configured, "resolved": resolved} {
			p := bearer(testKey.token(baseClaims.with("iss", `"`+row.issuer+`"`).with("aud", row.aud)))
			demanding := p
			demanding.Demands = row.demands
			v := issuertest.Validator(t, config)
			expect(t, v, demanding, 0, row.want, "")
			token := cached(at(0), t, v, p)
			expect(t, v, demanding, 0, row.want, "")
			if got := validator.ReasonOf(token.Meets(at(0), row.demands)); got != row.want {
				t.Errorf("%s %s, aud %s, %+v: the Token says %q, want %q", name, row.issuer, row.aud, row.demands, got, row.want)
			}
		}
	}
}

// TestMeets (R-CL-06, R-CL-11, R-SC-12): a Token that is held is judged by the
// times and demands that Validate judges, with the Validator's leeway.
func TestMeets(t *testing.T) {
	strict := baseConfig()
	strict.Leeway = validator.Leeway{Expiry: validator.NoLeeway, Future: 10 * time.Second}
	normal, noLeeway := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, strict)
	for _, row := range []struct {
		name    string
		claims  object
		v       *validator.Validator
		offset  time.Duration
		demands validator.Demands
		want    validator.Reason
	}{
		{"good", baseClaims, normal, 0, validator.Demands{}, ""},
		{"in the leeway", baseClaims, normal, time.Hour + 30*time.Second - 1, validator.Demands{}, ""},
		{"after the leeway", baseClaims, normal, time.Hour + 30*time.Second, validator.Demands{}, validator.Expired},
		{"before exp", baseClaims, noLeeway, time.Hour - 1, validator.Demands{}, ""},
		{"at exp", baseClaims, noLeeway, time.Hour, validator.Demands{}, validator.Expired},
		{"nbf within the leeway", baseClaims.with("nbf", "1700000000"), normal, -30 * time.Second, validator.Demands{}, ""},
		{"nbf ahead", baseClaims.with("nbf", "1700000000"), normal, -31 * time.Second, validator.Demands{}, validator.NotYetValid},
		{"nbf ahead of a shorter leeway", baseClaims.with("nbf", "1700000000"), noLeeway, -11 * time.Second, validator.Demands{}, validator.NotYetValid},
		{"expired comes before the demands", baseClaims, noLeeway, time.Hour, validator.Demands{SenderConstrained: true}, validator.Expired},
		{"another audience", baseClaims, normal, 0, validator.Demands{Audiences: []string{ordersAudience}}, validator.WrongAudience},
		{"one of two audiences", baseClaims, normal, 0, validator.Demands{Audiences: []string{ordersAudience, testAudience}}, ""},
		{"a foreign audience", baseClaims.with("aud", `["`+testAudience+`","x"]`), normal, 0, validator.Demands{SoleAudience: true}, validator.WrongAudience},
		{"lifetime", baseClaims, normal, 0, validator.Demands{MaxLifetime: time.Hour}, validator.BadClaims},
		{"age", baseClaims, normal, time.Minute, validator.Demands{MaxTokenAge: 2 * time.Minute}, ""},
		{"age exceeded", baseClaims, normal, time.Minute + 1, validator.Demands{MaxTokenAge: 2 * time.Minute}, validator.BadClaims},
		{"binding", baseClaims, normal, 0, validator.Demands{SenderConstrained: true}, validator.BindingMismatch},
	} {
		token := expect(t, row.v, bearer(testKey.token(row.claims)), 0, "", "")
		err := token.Meets(at(row.offset), row.demands)
		if got := validator.ReasonOf(err); got != row.want {
			t.Errorf("%s: %q (%v), want %q", row.name, got, causeOf(err), row.want)
		}
	}
}

// TestMeetsByTheClock: without a clock in the context it is the host's.
func TestMeetsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := cached(at(0), t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims)))
		advance(time.Until(time.Unix(testNow, 0).Add(time.Hour + 29*time.Second)))
		if err := token.Meets(t.Context(), validator.Demands{}); err != nil {
			t.Errorf("in the leeway: %v", err)
		}
		advance(time.Second)
		if err := token.Meets(t.Context(), validator.Demands{}); !errors.Is(err, validator.Expired) {
			t.Errorf("after the leeway: %v", err)
		}
	})
}

// TestMeetsNothing: what was not validated, or asked without a context, meets
// nothing.
func TestMeetsNothing(t *testing.T) {
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims)), 0, "", "")
	var none *validator.Token
	var noContext context.Context
	for _, row := range []struct {
		name  string
		token *validator.Token
		ctx   context.Context
		want  validator.Reason
	}{
		{"nil token", none, at(0), validator.NoCredentials},
		{"zero token", new(validator.Token), at(0), validator.NoCredentials},
		{"nil token and context", none, noContext, validator.NoCredentials},
		{"nil context", token, noContext, validator.Unavailable},
	} {
		if err := row.token.Meets(row.ctx, validator.Demands{}); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

// TestMeetsAllocatesNothing, unless it refuses: then the error and what its text is made of.
func TestMeetsAllocatesNothing(t *testing.T) {
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims)), 0, "", "")
	for _, demands := range []validator.Demands{
		{},
		{Audiences: []string{testAudience}, SoleAudience: true, MaxLifetime: 2 * time.Hour, MaxTokenAge: time.Hour},
		{SenderConstrained: true},
	} {
		for _, offset := range []time.Duration{0, 2 * time.Hour} {
			ctx := at(offset)
			most := 0.0
			if token.Meets(ctx, demands) != nil {
				most = 3
			}
			if n := testing.AllocsPerRun(100, func() { _ = token.Meets(ctx, demands) }); n > most {
				t.Errorf("%+v after %s: %v allocations", demands, offset, n)
			}
		}
	}
}

// TestMeetsKey (R-OP-06): a Token that is held is refused while its key is forbidden or
// withdrawn, and accepted once the key is back. Meets and Recheck agree.
func TestMeetsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		long := testissuer.Token{Lifetime: 24 * time.Hour}
		token := cached(ctx, t, v, bearer(issuer.Sign(long)))
		meets := func(what string, want validator.Reason) {
			t.Helper()
			before := issuer.Requests(testissuer.JWKS)
			if err := token.Meets(ctx, validator.Demands{}); validator.ReasonOf(err) != want {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
			if n := testing.AllocsPerRun(10, func() { _ = token.Meets(ctx, validator.Demands{}) }); n != 0 {
				t.Errorf("%s: %v allocations", what, n)
			}
			synctest.Wait()
			if n := issuer.Requests(testissuer.JWKS) - before; n != 0 {
				t.Errorf("%s: Meets causes %d fetches", what, n)
			}
			wantRecheck(ctx, t, what, v, token, validator.Demands{}, want)
		}
		refresh := func() {
			issuer.Rotate()
			advance(10 * time.Second)
			accepts(ctx, t, v, bearer(issuer.Sign(long))) // an unknown kid: the set is fetched
		}
		meets("published", "")
		noError(t, v.ForbidKey(ctx, issuer.URL(), kidOf(issuer)))
		meets("forbidden", validator.UnknownKey)
		noError(t, v.PermitKey(ctx, issuer.URL(), kidOf(issuer)))
		meets("permitted again", "")
		old := issuer.SigningKey()
		issuer.Rotate()
		issuer.Retire(old)
		refresh()
		meets("withdrawn", validator.UnknownKey)
		issuer.AddKey(testissuer.Key{Members: map[string]any{"kid": old}})
		refresh()
		meets("another key of the kid", validator.UnknownKey)
		issuer.Publish(old)
		refresh()
		meets("published again", "")
		noError(t, v.ForbidKey(ctx, issuer.URL(), jwkscache.KeyName{KeyID: old}))
		meets("published again, and forbidden", validator.UnknownKey)
		advance(24 * time.Hour)
		if err := token.Meets(ctx, validator.Demands{}); !errors.Is(err, validator.Expired) {
			t.Errorf("the token has expired too: %v", err)
		}
	})
}

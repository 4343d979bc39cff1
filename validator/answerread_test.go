package validator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestConfiguredRulesOfAnswers (R-IN-04): what the configuration of an issuer demands of tokens holds for answers, too.
func TestConfiguredRulesOfAnswers(t *testing.T) {
	declared := func(config *validator.Issuer) {
		config.Claims = []validator.ClaimRule{{Name: "environment", Equals: "production"}}
	}
	tenant := func(config *validator.Issuer) {
		config.Tenant = validator.TenantRule{Claim: "tid", Owned: []string{"t1"}}
	}
	marker := func(all ...validator.ClaimRule) func(*validator.Issuer) {
		return func(config *validator.Issuer) { config.Answers.Marker = all }
	}
	typ := marker(validator.ClaimRule{Name: "typ", Equals: "Bearer"})
	lists := func(config *validator.Issuer) { config.Answers.ScopeLists = true }
	for _, row := range []struct {
		name   string
		change func(*validator.Issuer)
		claims issuertest.Claims
		want   validator.Reason
	}{
		{"a declared claim", declared, issuertest.Claims{"environment": "production"}, ""},
		{"without the declared claim", declared, nil, validator.BadClaims},
		{"a declared claim with another value", declared, issuertest.Claims{"environment": "test"}, validator.BadClaims},
		{"a tenant", tenant, issuertest.Claims{"tid": "t1"}, ""},
		{"without a tenant", tenant, nil, validator.BadClaims},
		{"a list of scopes", lists, issuertest.Claims{"scope": []any{"a", "b"}}, ""},
		{"a list with two scopes in one element", lists, issuertest.Claims{"scope": []any{"a b"}}, validator.BadClaims},
		{"a list with an empty scope", lists, issuertest.Claims{"scope": []any{"a", ""}}, validator.BadClaims},
		{"a list with a number", lists, issuertest.Claims{"scope": []any{"a", 1}}, validator.BadClaims},
		{"a list of another claim, where scopes may be lists", lists, issuertest.Claims{"sub": []any{"user-1"}}, validator.BadClaims},
		{"an ID token by its nonce", func(*validator.Issuer) {}, issuertest.Claims{"nonce": "n"}, validator.WrongType},
		{"a nonce, and the value of a marker", typ, issuertest.Claims{"nonce": "n", "typ": "Bearer"}, ""},
		{"a nonce, and another value", typ, issuertest.Claims{"nonce": "n", "typ": "x"}, validator.WrongType},
		{"a nonce, and a claim that is there", marker(validator.ClaimRule{Name: "purpose"}), issuertest.Claims{"nonce": "n", "purpose": "x"}, validator.WrongType},
		{"a nonce, and token_type as the marker", marker(validator.ClaimRule{Name: "token_type", Equals: "bearer"}), issuertest.Claims{"nonce": "n", "token_type": "bearer"}, validator.WrongType},
		{"events, and the value of a marker", typ, issuertest.Claims{"events": map[string]any{}, "typ": "Bearer"}, validator.WrongType},
		{"the value of a marker, and the mark of an ID token", typ, issuertest.Claims{"typ": "Bearer", "token_use": "id"}, validator.WrongType},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newOpaqueIssuer(t, row.change)
			wantVerdict(t, "the answer", is.v, is.OpaqueBearer(row.claims), row.want, validator.Introspected, "")
		})
	}
}

// TestTimesOfAnswersAboutJWTs (R-IN-19): the times in an answer about a JWT are checked, also those that the JWT does not have.
func TestTimesOfAnswersAboutJWTs(t *testing.T) {
	later := unix(time.Now().Add(time.Hour))
	for answer, want := range map[string]validator.Reason{
		`{"active":true,"nbf":` + later + `}`: validator.NotYetValid,
		`{"active":true,"iat":` + later + `}`: validator.NotYetValid,
		`{"active":true,"exp":"soon"}`:        validator.BadClaims,
		`{"active":true,"cnf":{}}`:            validator.BadClaims,
		`{"active":true,"cnf":null}`:          validator.BadClaims,
	} {
		is := newHybridIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(answer)})
		wantVerdict(t, answer, is.v, within(is.Bearer(nil), time.Minute), want, validator.Introspected, "")
	}
}

// TestAnswerFaultsOfTheConfiguration (R-IN-02): each field of AnswerRules is a fault where nobody is asked.
func TestAnswerFaultsOfTheConfiguration(t *testing.T) {
	for name, answers := range map[string]validator.AnswerRules{
		"Marker":          {Marker: rules{{Name: "jti"}}},
		"TokenTypes":      {TokenTypes: []string{"access_token"}},
		"FiltersAudience": {FiltersAudience: true},
		"ScopeLists":      {ScopeLists: true},
	} {
		config := baseConfig()
		config.Issuers[0].Answers = answers
		if _, err := validator.New(config); err == nil || !strings.Contains(err.Error(), "Answers is for answers of introspection") {
			t.Errorf("%s without Opaque: %v", name, err)
		}
	}
}

// TestBoundTokenOfDPoP (R-IN-09): an answer about a token that is bound to a key and says so in token_type does not contradict itself: only the
// scheme of the request is wrong.
func TestBoundTokenOfDPoP(t *testing.T) {
	is := newOpaqueIssuer(t)
	token := is.Opaque(testissuer.Token{Fault: testissuer.BoundToKey})
	wantVerdict(t, "bound", is.v, issuertest.Bearer(token), validator.BindingMismatch, validator.Introspected, "presented as a bearer token")
}

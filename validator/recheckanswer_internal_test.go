package validator

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/introspect"
)

// TestRecheckAnswerOfTheSameKind (R-IN-14): a newer answer takes the place of that of a Token that is held only if both are of a JWT, or neither is:
// what counts for an opaque token says nothing about the key of a JWT.
func TestRecheckAnswerOfTheSameKind(t *testing.T) {
	const url = "https://issuer.test"
	v, err := New(Config{Issuers: []Issuer{{
		URL: url, Audiences: []string{"https://api.test"},
		Opaque: &introspect.Client{Endpoint: url + "/introspect", ID: "api", Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText("x")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	is, now := v.byURL[url], time.Now()
	d := is.opaque.tokens.digest("token")
	answer := facts{
		claims: tokenClaims{issuer: url, subject: "user-1"}, from: now.Unix() - 60, until: now.Unix() + 60,
		answer: &answerFacts{digest: d, began: clock.MomentAt(now, v.start)},
	}
	answer.setIssuer(is)
	v.cache.add(d, &entry{draft: &draft{facts: answer}, since: clock.MomentAt(now, v.start), lasts: time.Minute, until: now.Unix() + 60})
	for signed, want := range map[bool]*Error{false: nil, true: errOutdated} {
		held := answer
		held.signed = signed
		if refused := v.recheckAnswer(t.Context(), is, &held, &Demands{}); refused != want {
			t.Errorf("signed %t: %v, want %v", signed, refused, want)
		}
	}
}

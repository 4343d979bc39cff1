package scopes_test

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/validated"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecideValidated shows that a Proof leaves out only what Validate has checked:
// the token's times and the demands. The zero Proof leaves out nothing.
func TestDecideValidated(t *testing.T) {
	young := scopes.And(scopes.All("read"), scopes.MaxTokenAge(time.Minute))
	tiers := scopes.And(scopes.All("read"), scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{"all": {MaxLifetime: time.Second}}, Default: "all",
	}))
	reader, writer := mint(t, claims{"scope": "read"}), mint(t, claims{"scope": "write"})
	for _, row := range []struct {
		name      string
		policy    scopes.Policy
		token     *validator.Token
		after     time.Duration
		with, not validator.Reason // with a Proof, and without
	}{
		{"good", young, reader, 0, permitted, permitted},
		{"too old for the route", young, reader, 2 * time.Minute, permitted, validator.BadClaims},
		{"expired", young, reader, 24 * time.Hour, permitted, validator.Expired},
		{"no scope", young, writer, 0, validator.InsufficientScope, validator.InsufficientScope},
		{"a demand of a tier", tiers, reader, 0, validator.BadClaims, validator.BadClaims},
		{"nil token", young, nil, 0, validator.InsufficientScope, validator.InsufficientScope},
		{"zero token", young, new(validator.Token), 0, validator.InsufficientScope, validator.InsufficientScope},
		{"zero policy", scopes.Policy{}, reader, 0, validator.Forbidden, validator.Forbidden},
	} {
		for proof, want := range map[validated.Proof]validator.Reason{validated.Now(0): row.with, {}: row.not} {
			got := permitted
			if refusal := row.policy.DecideValidated(at(row.after), row.token, scopes.Operation{}, proof); refusal != nil {
				got = refusal.Reason
			}
			if got != want {
				t.Errorf("%s, proof holds: %t: %q, want %q", row.name, proof.Holds(), got, want)
			}
		}
	}
}

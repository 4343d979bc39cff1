package validator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// nestedArray returns a JSON array with that many levels.
func nestedArray(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

// accessOf returns resource_access of a Keycloak token for n clients, which has 2n members.
func accessOf(n int) string {
	clients := make([]string, n)
	for i := range clients {
		clients[i] = fmt.Sprintf(`"app-%03d":{"roles":["user"]}`, i)
	}
	return "{" + strings.Join(clients, ",") + "}"
}

// TestTokenLimits (R-OP-07): the members and the depth of claims are bounded by the
// configuration. A token that exceeds them is too large, and not malformed.
func TestTokenLimits(t *testing.T) {
	config := func(members, depth int) validator.Config {
		c := baseConfig()
		c.MaxTokenBytes, c.MaxTokenMembers, c.MaxTokenDepth = 1<<20, members, depth
		c.Issuers[0].Mappings = []validator.Mapping{{Claim: []string{"resource_access", "app-001", "roles"}, To: validator.ToRole}}
		return c
	}
	const base = 8 // members of baseClaims
	access := func(clients int) object { return baseClaims.with("resource_access", accessOf(clients)) }
	depth := func(levels int) object { return baseClaims.with("x", nestedArray(levels-1)) }
	const members = "found more than %d members in all objects of the claims together; wanted at most %d; let the issuer leave claims out, such as the roles of other clients, or raise Config.MaxTokenMembers"
	const levels = "found claims nested deeper than %d levels; wanted at most %d; let the issuer leave claims out, or raise Config.MaxTokenDepth"
	for _, row := range []struct {
		name   string
		config validator.Config
		claims object
		cause  string // "" if it is accepted
	}{
		{"250 clients of Keycloak", config(0, 0), access(250), ""},
		{"1000 clients of Keycloak", config(0, 0), access(1000), ""},
		{"20 levels", config(0, 0), depth(20), ""},
		{"64 levels", config(0, 0), depth(64), ""},
		{"65 levels", config(0, 0), depth(65), fmt.Sprintf(levels, 64, 64)},
		{"4095 members", config(0, 0), access((4095 - base - 1) / 2), ""},
		{"4097 members", config(0, 0), access((4097 - base - 1) / 2), fmt.Sprintf(members, 4096, 4096)},
		{"64 of 64 members", config(64, 0), access((63-base-1)/2).with("x", "1"), ""},
		{"65 of 64 members", config(64, 0), access((65 - base - 1) / 2), fmt.Sprintf(members, 64, 64)},
		{"8 of 8 levels", config(0, 8), depth(8), ""},
		{"9 of 8 levels", config(0, 8), depth(9), fmt.Sprintf(levels, 8, 8)},
		{"more members than the default", config(65_536, 0), access(10_000), ""},
		{"more levels than the default", config(0, 1024), depth(1024), ""},
		{"objects with more levels than the default", config(0, 1024), baseClaims.with("x", strings.Repeat(`{"a":`, 1022)+"{}"+strings.Repeat("}", 1022)), ""},
		{"1025 of 1024 levels", config(0, 1024), depth(1025), fmt.Sprintf(levels, 1024, 1024)},
	} {
		t.Run(row.name, func(t *testing.T) {
			v, p := issuertest.Validator(t, row.config), bearer(testKey.token(row.claims))
			if row.cause != "" {
				expect(t, v, p, 0, validator.TooLarge, row.cause)
				return
			}
			token := cached(at(0), t, v, p)
			if wants := strings.Contains(row.claims.text(), "app-001"); token.HasRole("user") != wants {
				t.Errorf("Roles is %q", token.Roles())
			}
			if !token.Satisfies(validator.ClaimRule{Name: "client_id", Equals: "client-1"}) {
				t.Error("client_id is not found")
			}
			var all map[string]any
			if err := token.Claims(&all); err != nil || len(all) < base {
				t.Errorf("%d claims, %v", len(all), err)
			}
		})
	}
	malformed := issuertest.Validator(t, config(0, 0))
	for _, payload := range []string{
		`{"a":` + nestedArray(20) + `,"a":1}`, `{"a":` + nestedArray(20), `{"a":` + nestedArray(20) + `}}`,
	} {
		expect(t, malformed, bearer(testKey.Sign(testKey.header().text(), payload)), 0, validator.MalformedToken, "payload")
	}
}

// TestNestedActors (R-SC-16): actors may be nested as deep as other claims.
func TestNestedActors(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	act := `{"sub":"last"}`
	for i := range 40 {
		act = fmt.Sprintf(`{"sub":"actor-%d","act":%s}`, i, act)
	}
	token := expect(t, v, bearer(testKey.token(baseClaims.with("act", act))), 0, "", "")
	if actor, ok := token.Actor(); !ok || actor.Subject != "actor-39" {
		t.Errorf("%v", actor)
	}
}

// TestAnswerLimits (R-OP-07): the limits hold for answers about opaque tokens and about
// JWTs, too. An answer that exceeds them is of no use, and the cause names the limit.
func TestAnswerLimits(t *testing.T) {
	for _, row := range []struct {
		clients, members int
		want             validator.Reason
	}{{250, 0, ""}, {250, 128, validator.Unavailable}, {3000, 0, validator.Unavailable}, {3000, 8000, ""}} {
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{MaxTokenMembers: row.members, Issuers: []validator.Issuer{is.OpaqueConfig()}})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(
			`{"active":true,"token_type":"Bearer","aud":"` + issuertest.Audience + `","resource_access":` + accessOf(row.clients) + `}`)})
		_, err := v.Validate(t.Context(), is.OpaqueBearer(nil))
		if validator.ReasonOf(err) != row.want || row.want != "" && !strings.Contains(fmt.Sprint(causeOf(err)), "Config.MaxTokenMembers") {
			t.Errorf("%d clients, limit %d: %v (%v)", row.clients, row.members, err, causeOf(err))
		}
	}
}

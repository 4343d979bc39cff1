package validator

import (
	"testing"
	"time"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
)

// TestCovers (R-IN-14): a newer answer takes the place of that of a Token that is held only if it names the same and takes nothing away.
func TestCovers(t *testing.T) {
	audience := func(text string) func(*tokenClaims) {
		return func(c *tokenClaims) { c.audience = jwtclaims.Lookup(parsed(t, `{"aud":`+text+`}`), "aud") }
	}
	now := time.Unix(1700000000, 0)
	held := tokenClaims{
		issuer: "https://issuer.test", subject: "user-1", clientID: "app", sessionID: "s1", tenant: "t1", acr: "1", caller: callerUser, multiFactor: true,
		authTime: now, actor: Party{Subject: "actor"}, hasActor: true, expiry: now.Add(time.Hour), scope: "a b", roles: "r1" + string(roleSeparator) + "r2",
	}
	audience(`"https://api.test"`)(&held)
	for _, row := range []struct {
		name   string
		change func(*tokenClaims)
		want   bool
	}{
		{"the same", func(*tokenClaims) {}, true},
		{"the same time in another zone", func(c *tokenClaims) { c.authTime = now.UTC() }, true},
		{"another issuer", func(c *tokenClaims) { c.issuer = "https://other.test" }, false},
		{"another subject", func(c *tokenClaims) { c.subject = "user-2" }, false},
		{"another client", func(c *tokenClaims) { c.clientID = "other" }, false},
		{"another session", func(c *tokenClaims) { c.sessionID = "s2" }, false},
		{"another tenant", func(c *tokenClaims) { c.tenant = "t2" }, false},
		{"another acr", func(c *tokenClaims) { c.acr = "2" }, false},
		{"another kind of caller", func(c *tokenClaims) { c.caller = callerUnknown }, false},
		{"one factor", func(c *tokenClaims) { c.multiFactor = false }, false},
		{"another auth_time", func(c *tokenClaims) { c.authTime = now.Add(-time.Second) }, false},
		{"another actor", func(c *tokenClaims) { c.actor.Subject = "other" }, false},
		{"no actor", func(c *tokenClaims) { c.hasActor = false }, false},
		{"another audience", audience(`"https://other.test"`), false},
		{"an earlier end", func(c *tokenClaims) { c.expiry = now }, false},
		{"a later end", func(c *tokenClaims) { c.expiry = now.Add(2 * time.Hour) }, true},
		{"no end", func(c *tokenClaims) { c.expiry = time.Time{} }, true},
		{"fewer scopes", func(c *tokenClaims) { c.scope = "b" }, false},
		{"more scopes", func(c *tokenClaims) { c.scope = "c b a" }, true},
		{"fewer roles", func(c *tokenClaims) { c.roles = "r2" }, false},
	} {
		newer := held
		row.change(&newer)
		if got := newer.covers(&held); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
	endless, ends := held, held
	endless.expiry = time.Time{}
	if ends.covers(&endless) {
		t.Error("an end for a token without one: true, want false")
	}
}

package validator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// fullClaims has every claim that an accessor reads.
var fullClaims = slices.Concat(baseClaims, object{
	{"nbf", "1699999950"},
	{"auth_time", "1699999000"},
	{"acr", `"urn:example:loa3"`},
	{"amr", `["pwd","otp"]`},
	{"azp", `"client-2"`},
	{"act", `{"iss":"https://act.example.com","sub":"admin-1","client_id":"console"}`},
	{"tenant", `"one"`},
	{"roles", `["a","b"]`},
})

// accessors calls everything that a Token can be asked.
func accessors(t *validator.Token) map[string]any {
	actor, acts := t.Actor()
	return map[string]any{
		"Issuer": t.Issuer(), "Subject": t.Subject(), "ClientID": t.ClientID(), "ID": t.ID(), "ACR": t.ACR(),
		"Audience": fmt.Sprint(t.Audience()), "AMR": fmt.Sprint(t.AMR()), "Scopes": fmt.Sprint(t.Scopes()),
		"Expiry": t.Expiry(), "IssuedAt": t.IssuedAt(), "NotBefore": t.NotBefore(), "AuthTime": t.AuthTime(),
		"read": t.HasScope("read"), "empty scope": t.HasScope(""), "acts": acts,
		"roles": fmt.Sprint(t.Roles()), "role": t.HasRole("a"), "empty role": t.HasRole(""), "tenant": t.Tenant(),
		"client only": t.ClientOnly(), "user": t.HasUser(), "multi-factor": t.MultiFactor(), "Algorithm": t.Algorithm(),
		"actor": strings.Join([]string{actor.Issuer, actor.Subject, actor.ClientID}, "|"),
	}
}

func compareAccessors(t *testing.T, got, want map[string]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d accessors, want %d", len(got), len(want))
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

func TestAccessors(t *testing.T) {
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(fullClaims)), 0, "", "")
	compareAccessors(t, accessors(token), map[string]any{
		"Issuer": testIssuer, "Subject": "user-1", "ClientID": "client-1", "ID": "jti-0001", "ACR": "urn:example:loa3",
		"Audience": "[https://api.example.com]", "AMR": "[pwd otp]", "Scopes": "[read write]",
		"Expiry": time.Unix(1700003600, 0), "IssuedAt": time.Unix(1699999940, 0),
		"NotBefore": time.Unix(1699999950, 0), "AuthTime": time.Unix(1699999000, 0),
		"roles": "[]", "role": false, "empty role": false, "tenant": "", "client only": false, "user": true, "multi-factor": false, "Algorithm": jose.EdDSA,
		"read": true, "empty scope": false, "acts": true, "actor": "https://act.example.com|admin-1|console",
	})
}

// TestWorthlessTokens: a Token that Validate did not make grants nothing.
func TestWorthlessTokens(t *testing.T) {
	for name, token := range map[string]*validator.Token{
		"nil": nil, "literal": {}, "new": new(validator.Token),
		"refused": expect(t, issuertest.Validator(t, baseConfig()), bearer(foreignKey.token(fullClaims)), 0, validator.BadSignature, ""),
	} {
		t.Run(name, func(t *testing.T) {
			compareAccessors(t, accessors(token), map[string]any{
				"Issuer": "", "Subject": "", "ClientID": "", "ID": "", "ACR": "", "Audience": "[]", "AMR": "[]", "Scopes": "[]",
				"Expiry": time.Time{}, "IssuedAt": time.Time{}, "NotBefore": time.Time{}, "AuthTime": time.Time{},
				"roles": "[]", "role": false, "empty role": false, "tenant": "", "client only": true, "user": false, "multi-factor": false, "Algorithm": jose.Algorithm(0),
				"read": false, "empty scope": false, "acts": false, "actor": "||",
			})
			dst := map[string]any{"sub": "unchanged"}
			if err := token.Claims(&dst); !errors.Is(err, validator.NoCredentials) || len(dst) != 1 {
				t.Errorf("Claims: %v, %v", err, dst)
			}
			if text, err := token.MarshalText(); err != nil || !strings.HasPrefix(string(text), `Token(iss="" client_id="" jti=""`) {
				t.Errorf("MarshalText: %s, %v", text, err)
			}
			if got := token.LogValue().Group(); len(got) != 4 || got[0].Value.String() != "" {
				t.Errorf("LogValue: %v", got)
			}
		})
	}
}

// TestTokenIsImmutable changes what the accessors return.
func TestTokenIsImmutable(t *testing.T) {
	text := testKey.token(fullClaims.with("aud", `["https://api.example.com","x"]`))
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(text), 0, "", "")
	before := accessors(token)
	for _, list := range [][]string{token.Audience(), token.AMR(), token.Scopes()} {
		if len(list) != 2 {
			t.Fatalf("list is %q", list)
		}
		for i := range list {
			list[i] = "root"
		}
		_ = append(list[:0], "root", "root")
	}
	actor, _ := token.Actor()
	actor.Subject = "root"
	var first, second struct {
		Roles []string `json:"roles"`
	}
	if err := token.Claims(&first); err != nil {
		t.Fatal(err)
	}
	first.Roles[0] = "root"
	if err := token.Claims(&second); err != nil || !slices.Equal(second.Roles, []string{"a", "b"}) {
		t.Errorf("roles are %q, %v", second.Roles, err)
	}
	compareAccessors(t, accessors(token), before)
}

// TestLegacyAccessors: what a legacy token lacks is empty.
func TestLegacyAccessors(t *testing.T) {
	token := expect(t, issuertest.Validator(t, legacyConfig()), bearer(testKey.token(legacyClaims)), 0, "", "")
	if token.ClientID() != "" || token.ID() != "" || !token.IssuedAt().IsZero() || token.Subject() != "user-1" || token.HasScope("read") {
		t.Errorf("token is %v", token)
	}
}

// TestClaims: the caller's struct is filled from the verified payload by exact
// names and types (R-JS-16, R-CL-14).
func TestClaims(t *testing.T) {
	claims := slices.Concat(fullClaims, object{{"Tenant", `"two"`}, {"TENANT", `"three"`}})
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(claims)), 0, "", "")
	var dst struct {
		Tenant  string   `json:"tenant"`
		Roles   []string `json:"roles"`
		Expiry  int64    `json:"exp"`
		Sub     string   // no tag: the member would have to be called Sub
		Missing string   `json:"missing"`
	}
	if err := token.Claims(&dst); err != nil {
		t.Fatal(err)
	}
	if dst.Tenant != "one" || !slices.Equal(dst.Roles, []string{"a", "b"}) || dst.Expiry != 1700003600 || dst.Sub != "" || dst.Missing != "" {
		t.Errorf("decoded %+v", dst)
	}
	all := map[string]any{}
	if err := token.Claims(&all); err != nil || len(all) != len(claims) || all["Tenant"] != "two" {
		t.Errorf("decoded %v, %v", all, err)
	}
	for name, dst := range map[string]any{
		"a string for a number": &struct {
			Expiry string `json:"exp"`
		}{},
		"a number for a string": &struct {
			Sub int `json:"sub"`
		}{},
		"a list for a string": &struct {
			Roles string `json:"roles"`
		}{},
		"no pointer": struct{}{},
		"nil":        nil,
	} {
		if err := token.Claims(dst); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestConcurrency: one Validator, many goroutines (R-OP-08; run with -race).
func TestConcurrency(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(testKey, ec256Key(), rsaSigner(jose.RS256, "rs256"))
	var mu sync.Mutex
	seen := map[validator.Reason]int{}
	config.Trace = (&validator.Trace{}).Join(&validator.Trace{ValidateDone: func(_ context.Context, done validator.ValidateDone) {
		mu.Lock()
		defer mu.Unlock()
		seen[done.Reason]++
	}})
	v := issuertest.Validator(t, config)
	tokens := map[string]validator.Reason{
		testKey.token(fullClaims): "", ec256Key().token(baseClaims): "", rsaSigner(jose.RS256, "rs256").token(baseClaims): "",
		foreignKey.token(baseClaims): validator.BadSignature, testKey.token(baseClaims.with("exp", "1")): validator.Expired,
	}
	const workers, rounds = 16, 20
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range rounds {
				for text, want := range tokens {
					token, err := v.Validate(at(0), bearer(text))
					if got := validator.ReasonOf(err); got != want {
						t.Errorf("%q, want %q", string(got), string(want))
					}
					if want == "" && (token.Subject() != "user-1" || !token.HasScope("read") || len(token.Audience()) != 1) {
						t.Errorf("token is %v", token)
					}
				}
			}
		})
	}
	group.Wait()
	if n := workers * rounds; seen[""] != 3*n || seen[validator.BadSignature] != n || seen[validator.Expired] != n {
		t.Errorf("hooks saw %v", seen)
	}
}

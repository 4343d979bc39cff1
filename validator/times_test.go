package validator_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestExpiryEdge (R-CL-06, R-CL-09, R-AT-09): refused from exp and leeway on.
func TestExpiryEdge(t *testing.T) {
	token := bearer(testKey.token(baseClaims.with("exp", "1700000000")))
	fractional := bearer(testKey.token(baseClaims.with("exp", "1700000000.5")))
	for _, row := range []struct{ configured, leeway time.Duration }{
		{validator.NoLeeway, 0},
		{0, 30 * time.Second},
		{1, 1},
		{10 * time.Second, 10 * time.Second},
		{60 * time.Second, 60 * time.Second},
	} {
		t.Run(row.configured.String(), func(t *testing.T) {
			config := baseConfig()
			config.Leeway.Expiry = row.configured
			v := issuertest.Validator(t, config)
			expect(t, v, token, row.leeway-1, "", "")
			expect(t, v, token, row.leeway, validator.Expired, "exp and the leeway")
			expect(t, v, token, row.leeway+1, validator.Expired, "")
			expect(t, v, token, 1000*time.Hour, validator.Expired, "")
			expect(t, v, fractional, row.leeway+500*time.Millisecond-1, "", "")
			expect(t, v, fractional, row.leeway+500*time.Millisecond, validator.Expired, "")
			if got := expect(t, v, token, 0-1, "", "").Expiry(); got.Unix() != testNow {
				t.Errorf("Expiry is %v: the leeway must not show", got)
			}
		})
	}
}

// TestFutureEdge (R-CL-07, R-CL-08, R-CL-09): up to the leeway ahead, and the
// two leeways have nothing to do with each other.
func TestFutureEdge(t *testing.T) {
	for _, row := range []struct {
		expiry, configured, leeway time.Duration
	}{
		{0, 0, 30 * time.Second},
		{validator.NoLeeway, 10 * time.Second, 10 * time.Second},
		{60 * time.Second, 10 * time.Second, 10 * time.Second},
		{validator.NoLeeway, 60 * time.Second, 60 * time.Second},
	} {
		config := baseConfig()
		config.Leeway = validator.Leeway{Expiry: row.expiry, Future: row.configured}
		v := issuertest.Validator(t, config)
		for claim, cause := range map[string]string{"nbf": "nbf lies", "iat": "iat lies", "auth_time": "auth_time lies"} {
			t.Run(fmt.Sprint(claim, row.configured, row.expiry), func(t *testing.T) {
				token := bearer(testKey.token(baseClaims.with("iat", "0").with(claim, "1700000000")))
				expect(t, v, token, 0, "", "")
				expect(t, v, token, -row.leeway, "", "")
				expect(t, v, token, -row.leeway-1, validator.NotYetValid, cause)
				expect(t, v, token, -10*time.Second, "", "")
				expect(t, v, token, -60*time.Second-1, validator.NotYetValid, cause)
				expect(t, v, token, -1000*time.Hour, validator.NotYetValid, cause)
			})
		}
	}
}

// TestNumericDate (R-CL-10): a JSON number from 0 to 2^53 and nothing else.
func TestNumericDate(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for raw, want := range map[string]int64{
		"1700003600": 1700003600, "1.7000036e9": 1700003600, "1.7000036E+9": 1700003600, "17000036e2": 1700003600,
		"1700003600.0": 1700003600, "1700003600.999": 1700003600, "170000360000e-2": 1700003600,
		"9007199254740992": 1 << 53, "253402300799": 253402300799,
	} {
		token := expect(t, v, bearer(testKey.token(baseClaims.with("exp", raw))), 0, "", "")
		if got := token.Expiry().Unix(); got != want {
			t.Errorf("exp %s is read as %d, want %d", raw, got, want)
		}
	}
	for _, raw := range []string{
		"-1", "-0", "-1700003600", "-1e400", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616",
		"18446744075409555216", "1e16", "1e308", "1e400", "1e1000000000", "9007199254740994.5",
	} {
		for _, claim := range []string{"exp", "iat", "nbf", "auth_time"} {
			if claim == "auth_time" && raw[0] == '-' {
				continue // absent; see TestOptionalClaims
			}
			t.Run(claim+raw, func(t *testing.T) {
				expect(t, v, bearer(testKey.token(baseClaims.with(claim, raw))), 0, validator.BadClaims, "NumericDate")
			})
		}
	}
	for _, raw := range []string{"NaN", "Infinity", "-Infinity", "1700003600.", ".5", "01700003600", "+1700003600", "0x65", "1_700_003_600"} {
		t.Run(raw, func(t *testing.T) {
			expect(t, v, bearer(testKey.token(baseClaims.with("exp", raw))), 0, validator.MalformedToken, "payload")
		})
	}
	// Zero is a date, and not an absent claim.
	expect(t, v, bearer(testKey.token(baseClaims.with("exp", "0"))), 0, validator.Expired, "")
	token := expect(t, v, bearer(testKey.token(baseClaims.with("iat", "0").with("nbf", "0").with("auth_time", "0"))), 0, "", "")
	for name, got := range map[string]time.Time{"iat": token.IssuedAt(), "nbf": token.NotBefore(), "auth_time": token.AuthTime()} {
		if got.IsZero() || got.Unix() != 0 {
			t.Errorf("%s of 0 is %v", name, got)
		}
	}
}

// TestBound (R-AT-14): whatever cnf is, and whoever presents it, the token is
// never taken for a bearer token.
func TestBound(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	legacy := issuertest.Validator(t, legacyConfig())
	for _, cnf := range []string{
		`{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, `{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}`,
		`{"jkt":"x","x5t#S256":"y"}`, `{"kid":"k1"}`, `{"jwk":{}}`, `{}`, `null`, `""`, `"x"`, `[]`, `0`, `false`, `true`,
	} {
		t.Run(cnf, func(t *testing.T) {
			p := bearer(testKey.token(baseClaims.with("cnf", cnf)))
			expect(t, v, p, 0, validator.BindingMismatch, "the token has cnf")
			p.Proofs = []string{"proof"}
			expect(t, v, p, 0, validator.BindingMismatch, "the token has cnf")
			expect(t, legacy, bearer(testKey.token(legacyClaims.with("cnf", cnf))), 0, validator.BindingMismatch, "the token has cnf")
			p.Scheme = validator.DPoP
			expect(t, v, p, 0, validator.BindingMismatch, "DPoP is not configured")
		})
	}
	for name, raw := range map[string]string{"Cnf": `{"jkt":"x"}`, "x": `{"cnf":{"jkt":"x"}}`} {
		expect(t, v, bearer(testKey.token(baseClaims.with(name, raw))), 0, "", "")
	}
	p := bearer(testKey.token(baseClaims))
	p.Scheme = validator.DPoP
	expect(t, v, p, 0, validator.BindingMismatch, "DPoP is not configured")
}

// TestSchemes: Bearer and DPoP are the only schemes whose token is looked at.
func TestSchemes(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	token := testKey.token(baseClaims)
	for scheme, want := range map[validator.Scheme]validator.Reason{
		0: validator.NoCredentials, validator.Bearer: "", validator.DPoP: validator.BindingMismatch,
		validator.OtherScheme: validator.NoCredentials, 4: validator.NoCredentials, 255: validator.NoCredentials,
	} {
		t.Run(strconv.FormatUint(uint64(scheme), 10), func(t *testing.T) {
			expect(t, v, validator.Presentation{Scheme: scheme, Token: token}, 0, want, "")
		})
	}
	expect(t, v, validator.Presentation{Token: token}, 0, validator.NoCredentials, "no Authorization field")
	expect(t, v, validator.Presentation{}, 0, validator.NoCredentials, "no Authorization field")
	for scheme, want := range map[validator.Scheme]string{
		0: "none", validator.Bearer: "Bearer", validator.DPoP: "DPoP", validator.OtherScheme: "other", 4: "none",
	} {
		if got := scheme.String(); got != want {
			t.Errorf("Scheme(%d) is %q, want %q", uint8(scheme), got, want)
		}
	}
}

// TestDemandedAudience: one token, two routes of other resources (R-CL-05,
// R-AT-07).
func TestDemandedAudience(t *testing.T) {
	const a, b, foreign = "https://a.example.com", "https://b.example.com", "https://foreign.example.com"
	config := baseConfig()
	config.Issuers[0].Audiences = []string{a, b}
	v := issuertest.Validator(t, config)
	demand := func(sole bool, audiences ...string) validator.Demands {
		return validator.Demands{Audiences: audiences, SoleAudience: sole}
	}
	for _, row := range []struct {
		aud     string
		demands validator.Demands
		want    validator.Reason
		cause   string
	}{
		{`"` + a + `"`, demand(false), "", ""},
		{`"` + a + `"`, demand(false, a), "", ""},
		{`"` + a + `"`, demand(false, b), validator.WrongAudience, "the route demands"},
		{`"` + a + `"`, demand(false, b, a), "", ""},
		{`"` + a + `"`, demand(false, ""), validator.WrongAudience, "the route demands"},
		{`"` + a + `"`, demand(false, a+"/"), validator.WrongAudience, "the route demands"},
		{`["` + a + `","` + b + `"]`, demand(false, b), "", ""},
		{`["` + a + `","` + foreign + `"]`, demand(false, a), "", ""},
		// What a route demands does not widen what the issuer may address.
		{`["` + a + `","` + foreign + `"]`, demand(false, foreign), validator.WrongAudience, "the issuer is configured for"},
		{`["` + a + `","` + foreign + `"]`, demand(false, b, foreign), validator.WrongAudience, "the issuer is configured for"},
		{`["` + a + `","` + foreign + `"]`, demand(false, foreign, a), "", ""},
		{`"` + foreign + `"`, demand(false, foreign), validator.WrongAudience, "configured audiences"},

		{`"` + a + `"`, demand(true), "", ""},
		{`["` + a + `"]`, demand(true), "", ""},
		{`["` + a + `","` + b + `"]`, demand(true, a), "", ""}, // both are ours
		{`["` + a + `","` + foreign + `"]`, demand(true), validator.WrongAudience, "foreign audience"},
		{`["` + foreign + `","` + a + `"]`, demand(true, a), validator.WrongAudience, "foreign audience"},
		{`["` + a + `","` + foreign + `"]`, demand(true, a, foreign), validator.WrongAudience, "foreign audience"},
		{`["` + a + `","` + foreign + `"]`, demand(false), "", ""},
		{`"` + a + `"`, demand(true, b), validator.WrongAudience, "the route demands"},
	} {
		t.Run(fmt.Sprint(row.aud, row.demands.SoleAudience, row.demands.Audiences), func(t *testing.T) {
			p := bearer(testKey.token(baseClaims.with("aud", row.aud)))
			p.Demands = row.demands
			expect(t, v, p, 0, row.want, row.cause)
		})
	}
}

// TestDemandedLifetime (R-CL-11): exp − iat.
func TestDemandedLifetime(t *testing.T) {
	v, legacy := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, legacyConfig())
	token := bearer(testKey.token(baseClaims.with("iat", "1700000000").with("exp", "1700000300")))
	for lifetime, want := range map[time.Duration]validator.Reason{
		0: "", 1: validator.BadClaims, 300*time.Second - 1: validator.BadClaims, 300 * time.Second: "", 300*time.Second + 1: "",
	} {
		token.Demands.MaxLifetime = lifetime
		expect(t, v, token, 0, want, "exp − iat is longer")
	}
	for _, row := range []struct {
		claims object
		want   validator.Reason
	}{
		{legacyClaims, validator.BadClaims}, // has no iat
		{legacyClaims.with("iat", "1700000000"), ""},
		{legacyClaims.with("iat", "1699999999"), validator.BadClaims},
		{legacyClaims.with("iat", "0").with("exp", "9007199254740992"), validator.BadClaims}, // longer than a Duration
	} {
		p := bearer(testKey.token(row.claims))
		expect(t, legacy, p, 0, "", "")
		p.Demands.MaxLifetime = time.Hour
		expect(t, legacy, p, 0, row.want, "there is no iat")
	}
	// Without iat the lifetime is unknown, however much is allowed.
	p := bearer(testKey.token(legacyClaims))
	p.Demands.MaxLifetime = math.MaxInt64
	expect(t, legacy, p, 0, validator.BadClaims, "there is no iat")
	// A negative limit demands nothing that a token could meet.
	token.Demands.MaxLifetime = -1
	expect(t, v, token, 0, validator.BadClaims, "exp − iat")
}

// TestDemandedAge (R-CL-11): now − iat, without leeway.
func TestDemandedAge(t *testing.T) {
	v, legacy := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, legacyConfig())
	token := bearer(testKey.token(baseClaims.with("iat", "1699999700")))
	for age, want := range map[time.Duration]validator.Reason{
		0: "", 1: validator.BadClaims, 300*time.Second - 1: validator.BadClaims, 300 * time.Second: "", 300*time.Second + 1: "", -1: validator.BadClaims,
	} {
		token.Demands.MaxTokenAge = age
		expect(t, v, token, 0, want, "now − iat is longer")
	}
	token.Demands.MaxTokenAge = 300 * time.Second
	expect(t, v, token, 1, validator.BadClaims, "now − iat is longer")
	ahead := bearer(testKey.token(baseClaims.with("iat", "1700000030"))) // by the leeway
	ahead.Demands.MaxTokenAge = time.Second
	expect(t, v, ahead, 0, "", "")
	for _, row := range []struct {
		claims object
		want   validator.Reason
	}{
		{legacyClaims, validator.BadClaims}, // has no iat, so that its age is unknown
		{legacyClaims.with("iat", "1699996400"), ""},
		{legacyClaims.with("iat", "1699996399"), validator.BadClaims},
		{legacyClaims.with("iat", "0"), validator.BadClaims},
		{legacyClaims.with("auth_time", "1700000000").with("nbf", "1700000000"), validator.BadClaims},
	} {
		p := bearer(testKey.token(row.claims))
		expect(t, legacy, p, 0, "", "")
		p.Demands.MaxTokenAge = time.Hour
		expect(t, legacy, p, 0, row.want, "there is no iat")
	}
	p := bearer(testKey.token(legacyClaims))
	p.Demands.MaxTokenAge = math.MaxInt64
	expect(t, legacy, p, 0, validator.BadClaims, "there is no iat")
}

// TestDemandedBinding (R-SC-12): what anyone can use who has it is refused, and
// so is still what is bound, since that cannot be checked.
func TestDemandedBinding(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	p := bearer(testKey.token(baseClaims))
	expect(t, v, p, 0, "", "")
	p.Demands.SenderConstrained = true
	expect(t, v, p, 0, validator.BindingMismatch, "the token has no cnf")
	p.Token = testKey.token(baseClaims.with("cnf", `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`))
	expect(t, v, p, 0, validator.BindingMismatch, "cannot be checked")
}

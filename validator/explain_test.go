package validator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// outline is a word for each check: + passed, - failed, 0 not reached.
func outline(all []validator.Judgement) string {
	words := make([]string, len(all))
	for i, j := range all {
		switch {
		case !j.Reached:
			words[i] = "0" + j.Check
		case j.Passed:
			words[i] = "+" + j.Check
		default:
			words[i] = "-" + j.Check
		}
	}
	return strings.Join(words, " ")
}

// judgementOf returns the judgement of a check, which must be there.
func judgementOf(t *testing.T, all []validator.Judgement, check string) validator.Judgement {
	t.Helper()
	i := slices.IndexFunc(all, func(j validator.Judgement) bool { return j.Check == check })
	if i < 0 {
		t.Fatalf("%q is not judged: %s", check, outline(all))
	}
	return all[i]
}

// wantAgreement checks that the judgements agree with the verdict: nothing failed of a
// token that is accepted, and the first that failed has the reason of one that is refused.
func wantAgreement(t *testing.T, done validator.ValidateDone, all []validator.Judgement, secrets ...string) {
	t.Helper()
	if len(all) == 0 {
		t.Error("there is no judgement")
	}
	first := slices.IndexFunc(all, func(j validator.Judgement) bool { return j.Reached && !j.Passed })
	switch {
	case done.Err == nil && (first >= 0 || slices.ContainsFunc(all, func(j validator.Judgement) bool { return !j.Reached })):
		t.Errorf("accepted, and %s", outline(all))
	case done.Err != nil && (first < 0 || all[first].Reason != done.Reason):
		t.Errorf("%s (%v), and %s", done.Reason, causeOf(done.Err), outline(all))
	}
	for _, j := range all {
		if j.Passed && (!j.Reached || j.Reason != "" || j.Mend != "") || !j.Passed && j.Reached && j.Reason == "" || j.Found == "" {
			t.Errorf("%+v is not whole", j)
		}
	}
	if piece := issuertest.Shows(fmt.Sprintf("%+v", all), secrets...); piece != "" {
		t.Errorf("%+v shows %q", all, piece)
	}
}

// TestExplainTheCorpus: what is explained agrees with the verdict for every token of the
// corpus, and shows no piece of the token (R-OB-01).
func TestExplainTheCorpus(t *testing.T) {
	corpus := readCorpus(t)
	for i := range corpus.Cases {
		of := &corpus.Cases[i]
		v, err := validator.New(corpus.config(t, of))
		if errors.Is(err, jose.ErrNotJWKS) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Run(of.ID, func(t *testing.T) {
			ctx, p := clock.At(t.Context(), time.Unix(corpus.Configs[of.Config].Now, 0)), bearer(of.text())
			done := v.Inspect(ctx, p)
			wantAgreement(t, done, v.Explain(ctx, p, done), issuertest.SecretsOf(p.Token)...)
		})
	}
}

// TestExplain: after a check that fails, those that can be made are made, and the others
// say why they were not.
func TestExplain(t *testing.T) {
	v, legacy := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, legacyConfig())
	several := baseConfig()
	several.Issuers[0].Grants = allScopes
	several.Issuers = append(several.Issuers, several.Issuers[0])
	several.Issuers[1].URL = "https://other.example.com"
	header := testKey.header()
	signed := func(header, claims object) validator.Presentation {
		return bearer(testKey.Sign(header.text(), claims.text()))
	}
	const (
		start  = "+scheme +size +form +payload "
		read   = start + "+issuer +algorithm +type +key +signature +claims +header claims +kind of token +required claims "
		rest   = "+declared claims +mapped claims +binding +demands of the route"
		unread = "0issuer 0algorithm 0type 0key 0signature 0claims 0header claims 0kind of token 0required claims 0expiry 0start 0audience 0declared claims 0mapped claims 0binding"
	)
	for _, row := range []struct {
		name string
		v    *validator.Validator
		p    validator.Presentation
		want string
	}{
		{"good", v, signed(header, baseClaims), read + "+expiry +start +audience " + rest},
		{"no credentials", v, validator.Presentation{}, "-scheme 0size 0form 0payload " + unread},
		{"too large", v, bearer(strings.Repeat("a", 20_000)), "+scheme -size 0form 0payload " + unread},
		{"grammar", v, bearer("a b"), "+scheme +size -form 0payload " + unread},
		{"form", v, bearer("abc"), "+scheme +size -form 0payload " + unread},
		{"payload", v, bearer(testKey.Sign(header.text(), "{")), "+scheme +size +form -payload " + unread},
		{"expired, for another API", v, signed(header, baseClaims.with("exp", "1").with("aud", `"x"`)), read + "-expiry +start -audience " + rest},
		{"of the other issuer's name", v, signed(header, baseClaims.with("iss", `"https://as.example.com/"`)), strings.Replace(read, "+issuer", "-issuer", 1) + "+expiry +start +audience " + rest},
		{"of an unknown issuer beside two", issuertest.Validator(t, several), signed(header, baseClaims.with("iss", `"x"`)), start + strings.Replace(unread, "0issuer", "-issuer", 1)},
		{
			"algorithm and type", v, signed(header.with("alg", `"ES512"`).with("typ", `"JWT"`), baseClaims),
			start + "+issuer -algorithm -type 0key 0signature +claims +header claims +kind of token +required claims +expiry +start +audience " + rest,
		},
		{"key", v, signed(header.with("kid", `"k2"`), baseClaims), strings.Replace(read, "+key +signature", "-key 0signature", 1) + "+expiry +start +audience " + rest},
		{"signature and times", v, bearer(foreignKey.token(baseClaims.with("iat", "1800000000"))), strings.Replace(read, "+signature", "-signature", 1) + "+expiry -start +audience " + rest},
		{
			"a date that cannot be read, and aud", v, signed(header, baseClaims.with("exp", `"x"`).with("aud", `"y"`)),
			start + "+issuer +algorithm +type +key +signature -claims +header claims +kind of token 0required claims 0expiry +start -audience +declared claims +mapped claims +binding 0demands of the route",
		},
		{"no exp", v, signed(header, baseClaims.without("exp")), strings.Replace(read, "+required", "-required", 1) + "0expiry +start +audience " + rest},
		{"ID token", legacy, signed(header.with("typ", `"JWT"`), baseClaims.with("nonce", `"n"`)), strings.Replace(read, "+kind", "-kind", 1) + "+expiry +start +audience " + rest},
		{"bound, on a route", v, demanding(testKey.token(baseClaims.with("cnf", `{"jkt":"x"}`))), read + "+expiry +start +audience +declared claims +mapped claims -binding -demands of the route"},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := row.v.Inspect(at(0), row.p)
			all := row.v.Explain(at(0), row.p, done)
			if got := outline(all); got != row.want {
				t.Errorf("%s\nwant %s", got, row.want)
			}
			wantAgreement(t, done, all, issuertest.SecretsOf(row.p.Token)...)
		})
	}
}

// TestExplainGrantsNothing: a token that was explained is not known to the cache, and a
// verdict of another call does not change what was found.
func TestExplainMisuse(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	good, bad := bearer(testKey.token(baseClaims)), bearer(testKey.token(baseClaims.with("aud", `"x"`)))
	refused := v.Inspect(at(0), bad)
	if all := v.Explain(at(0), good, refused); !strings.Contains(outline(all), "-active") {
		t.Errorf("explained with the verdict on another token: %s", outline(all))
	}
	if done := v.Inspect(at(0), good); done.Source != validator.Verified {
		t.Errorf("after Explain, a token comes from %q", done.Source)
	}
	var none *validator.Validator
	for name, all := range map[string][]validator.Judgement{
		"nil Validator": none.Explain(at(0), good, none.Inspect(at(0), good)),
		"nil Validator, and the verdict of another": none.Explain(at(0), good, refused),
		"nil context": v.Explain(nil, good, v.Inspect(nil, good)), //nolint:staticcheck // misuse
	} {
		if got := outline(all); got != "-active" || all[0].Reason != validator.Unavailable {
			t.Errorf("%s: %s, %q", name, got, all[0].Reason)
		}
	}
	expired := v.Inspect(at(0), bearer(testKey.token(baseClaims.with("exp", "1"))))
	if all := v.Explain(at(0), bad, expired); firstReason(all) != validator.Expired {
		t.Errorf("explained with another verdict: %q first", firstReason(all))
	}
	if all := v.Explain(at(0), good, validator.ValidateDone{Err: errors.New("x"), Reason: validator.Expired}); firstReason(all) != validator.Unavailable {
		t.Errorf("explained with an error of another package: %q first", firstReason(all))
	}
}

// firstReason returns the Reason of the first check that failed.
func firstReason(all []validator.Judgement) validator.Reason {
	return all[slices.IndexFunc(all, func(j validator.Judgement) bool { return j.Reached && !j.Passed })].Reason
}

// TestExplainIssuer checks what is said where the issuer is not known, so that nothing else
// can be checked: several issuers are configured, or another one is asked than iss names.
func TestExplainIssuer(t *testing.T) {
	several := baseConfig()
	several.Issuers[0].Grants = allScopes
	several.Issuers = append(several.Issuers, several.Issuers[0])
	several.Issuers[1].URL = "https://other.example.com"
	first, second := issuertest.At(t, "https://first.test"), issuertest.At(t, "https://second.test")
	all := func(c *validator.Issuer) { c.Grants = allScopes }
	asked := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		first.OpaqueConfig(all, func(c *validator.Issuer) { c.Opaque.Prefix = "first_" }), second.OpaqueConfig(all, func(c *validator.Issuer) { c.Opaque.Prefix = "second_" }),
	}})
	mixed := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{first.Config(all), second.OpaqueConfig(all)}})
	third := issuertest.At(t, "https://third.test")
	three := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		first.Config(all), second.OpaqueConfig(all, func(c *validator.Issuer) { c.Opaque.Prefix = "second_" }), third.OpaqueConfig(all, func(c *validator.Issuer) { c.Opaque.Prefix = "third_" }),
	}})
	foreign := second.Bearer(nil)
	foreign.Demands.OpaqueIssuer = third.URL()
	for name, row := range map[string]struct {
		v     *validator.Validator
		p     validator.Presentation
		check string
		found string
	}{
		"iss is not configured":             {issuertest.Validator(t, several), bearer(testKey.token(baseClaims.with("iss", `"x"`))), "type", "the issuer decides on what is checked"},
		"another issuer is asked":           {three, foreign, "active", "no issuer is asked"},
		"no issuer is asked about it":       {asked, bearer("third_token"), "active", "no issuer is asked"},
		"a JWT of the issuer that is asked": {mixed, second.Bearer(nil), "issuer", "which is asked about the token"},
	} {
		t.Run(name, func(t *testing.T) {
			done := row.v.Inspect(at(0), row.p)
			judged := row.v.Explain(at(0), row.p, done)
			wantAgreement(t, done, judged, issuertest.SecretsOf(row.p.Token)...)
			i := slices.IndexFunc(judged, func(j validator.Judgement) bool { return j.Check == row.check })
			if i < 0 || !strings.Contains(judged[i].Found, row.found) {
				t.Errorf("%+v", judged)
			}
		})
	}
}

// TestExplainAsked: of a token that its issuer is asked about, what the issuer said is the
// last check, and the issuer is not asked again for it.
func TestExplainAsked(t *testing.T) {
	is := issuertest.New(t)
	opaque := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}})
	hybrid := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig()}})
	local := is.Validator(t)
	fresh := func(p validator.Presentation) validator.Presentation {
		p.Demands.ActiveWithin = validator.EachRequest
		return p
	}
	dead := is.OpaqueToken(nil)
	is.Revoke(dead)
	revoked := is.Token(issuertest.Claims{"jti": "revoked"})
	is.Revoke(revoked)
	const jwt = "+scheme +size +form +payload +issuer +algorithm +type +key +signature +claims +header claims +kind of token +required claims +expiry +start "
	for _, row := range []struct {
		name  string
		v     *validator.Validator
		p     validator.Presentation
		want  string
		found string // by the last check
	}{
		{"active", opaque, is.OpaqueBearer(nil), "+scheme +size +form +issuer +active", "active true"},
		{"inactive", opaque, bearer(dead), "+scheme +size +form +issuer -active", "active false"},
		{"for another API", opaque, is.OpaqueBearer(issuertest.Claims{"aud": "https://other.example"}), "+scheme +size +form +issuer -active", `aud "https://other.example"`},
		{"grammar", opaque, bearer("a b"), "+scheme +size -form 0payload 0issuer", ""},
		{"a JWT that need not be asked about", hybrid, is.Bearer(nil), jwt + "+audience +declared claims +mapped claims +binding +demands of the route", "none"},
		{"a JWT that is asked about", hybrid, fresh(is.Bearer(nil)), jwt + "+audience +declared claims +mapped claims +binding +demands of the route +active", "active true"},
		{"a JWT that is revoked", hybrid, fresh(bearer(revoked)), jwt + "+audience +declared claims +mapped claims +binding +demands of the route -active", "active false"},
		{"a JWT that is refused before", hybrid, fresh(is.Bearer(issuertest.Claims{"aud": "x"})), jwt + "-audience +declared claims +mapped claims +binding +demands of the route 0active", "the issuer was not asked"},
		{"an issuer that cannot be asked", local, fresh(is.Bearer(nil)), jwt + "+audience +declared claims +mapped claims +binding +demands of the route -active", "has no Opaque"},
		{"a JWT of an issuer without Keys", opaque, is.Bearer(nil), "+scheme +size +form +issuer +active", "active true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := row.v.Inspect(t.Context(), row.p)
			before := is.Requests(testissuer.Introspection)
			all := row.v.Explain(t.Context(), row.p, done)
			if n := is.Requests(testissuer.Introspection) - before; n != 0 {
				t.Errorf("the issuer was asked %d times", n)
			}
			if got := outline(all); !strings.HasPrefix(got, row.want) || !strings.Contains(all[len(all)-1].Found, row.found) {
				t.Errorf("%s\nwant %s; the last: %+v", got, row.want, all[len(all)-1])
			}
			wantAgreement(t, done, all, issuertest.SecretsOf(row.p.Token)...)
		})
	}
	is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 500})
	p := is.OpaqueBearer(nil)
	done := opaque.Inspect(t.Context(), p)
	all := opaque.Explain(t.Context(), p, done)
	if last := all[len(all)-1]; last.Check != "active" || last.Reason != validator.Unavailable || !strings.Contains(last.Found, "answered 500") {
		t.Errorf("no answer: %+v", last)
	}
	wantAgreement(t, done, all)
}

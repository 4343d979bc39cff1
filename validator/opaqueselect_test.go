package validator_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// prefix is a change that sets the prefix of the issuer's tokens.
func prefix(text string) func(*validator.Issuer) {
	return func(config *validator.Issuer) {
		client := *config.Opaque
		client.Prefix = text
		config.Opaque = &client
	}
}

// TestNamedIssuerIsNotAsked (R-IN-03): a route and a request may name an issuer that has no Opaque, or none, and nobody is asked.
func TestNamedIssuerIsNotAsked(t *testing.T) {
	jwts, asked := issuertest.At(t, "https://jwts.test"), issuertest.At(t, "https://asked.test")
	none := func(context.Context, *url.URL) string { return "" }
	p := asked.OpaqueBearer(nil)
	named := p
	named.Demands.OpaqueIssuer = jwts.URL()
	for name, row := range map[string]struct {
		choose func(context.Context, *url.URL) string
		p      validator.Presentation
		cause  string
	}{
		"the route names an issuer without Opaque": {nil, named, "has no Opaque"},
		"the request names none":                   {none, p, "name none"},
	} {
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{jwts.Config(grantAll), asked.OpaqueConfig(grantAll)}, OpaqueIssuer: row.choose,
		})
		wantVerdict(t, name, v, row.p, validator.UnknownIssuer, "", row.cause)
	}
	if n := asked.Requests(testissuer.Introspection); n != 0 {
		t.Errorf("%d introspection requests", n)
	}
}

// TestJWTsBesideOpaqueTokens (R-IN-03): the order of the issuers does not matter. JWTs of one are validated locally, and the tokens of the
// other are asked about.
func TestJWTsBesideOpaqueTokens(t *testing.T) {
	jwts, asked := issuertest.At(t, "https://jwts.test"), issuertest.At(t, "https://asked.test")
	ofJWTs, ofAsked := jwts.Config(grantAll), asked.OpaqueConfig(grantAll, prefix("one_"))
	for name, issuers := range map[string][]validator.Issuer{
		"JWTs first": {ofJWTs, ofAsked}, "JWTs last": {ofAsked, ofJWTs},
	} {
		v := issuertest.Validator(t, validator.Config{Issuers: issuers})
		wantVerdict(t, name, v, jwts.Bearer(nil), "", validator.Verified, "")
		wantVerdict(t, name, v, issuertest.Bearer(asked.Opaque(testissuer.Token{Prefix: "one_"})), "", validator.Introspected, "")
	}
}

// TestPrefixFaults (R-IN-03): prefixes that fit the same token are a fault, in either order. An issuer without a prefix or without Opaque has
// nothing to do with those of others.
func TestPrefixFaults(t *testing.T) {
	first, second := issuertest.At(t, "https://first.test"), issuertest.At(t, "https://second.test")
	a, b := first.OpaqueConfig(grantAll, prefix("one_")), second.OpaqueConfig(grantAll)
	for name, row := range map[string]struct {
		other validator.Issuer
		fault bool
	}{
		"no prefix":      {b, false},
		"no Opaque":      {second.Config(grantAll), false},
		"another prefix": {second.OpaqueConfig(grantAll, prefix("two_")), false},
		"the same":       {second.OpaqueConfig(grantAll, prefix("one_")), true},
		"a longer one":   {second.OpaqueConfig(grantAll, prefix("one_two_")), true},
	} {
		for _, issuers := range [][]validator.Issuer{{a, row.other}, {row.other, a}} {
			_, err := validator.New(validator.Config{Issuers: issuers})
			if found := err != nil && strings.Contains(err.Error(), "fit the same tokens"); found != row.fault || (err != nil) != row.fault {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestPrefixOfJWTs (R-IN-03): a prefix that fits JWTs is a fault where JWTs are validated locally, since it would send those of all issuers to
// one. Where no issuer has such JWTs, it is none.
func TestPrefixOfJWTs(t *testing.T) {
	asked, other := issuertest.At(t, "https://asked.test"), issuertest.At(t, "https://other.test")
	both := func() validator.Config {
		return validator.Config{Issuers: []validator.Issuer{asked.OpaqueConfig(grantAll), other.Config(grantAll)}}
	}
	hybrid := func(config *validator.Issuer) { config.Keys = jwkscache.Discovered() }
	resolve := func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}
	const fault = "validator: Issuers[0].Opaque.Prefix %q fits JWTs, which begin with eyJ, and JWTs are validated here; give what only the opaque tokens of this issuer begin with"
	for name, row := range map[string]struct {
		prefix string
		config validator.Config
		fault  bool
	}{
		"an issuer of JWTs":                {"eyJ", both(), true},
		"the beginning of it":              {"e", both(), true},
		"two letters of it":                {"ey", both(), true},
		"more than it":                     {"eyJhbGci", both(), true},
		"JWTs of the issuer itself":        {"eyJ", validator.Config{Issuers: []validator.Issuer{asked.OpaqueConfig(grantAll, hybrid)}}, true},
		"JWTs of resolved issuers":         {"eyJ", validator.Config{Issuers: []validator.Issuer{asked.OpaqueConfig(grantAll)}, ResolveIssuer: resolve}, true},
		"no JWTs":                          {"eyJ", validator.Config{Issuers: []validator.Issuer{asked.OpaqueConfig(grantAll), other.OpaqueConfig(grantAll)}}, false},
		"another beginning":                {"eyK", both(), false},
		"another case":                     {"EYJ", both(), false},
		"no prefix, and an issuer of JWTs": {"", both(), false},
	} {
		prefix(row.prefix)(&row.config.Issuers[0])
		want := "<nil>"
		if row.fault {
			want = fmt.Sprintf(fault, row.prefix)
		}
		if _, err := validator.New(row.config); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestResolvedOpaqueIssuer (R-IN-03): the route or the request names an issuer that ResolveIssuer finds, and it is asked about every token that
// is no JWT of an issuer that may be known.
func TestResolvedOpaqueIssuer(t *testing.T) {
	const issuer = "https://resolved.test"
	ofIssuer := encoded(`{"iss":"` + issuer + `"}`)
	for _, row := range []struct {
		name, token string
		want        validator.Reason
	}{
		{"random", "8xLOxBtZp8", ""},
		{"one dot, and then an object", "x." + ofIssuer, ""},
		{"three segments of noise", "x.y.z", ""},
		{"an object with an iss", "x." + ofIssuer + ".z", validator.MalformedToken},
		{"an object with an iss, and then a character that is none of base64url", "x." + ofIssuer + "++++.z", ""},
		{"an object without an iss", "x." + encoded(`{"sub":"a"}`) + ".z", ""},
	} {
		for _, byRoute := range []bool{true, false} {
			is := issuertest.At(t, issuer)
			d := newDirectory()
			d.set(issuer, answering(is.OpaqueConfig(grantAll)))
			config := validator.Config{ResolveIssuer: d.find}
			p := issuertest.Bearer(is.Opaque(testissuer.Token{Text: row.token}))
			if byRoute {
				p.Demands.OpaqueIssuer = issuer
			} else {
				config.OpaqueIssuer = func(context.Context, *url.URL) string { return issuer }
			}
			done := issuertest.Validator(t, config).Inspect(t.Context(), p)
			asked := 1
			if row.want != "" {
				asked = 0
			}
			if n := is.Requests(testissuer.Introspection); done.Reason != row.want || n != asked {
				t.Errorf("%s, by the route %t: %q (%v) and %d requests, want %q and %d", row.name, byRoute, done.Reason, causeOf(done.Err), n, row.want, asked)
			}
		}
	}
}

// TestRouteWithoutOpaqueIssuer: where only routes select an issuer that is asked, a token on another route is judged as a JWT.
func TestRouteWithoutOpaqueIssuer(t *testing.T) {
	d := newDirectory()
	v := issuertest.Validator(t, validator.Config{ResolveIssuer: d.find})
	for token, want := range map[string]validator.Reason{
		"random": validator.MalformedToken, "x.y.z": validator.MalformedToken, "x y": validator.MalformedRequest,
	} {
		wantVerdict(t, token, v, issuertest.Bearer(token), want, "", "")
	}
}

// TestJWTsThatAreAskedAbout (R-IN-03): beside an issuer whose JWTs are validated locally, another one is asked about JWTs of unknown issuers and of its own, about
// tokens with its prefix, and about all that have not three segments.
func TestJWTsThatAreAskedAbout(t *testing.T) {
	jwts, stranger := issuertest.At(t, "https://jwts.test"), issuertest.At(t, "https://stranger.test")
	for name, row := range map[string]struct {
		token, prefix string
	}{
		"an unknown issuer":                      {stranger.Token(nil), ""},
		"its own":                                {issuertest.At(t, "https://asked.test").Token(nil), ""},
		"its prefix":                             {"one_x." + encoded(`{"iss":"https://jwts.test"}`) + ".y", "one_"},
		"a signed payload that is no object":     {signedForm(`["a"]`), ""},
		"four segments, one of the other issuer": {"x." + encoded(`{"iss":"https://jwts.test"}`) + ".y.z", ""},
	} {
		asked := issuertest.At(t, "https://asked.test")
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{jwts.Config(grantAll), asked.OpaqueConfig(grantAll, prefix(row.prefix))},
		})
		p := issuertest.Bearer(asked.Opaque(testissuer.Token{Text: row.token}))
		wantVerdict(t, name, v, p, "", validator.Introspected, "")
	}
}

// TestResolverFails: while ResolveIssuer fails, a JWT is neither refused nor asked about.
func TestResolverFails(t *testing.T) {
	asked, other := issuertest.At(t, "https://asked.test"), issuertest.At(t, "https://other.test")
	d := newDirectory()
	d.set("*", failing(errDirectory))
	v := resolving(t, d, 0, nil, asked.OpaqueConfig(grantAll))
	wantVerdict(t, "a JWT", v, other.Bearer(nil), validator.Unavailable, "", errDirectory.Error())
	if n := asked.Requests(testissuer.Introspection); n != 0 {
		t.Errorf("%d introspection requests", n)
	}
}

// signedForm returns the payload in a compact JWS whose header can be read.
func signedForm(payload string) string {
	return encoded(`{"alg":"ES256","typ":"at+jwt","kid":"a"}`) + "." + encoded(payload) + "." + encoded(strings.Repeat("s", 64))
}

// TestUnreadableJWTIsAskedAboutNowhere (R-IN-03): a signed payload that is an object and cannot be read may be a JWT of any issuer, so that nobody is asked.
func TestUnreadableJWTIsAskedAboutNowhere(t *testing.T) {
	is := newHybridIssuer(t)
	for _, payload := range []string{`{"iss":"https://jwts.test","iss":"https://other.test"}`, `{"iss":`, ` {"a":1,"a":2}`} {
		wantVerdict(t, payload, is.v, issuertest.Bearer(signedForm(payload)), validator.MalformedToken, "", "payload")
	}
	is.wantAsked(t, "in all", 0)
}

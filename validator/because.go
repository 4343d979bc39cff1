package validator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// because returns e, which is a constant, with details in its cause. They are written
// only if somebody prints them.
func (e *Error) because(details func() cause.Details) *Error {
	return &Error{e.reason, cause.New(e.cause, details)}
}

// with returns e with constant details in its cause. It is for package variables.
func (e *Error) with(details cause.Details) *Error {
	return e.because(func() cause.Details { return details })
}

// isA reports whether e is the constant, or the constant with details.
func (e *Error) isA(constant *Error) bool {
	if e == nil || e == constant {
		return e == constant
	}
	c, ok := e.cause.(*cause.Cause)           //nolint:errorlint // the kind of the cause itself
	return ok && c.Unwrap() == constant.cause //nolint:errorlint // as above
}

// notVerified is said of a value that nothing vouches for.
const notVerified = " (not verified)"

// seenIssuer says what selectIssuer looked at. It is not verified.
func (v *Validator) seenIssuer(iss strictjson.Value) cause.Details {
	urls := make([]string, 0, len(v.issuers))
	for _, is := range v.issuers {
		urls = append(urls, is.URL)
	}
	d := cause.Details{Found: jwtclaims.DescribeText("iss", iss) + notVerified, Wanted: cause.OneOf(urls)}
	if v.resolved != nil {
		d.Wanted = strings.TrimPrefix(d.Wanted+" or one that Config.ResolveIssuer finds", "none or ")
	}
	text, _ := iss.Text()
	switch i := slices.IndexFunc(urls, func(url string) bool { return isAlmost(text, url) }); {
	case slices.Contains(urls, text):
	case i >= 0:
		d.Mend = fmt.Sprintf("they differ in a slash at the end, the scheme, or case only: set Issuer.URL to the iss of the tokens, byte for byte, if %s is the issuer that is meant", cause.Quote(text))
	default:
		d.Mend = "check that the token is of this environment; if the issuer is trusted, add it to Config.Issuers"
	}
	return d
}

// isAlmost reports whether two URLs are equal but for a slash at the end, the scheme and
// case.
func isAlmost(a, b string) bool {
	plain := func(url string) string {
		_, rest, found := strings.Cut(url, "://")
		if !found {
			rest = url
		}
		return strings.TrimSuffix(strings.ToLower(rest), "/")
	}
	return a != b && plain(a) == plain(b)
}

// seenAlgorithm says what authenticate compared alg with.
func (is *checkedIssuer) seenAlgorithm(h jose.Header) cause.Details {
	d := cause.Details{Found: jwtclaims.DescribeAlgorithm(h), Wanted: "one of " + is.algorithmNames()}
	if h.Algorithm().Valid() && !is.allowed[h.Algorithm()] {
		d.Mend = fmt.Sprintf("add %s to Issuer.Algorithms if the issuer signs with it", h.Algorithm())
	}
	return d
}

// algorithmNames returns the algorithms of the issuer, with spaces between them.
func (is *checkedIssuer) algorithmNames() string {
	algorithms := is.Algorithms
	if algorithms == nil {
		algorithms = defaultAlgorithms
	}
	return jwtclaims.DescribeAlgorithms(algorithms)
}

// mendProfile is what an operator can do about access tokens that do not follow RFC 9068.
const mendProfile = "take the preset of the provider (package providers); for a provider without one, set Issuer.Profile to ProfileLegacy with a Marker"

// seenType says what checkType compared typ with.
func (is *checkedIssuer) seenType(h jose.Header) cause.Details {
	d := cause.Details{Found: jwtclaims.DescribeType(h), Wanted: "at+jwt"}
	if is.Profile == ProfileLegacy {
		d.Wanted = "at+jwt, JWT or no typ"
		return d
	}
	if !h.HasType() || jwtclaims.IsType(h, "JWT") {
		d.Mend = "let the client send its access token; if this is one, " + mendProfile + ", which is what only access tokens have"
	}
	return d
}

// seenAudience says what the audiences of a token were compared with.
func seenAudience(c *tokenClaims, wanted []string) cause.Details {
	return cause.Details{
		Found: jwtclaims.DescribeAudience(c.audience), Wanted: cause.OneOf(wanted),
		Mend: "let the client ask for a token for this API; if the API has that name, add it to Issuer.Audiences",
	}
}

// seenAudience says what the audiences of a token, or without them its client, were
// compared with.
func (is *checkedIssuer) seenAudience(c *tokenClaims, members []strictjson.Member) cause.Details {
	if !is.judgesByClient(c) {
		return seenAudience(c, is.Audiences)
	}
	client, _ := is.legacyClient(members)
	return is.seenClient(client)
}

// refuseAudience returns the refusal of a token that is not for this API.
func (is *checkedIssuer) refuseAudience(c *tokenClaims) *Error {
	return errAudience.because(func() cause.Details {
		d := seenAudience(c, is.Audiences)
		if len(is.Audiences) == 0 {
			d.Wanted = "no aud, because Issuer.Audiences is empty"
		}
		return d
	})
}

// refuseAudience returns constant with the audiences.
func refuseAudience(constant *Error, c *tokenClaims, wanted []string) *Error {
	return constant.because(func() cause.Details { return seenAudience(c, wanted) })
}

// claimPresence is a claim and whether a token has it.
type claimPresence struct {
	name    string
	missing bool
}

// seenRequired says which of the claims that the profile requires are missing.
func (is *checkedIssuer) seenRequired(c *tokenClaims) cause.Details {
	strict := is.Profile != ProfileLegacy
	var missing, wanted []string
	for _, claim := range [...]claimPresence{
		{"exp", c.expiry.IsZero()},
		{"sub", !is.SubjectOptional && c.subject == ""},
		{claimClientID, strict && c.clientID == ""},
		{"iat", strict && c.issuedAt.IsZero()},
		{"jti", strict && c.id == ""},
	} {
		if claim.missing {
			missing = append(missing, claim.name)
		}
		if (strict || claim.name == "exp" || claim.name == "sub") && (claim.name != "sub" || !is.SubjectOptional) {
			wanted = append(wanted, claim.name)
		}
	}
	d := cause.Details{Found: "all of them", Wanted: strings.Join(wanted, ", ")}
	if missing != nil {
		d.Found = "no " + strings.Join(missing, ", no ")
	}
	switch {
	case len(missing) == 1 && missing[0] == "sub":
		d.Mend = "let the issuer put sub into its tokens (Keycloak: give the client the scope basic); " +
			"set Issuer.SubjectOptional only if tokens of clients without a user never have sub"
	case strict && missing != nil && !c.expiry.IsZero() && (c.subject != "" || is.SubjectOptional):
		d.Mend = "if this is an access token, " + mendProfile
	}
	return d
}

// refuseMissing returns constant with the claims that are missing.
func (is *checkedIssuer) refuseMissing(constant *Error, c *tokenClaims) *Error {
	return constant.because(func() cause.Details { return is.seenRequired(c) })
}

// refuseTime returns constant with the time in the claim called name, which lies ahead.
func refuseTime(constant *Error, now, instant time.Time, name string, leeway Leeway) *Error {
	return constant.because(func() cause.Details { return jwtclaims.Leeway(leeway).TooEarly(now, instant, name) })
}

// refuseExpiry returns the refusal of a token that expired.
func refuseExpiry(now, expiry time.Time, leeway Leeway) *Error {
	return errExpired.because(func() cause.Details { return jwtclaims.Leeway(leeway).Passed(now, expiry) })
}

// describedType returns the JSON type of a claim, whose value causes do not show.
func describedType(name string, v strictjson.Value) string {
	if v.Kind() == strictjson.Absent {
		return "no " + name
	}
	if text, ok := v.Text(); ok {
		return fmt.Sprintf("%s, a string of %d bytes", name, len(text))
	}
	return name + ", which is " + v.Kind().String()
}

// typeNames are the types of a rule as a cause shows them.
var typeNames = [...]string{ClaimString: "a string", ClaimStrings: "an array of strings", ClaimBoolean: "a boolean", ClaimObject: "an object"}

// described returns what a rule asks for, as a cause shows it.
func (r ClaimRule) described() string {
	if r.AnyOf != nil {
		all := make([]string, len(r.AnyOf))
		for i := range r.AnyOf {
			all[i] = r.AnyOf[i].described()
		}
		return strings.Join(all, "; or ")
	}
	kind := typeNames[min(r.Type, ClaimObject)]
	switch {
	case r.Equals == "" && r.Type == ClaimString:
		return r.Name + ", a string that is not empty"
	case r.Equals == "":
		return r.Name + ", " + kind
	case r.Type == ClaimStrings:
		return fmt.Sprintf("%s, %s with %s", r.Name, kind, cause.Quote(r.Equals))
	case r.Type == ClaimObject:
		return fmt.Sprintf("%s, %s with the member %s", r.Name, kind, cause.Quote(r.Equals))
	default:
		return fmt.Sprintf("%s, %s equal to %s", r.Name, kind, cause.Quote(r.Equals))
	}
}

// refuse returns constant with the claims that are not as the rule says.
func (r ClaimRule) refuse(constant *Error, members []strictjson.Member) *Error {
	if r.AnyOf != nil {
		return constant.with(cause.Details{Found: r.seen(members), Wanted: r.described()})
	}
	v := jwtclaims.Lookup(members, r.Name) // the closure would put members on the heap
	return constant.because(func() cause.Details {
		return cause.Details{Found: describedType(r.Name, v), Wanted: r.described()}
	})
}

// seen returns the claims that the alternatives of r ask for, by their types.
func (r ClaimRule) seen(members []strictjson.Member) string {
	all := make([]string, len(r.AnyOf))
	for i := range r.AnyOf {
		name := r.AnyOf[i].Name
		all[i] = describedType(name, jwtclaims.Lookup(members, name))
	}
	return strings.Join(unique(all), "; ")
}

// seenBinding says to what a token is bound, by the names of the members of cnf that are
// registered.
func (c *tokenClaims) seenBinding() cause.Details {
	d := cause.Details{Found: "no cnf", Wanted: "no cnf"}
	if !c.isBound {
		return d
	}
	d.Wanted += ", because no binding can be checked yet"
	var names []string
	for _, m := range c.confirmation {
		if slices.Contains(confirmationNames, m.Name) {
			names = append(names, m.Name)
		}
	}
	d.Found = "cnf with " + strings.Join(names, ", ")
	if names == nil {
		d.Found = "cnf that cannot be read, or with members that are not registered"
	}
	d.Mend = "let the issuer give this client tokens that are not bound to a key or certificate (cnf)"
	return d
}

// refuseBinding returns constant with what cnf says.
func (c *tokenClaims) refuseBinding(constant *Error) *Error {
	return constant.because(c.seenBinding)
}

// confirmationNames are the registered members of cnf that access tokens have.
var confirmationNames = []string{"jkt", "x5t#S256", "jwk", "jwe", "kid", "jku"}

package validator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// Explain returns how the token of p fares in each check, in the order in which Validate
// makes them. done is what [Validator.Inspect] returned for p; it decides, and the first
// check that failed has its Reason. After a check that failed, those that can still be
// made are made, too: a token may be expired and for another API. If iss is not
// configured and there is one issuer, they are made by its configuration.
//
// Explain is for people who look for a fault; it is slower than Validate. It makes the
// checks of a JWT again, and may fetch keys for that. It asks no issuer about a token:
// what the issuer said is known from done. It returns no Token, and none of its results
// grants anything.
func (v *Validator) Explain(ctx context.Context, p Presentation, done ValidateDone) []Judgement {
	r := &report{rows: map[string]Judgement{}}
	if v.usable(ctx) == nil {
		v.explain(ctx, &p, r)
	}
	r.conclude(v, done)
	return r.judgements()
}

// explain fills r.
func (v *Validator) explain(ctx context.Context, p *Presentation, r *report) {
	defer func() {
		if panicked := recover(); panicked != nil { // in a hook of the configuration or a method of ctx; Inspect has reported it
			r.skipRest("the check panicked")
		}
	}()
	refused := v.checkPresentation(p)
	if refused != nil && !refused.isA(errTooLarge) {
		r.record(checkScheme, refused)
		r.skipRest("there is no token that is read")
		return
	}
	r.pass(checkScheme, cause.Details{Found: "Authorization: Bearer"})
	if refused != nil {
		r.record(checkSize, refused)
		r.skipRest("there is no token that is read")
		return
	}
	r.pass(checkSize, cause.Details{Found: fmt.Sprintf("%d bytes", len(p.Token)), Wanted: fmt.Sprintf("at most %d", v.maxBytes)})
	if v.opaque.isAsked(p.Token) {
		v.explainAsked(ctx, p, nil, r)
		return
	}
	v.explainJWT(ctx, p, r)
}

// explainJWT fills r for a token that has the form of a JWT.
func (v *Validator) explainJWT(ctx context.Context, p *Presentation, r *report) {
	var read unverifiedToken
	var refused *Error
	read.unverified, read.members, read.issuer, refused = v.read(ctx, p, nil, r)
	r.describe(checkForm, func() cause.Details { return cause.Details{Found: "three segments"} })
	r.describe(checkPayload, func() cause.Details { return cause.Details{Found: fmt.Sprintf("%d claims", len(read.members))} })
	switch {
	case refused == errNoJWT:
		v.explainAsked(ctx, p, read.issuer, r)
		return
	case refused.isA(errIssuer) && len(v.issuers) == 1 && v.issuers[0].acceptsJWTs():
		read.issuer = v.issuers[0]
	case refused.isA(errIssuer):
		r.skipRest("the issuer decides on what is checked, and it is not configured")
		return
	case refused != nil:
		r.skipRest("the token cannot be read")
		return
	}
	is, header := read.issuer, read.unverified.UnverifiedHeader()
	f := &facts{payload: read.unverified.UnverifiedPayload(), signed: true} // no draft, so that no Token can come of it
	key, handle, _ := is.authenticate(ctx, time.Now(), &read.unverified, r)
	if key != nil {
		r.record(checkKey, nil)
		r.record(checkSignature, nil)
		f.key = handle
	}
	f.setIssuer(is)
	_ = is.readClaims(ctx, &f.claims, header, read.members, r)
	r.record(checkClaims, nil)
	f.isBound = f.claims.isBound
	at := readClocks(ctx)
	if isOfAnswers(v.checks.hold(ctx, &at, is, f, &p.Demands, p, r)) {
		r.pass(checkActive, cause.Details{Found: "active true"}) // unless conclude knows better
	}
	v.skipUnverified(r)
	v.describeJWT(&read, key, f, at.instant, p, r)
}

// skipUnverified notes why the key and the signature were not checked.
func (v *Validator) skipUnverified(r *report) {
	switch {
	case r.failed(checkAlgorithm):
		r.skip(checkKey, "the algorithm is not allowed")
		r.skip(checkSignature, "the algorithm is not allowed")
	case r.failed(checkKey):
		r.skip(checkSignature, "there is no key to check it with")
	case r.failed(checkSignature):
		r.record(checkKey, nil)
	}
}

// explainAsked fills r for a token whose issuer is asked. named is the issuer in iss.
func (v *Validator) explainAsked(ctx context.Context, p *Presentation, named *checkedIssuer, r *report) {
	if !isToken68(p.Token) {
		_ = r.stop(checkForm, notToken68(p.Token))
		r.skipRest("the token cannot be read")
		return
	}
	delete(r.rows, checkPayload)
	r.pass(checkForm, cause.Details{Found: "no JWT of an issuer with Keys"})
	is, refused := v.selectNamed(ctx, named, p)
	r.record(checkIssuer, refused)
	if refused != nil {
		r.skip(checkActive, "no issuer is asked")
		return
	}
	r.describe(checkIssuer, func() cause.Details {
		return cause.Details{Found: cause.Quote(is.URL) + ", which is asked about the token"}
	})
	r.record(checkActive, nil) // unless conclude knows better
}

// describeJWT says what the checks compared that the token passed.
func (v *Validator) describeJWT(read *unverifiedToken, key *jose.Key, f *facts, now time.Time, p *Presentation, r *report) {
	is, header, c := read.issuer, read.unverified.UnverifiedHeader(), &f.claims
	r.describe(checkIssuer, func() cause.Details {
		d := v.seenIssuer(jwtclaims.Lookup(read.members, "iss"))
		if key != nil {
			d.Found = strings.TrimSuffix(d.Found, notVerified)
		}
		return d
	})
	r.describe(checkAlgorithm, func() cause.Details { return is.seenAlgorithm(header) })
	r.describe(checkType, func() cause.Details { return is.seenType(header) })
	r.describe(checkKey, func() cause.Details { return cause.Details{Found: describedKeyID(header)} })
	r.describe(checkSignature, func() cause.Details { return cause.Details{Found: "verified with that key"} })
	r.describe(checkClaims, func() cause.Details { return seenTypes(read.members) })
	r.describe(checkReplicas, func() cause.Details { return cause.Details{Found: "no claim in the header that differs"} })
	r.describe(checkKind, func() cause.Details { return cause.Details{Found: is.seenKind(header)} })
	r.describe(checkRequired, func() cause.Details { return is.seenRequired(c) })
	r.describe(checkExpiry, func() cause.Details { return c.seenExpiry(now, is.terms.leeway) })
	r.describe(checkStart, func() cause.Details { return c.seenStart(now, is.terms.leeway) })
	r.describe(checkAudience, func() cause.Details { return is.seenAudience(c, read.members) })
	r.describe(checkDeclared, func() cause.Details { return is.seenDeclared() })
	r.describe(checkDerived, func() cause.Details { return c.seenDerived() })
	r.describe(checkBinding, c.seenBinding)
	r.describe(checkRoute, p.Demands.seen)
	if c.expiry.IsZero() && r.failed(checkRequired) {
		r.rows[checkExpiry] = Judgement{Check: checkExpiry, Found: "there is no exp"}
	}
}

// conclude makes the report agree with the verdict that was given.
func (r *report) conclude(v *Validator, done ValidateDone) {
	first := slices.IndexFunc(checkOrder, r.failed)
	switch {
	case done.Err == nil && done.Source == Introspected, done.Err == nil && r.rows[checkActive].Reached:
		r.rows[checkActive] = Judgement{Check: checkActive, Reached: true, Passed: true, Found: "active true", Wanted: "active true"}
	case done.Err == nil:
		delete(r.rows, checkActive) // the issuer need not be asked
	case first < 0 || r.rows[checkOrder[first]].Reason != done.Reason:
		refused, _ := done.Err.(*Error) //nolint:errorlint // Inspect returns one itself
		check := checkActive
		if first >= 0 {
			check = checkOrder[first]
		}
		if !v.initialized() || refused == nil {
			refused = errNotMade
		}
		delete(r.rows, check)
		r.unreadable = nil
		r.record(check, refused)
	default:
		if row := r.rows[checkActive]; row.Reached && row.Passed {
			delete(r.rows, checkActive)
			r.skip(checkActive, "the issuer was not asked")
		}
	}
	for _, check := range checkOrder {
		if row := r.rows[check]; row.Passed {
			row.Mend = ""
			r.rows[check] = row
		}
	}
}

// describedKeyID returns kid of a header as a cause shows it.
func describedKeyID(header jose.Header) string {
	if kid, ok := header.KeyID(); ok {
		return "kid " + cause.Quote(kid)
	}
	return "no kid, and one key of that algorithm"
}

// seenKind says how access tokens are told from others.
func (is *checkedIssuer) seenKind(header jose.Header) string {
	if is.Profile != ProfileLegacy || jwtclaims.IsType(header, "at+jwt") {
		return "an access token, by typ"
	}
	rules := make([]string, len(is.Marker))
	for i := range is.Marker {
		rules[i] = is.Marker[i].described()
	}
	return "an access token, by " + strings.Join(rules, "; ")
}

// seenTypes says which claims count as absent because they cannot be read.
func seenTypes(members []strictjson.Member) cause.Details {
	d := cause.Details{Found: "each has its JSON type"}
	for _, claim := range optionalClaims {
		if text := unreadable(claim, jwtclaims.Lookup(members, claim)); text != "" {
			d.Found = strings.Replace(d.Found, "each has", "each other one has", 1) + "; " + text + ", counts as absent"
		}
	}
	return d
}

// seenExpiry says what checkExpiry compared.
func (c *tokenClaims) seenExpiry(now time.Time, leeway Leeway) cause.Details {
	left := "in " + cause.Seconds(c.expiry.Sub(now))
	if now.After(c.expiry) {
		left = cause.Seconds(now.Sub(c.expiry)) + " ago"
	}
	return cause.Details{Found: fmt.Sprintf("exp %d, %s", c.expiry.Unix(), left), Wanted: "at most " + cause.Seconds(leeway.Expiry) + " ago"}
}

// seenStart says what checkStart compared.
func (c *tokenClaims) seenStart(now time.Time, leeway Leeway) cause.Details {
	var found []string
	for _, claim := range [...]struct {
		name    string
		instant time.Time
	}{{"iat", c.issuedAt}, {"nbf", c.notBefore}, {claimAuthTime, c.authTime}} {
		if claim.instant.IsZero() {
			continue
		}
		when := cause.Seconds(now.Sub(claim.instant)) + " ago"
		if claim.instant.After(now) {
			when = cause.Seconds(claim.instant.Sub(now)) + " ahead"
		}
		found = append(found, fmt.Sprintf("%s %d, %s", claim.name, claim.instant.Unix(), when))
	}
	if found == nil {
		found = []string{"no iat, nbf or auth_time"}
	}
	return cause.Details{Found: strings.Join(found, "; "), Wanted: "at most " + cause.Seconds(leeway.Future) + " ahead"}
}

// seenDeclared says what checkDeclared compared.
func (is *checkedIssuer) seenDeclared() cause.Details {
	if len(is.Claims) == 0 {
		return cause.Details{Found: "the configuration declares none"}
	}
	rules := make([]string, len(is.Claims))
	for i := range is.Claims {
		rules[i] = is.Claims[i].described()
	}
	return cause.Details{Found: strings.Join(rules, "; ")}
}

// seenDerived says what derive made of the claims.
func (c *tokenClaims) seenDerived() cause.Details {
	d := cause.Details{Found: "scope " + cause.Quotes(slices.Values(strings.Fields(c.scope)))}
	if c.tenant != "" {
		d.Found += ", tenant " + cause.Quote(c.tenant)
	}
	if c.roles != "" {
		d.Found += fmt.Sprintf(", %d roles", strings.Count(c.roles, string(roleSeparator))+1)
	}
	if c.acr != "" {
		d.Found += ", acr " + cause.Quote(c.acr)
	}
	if c.multiFactor {
		d.Found += ", several factors"
	}
	d.Found += ", " + c.caller.described()
	return d
}

// described says for whom a token was issued, for people.
func (c caller) described() string {
	switch c {
	case callerUser:
		return "of a user"
	case callerClient:
		return "of a client without a user"
	default:
		return "of a user or a client, which is not known"
	}
}

// seen says what a route demands.
func (d *Demands) seen() cause.Details {
	var all []string
	if len(d.Audiences) > 0 {
		all = append(all, "aud "+cause.OneOf(d.Audiences))
	}
	if d.SoleAudience {
		all = append(all, "no other aud")
	}
	if d.MaxLifetime > 0 {
		all = append(all, "a lifetime of at most "+cause.Seconds(d.MaxLifetime))
	}
	if d.MaxTokenAge > 0 {
		all = append(all, "an age of at most "+cause.Seconds(d.MaxTokenAge))
	}
	if d.SenderConstrained {
		all = append(all, "a binding")
	}
	if all == nil {
		return cause.Details{Found: "none"}
	}
	return cause.Details{Found: "met: " + strings.Join(all, ", ")}
}

// unverifiedToken is a token that was read and not verified, and the issuer by whose
// configuration it is judged.
type unverifiedToken struct {
	unverified jose.Unverified
	members    []strictjson.Member
	issuer     *checkedIssuer
}

package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/cause"
)

// Judgement is how a token fared in one check; see [Validator.Explain]. Its texts are for
// operators, as causes are: they show values of a closed list of fields, quoted, and no
// part of the token.
type Judgement struct {
	// Check names the check: "issuer", "signature" and so on. docs/verify.md has the list.
	Check string
	// Reached reports whether the check could be made. If not, Found says why.
	Reached bool
	// Passed reports whether the token passed the check.
	Passed bool
	// Reason is that of a token that is refused by this check.
	Reason Reason
	// Found and Wanted are what the check compared, and Mend is what can be done about a
	// failure. Each may be empty.
	Found, Wanted, Mend string
}

// The checks, in the order in which they are made.
const (
	checkScheme    = "scheme"
	checkSize      = "size"
	checkForm      = "form"
	checkPayload   = "payload"
	checkIssuer    = "issuer"
	checkAlgorithm = "algorithm"
	checkType      = "type"
	checkKey       = "key"
	checkSignature = "signature"
	checkClaims    = "claims"
	checkReplicas  = "header claims"
	checkKind      = "kind of token"
	checkRequired  = "required claims"
	checkExpiry    = "expiry"
	checkStart     = "start"
	checkAudience  = "audience"
	checkDeclared  = "declared claims"
	checkDerived   = "mapped claims"
	checkBinding   = "binding"
	checkRoute     = "demands of the route"
	checkActive    = "active"
)

// checkOrder are the checks in their order.
var checkOrder = []string{
	checkScheme, checkSize, checkForm, checkPayload, checkIssuer, checkAlgorithm, checkType, checkKey, checkSignature, checkClaims, checkReplicas, checkKind,
	checkRequired, checkExpiry, checkStart, checkAudience, checkDeclared, checkDerived, checkBinding, checkRoute, checkActive,
}

// claimsOf are the claims that a check compares. It cannot be made if one cannot be read.
var claimsOf = map[string][]string{
	checkKind: {"aud", claimClientID, "azp"}, checkRequired: {"exp", "sub", claimClientID, "iat", "jti"}, checkExpiry: {"exp"}, checkStart: {"nbf", "iat", claimAuthTime},
	checkAudience: {"aud"}, checkDerived: {claimClientID, "acr", "scope"}, checkRoute: {"aud", "exp", "iat"},
}

// report collects the judgements of one token. Validation passes a nil report, with which
// the first refusal ends the checks. With a report, later checks are made all the same; no
// Token comes of it.
type report struct {
	rows       map[string]Judgement
	unreadable []string // claims
}

// judge returns refused if r is nil. Otherwise it records it, and returns nil, so that the
// next check is made.
func (r *report) judge(check string, refused *Error) *Error {
	if r == nil {
		return refused
	}
	r.record(check, refused)
	return nil
}

// stop records a refusal after which nothing else can be judged, and returns it.
func (r *report) stop(check string, refused *Error) *Error {
	if r != nil {
		r.record(check, refused)
	}
	return refused
}

// judgeClaim is judge for the claim called name.
func (r *report) judgeClaim(name string, refused *Error) *Error {
	if r == nil || refused == nil {
		return refused
	}
	r.record(checkClaims, refused)
	r.unreadable = append(r.unreadable, name)
	return nil
}

// failed reports whether the check was made and failed. It is false without a report.
func (r *report) failed(check string) bool {
	if r == nil {
		return false
	}
	row, judged := r.rows[check]
	return judged && !row.Passed
}

// record notes the result of a check. The first failure of a check counts.
func (r *report) record(check string, refused *Error) {
	if row, judged := r.rows[check]; judged && (refused == nil || !row.Passed) {
		return
	}
	for _, claim := range claimsOf[check] {
		if slices.Contains(r.unreadable, claim) {
			r.skip(check, claim+" cannot be read")
			return
		}
	}
	row := Judgement{Check: check, Reached: true, Passed: refused == nil}
	if refused != nil {
		row.Reason = refused.Reason()
		d := detailsOf(refused)
		row.Found, row.Wanted, row.Mend = d.Found, d.Wanted, d.Mend
	}
	r.rows[check] = row
}

// skip notes that a check could not be made, unless it was.
func (r *report) skip(check, why string) {
	if _, judged := r.rows[check]; !judged {
		r.rows[check] = Judgement{Check: check, Found: why}
	}
}

// skipRest notes that the checks of a JWT that were not made cannot be made.
func (r *report) skipRest(why string) {
	for _, check := range checkOrder[:slices.Index(checkOrder, checkBinding)+1] {
		r.skip(check, why)
	}
}

// pass notes that a check was passed, and what it compared.
func (r *report) pass(check string, seen cause.Details) {
	r.rows[check] = Judgement{Check: check, Reached: true, Passed: true, Found: seen.Found, Wanted: seen.Wanted}
}

// describe sets what a check that passed has compared.
func (r *report) describe(check string, seen func() cause.Details) {
	if row, judged := r.rows[check]; judged && row.Passed && row.Found == "" {
		d := seen()
		row.Found, row.Wanted = d.Found, d.Wanted
		r.rows[check] = row
	}
}

// judgements returns the result: that of every check that was made, or could not be made.
func (r *report) judgements() []Judgement {
	var all []Judgement
	for _, check := range checkOrder {
		if row, judged := r.rows[check]; judged {
			all = append(all, row)
		}
	}
	return all
}

// detailsOf returns what the cause of a refusal says. Found is the text of the cause if it
// says nothing else.
func detailsOf(refused *Error) cause.Details {
	if found, ok := cause.Of(refused); ok {
		return found.Details()
	}
	if refused.cause == nil {
		return cause.Details{}
	}
	return cause.Details{Found: refused.cause.Error()}
}

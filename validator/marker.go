package validator

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// evidence says how surely a rule of a marker tells an access token.
type evidence uint8

const (
	noEvidence evidence = iota // the rule does not hold
	byPresence                 // a claim is there
	byValue                    // a claim has a value that says so
)

// checkMarker returns the evidence of the rules of a marker, all of which must hold, or
// the refusal of a token with constant. typed says that the header names an access token.
// The claims then need not say so as well; they must not say otherwise.
func checkMarker(rules []ClaimRule, typed bool, constant *Error, members []strictjson.Member) (evidence, *Error) {
	found := noEvidence
	for i := range rules {
		r := rules[i]
		of := r.evidence(members)
		if of == noEvidence && (!typed || r.isContradicted(members)) {
			return noEvidence, r.refuse(constant, members)
		}
		found = max(found, of)
	}
	return found, nil
}

// evidence returns that of the strongest alternative that holds.
func (r ClaimRule) evidence(members []strictjson.Member) evidence {
	if r.AnyOf == nil {
		switch {
		case !r.holds(members):
			return noEvidence
		case r.namesValue():
			return byValue
		default:
			return byPresence
		}
	}
	found := noEvidence
	for i := range r.AnyOf {
		found = max(found, r.AnyOf[i].evidence(members))
	}
	return found
}

// partyClaims name the client, an organization or what the client may do. Some issuers
// write them into ID tokens as well, with the same value.
var partyClaims = []string{claimClientID, claimOktaClient, claimApplication, "org_id", "org_name", "scp"}

// namesValue reports whether r asks for a value that tells access tokens from others. A
// member of an object does not, nor does a value of a claim that ID tokens share, nor the
// token_type that some servers give of every token.
func (r ClaimRule) namesValue() bool {
	switch {
	case r.Equals == "" || r.Type == ClaimObject:
		return false
	case r.Name == "token_type":
		return !strings.EqualFold(r.Equals, typeBearer) && !strings.EqualFold(r.Equals, typeDPoP)
	default:
		return slices.Contains(kindClaims[:], r.Name) || !slices.Contains(sharedClaims, r.Name) && !slices.Contains(partyClaims, r.Name)
	}
}

// isContradicted reports whether the claim of a rule that does not hold is there with
// another value than the one that r asks for.
func (r ClaimRule) isContradicted(members []strictjson.Member) bool {
	if r.AnyOf == nil {
		return r.Equals != "" && hasClaim(members, r.Name)
	}
	for i := range r.AnyOf {
		if r.AnyOf[i].isContradicted(members) {
			return true
		}
	}
	return false
}

// sharedClaims also occur in ID tokens, by OpenID Connect Core §2 and §5.1 or
// because a large issuer adds them, so that their mere presence marks nothing.
var sharedClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "sid",
	"at_hash", "c_hash", "s_hash", "name", "given_name", "family_name", "middle_name", "nickname",
	"preferred_username", "profile", "picture", "website", "email", "email_verified", "gender",
	"birthdate", "zoneinfo", "locale", "phone_number", "phone_number_verified", "address", "updated_at",
	"typ", "token_use", "ver", "tid", "oid", "uti", "rh", "aio", "upn", "unique_name", "idp", "hd", "groups", "roles",
	"session_state", "sub_jwk", "vot", "vtm", "_claim_names", "_claim_sources", "events", "cnf", "active",
}

// checkMarks adds the faults of rules, and of their alternatives, that ID tokens satisfy as
// well.
func checkMarks(rules []ClaimRule, f fault.List) {
	for _, p := range rulesAt(rules, f) {
		for _, leaf := range p.leaves() {
			if r := leaf.rule; (r.Equals == "" || r.Type == ClaimObject) && slices.Contains(sharedClaims, r.Name) {
				leaf.at.Addf("name another claim, or set Equals", "is satisfied by the presence of %q, which ID tokens have too", r.Name)
			}
		}
	}
}

package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// placedRule is a rule and where it is.
type placedRule struct {
	rule ClaimRule
	at   fault.List
}

// rulesAt returns rules with their places.
func rulesAt(rules []ClaimRule, at fault.List) []placedRule {
	all := make([]placedRule, len(rules))
	for i := range rules {
		all[i] = placedRule{rules[i], at.Atf("[%d]", i)}
	}
	return all
}

// leaves returns the alternatives of p, or p itself if it has none.
func (p placedRule) leaves() []placedRule {
	if p.rule.AnyOf == nil {
		return []placedRule{p}
	}
	all := make([]placedRule, len(p.rule.AnyOf))
	for i := range p.rule.AnyOf {
		all[i] = placedRule{p.rule.AnyOf[i], p.at.Atf("AnyOf[%d]", i)}
	}
	return all
}

// checkRules adds the faults of all rules of c: of each, and of those that cannot hold
// beside the rest of the configuration.
func (c *Issuer) checkRules(f fault.List) {
	marker, claims, answers := rulesAt(c.Marker, f.At("Marker")), rulesAt(c.Claims, f.At("Claims")), rulesAt(c.Answers.Marker, f.At("Answers.Marker"))
	if c.Profile != ProfileLegacy {
		marker = nil // it is a fault as a whole
	}
	callers := []placedRule{{c.ClientOnly, f.At("ClientOnly")}, {c.User, f.At("User")}}
	callers = slices.DeleteFunc(callers, func(p placedRule) bool { return p.rule.isZero() })
	legacy, lists := c.Profile == ProfileLegacy, c.ScopeLists || c.Answers.ScopeLists
	for _, p := range marker { // of JWTs only
		p.rule.check(p.at)
		c.checkLeaves(p, legacy, c.ScopeLists)
	}
	for _, p := range slices.Concat(claims, callers) {
		p.rule.check(p.at)
		c.checkLeaves(p, legacy, lists)
	}
	for _, p := range answers {
		p.rule.check(p.at)
		c.checkLeaves(p, true, lists)
		c.checkAnswerLeaves(p)
	}
	for i := range c.OtherTokens {
		at := f.At("OtherTokens").Atf("[%d]", i)
		c.OtherTokens[i].checkForm(at, ClaimRule.checkMarkValue)
		for _, p := range (placedRule{c.OtherTokens[i], at}).leaves() {
			c.checkOtherRule(p)
		}
	}
	checkContradictions(nil, claims)
	checkContradictions(claims, marker)
	checkContradictions(claims, answers)
	if !c.User.isZero() && !c.ClientOnly.isZero() && c.User.implies(c.ClientOnly) {
		f.At("User").Add("matches only tokens that ClientOnly matches, so that no token counts as a user's", "name what only tokens for a user have")
	}
}

// checkLeaves adds the faults of a rule, or of its alternatives, that no accepted token
// matches. byClaims says that the tokens are told from others by their claims, and lists
// that scope may be an array.
func (c *Issuer) checkLeaves(p placedRule, byClaims, lists bool) {
	for _, leaf := range p.leaves() {
		r, equals := leaf.rule, leaf.at.At("Equals")
		switch {
		case r.Name == claimScope && r.Type == ClaimStrings && !lists:
			leaf.at.At("Type").Add("asks for an array, and a scope that is an array is refused", "ask for a string, or set ScopeLists if the issuer sends arrays")
		case r.Name == "iss" && r.Equals != "" && r.Equals != c.URL:
			equals.Addf("remove the rule", "iss is %q in every token, and never %q", c.URL, r.Equals)
		case r.Name == "aud" && r.Type == ClaimString && r.Equals != "" && !slices.Contains(c.Audiences, r.Equals):
			equals.Addf("remove the rule, or add the value to Audiences", "a token whose only audience is %q is refused", r.Equals)
		case byClaims && r.Name == "events":
			leaf.at.Add("asks for events, and a token with events is refused as a logout token", "name another claim")
		case byClaims && slices.Contains(kindClaims[:], r.Name) && isOtherType(r.Equals):
			equals.Addf("give the value that access tokens have", "%s %q is of another token than an access token, which is refused", r.Name, r.Equals)
		case slices.ContainsFunc(c.OtherTokens, r.isRefusedBy):
			leaf.at.Add("asks for what a rule of OtherTokens refuses", "remove one of the two rules")
		}
	}
}

// checkAnswerLeaves adds the faults of a rule of Answers.Marker, or of its alternatives, that
// are of answers only.
func (c *Issuer) checkAnswerLeaves(p placedRule) {
	for _, leaf := range p.leaves() {
		switch r := leaf.rule; {
		case r.Name == "active":
			leaf.at.Add("asks for active, which is in every answer", "name what only answers about access tokens have")
		case r.Name == "token_type" && r.Equals != "" && !isOtherType(r.Equals) && !c.Answers.isAccessTokenType(r.Equals):
			leaf.at.At("Equals").Addf("add the value to Answers.TokenTypes if access tokens have it", "an answer with token_type %q is refused", r.Equals)
		}
	}
}

// isRefusedBy reports whether other, a rule of OtherTokens, matches every token that r
// matches. r has no AnyOf.
func (r ClaimRule) isRefusedBy(other ClaimRule) bool {
	if other.AnyOf != nil {
		return slices.ContainsFunc(other.AnyOf, r.isRefusedBy)
	}
	return r.Name == other.Name && (other.Equals == "" || other.Equals == r.Equals)
}

// implies reports whether every token that r matches is one that other matches, as far as
// that can be told from single alternatives.
func (r ClaimRule) implies(other ClaimRule) bool {
	switch {
	case r.AnyOf != nil:
		return !slices.ContainsFunc(r.AnyOf, func(alternative ClaimRule) bool { return !alternative.implies(other) })
	case other.AnyOf != nil:
		return slices.ContainsFunc(other.AnyOf, r.implies)
	default:
		return r.Name == other.Name && r.Type == other.Type && (other.Equals == "" || other.Equals == r.Equals)
	}
}

// checkContradictions adds the faults of rules that cannot hold beside one of others, or one
// before them, although all must hold.
func checkContradictions(others, rules []placedRule) {
	for i, p := range rules {
		if slices.ContainsFunc(slices.Concat(others, rules[:i]), func(other placedRule) bool { return p.rule.excludes(other.rule) }) {
			p.at.Add("cannot hold together with another rule about the claim, and both must hold", "remove one of them, or make them alternatives with AnyOf")
		}
	}
}

// excludes reports whether no token matches both rules.
func (r ClaimRule) excludes(other ClaimRule) bool {
	switch {
	case r.AnyOf != nil:
		return !slices.ContainsFunc(r.AnyOf, func(alternative ClaimRule) bool { return !alternative.excludes(other) })
	case other.AnyOf != nil:
		return other.excludes(r)
	case r.Name != other.Name:
		return false
	case r.Type != other.Type:
		return true
	default:
		isOneValue := r.Type == ClaimString || r.Type == ClaimBoolean
		return isOneValue && r.Equals != other.Equals && r.Equals != "" && other.Equals != ""
	}
}

// checkMarkValue adds the fault of a rule of OtherTokens whose value the claim never has.
func (r ClaimRule) checkMarkValue(f fault.List) {
	switch has := jsonTypesOf[r.Name]; {
	case r.Equals == "":
	case has == aNumber:
		f.At("Equals").Addf("leave it empty for a claim of any value", "%q is a number in every token, with which no value is compared", r.Name)
	case has == aBoolean && r.Equals != "true" && r.Equals != "false":
		f.At("Equals").Addf(`give "true" or "false"`, "%q is a boolean in every token, and never %q", r.Name, r.Equals)
	}
}

// checkOtherRule adds the fault of a rule of OtherTokens that refuses every token.
func (c *Issuer) checkOtherRule(p placedRule) {
	if r := p.rule; r.Equals == "" && c.isInEveryToken(r.Name) || r.Name == "iss" && r.Equals == c.URL {
		p.at.Addf("name what only other tokens have", "refuses every token, because every accepted token has %s", r.Name)
	}
}

// isInEveryToken reports whether every JWT, or every answer, that is accepted has the
// claim.
func (c *Issuer) isInEveryToken(name string) bool {
	switch strict := c.Profile == ProfileRFC9068; name {
	case "active":
		return c.Opaque != nil
	case "iss", "exp":
		return c.acceptsJWTs()
	case "aud":
		return c.acceptsJWTs() && len(c.ClientIDs) == 0
	case "sub":
		return c.acceptsJWTs() && !c.SubjectOptional
	case claimClientID, "iat", "jti":
		return c.acceptsJWTs() && strict
	default:
		return false
	}
}

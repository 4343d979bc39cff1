package providers

import "github.com/sallyport-auth/sallyport/validator"

// has returns the rule that a claim is a string that is not empty.
func has(name string) validator.ClaimRule { return validator.ClaimRule{Name: name} }

// equals returns the rule that a claim is that string.
func equals(name, value string) validator.ClaimRule {
	return validator.ClaimRule{Name: name, Equals: value}
}

// hasList returns the rule that a claim is an array of strings.
func hasList(name string) validator.ClaimRule {
	return validator.ClaimRule{Name: name, Type: validator.ClaimStrings}
}

// hasMember returns the rule that a claim is an object with that member.
func hasMember(name, member string) validator.ClaimRule {
	return validator.ClaimRule{Name: name, Type: validator.ClaimObject, Equals: member}
}

// isTrue returns the rule that a claim is true.
func isTrue(name string) validator.ClaimRule {
	return validator.ClaimRule{Name: name, Type: validator.ClaimBoolean, Equals: "true"}
}

// anyOf returns the rule that one of rules holds.
func anyOf(rules ...validator.ClaimRule) validator.ClaimRule {
	return validator.ClaimRule{AnyOf: rules}
}

// anyValue returns the rule that a claim is one of values.
func anyValue(name string, values ...string) validator.ClaimRule {
	var rules []validator.ClaimRule
	for _, value := range values {
		rules = append(rules, equals(name, value))
	}
	return anyOf(rules...)
}

// marks returns a rule for the presence of each claim, of whatever JSON type.
func marks(names ...string) []validator.ClaimRule {
	var rules []validator.ClaimRule
	for _, name := range names {
		rules = append(rules, has(name))
	}
	return rules
}

// scopesOf returns the Mapping that makes scopes of a claim.
func scopesOf(claim string) validator.Mapping {
	return validator.Mapping{Claim: []string{claim}, To: validator.ToScope}
}

// rolesOf returns the Mapping that makes roles of a claim.
func rolesOf(path ...string) validator.Mapping {
	return validator.Mapping{Claim: path, To: validator.ToRole}
}

// ofIDTokens returns the claims that OpenID Connect Core §2 and §3.3 define for ID tokens
// alone. The validator refuses them under ProfileLegacy, unless Marker has an exact value.
// This list is for presets that have one, of providers whose access tokens have none of
// these claims.
func ofIDTokens() []validator.ClaimRule { return marks("nonce", "at_hash", "c_hash") }

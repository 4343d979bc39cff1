package validator

import (
	"slices"
	"strings"
)

// AllScopes as the only member of Issuer.Grants says that the issuer may grant
// every scope. No scope can be called so.
const AllScopes = "all scopes"

// needGrants reports the absence of Grants where several issuers share an API.
func (c *Issuer) needGrants(field string, f *faults) {
	if c.Grants == nil {
		f.addf("%s: Grants is nil, and there are other issuers or Tenants; list the scopes that this issuer may grant, or AllScopes", field)
	}
}

// checkedGrants is the set of scopes that may be granted, or nil for all.
func (c *Issuer) checkedGrants(field string, f *faults) map[string]struct{} {
	if c.Grants == nil || len(c.Grants) == 1 && c.Grants[0] == AllScopes {
		return nil
	}
	grants := make(map[string]struct{}, len(c.Grants))
	for i, scope := range c.Grants {
		switch {
		case scope == AllScopes:
			f.addf("%s: Grants[%d] is AllScopes beside others; give it alone or not at all", field, i)
		case !isScopeToken(scope):
			f.addf("%s: Grants[%d] %q is not a scope token (RFC 6749 §3.3)", field, i, scope)
		case slices.Contains(c.Grants[:i], scope):
			f.addf("%s: Grants[%d] %q is listed twice", field, i, scope)
		}
		grants[scope] = struct{}{}
	}
	return grants
}

// effective are the scopes that count of a token of this issuer, as scope would
// have them: those of scope and those mapped, unless it may not grant them.
func (is *issuer) effective(scope string, mapped []string) string {
	if len(mapped) == 0 && is.grantsAll(scope) {
		return scope
	}
	var all []string
	for _, s := range slices.Concat(strings.Fields(scope), mapped) {
		if is.mayGrant(s) {
			all = append(all, s)
		}
	}
	return strings.Join(unique(all), " ")
}

func (is *issuer) mayGrant(scope string) bool {
	_, granted := is.grants[scope]
	return granted || is.grants == nil
}

func (is *issuer) grantsAll(scope string) bool {
	for s := range strings.FieldsSeq(scope) {
		if !is.mayGrant(s) {
			return false
		}
	}
	return true
}

// Scopes are the scopes that the token has, each once: the tokens of scope in
// their order (RFC 6749 §3.3), then those that Issuer.Mappings makes of other
// claims; without those that Issuer.Grants does not name.
func (t *Token) Scopes() []string { return unique(strings.Fields(t.read().scope)) }

// HasScope reports whether scope is one of [Token.Scopes], whole and
// case-sensitive. It allocates nothing.
func (t *Token) HasScope(scope string) bool { return contains(t.read().scope, ' ', scope) }

// contains reports whether word is one of those that separator stands between.
func contains(list string, separator byte, word string) bool {
	for word != "" {
		end := strings.IndexByte(list, separator)
		if end < 0 {
			return list == word
		}
		if list[:end] == word {
			return true
		}
		list = list[end+1:]
	}
	return false
}

// unique removes repetitions.
func unique(list []string) []string {
	seen := make(map[string]struct{}, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		_, again := seen[s]
		seen[s] = struct{}{}
		return again
	})
}

// isScopeToken reports whether text is one scope token (RFC 6749 §3.3).
func isScopeToken(text string) bool {
	for i := range len(text) {
		if !scopeToken[text[i]] {
			return false
		}
	}
	return text != ""
}

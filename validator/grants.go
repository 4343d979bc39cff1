package validator

import (
	"slices"
	"strings"
)

// AllScopes as the only member of Issuer.Grants says that the issuer may grant
// every scope. No scope can be called so.
const AllScopes = "all scopes"

// effective are the scopes that count of a token of this issuer, as scope would
// have them: those of scope and those mapped, unless it may not grant them.
func (is *issuer) effective(scope string, mapped []string) string {
	if len(mapped) == 0 && is.grantsAll(scope) {
		return scope
	}
	var all []string
	for _, s := range slices.Concat(strings.Fields(scope), mapped) {
		if is.grants.has(s) {
			all = append(all, s)
		}
	}
	return strings.Join(unique(all), " ")
}

func (is *issuer) grantsAll(scope string) bool {
	for s := range strings.FieldsSeq(scope) {
		if !is.grants.has(s) {
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

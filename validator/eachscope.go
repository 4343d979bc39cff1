package validator

import "strings"

// EachScope yields the scopes of the token like [Token.Scopes], and allocates
// nothing: for scope := range token.EachScope.
func (t *Token) EachScope(yield func(scope string) bool) {
	for rest := t.read().scope; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, " ")
		if !yield(first) {
			return
		}
	}
}

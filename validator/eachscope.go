package validator

import "strings"

// EachScope yields the scopes of [Token.Scopes], and may yield a scope again that
// the token repeats. It allocates nothing: for scope := range token.EachScope.
func (t *Token) EachScope(yield func(scope string) bool) {
	rest := t.read().scope
	for rest != "" {
		end := strings.IndexByte(rest, ' ')
		if end < 0 {
			yield(rest)
			return
		}
		if !yield(rest[:end]) {
			return
		}
		rest = rest[end+1:]
	}
}

package validator

import (
	"slices"
	"strings"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
)

// roleSeparator separates roles in a string. Roles have no control characters.
const roleSeparator = '\n'

// containsWord reports whether word is one of the words in list, which separator
// separates.
func containsWord(list string, separator byte, word string) bool {
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

// unique removes repetitions from list.
func unique(list []string) []string {
	seen := make(map[string]struct{}, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		_, again := seen[s]
		seen[s] = struct{}{}
		return again
	})
}

// isIdentifier reports whether text is not empty and has no control characters.
func isIdentifier(text string) bool { return text != "" && !jwtclaims.HasControl(text) }

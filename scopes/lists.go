package scopes

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// call returns the Go code that calls a constructor with texts.
func call(constructor string, arguments ...string) string {
	return constructor + "(" + quoted(arguments) + ")"
}

func quoted(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strconv.Quote(text)
	}
	return strings.Join(all, ", ")
}

// isToken reports whether text is 1*( %x21 / %x23-5B / %x5D-7E ), a scope token
// of RFC 6749 §3.3. RFC 9470 §3 puts acr values into lists of the same form.
func isToken(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return text != ""
}

// unique returns texts without repetitions, in the same order.
func unique(texts []string) []string {
	var all []string
	for _, text := range texts {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// intersection returns the texts that are in both lists, in the order of the first.
func intersection(a, b []string) []string {
	var both []string
	for _, value := range a {
		if slices.Contains(b, value) {
			both = append(both, value)
		}
	}
	return both
}

// inCommon returns the acr values that are in both lists, in the order of the
// first. An empty list stands for all values. If the lists have nothing in common,
// inCommon returns the first.
func inCommon(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if both := intersection(a, b); len(both) > 0 {
		return both
	}
	return a
}

// fresher returns the stricter of two ages of an issuer's answer. 0 means that there is
// no limit. A negative age, which stands for an answer to each request, is the
// strictest.
func fresher[T time.Duration | float64](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// lower returns the lower of two limits. 0 means that there is no limit.
func lower[T time.Duration | int64 | float64](a, b T) T {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

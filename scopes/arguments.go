package scopes

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// faultsOf returns an empty list of faults of the call of a constructor.
func faultsOf(constructor string) fault.List { return fault.In("scopes").At(constructor) }

// checkTexts returns the faults of the arguments of a constructor: that there are
// none, and those that are empty or listed twice. what says what they are.
func checkTexts(constructor, what string, texts []string) error {
	faults := faultsOf(constructor)
	addTexts(faults, what, texts)
	return faults.Err()
}

func addTexts(faults fault.List, what string, texts []string) {
	if len(texts) == 0 {
		faults.Add("has no "+what, "list at least one")
	}
	for i, text := range texts {
		if text == "" {
			faults.Atf("[%d]", i).Add("is empty", "remove it, or fill it in")
		}
		addRepetition(faults, i, texts)
	}
}

func addRepetition(faults fault.List, i int, texts []string) {
	if slices.Contains(texts[:i], texts[i]) {
		faults.Atf("[%d]", i).Addf("remove one of them", "%q is listed twice", texts[i])
	}
}

// checkTokens is checkTexts for texts that a challenge lists with spaces between
// them.
func checkTokens(constructor, what string, texts []string) error {
	faults := faultsOf(constructor)
	addTexts(faults, what, texts)
	for i, text := range texts {
		if text != "" && !isToken(text) {
			faults.Atf("[%d]", i).Addf("use printable ASCII without spaces, quotes and backslashes",
				"%q cannot be listed in a challenge", text)
		}
	}
	return faults.Err()
}

// addNonScope adds the fault that text is not a scope token.
func addNonScope(faults fault.List, text string) {
	if !isToken(text) {
		faults.Addf("use printable ASCII without spaces, quotes and backslashes", "%q is not a scope token (RFC 6749 §3.3)", text)
	}
}

package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// condition is a clause that asks one thing of the token.
type condition struct {
	text    string // as Go code would make it
	met     func(ctx context.Context, q question) bool
	refusal *Refusal
	demand  *Requirement       // nil: there is no other word for it than text
	demands *validator.Demands // nil: it asks nothing of validation
}

func (c *condition) String() string { return c.text }

func (c *condition) judge(ctx context.Context, q question) *Refusal {
	if c.met(ctx, q) {
		return nil
	}
	return c.refusal
}

// always is met by every valid token: decide has judged what the policy demands
// of it.
func always(context.Context, question) bool { return true }

// unconditional is a clause that has nothing to ask of a valid token.
func unconditional(text string) clause {
	return &condition{text: text, met: always, demand: &Requirement{}}
}

// forbidding is a policy of one condition, after which no scope and no step-up
// would help.
func forbidding(text string, met func(ctx context.Context, q question) bool) Policy {
	return onToken(text, validator.Forbidden, met)
}

// onToken is a policy of one condition, without which the answer is reason.
func onToken(text string, reason validator.Reason, met func(ctx context.Context, q question) bool) Policy {
	return compiled(&rule{clause: &condition{text: text, met: met, refusal: unmet(reason, text)}})
}

// call writes the call of a constructor with texts.
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

// checkTexts tells what is wrong with the arguments of a constructor: none, an
// empty one, one twice.
func checkTexts(constructor, what string, texts []string) error {
	if len(texts) == 0 {
		return fmt.Errorf("scopes: %s without %s", constructor, what)
	}
	var faults []error
	for i, text := range texts {
		if text == "" {
			faults = append(faults, fmt.Errorf("scopes: %s: argument %d is empty", constructor, i+1))
		}
		if slices.Contains(texts[:i], text) {
			faults = append(faults, fmt.Errorf("scopes: %s: %q is listed twice", constructor, text))
		}
	}
	return errors.Join(faults...)
}

// checkTokens is checkTexts for what stands in a list with spaces between.
func checkTokens(constructor, what string, texts []string) error {
	faults := []error{checkTexts(constructor, what, texts)}
	for _, text := range texts {
		if !isToken(text) {
			faults = append(faults, fmt.Errorf("scopes: %s: %q cannot stand in the list of a challenge", constructor, text))
		}
	}
	return errors.Join(faults...)
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

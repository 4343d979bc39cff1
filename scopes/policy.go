// Package scopes is the second door: it decides whether a validated token
// permits an operation. A [Policy] is registered together with its route and
// printed, compared and asked like any other value.
//
// Scopes bound what a client may do (RFC 6749 §3.3), not what the user behind
// it may see: whether this subject may touch this object is still the
// handler's question.
package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Policy says what a route demands of a token. The zero Policy denies
// everything; so does one with a fault, which [Policy.Err] tells and which
// registration refuses.
type Policy struct {
	kind    kind
	scopes  []string
	fault   error
	refusal *Refusal
}

type kind uint8

const (
	denies kind = iota
	authenticated
	allOf
	anyOf
)

// Refusal is why a policy says no.
type Refusal struct {
	Reason validator.Reason // InsufficientScope or Forbidden
	Scopes []string         // with InsufficientScope: what the operation needs; not to be modified
}

// refusesAll is the answer of a policy that can permit nothing.
var refusesAll = &Refusal{Reason: validator.Forbidden}

// Authenticated permits every valid token, whatever its scopes.
func Authenticated() Policy { return Policy{kind: authenticated, refusal: refusesAll} }

// All permits a token that has every one of these scopes. Scopes match whole
// and case-sensitive (RFC 6749 §3.3); there are no wildcards.
func All(required ...string) Policy { return list(allOf, required, required) }

// Any permits a token that has at least one of these scopes. A refusal names
// the first of them.
func Any(alternatives ...string) Policy {
	return list(anyOf, alternatives, alternatives[:min(1, len(alternatives))])
}

func list(k kind, scopes, told []string) Policy {
	if err := checkScopes(scopes); err != nil {
		return Policy{fault: err}
	}
	refusal := &Refusal{Reason: validator.InsufficientScope, Scopes: slices.Clone(told)}
	return Policy{kind: k, scopes: slices.Clone(scopes), refusal: refusal}
}

var errNoScope = errors.New("scopes: a policy without scopes; say Authenticated() if any valid token will do")

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errNoScope
	}
	var faults []error
	for i, scope := range scopes {
		if !isScopeToken(scope) {
			faults = append(faults, fmt.Errorf("scopes: %q is not a scope token (RFC 6749 §3.3)", scope))
		}
		if slices.Contains(scopes[:i], scope) {
			faults = append(faults, fmt.Errorf("scopes: %q is listed twice", scope))
		}
	}
	return errors.Join(faults...)
}

// isScopeToken reports whether text is 1*( %x21 / %x23-5B / %x5D-7E ).
func isScopeToken(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return text != ""
}

// Err tells what is wrong with the policy, if anything; such a policy denies.
func (p Policy) Err() error {
	if p.kind == denies && p.fault == nil {
		return errZero
	}
	return p.fault
}

var errZero = errors.New("scopes: the zero Policy, which denies everything; use All, Any or Authenticated")

// Decide answers nil if token permits the operation, or why not. A nil or zero
// token permits nothing.
func (p Policy) Decide(token *validator.Token) *Refusal {
	if p.permits(token) {
		return nil
	}
	if p.refusal == nil {
		return refusesAll
	}
	return p.refusal
}

func (p Policy) permits(token *validator.Token) bool {
	if token.Issuer() == "" { // not a minted token
		return false
	}
	switch p.kind {
	case authenticated:
		return true
	case allOf:
		for _, scope := range p.scopes {
			if !token.HasScope(scope) {
				return false
			}
		}
		return true
	case anyOf:
		return slices.ContainsFunc(p.scopes, token.HasScope)
	default:
		return false
	}
}

// Demands is what the policy asks of validation itself.
func (p Policy) Demands() validator.Demands { return validator.Demands{} }

// String writes the policy as Go code would make it.
func (p Policy) String() string {
	names := [...]string{denies: "Policy{}", authenticated: "Authenticated", allOf: "All", anyOf: "Any"}
	if p.kind == denies {
		return names[denies]
	}
	quoted := make([]string, len(p.scopes))
	for i, scope := range p.scopes {
		quoted[i] = `"` + scope + `"`
	}
	return names[p.kind] + "(" + strings.Join(quoted, ", ") + ")"
}

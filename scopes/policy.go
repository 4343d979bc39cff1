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
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Policy says what a route demands of a token. The zero Policy denies
// everything; so does one with a fault, which [Policy.Err] tells and which
// registration refuses.
type Policy struct {
	kind    kind
	scopes  []string // of allOf and anyOf
	parts   []Policy // of and
	demands validator.Demands
	fault   error
	refusal *Refusal
}

type kind uint8

const (
	denies kind = iota
	public
	authenticated
	allOf
	anyOf
	and
	demanding
)

// Refusal is why a policy says no.
type Refusal struct {
	Reason validator.Reason // InsufficientScope or Forbidden
	Scopes []string         // with InsufficientScope: what the operation needs; not to be modified
}

// refusesAll is the answer of a policy that can permit nothing.
var refusesAll = &Refusal{Reason: validator.Forbidden}

// Public permits everyone, without a token and without looking at one. It is
// the only policy that does, and it does not combine with others.
func Public() Policy { return Policy{kind: public} }

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

// Audience permits a valid token whose aud names at least one of these
// identifiers, which must be among the issuer's Audiences too. It is for routes
// that belong to another resource than the rest of the API; join it with And.
func Audience(identifiers ...string) Policy {
	if len(identifiers) == 0 || slices.Contains(identifiers, "") {
		return Policy{fault: errNoAudience}
	}
	demands := validator.Demands{Audiences: slices.Clone(identifiers)}
	return Policy{kind: demanding, demands: demands, refusal: refusesAll}
}

// MaxLifetime permits a valid token that was issued for no longer than limit,
// from iat to exp (RFC 9700 §2.3).
func MaxLifetime(limit time.Duration) Policy {
	if limit <= 0 {
		return Policy{fault: errNoLifetime}
	}
	return Policy{kind: demanding, demands: validator.Demands{MaxLifetime: limit}, refusal: refusesAll}
}

// And permits a token that every part permits. A refusal for scopes names all
// that the parts together ask for.
func And(parts ...Policy) Policy {
	p := Policy{kind: and, parts: slices.Clone(parts)}
	var faults []error
	if len(parts) == 0 {
		faults = append(faults, errNoParts)
	}
	var told []string
	for _, part := range parts {
		faults = append(faults, part.Err())
		if part.kind == public {
			faults = append(faults, errPublicPart)
		}
		var err error
		p.demands, err = joined(p.demands, part.demands)
		faults = append(faults, err)
		if part.refusal != nil {
			told = append(told, part.refusal.Scopes...)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Policy{fault: err}
	}
	p.refusal = &Refusal{Reason: validator.InsufficientScope, Scopes: unique(told)}
	return p
}

// joined is what two parts demand together.
func joined(a, b validator.Demands) (validator.Demands, error) {
	if len(a.Audiences) > 0 && len(b.Audiences) > 0 {
		return a, errTwoAudiences
	}
	if len(a.Audiences) == 0 {
		a.Audiences = b.Audiences
	}
	if a.MaxLifetime == 0 || b.MaxLifetime > 0 && b.MaxLifetime < a.MaxLifetime {
		a.MaxLifetime = b.MaxLifetime
	}
	return a, nil
}

// unique drops repetitions and keeps the order.
func unique(scopes []string) []string {
	var all []string
	for _, scope := range scopes {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

func list(k kind, scopes, told []string) Policy {
	if err := checkScopes(scopes); err != nil {
		return Policy{fault: err}
	}
	refusal := &Refusal{Reason: validator.InsufficientScope, Scopes: slices.Clone(told)}
	return Policy{kind: k, scopes: slices.Clone(scopes), refusal: refusal}
}

var (
	errNoScope      = errors.New("scopes: a policy without scopes; say Authenticated() if any valid token will do")
	errNoAudience   = errors.New("scopes: Audience without an identifier")
	errNoLifetime   = errors.New("scopes: MaxLifetime must be positive")
	errNoParts      = errors.New("scopes: And without parts")
	errPublicPart   = errors.New("scopes: Public inside And: a route is open to everyone or it is not")
	errTwoAudiences = errors.New("scopes: And with two Audience parts; list the identifiers in one")
	errZero         = errors.New("scopes: the zero Policy, which denies everything; use All, Any, And, Authenticated or Public")
)

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

// IsPublic reports whether the policy is exactly [Public].
func (p Policy) IsPublic() bool { return p.kind == public }

// Decide answers nil if token permits the operation, or why not. A nil or zero
// token permits nothing, except under [Public]. What [Policy.Demands] asks for
// is not judged here: validation did.
func (p Policy) Decide(token *validator.Token) *Refusal {
	if p.kind == public || token.Issuer() != "" && permits(&p, token) {
		return nil
	}
	if p.refusal == nil {
		return refusesAll
	}
	return p.refusal
}

// permits asks the policy about a minted token.
func permits(p *Policy, token *validator.Token) bool {
	switch p.kind {
	case authenticated, demanding:
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
	case and:
		for i := range p.parts {
			if !permits(&p.parts[i], token) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// Demands is what the policy asks of validation itself; see
// [validator.Presentation]. Not to be modified.
func (p Policy) Demands() validator.Demands { return p.demands }

// String writes the policy as Go code would make it.
func (p Policy) String() string {
	switch p.kind {
	case public:
		return "Public()"
	case authenticated:
		return "Authenticated()"
	case allOf:
		return "All(" + quoted(p.scopes) + ")"
	case anyOf:
		return "Any(" + quoted(p.scopes) + ")"
	case demanding:
		if p.demands.MaxLifetime > 0 {
			return "MaxLifetime(" + p.demands.MaxLifetime.String() + ")"
		}
		return "Audience(" + quoted(p.demands.Audiences) + ")"
	case and:
		parts := make([]string, len(p.parts))
		for i, part := range p.parts {
			parts[i] = part.String()
		}
		return "And(" + strings.Join(parts, ", ") + ")"
	default:
		return "Policy{}"
	}
}

func quoted(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strconv.Quote(text)
	}
	return strings.Join(all, ", ")
}

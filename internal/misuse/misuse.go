// Package misuse marks the causes of refusals that point to an attack or a grave mistake of
// a client, which a Reason alone does not tell.
package misuse

import "errors"

// Kind is a kind of misuse. The set is closed.
type Kind string

// The kinds.
const (
	OtherToken    Kind = "other_token_presented" // an ID token, a refresh token or the like
	BoundAsBearer Kind = "bound_token_as_bearer" //nolint:gosec // no credential: a token that is bound to a key, without proof of the key
	OtherTenant   Kind = "cross_tenant"          // a resource of another tenant than the token's
)

// Error is a cause with a mark.
type Error struct {
	kind Kind
	text string
}

// New returns a cause with this mark and text.
func New(kind Kind, text string) error { return &Error{kind, text} }

// Error returns the text.
func (e *Error) Error() string { return e.text }

// Of returns the mark of the first cause in the chain of err that has one, or "".
func Of(err error) Kind {
	if marked, ok := errors.AsType[*Error](err); ok {
		return marked.kind
	}
	return ""
}

package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Config is everything a [Guard] is told.
type Config struct {
	// Validator is the first door. Required.
	Validator *validator.Validator
	// Realm is the realm of challenges (RFC 9110 §11.5): text for people, in
	// printable ASCII. Empty means "api".
	Realm string
}

const defaultRealm = "api"

// Guard judges requests. It is made by [New] and safe for concurrent use.
type Guard struct {
	validator *validator.Validator
	realm     string
}

// New checks config and makes a Guard, or reports every fault of it at once.
func New(config Config) (*Guard, error) {
	var faults []error
	if config.Validator == nil {
		faults = append(faults, errors.New("middleware: Validator is nil; make one with validator.New"))
	}
	if config.Realm == "" {
		config.Realm = defaultRealm
	}
	if !isPrintable(config.Realm) {
		faults = append(faults, fmt.Errorf("middleware: Realm %q has characters other than printable ASCII", config.Realm))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Guard{config.Validator, config.Realm}, nil
}

// Check validates p under the policy's demands and then asks the policy. It
// answers with a token or with a Denial, never with both or neither.
func (g *Guard) Check(ctx context.Context, p validator.Presentation, policy scopes.Policy) (*validator.Token, *Denial) {
	p.Demands = policy.Demands()
	token, err := g.validator.Validate(ctx, p)
	if err != nil {
		return nil, g.deny(err, nil)
	}
	if refusal := policy.Decide(token); refusal != nil {
		return nil, g.deny(refusal.Reason, refusal.Scopes)
	}
	return token, nil
}

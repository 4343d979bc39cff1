package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// judge is a loaded configuration.
type judge struct {
	validator *validator.Validator
	guard     *middleware.Guard
	routes    *routes
	causes    []string // why tokens could not be judged
}

// note keeps why a token could not be judged, each cause once.
func (j *judge) note(denial *middleware.Denial) {
	if denial.Reason != validator.Unavailable {
		return
	}
	refusal := denial.Unwrap()
	for _, cause := range lines(cmp.Or(errors.Unwrap(refusal), refusal)) {
		if !slices.Contains(j.causes, cause) {
			j.causes = append(j.causes, cause)
		}
	}
}

func (j *judge) warnings() []string {
	return append(j.validator.Warnings(), j.routes.mux.Warnings()...)
}

// verdict is one output line of the verify contract. A verdict of acceptance
// has the pointer members, one of refusal the others.
type verdict struct {
	Name        string `json:"name"`
	Accept      bool   `json:"accept"`
	*acceptance        //nolint:embeddedstructfieldcheck // the order here is the order of the output
	*refusal
}

type acceptance struct {
	Issuer   string   `json:"issuer"`
	Subject  string   `json:"subject"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
	Expires  int64    `json:"expires"`
}

type refusal struct {
	Reason     validator.Reason `json:"reason"`
	Status     int              `json:"status"`
	Challenges []string         `json:"challenges"`
}

// verdict judges one line. Without a route, every valid token passes: the line
// asks about the token, not about an operation.
func (j *judge) verdict(ctx context.Context, in *input) verdict {
	policy := scopes.Authenticated()
	var unlisted, denial *middleware.Denial
	if in.routed {
		if policy, unlisted, denial = j.routes.find(in.route); denial != nil {
			return refused(in, denial)
		}
	}
	token, denial := j.guard.Check(ctx, in.presentation, policy, scopes.Operation{})
	if denial != nil {
		j.note(denial)
		return refused(in, denial)
	}
	if unlisted != nil {
		return refused(in, unlisted)
	}
	return verdict{Name: in.name, Accept: true, acceptance: &acceptance{
		Issuer:   token.Issuer(),
		Subject:  token.Subject(),
		ClientID: token.ClientID(),
		Scopes:   append([]string{}, token.Scopes()...),
		Expires:  token.Expiry().Unix(),
	}}
}

func refused(in *input, denial *middleware.Denial) verdict {
	return verdict{Name: in.name, refusal: &refusal{
		Reason:     denial.Reason,
		Status:     denial.Status,
		Challenges: append([]string{}, denial.Challenges...),
	}}
}

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// verifier verifies tokens by a configuration.
type verifier struct {
	validator *validator.Validator
	routes    *routes
	anyToken  *middleware.Route // for input without a route
	causes    []string          // of tokens that could not be verified
}

// note keeps why a token could not be verified, each cause once.
func (v *verifier) note(denial *middleware.Denial) {
	if denial.Reason != validator.Unavailable {
		return
	}
	for cause := range strings.SplitSeq(inWords(denial.Cause().Error(), nil), "\n") {
		if !slices.Contains(v.causes, cause) {
			v.causes = append(v.causes, cause)
		}
	}
}

// warnings returns the warnings of the issuers and of the routes.
func (v *verifier) warnings() []string {
	all := append(v.validator.Warnings(), v.routes.mux.Warnings()...)
	for i := range all {
		all[i] = inWords(all[i], nil)
	}
	return all
}

// verdict is one output line. It has either an acceptance or a refusal.
type verdict struct {
	Name        string `json:"name"`
	Accept      bool   `json:"accept"`
	*acceptance        //nolint:embeddedstructfieldcheck // the order of the output
	*refusal
}

type acceptance struct {
	Issuer   string   `json:"issuer"`
	Subject  string   `json:"subject"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
	Expires  *int64   `json:"expires"` // nil: not known
}

type refusal struct {
	Reason     validator.Reason `json:"reason"`
	Status     int              `json:"status"`
	Challenges []string         `json:"challenges"`
}

// verdict verifies the token of one line. If the line names no route, every valid
// token is accepted.
func (v *verifier) verdict(ctx context.Context, in *input) verdict {
	route := v.anyToken
	if in.routed {
		route = v.routes.find(in.route)
	}
	result := route.Check(ctx, in.presentation, scopes.Operation{})
	if denial := result.Denial(); denial != nil {
		v.note(denial)
		return refused(in, denial)
	}
	token := result.Token()
	var expires *int64
	if expiry := token.Expiry(); !expiry.IsZero() {
		expires = new(expiry.Unix())
	}
	return verdict{Name: in.name, Accept: true, acceptance: &acceptance{
		Issuer:   token.Issuer(),
		Subject:  token.Subject(),
		ClientID: token.ClientID(),
		Scopes:   append([]string{}, token.Scopes()...),
		Expires:  expires,
	}}
}

func refused(in *input, denial *middleware.Denial) verdict {
	return verdict{Name: in.name, refusal: &refusal{
		Reason:     denial.Reason,
		Status:     denial.Status,
		Challenges: append([]string{}, denial.Challenges...),
	}}
}

package scopes_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// principal is a user: a subject is unique only within its issuer.
type principal struct{ issuer, subject string }

// database stands for what knows whose orders are whose.
type database struct{ owners map[string]principal }

func (d database) owner(_ context.Context, id string) (principal, error) {
	owner, found := d.owners[id]
	if !found {
		return principal{}, scopes.ErrForbidden // nor is it told that there is no such order
	}
	return owner, nil
}

func Example() {
	read := scopes.All("orders:read")

	refund := scopes.And(
		scopes.All("orders:write", "refunds:create"),
		scopes.UserOnly(),
		scopes.ACR("urn:example:gold", "urn:example:silver"),
		scopes.MaxAuthAge(5*time.Minute),
	)

	report := scopes.Or(
		scopes.All("reports:read"),
		scopes.And(scopes.Roles("auditor"), scopes.NotDelegated()),
	)

	for _, policy := range []scopes.Policy{read, refund, report} {
		fmt.Println(policy, policy.Err())
	}
	// Output:
	// All("orders:read") <nil>
	// And(All("orders:write", "refunds:create"), UserOnly(), ACR("urn:example:gold", "urn:example:silver"), MaxAuthAge(5m0s)) <nil>
	// Or(All("reports:read"), And(Roles("auditor"), NotDelegated())) <nil>
}

func ExamplePrivileged() {
	payout := scopes.Privileged(scopes.Sensitive(scopes.And(
		scopes.All("payouts:create"),
		scopes.ACR("urn:example:gold"),
		scopes.MaxAuthAge(5*time.Minute),
	)))
	fmt.Println(payout)
	fmt.Println(scopes.Privileged(scopes.All("payouts:create")).Err())
	// Output:
	// Privileged(Sensitive(And(All("payouts:create"), ACR("urn:example:gold"), MaxAuthAge(5m0s))))
	// scopes: Privileged: a token could pass All("payouts:create") without ACR or MFA; join that with And
}

func ExampleContract() {
	contract := scopes.NewContract([]scopes.Route{{Name: "GET /orders/{id}", Policy: scopes.All("orders:read")}})
	text, err := contract.JSON()
	fmt.Printf("%s%v\n", text, err)
	now := scopes.NewContract([]scopes.Route{{Name: "GET /orders/{id}", Policy: scopes.Authenticated()}})
	fmt.Println(now.Drift(text))
	// Output:
	// {
	//   "routes": [
	//     {
	//       "route": "GET /orders/{id}",
	//       "method": "GET",
	//       "requires": {
	//         "scopes": [
	//           "orders:read"
	//         ]
	//       },
	//       "policy": "All(\"orders:read\")"
	//     }
	//   ]
	// }
	// <nil>
	// scopes: the routes are not as the contract says; commit a new one if they are as they should be:
	//   ~ GET /orders/{id}: {"route":"GET /orders/{id}","method":"GET","policy":"Authenticated()"}
	//       committed is {"route":"GET /orders/{id}","method":"GET","requires":{"scopes":["orders:read"]},"policy":"All(\"orders:read\")"}
}

func ExampleHierarchy() {
	hierarchy := scopes.Hierarchy{
		"orders:admin": {"orders:write"},
		"orders:write": {"orders:read"},
	}
	fmt.Println(scopes.All("orders:read").Under(hierarchy))
	fmt.Println(scopes.Hierarchy{"a": {"b"}, "b": {"a"}}.Err())
	// Output:
	// All("orders:read").Under(Hierarchy{"orders:admin": {"orders:read"}, "orders:write": {"orders:read"}})
	// scopes: Hierarchy: a cycle: a ⊃ b ⊃ a
}

func ExampleCheck() {
	orders := database{owners: map[string]principal{"1": {"https://login.example.com", "alice"}}}

	owner := scopes.Check("order owner", 200*time.Millisecond,
		func(ctx context.Context, token *validator.Token, op scopes.Operation) error {
			of, err := orders.owner(ctx, op.Value("id"))
			if err != nil {
				return err // 503, unless it is ErrForbidden
			}
			if !token.Is(of.issuer, of.subject) {
				return scopes.ErrForbidden
			}
			return nil
		})
	policy := scopes.And(scopes.All("orders:read"), scopes.UserOnly(), owner)

	fmt.Println(policy)
	// Output: And(All("orders:read"), UserOnly(), Check("order owner", 200ms))
}

func ExampleTiers() {
	policy := scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{
			"own apps": {MaxLifetime: time.Hour},
			"partners": {MaxLifetime: 15 * time.Minute, MaxTokenAge: 15 * time.Minute},
			"others": {
				Algorithms:  []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA},
				MaxLifetime: 5 * time.Minute, MaxTokenAge: 5 * time.Minute, ACR: []string{"urn:example:gold"},
			},
		},
		Clients: map[scopes.ClientName]string{
			{Issuer: "https://login.example.com", ID: "web"}:    "own apps",
			{Issuer: "https://login.example.com", ID: "mobile"}: "own apps",
			{Issuer: "https://login.partner.example", ID: "7"}:  "partners",
		},
		Default: "others",
	})
	fmt.Println(policy.Err())
	// Output: <nil>
}

// confirmed asks a policy of a token that is held, beside that of the route.
func confirmed(ctx context.Context, token *validator.Token) error {
	confirm := scopes.And(scopes.All("payouts:create"), scopes.MaxTokenAge(5*time.Minute))

	if refusal := confirm.Decide(ctx, token, scopes.Operation{Name: "confirm"}); refusal != nil {
		return refusal
	}
	return nil
}

func ExamplePolicy_Decide() {
	fmt.Println(confirmed(context.Background(), nil))
	// Output: scopes: insufficient_scope: the token lacks a scope
}

func ExamplePolicy_Explain() {
	var token *validator.Token // as from middleware.TokenFrom; nil here
	policy := scopes.And(scopes.All("orders:read"), scopes.NotDelegated())

	explanation := policy.Explain(context.Background(), token, scopes.Operation{Name: "GET /orders/{id}"})
	fmt.Print(explanation)
	// Output:
	// And: insufficient_scope, needs scope "orders:read"
	//   All("orders:read"): not asked
	//   NotDelegated(): not asked
}

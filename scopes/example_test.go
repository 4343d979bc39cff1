package scopes_test

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// principal names a user. A subject is unique only within its issuer.
type principal struct{ issuer, subject string }

// database stands for the application's database, which knows the owner of each order.
type database struct{ owners map[string]principal }

func (d database) owner(_ context.Context, id string) (principal, error) {
	owner, found := d.owners[id]
	if !found {
		return principal{}, scopes.ErrForbidden // the caller does not learn whether the order exists
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
	// scopes: Privileged is of All("payouts:create"), which a token can pass without ACR or MFA; join it with And
}

func ExampleContract() {
	contract := scopes.NewContract(maps.All(map[string]scopes.Policy{"GET /orders/{id}": scopes.All("orders:read")}))
	text, err := contract.JSON()
	fmt.Printf("%s%v\n", text, err)
	now := scopes.NewContract(maps.All(map[string]scopes.Policy{"GET /orders/{id}": scopes.Authenticated()}))
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
	// scopes: the routes differ from the committed contract; if they are right, commit a new one:
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
	// scopes: ["a"] is in a cycle: a ⊃ b ⊃ a; remove one of these scopes
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
		Clients: map[validator.Party]string{
			{Issuer: "https://login.example.com", ClientID: "web"}:    "own apps",
			{Issuer: "https://login.example.com", ClientID: "mobile"}: "own apps",
			{Issuer: "https://login.partner.example", ClientID: "7"}:  "partners",
		},
		Default: "others",
	})
	fmt.Println(policy.Err())
	// Output: <nil>
}

// confirmed decides a second policy in a handler, after that of the route.
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

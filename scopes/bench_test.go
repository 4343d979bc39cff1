package scopes_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
)

// typical returns the policy that BenchmarkDecide measures: lists of scopes under a
// hierarchy. It permits a token with eightScopes.
func typical(tb testing.TB) scopes.Policy {
	tb.Helper()
	policy := scopes.And(scopes.All("orders:read", "orders:list"), scopes.Any("invoices:read", "invoices:write")).
		Under(scopes.Hierarchy{"orders:admin": {"orders:write"}, "orders:write": {"orders:read"}})
	if err := policy.Err(); err != nil {
		tb.Fatal(err)
	}
	return policy
}

const eightScopes = "openid profile email offline_access orders:list orders:admin customers:read invoices:write"

func BenchmarkDecide(b *testing.B) {
	ctx, policy, token := at(0), typical(b), minted(b, eightScopes)
	if policy.Decide(ctx, token, scopes.Operation{}) != nil {
		b.Fatal("refused")
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = policy.Decide(ctx, token, scopes.Operation{})
	}
}

// TestDecisionAllocatesNothing shows that Decide does not allocate if it permits, or
// refuses for one reason.
func TestDecisionAllocatesNothing(t *testing.T) {
	ctx, token := at(0), minted(t, eightScopes)
	for _, policy := range []scopes.Policy{
		typical(t),
		scopes.Or(scopes.All("x"), scopes.All("openid")),
		scopes.And(scopes.Authenticated(), scopes.NotDelegated(), scopes.Issuers(mainIssuer), scopes.Clients(mainIssuer, "client"), scopes.UserOnly()),
		scopes.And(scopes.All("x"), scopes.All("openid")),
		scopes.And(scopes.All("openid"), scopes.Roles("x")),
	} {
		if n := testing.AllocsPerRun(100, func() { _ = policy.Decide(ctx, token, scopes.Operation{}) }); n != 0 {
			t.Errorf("%v: %v allocations", policy, n)
		}
	}
}

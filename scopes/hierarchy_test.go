package scopes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

var orders = scopes.Hierarchy{
	"orders:admin": {"orders:write"},
	"orders:write": {"orders:read"},
	"root":         {"orders:admin", "invoices:read"},
}

// TestHierarchy covers R-SC-06 and R-SC-02: a broad scope implies a narrow one as
// declared, through any number of steps, and never the reverse. Nothing else is
// implied. A refusal names the scopes as they are written.
func TestHierarchy(t *testing.T) {
	read := scopes.All("orders:read").Under(orders)
	write := scopes.All("orders:write").Under(orders)
	lacks := func(needed ...string) scopes.Refusal {
		return scopes.Refusal{Reason: validator.InsufficientScope, Scopes: needed}
	}
	check(t, []row{
		{policy: read, claims: claims{"scope": "orders:read"}},
		{policy: read, claims: claims{"scope": "orders:write"}},
		{policy: read, claims: claims{"scope": "x orders:admin y"}},
		{policy: read, claims: claims{"scope": "root"}},
		{policy: write, claims: claims{"scope": "orders:read"}, want: lacks("orders:write")},
		{policy: write, claims: claims{"scope": "orders:admin"}},
		{policy: read, claims: claims{"scope": "invoices:read * admin all orders orders:* orders:admi"}, want: lacks("orders:read")},
		{policy: scopes.All("orders:read"), claims: claims{"scope": "root orders:admin orders:write"}, want: lacks("orders:read")},
		{
			policy: scopes.All("orders:read", "invoices:read", "x").Under(orders),
			claims: claims{"scope": "root"}, want: lacks("orders:read", "invoices:read", "x"),
		},
		{policy: scopes.All("orders:read", "invoices:read", "x").Under(orders), claims: claims{"scope": "root x"}},
		{policy: scopes.Any("x", "orders:read").Under(orders), claims: claims{"scope": "orders:admin"}},
		{policy: scopes.Any("x", "orders:write").Under(orders), claims: claims{"scope": "orders:read"}, want: lacks("x")},
		{policy: scopes.And(scopes.All("orders:read"), scopes.Or(scopes.All("x"), scopes.Any("invoices:read"))).Under(orders), claims: claims{"scope": "root"}},
		// The hierarchy of one list does not apply to the other.
		{policy: scopes.And(read, scopes.All("orders:read")), claims: claims{"scope": "root"}, want: lacks("orders:read")},
		// The relations of two hierarchies apply together.
		{
			policy: scopes.All("a", "b").Under(scopes.Hierarchy{"c": {"b"}}).Under(scopes.Hierarchy{"b": {"a"}}),
			claims: claims{"scope": "c"},
		},
	})
}

// TestHierarchyFaults covers R-SC-06: the fault of a cycle names its members, and a
// policy under a faulty hierarchy denies.
func TestHierarchyFaults(t *testing.T) {
	for wants, h := range map[string]scopes.Hierarchy{
		"is in a cycle: a ⊃ a":             {"a": {"a"}},
		"is in a cycle: a ⊃ b ⊃ c ⊃ a":     {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}},
		"is in a cycle: b ⊃ c ⊃ b":         {"a": {"b"}, "b": {"c"}, "c": {"b"}},
		"a ⊃ a & z ⊃ z":                    {"a": {"a"}, "z": {"z"}},
		`"b c" is not a scope token`:       {"a": {"b c"}},
		`"" is not a scope token`:          {"": {"a"}},
		`["a"][2] "b" is listed twice`:     {"a": {"b", "c", "b"}},
		`"é" is not & "é" is listed twice`: {"a": {"é", "é"}},
	} {
		err := h.Err()
		if err == nil {
			t.Errorf("%v has no fault", h)
			continue
		}
		for want := range strings.SplitSeq(wants, " & ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		faults(t, map[string]scopes.Policy{wants: scopes.All("a").Under(h)})
		if public := scopes.Public().Under(h); public.Err() == nil || decide(public, nil) == nil {
			t.Errorf("Public under %v is open", h)
		}
	}
	faults(t, map[string]scopes.Policy{
		"is in a cycle: a ⊃ b ⊃ a":                            scopes.All("a", "b").Under(scopes.Hierarchy{"a": {"b"}}).Under(scopes.Hierarchy{"b": {"a"}}),
		`All has no scopes & Under["x"] is in a cycle: x ⊃ x`: scopes.All().Under(scopes.Hierarchy{"x": {"x"}}),
		"the zero Policy":                                     scopes.Policy{}.Under(orders),
		`Under["a b"] "a b" is not & All[0] "c\"" is not a`:   scopes.All(`c"`).Under(scopes.Hierarchy{"a b": nil}),
	})
	diamond := scopes.Hierarchy{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": nil}
	if err := diamond.Err(); err != nil {
		t.Errorf("two ways to the same scope are no cycle: %v", err)
	}
}

// TestHierarchyString shows that a policy prints the part of the hierarchy that its
// scopes are in, as Go code that makes an equal policy.
func TestHierarchyString(t *testing.T) {
	policy := scopes.And(scopes.All("orders:write", "x"), scopes.Any("y")).Under(orders)
	const want = `And(All("orders:write", "x").Under(Hierarchy{"orders:admin": {"orders:write"}, "root": {"orders:write"}}), Any("y"))`
	if policy.String() != want {
		t.Errorf("%v, want %s", policy, want)
	}
	again := scopes.And(
		scopes.All("orders:write", "x").Under(scopes.Hierarchy{"orders:admin": {"orders:write"}, "root": {"orders:write"}}),
		scopes.Any("y"),
	)
	if !policy.Equal(again) || policy.Equal(scopes.And(scopes.All("orders:write", "x"), scopes.Any("y"))) {
		t.Errorf("%v and %v", policy, again)
	}
	if !scopes.Public().Under(orders).IsPublic() {
		t.Error("Public under a hierarchy is not public")
	}
	if names := policy.Scopes(); !slices.Equal(names, []string{"orders:write", "x", "y"}) {
		t.Errorf("it mentions %q", names)
	}
}

// TestHierarchyIsCopied shows that a later change of the map does not change a policy.
func TestHierarchyIsCopied(t *testing.T) {
	h := scopes.Hierarchy{"b": {"a"}}
	policy := scopes.All("a").Under(h)
	h["b"][0], h["x"] = "x", []string{"a"}
	if decide(policy, minted(t, "x")) == nil || decide(policy, minted(t, "b")) != nil {
		t.Error("a change of the caller's map changed the policy")
	}
}

// TestManyScopes decides policies with more scopes than the vocabulary has bits. The
// lists that get no bits decide as well as the others.
func TestManyScopes(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("s%d", i) }
	var parts []scopes.Policy
	var all []string
	for i := range 100 {
		parts = append(parts, scopes.All(name(i)).Under(scopes.Hierarchy{"b" + name(i): {name(i)}}))
		all = append(all, name(i))
	}
	each := scopes.And(parts...)
	some := scopes.Or(parts...)
	list := scopes.All(all...)
	anyOf := scopes.And(each, scopes.Any("x", "y"))
	full := strings.Join(all, " ")
	for _, policy := range []scopes.Policy{each, list} {
		if refusal := decide(policy, minted(t, full)); refusal != nil {
			t.Errorf("%d scopes: %v", len(all), refusal)
		}
	}
	for i := range all {
		broad := minted(t, strings.Replace(" "+full+" ", " "+name(i)+" ", " b"+name(i)+" ", 1)[1:len(full)+2])
		lacking := minted(t, strings.TrimSpace(strings.Replace(" "+full+" ", " "+name(i)+" ", " ", 1)))
		if decide(each, broad) != nil || decide(list, broad) == nil || decide(each, lacking) == nil || decide(list, lacking) == nil {
			t.Errorf("scope %d of %d is decided wrongly", i, len(all))
		}
		if decide(some, minted(t, name(i))) != nil || decide(some, minted(t, "b"+name(i))) != nil || decide(anyOf, lacking) == nil {
			t.Errorf("scope %d of %d is decided wrongly in Or", i, len(all))
		}
	}
	if decide(some, minted(t, "s100 b")) == nil || decide(anyOf, minted(t, full)) == nil || decide(anyOf, minted(t, full+" y")) != nil {
		t.Error("Or or Any is decided wrongly")
	}
}

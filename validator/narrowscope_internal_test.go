package validator

import "testing"

// TestNarrowScopeRefuses: narrowScope leaves the claims as they are and refuses if what it reads again cannot be read. A JWT of that kind is
// refused before.
func TestNarrowScopeRefuses(t *testing.T) {
	for _, row := range []struct {
		name, payload, said string
		want                *Error
	}{
		{"no object", `{"scope":"a"`, "a", errPayload},
		{"a scope with a quotation mark", `{"scope":"a\"b"}`, `a"b`, errScopeSyntax},
		{"a claim of the wrong type", `{"scope":"a","sub":1}`, "a", errClaimType},
	} {
		c := tokenClaims{subject: "user-1", scope: "a b"}
		if refused := (&checkedIssuer{}).narrowScope(&c, row.payload, row.said); !refused.isA(row.want) {
			t.Errorf("%s: %v, want %v", row.name, refused, row.want)
		}
		if c.subject != "user-1" || c.scope != "a b" {
			t.Errorf("%s: the claims were changed to %q, %q", row.name, c.subject, c.scope)
		}
	}
}

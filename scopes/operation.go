package scopes

import "strings"

// NeedsOperation reports whether the policy looks at the [Operation]: whether
// it has a [Check] or [TenantFrom] in it. An adapter need not fill in the
// Operation otherwise.
func (p Policy) NeedsOperation() bool {
	text := p.String() // a scope of that name costs a little time and no more
	return strings.Contains(text, "Check(") || strings.Contains(text, "TenantFrom(")
}

package protopolicy

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/protopolicy/sallyportv1"
	"github.com/sallyport-auth/sallyport/scopes"
)

// outermost returns the policy of an option.
func outermost(faults fault.List, declared *sallyportv1.Policy) scopes.Policy {
	switch {
	case declared.GetPublic():
		if fields(declared) > 1 {
			faults.At("public").Add("is not the only field", "remove it, or the other fields")
		}
		return scopes.Public()
	case declared.GetOptional() && fields(declared) == 1:
		faults.At("optional").Add("is the only field", "add what calls with credentials must meet, such as authenticated: true, or use public")
		return scopes.Policy{}
	}
	policy, ok := joined(faults, declared)
	if !ok || !declared.GetOptional() {
		return policy
	}
	return scopes.Optional(policy)
}

// nested returns a policy of all_of or any_of. It reports false if it adds a fault.
func nested(faults fault.List, declared *sallyportv1.Policy) (scopes.Policy, bool) {
	if declared.GetPublic() || declared.GetOptional() {
		faults.Add("has public or optional, which would be for a part of the policy only", "move it to the outermost policy")
		return scopes.Policy{}, false
	}
	return joined(faults, declared)
}

// fields returns how many fields are set.
func fields(declared *sallyportv1.Policy) (n int) {
	declared.ProtoReflect().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		n++
		return true
	})
	return n
}

// conjunction collects the parts of one Policy message.
type conjunction struct {
	faults fault.List
	parts  []scopes.Policy
	paths  []string // of parts, in the message
	failed bool     // a part has a fault
}

// add adds the policy of a field, or its faults. constructor is the function of package
// scopes that made it.
func (c *conjunction) add(field, constructor string, policy scopes.Policy) {
	if err := policy.Err(); err != nil {
		relocate(c.faults, err, func(path string) string { return field + strings.TrimPrefix(path, constructor) })
		c.failed = true
		return
	}
	c.parts = append(c.parts, policy)
	c.paths = append(c.paths, field)
}

// addTexts adds the policy of a list of texts, unless it is empty.
func (c *conjunction) addTexts(field, constructor string, of func(...string) scopes.Policy, texts []string) {
	if len(texts) > 0 {
		c.add(field, constructor, of(texts...))
	}
}

// addNested adds the policies of all_of.
func (c *conjunction) addNested(all []*sallyportv1.Policy) {
	for i, declared := range all {
		path := fmt.Sprintf("all_of[%d]", i)
		policy, ok := nested(c.faults.At(path), declared)
		if !ok {
			c.failed = true
			continue
		}
		c.parts = append(c.parts, policy)
		c.paths = append(c.paths, path)
	}
}

// addAlternatives adds the policy of any_of.
func (c *conjunction) addAlternatives(all []*sallyportv1.Policy) {
	alternatives, failed := make([]scopes.Policy, len(all)), false
	for i, declared := range all {
		policy, ok := nested(c.faults.Atf("any_of[%d]", i), declared)
		alternatives[i], failed = policy, failed || !ok
	}
	switch {
	case failed:
		c.failed = true
	case len(all) > 0:
		c.add("any_of", "Or", scopes.Or(alternatives...))
	}
}

// joined returns the policy that a token meets if it meets each field of declared, short
// of public and optional. It reports false if it adds a fault.
func joined(faults fault.List, declared *sallyportv1.Policy) (scopes.Policy, bool) {
	c := &conjunction{faults: faults}
	c.addTexts("all", "All", scopes.All, declared.GetAll())
	c.addTexts("any", "Any", scopes.Any, declared.GetAny())
	c.addTexts("all_roles", "Roles", scopes.Roles, declared.GetAllRoles())
	c.addTexts("any_roles", "AnyRole", scopes.AnyRole, declared.GetAnyRoles())
	c.addTexts("acr", "ACR", scopes.ACR, declared.GetAcr())
	c.addTexts("mfa", "MFA", scopes.MFA, declared.GetMfa())
	c.addDuration("max_auth_age", "MaxAuthAge", declared.GetMaxAuthAge(), scopes.MaxAuthAge)
	c.addDuration("active_within", "FreshlyActive", declared.GetActiveWithin(), scopes.FreshlyActive)
	c.addTexts("audiences", "Audience", scopes.Audience, declared.GetAudiences())
	c.addNested(declared.GetAllOf())
	c.addAlternatives(declared.GetAnyOf())
	switch {
	case c.failed:
		return scopes.Policy{}, false
	case len(c.parts) == 0 && declared.GetAuthenticated():
		return scopes.Authenticated(), true
	case len(c.parts) == 0:
		faults.Add("demands nothing", "name the scopes, or set authenticated or public")
		return scopes.Policy{}, false
	case len(c.parts) == 1:
		return c.parts[0], true
	}
	policy := scopes.And(c.parts...)
	relocate(faults, policy.Err(), c.place)
	return policy, policy.Err() == nil
}

// place returns the path in the message of the path of a fault of scopes.And.
func (c *conjunction) place(path string) string {
	for i, own := range c.paths {
		if path == fmt.Sprintf("And[%d]", i) {
			return own
		}
	}
	return ""
}

// addDuration adds the policy of a duration, unless it is not set.
func (c *conjunction) addDuration(field, constructor string, d *durationpb.Duration, of func(time.Duration) scopes.Policy) {
	switch {
	case d == nil:
	case d.CheckValid() != nil:
		c.faults.At(field).Add("is no duration of protobuf", "give both parts one sign, and nanos below a second")
		c.failed = true
	default:
		c.add(field, constructor, of(d.AsDuration()))
	}
}

// relocate adds the faults that a function of package scopes has reported. place returns
// the path in the message that belongs to a path in the function's arguments.
func relocate(faults fault.List, err error, place func(path string) string) {
	for _, f := range fault.All(err) {
		faults.At(place(f.Path)).Add(f.Problem, f.Mend)
	}
}

package validator

import (
	"slices"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// ClaimType is the JSON type of a claim. There is no conversion between types.
type ClaimType uint8

// The types that a [ClaimRule] can ask for.
const (
	ClaimString  ClaimType = iota // a string
	ClaimStrings                  // an array of strings
	ClaimBoolean                  // true or false
	ClaimObject                   // an object
)

// ClaimRule is a claim that a token must have at its top level, with the JSON
// type given. Names and values match byte for byte.
type ClaimRule struct {
	Name string    // of the claim
	Type ClaimType // of its value
	// Equals is the string that the claim must be, or that the array must
	// contain; "true" or "false" for a boolean; the name of a member other than null that
	// an object must have. Empty: any value of the type except the empty string and an array
	// of nothing but empty strings. An empty array counts.
	Equals string
	// AnyOf are alternatives, of which at least one must hold. The other fields are then
	// empty. An alternative has no AnyOf of its own.
	AnyOf []ClaimRule
}

// clone returns a copy of r that shares nothing that the caller may change.
func (r ClaimRule) clone() ClaimRule {
	r.AnyOf = cloneRules(r.AnyOf)
	return r
}

// cloneRules returns a copy of rules that shares nothing that the caller may change.
func cloneRules(rules []ClaimRule) []ClaimRule {
	clone := slices.Clone(rules)
	for i := range clone {
		clone[i] = clone[i].clone()
	}
	return clone
}

// isZero reports whether r is the zero ClaimRule.
func (r ClaimRule) isZero() bool { return r.AnyOf == nil && r.namesNothing() }

// namesNothing reports whether the fields other than AnyOf are empty.
func (r ClaimRule) namesNothing() bool {
	return r.Name == "" && r.Type == ClaimString && r.Equals == ""
}

// Err returns the faults of r, which are of type [Fault], or nil. No token satisfies
// a rule with a fault, and [New] refuses it.
func (r ClaimRule) Err() error {
	f := fault.In("validator")
	r.check(f)
	return f.Err()
}

// check adds the faults of r.
func (r ClaimRule) check(f fault.List) { r.checkForm(f, ClaimRule.checkType) }

// checkForm adds the faults of a rule of any purpose. further adds those of the purpose, for
// r or each alternative without fault.
func (r ClaimRule) checkForm(f fault.List, further func(ClaimRule, fault.List)) {
	switch {
	case r.AnyOf != nil:
		r.checkAlternatives(f, further)
	case r.Name == "":
		f.At("Name").Add("is empty", "name the claim")
	case r.Type > ClaimObject:
		f.At("Type").Addf("take ClaimString, ClaimStrings, ClaimBoolean or ClaimObject", "%d does not exist", r.Type)
	case r.Type == ClaimBoolean && r.Equals != "true" && r.Equals != "false":
		f.At("Equals").Addf(`give "true" or "false"`, "%q is not a value of the boolean claim %q", r.Equals, r.Name)
	default:
		further(r, f)
	}
}

// checkAlternatives adds the faults of a rule with AnyOf.
func (r ClaimRule) checkAlternatives(f fault.List, further func(ClaimRule, fault.List)) {
	if !r.namesNothing() {
		f.At("AnyOf").Add("is set beside Name, Type or Equals", "make that rule one of the alternatives, or remove it")
	}
	if len(r.AnyOf) == 0 {
		f.At("AnyOf").Add("is empty, so that no token matches", "list the alternatives, or leave it nil")
	}
	for i := range r.AnyOf {
		at := f.Atf("AnyOf[%d]", i)
		if r.AnyOf[i].AnyOf != nil {
			at.At("AnyOf").Add("is inside another AnyOf", "list its alternatives in the outer one")
			continue
		}
		r.AnyOf[i].checkForm(at, further)
	}
}

// isValid reports whether r has no fault. It allocates nothing.
func (r ClaimRule) isValid() bool {
	if r.AnyOf == nil {
		return r.Name != "" && r.Type <= ClaimObject && (r.Type != ClaimBoolean || r.Equals == "true" || r.Equals == "false") && canHaveType(r.Name, r.Type)
	}
	for i := range r.AnyOf {
		if r.AnyOf[i].AnyOf != nil || !r.AnyOf[i].isValid() {
			return false
		}
	}
	return len(r.AnyOf) > 0 && r.namesNothing()
}

// holds reports whether the claims have one as the rule says.
func (r ClaimRule) holds(members []strictjson.Member) bool {
	if r.AnyOf == nil {
		return r.admits(jwtclaims.Lookup(members, r.Name))
	}
	for i := range r.AnyOf {
		if r.AnyOf[i].holds(members) {
			return true
		}
	}
	return false
}

// admits reports whether v, the value of the claim, is as the rule says. The rule has no
// AnyOf.
func (r ClaimRule) admits(v strictjson.Value) bool {
	switch r.Type {
	case ClaimString:
		text, _ := v.Text()
		return text != "" && (r.Equals == "" || text == r.Equals)
	case ClaimStrings:
		return r.admitsArray(v)
	case ClaimBoolean:
		return v.Raw() == r.Equals
	case ClaimObject:
		if v.Kind() != strictjson.Object {
			return false
		}
		kind := v.Member(r.Equals).Kind()
		return r.Equals == "" || kind != strictjson.Absent && kind != strictjson.Null
	default:
		return false
	}
}

// admitsArray is admits for an array of strings.
func (r ClaimRule) admitsArray(v strictjson.Value) bool {
	found, empty := false, v.Kind() == strictjson.Array
	for element := range v.Elements() {
		text, ok := element.Text()
		if !ok {
			return false
		}
		found = found || text != "" && (r.Equals == "" || text == r.Equals)
		empty = false
	}
	return found || empty && r.Equals == ""
}

package validator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// ClaimType is the JSON type of a claim. There is no conversion between types.
type ClaimType uint8

// The types that a [ClaimRule] can ask for.
const (
	ClaimString  ClaimType = iota // a string
	ClaimStrings                  // an array of strings
	ClaimBoolean                  // true or false
)

// ClaimRule is a claim that a token must have at its top level, with the JSON
// type given. Names and values match byte for byte.
type ClaimRule struct {
	Name string    // of the claim
	Type ClaimType // of its value
	// Equals is the string that the claim must be, or that the array must
	// contain; "true" or "false" for a boolean. Empty: any value of the type
	// that is not itself empty.
	Equals string
}

// Err tells what is wrong with r, or is nil. No token satisfies a rule with a
// fault, and [New] refuses it.
func (r ClaimRule) Err() error {
	if fault := r.fault(); fault != "" {
		return errors.New("validator: ClaimRule" + fault)
	}
	return nil
}

// fault is what is wrong, to be put behind a field's name, or "".
func (r ClaimRule) fault() string {
	switch {
	case r.Name == "":
		return ": Name is empty"
	case r.Type > ClaimBoolean:
		return fmt.Sprintf(" %q: Type %d does not exist", r.Name, r.Type)
	case r.Type == ClaimBoolean && r.Equals != "true" && r.Equals != "false":
		return fmt.Sprintf(" %q: Equals of a boolean is \"true\" or \"false\"", r.Name)
	default:
		return ""
	}
}

func checkRules(rules []ClaimRule, field string, f *faults) {
	for i := range rules {
		if fault := rules[i].fault(); fault != "" {
			f.addf("%s[%d]%s", field, i, fault)
		}
	}
}

// holds reports whether the claim is as the rule says.
func (r ClaimRule) holds(members []strictjson.Member) bool {
	return r.admits(lookup(members, r.Name))
}

func (r ClaimRule) admits(v strictjson.Value) bool {
	switch r.Type {
	case ClaimString:
		text, _ := v.Text()
		return text != "" && (r.Equals == "" || text == r.Equals)
	case ClaimStrings:
		found := false
		for element := range v.Elements() {
			text, ok := element.Text()
			if !ok {
				return false
			}
			found = found || text != "" && (r.Equals == "" || text == r.Equals)
		}
		return found
	case ClaimBoolean:
		return v.Raw() == r.Equals
	default:
		return false
	}
}

var errRule = refusal(BadClaims, "a claim that the issuer's configuration declares is missing or not as declared")

// judgeRules judges the claims that the configuration declares (R-CL-14).
func (is *issuer) judgeRules(members []strictjson.Member) *Error {
	for i := range is.claims {
		if !is.claims[i].holds(members) {
			return errRule
		}
	}
	return nil
}

// Satisfies reports whether the token has a claim as rule says: at its top
// level, of that JSON type, with that value. It reads the payload anew, which
// takes about a microsecond and no memory.
func (t *Token) Satisfies(rule ClaimRule) bool {
	return rule.fault() == "" && rule.admits(t.claim(rule.Name))
}

// Date is the time in a claim at the top level of the token, whatever its name,
// and whether it is there as a NumericDate (RFC 7519 §2) from 0 to 2^53. Whether
// it lies in the past or ahead is not checked. It costs what
// [Token.Satisfies] does.
func (t *Token) Date(claim string) (time.Time, bool) {
	date, ok := clock.NumericDate(t.claim(claim).Raw())
	if !ok {
		return time.Time{}, false
	}
	return date, true
}

// claim is a claim of the payload that was verified, or an absent value.
func (t *Token) claim(name string) strictjson.Value {
	if t == nil || t.facts == nil {
		return strictjson.Value{}
	}
	var stack [24]strictjson.Member
	members, _ := strictjson.ParseObject((*t.facts).payload, strictjson.TokenLimits, stack[:0]) // parsed before, so it is no error
	return lookup(members, name)
}

// lookup is the value of a member, or an absent one.
func lookup(members []strictjson.Member, name string) strictjson.Value {
	i := slices.IndexFunc(members, func(m strictjson.Member) bool { return m.Name == name })
	if i < 0 {
		return strictjson.Value{}
	}
	return members[i].Value
}

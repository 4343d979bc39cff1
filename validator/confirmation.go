package validator

import (
	"slices"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// confirmation has the members of cnf (RFC 7800), which say what a token is bound to.
type confirmation []strictjson.Member

// maxConfirmation is the most members that cnf may have.
const maxConfirmation = 8

// readConfirmation reads cnf. Its members are strings, and jwk is an object. If cnf is
// something else, the token is bound to something that cannot be read, and there are
// no members.
func readConfirmation(v strictjson.Value) confirmation {
	var stack [maxConfirmation]strictjson.Member
	members, err := strictjson.ParseObject(v.Raw(), strictjson.Checked, stack[:0])
	if err != nil || len(members) > maxConfirmation {
		return nil
	}
	for _, m := range members {
		if text, ok := confirmationText(m); !ok || m.Name != "jwk" && jwtclaims.HasControl(text) {
			return nil
		}
	}
	return slices.Clone(members)
}

// confirmationText returns the text of a member: the string, or the JSON of jwk. It
// returns false if the member has another type.
func confirmationText(m strictjson.Member) (string, bool) {
	if m.Name == "jwk" {
		return m.Value.Raw(), m.Value.Kind() == strictjson.Object
	}
	return m.Value.Text()
}

// lookup returns the text of the member with that name, and whether there is one.
func (c confirmation) lookup(name string) (string, bool) {
	for _, m := range c {
		if m.Name == name {
			return confirmationText(m)
		}
	}
	return "", false
}

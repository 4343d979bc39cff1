package validator

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errOtherRule  = misusing(WrongType, misuse.OtherToken, "a rule of Issuer.OtherTokens matches")
	errOtherToken = misusing(WrongType, misuse.OtherToken, "a claim says that the token is no access token")
)

// checkOtherTokens returns the refusal of a token that matches a rule of
// Issuer.OtherTokens.
func (is *checkedIssuer) checkOtherTokens(members []strictjson.Member) *Error {
	for i := range is.OtherTokens {
		if matched, ok := is.OtherTokens[i].marked(members); ok {
			return matched.refuseOther(members)
		}
	}
	return nil
}

// marked returns r, or the alternative of r, that marks a token with these claims as
// another token than an access token, and whether there is one. In contrast to holds, it
// looks at values of every type, since a mark of an unusual type must not make another
// token pass.
func (r ClaimRule) marked(members []strictjson.Member) (ClaimRule, bool) {
	if r.AnyOf == nil {
		return r, r.marks(jwtclaims.Lookup(members, r.Name))
	}
	for i := range r.AnyOf {
		if matched, ok := r.AnyOf[i].marked(members); ok {
			return matched, true
		}
	}
	return r, false
}

// marks reports whether v has the mark of r. Without Equals, that is any value. With
// Equals, it is the string, an array with the string, the boolean, or an object with a
// member of that name.
func (r ClaimRule) marks(v strictjson.Value) bool {
	if r.Equals == "" {
		return v.Kind() != strictjson.Absent
	}
	switch v.Kind() {
	case strictjson.String:
		text, _ := v.Text()
		return text == r.Equals
	case strictjson.Boolean:
		return v.Raw() == r.Equals
	case strictjson.Object:
		return v.Member(r.Equals).Kind() != strictjson.Absent
	default:
		for element := range v.Elements() {
			if text, _ := element.Text(); text == r.Equals {
				return true
			}
		}
		return false
	}
}

// refuseOther returns the refusal of a token that has the mark of r.
func (r ClaimRule) refuseOther(members []strictjson.Member) *Error {
	name, equals, v := r.Name, r.Equals, jwtclaims.Lookup(members, r.Name)
	return errOtherRule.because(func() cause.Details {
		d := cause.Details{
			Found: describedType(name, v), Wanted: "an access token",
			Mend: "let the client send its access token; if this is one, correct Issuer.OtherTokens",
		}
		if equals != "" {
			d.Found = name + " with " + cause.Quote(equals)
		}
		return d
	})
}

// otherTokenTypes are values by which servers say that a token is no access token, in
// token_type, token_use (Hydra, Cognito) or typ (Keycloak), in lower case.
var otherTokenTypes = []string{
	"refresh_token", "refresh", "offline", "id_token", "id", "serialized-id", "logout", "initial_access_token", "registrationaccesstoken", "authorization_code", "code",
	"refresh-token", "refresh+jwt", "logout+jwt", "urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:id_token",
}

// isOtherType reports whether value is one of otherTokenTypes, without regard to case.
func isOtherType(value string) bool {
	for _, other := range otherTokenTypes {
		if strings.EqualFold(value, other) {
			return true
		}
	}
	return false
}

// kindClaims are the claims in which servers name the kind of the token.
var kindClaims = [...]string{"token_use", "typ", "token_type"}

// checkSaidKind returns the refusal of a token of which a claim says that it is no access
// token.
func checkSaidKind(members []strictjson.Member) *Error {
	for _, name := range kindClaims {
		if v := textOf(members, name); isOtherType(v) {
			return errOtherToken.with(cause.Details{
				Found: name + " " + cause.Quote(strings.ToLower(v)), Wanted: "an access token", Mend: "let the client send its access token",
			})
		}
	}
	return nil
}

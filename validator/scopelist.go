package validator

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errScopeList  = refusal(BadClaims, "scope is an array; it is a string in RFC 8693 §4.2, and Issuer.ScopeLists allows arrays")
	errScopeArray = refusal(BadClaims, "scope in the answer about the token is an array; it is a string in RFC 7662 §2.2, and Issuer.Answers.ScopeLists allows arrays")
)

// readScopeList reads a scope that is an array of scope tokens, which only the
// configuration allows.
func (is *checkedIssuer) readScopeList(c *tokenClaims, v strictjson.Value, ofAnswer bool) *Error {
	if !is.ScopeLists && (!ofAnswer || !is.Answers.ScopeLists) {
		return refuseScopeList(v, ofAnswer)
	}
	for element := range v.Elements() {
		if scope, _ := element.Text(); !jwtclaims.IsScopeToken(scope) {
			return claimRefused(jwtclaims.ErrScope, claimScope, v)
		}
	}
	c.scope = scopeText(v)
	return nil
}

// refuseScopeList returns the refusal of a token or an answer whose scope is an array.
func refuseScopeList(v strictjson.Value, ofAnswer bool) *Error {
	constant, field := errScopeList, "Issuer.ScopeLists"
	if ofAnswer {
		constant, field = errScopeArray, "Issuer.Answers.ScopeLists"
	}
	return constant.because(func() cause.Details {
		return cause.Details{
			Found: "scope " + cause.Quotes(jwtclaims.Each(v)) + ", which is an array", Wanted: "a string",
			Mend: "let the issuer write scope as a string, or set " + field,
		}
	})
}

// scopeText returns the scopes of a scope that was read, with spaces between them. It is
// "" if there is none.
func scopeText(v strictjson.Value) string {
	var all []string
	for scope := range jwtclaims.Each(v) {
		all = append(all, scope)
	}
	return strings.Join(all, " ")
}

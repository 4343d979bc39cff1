package validator

import (
	"strings"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// The claims below matter only to routes that need them. Large issuers send them with
// other JSON types: AD FS writes auth_time as text, Supabase writes amr as an array of
// objects. A claim that cannot be read counts as absent, so that only a route that needs
// it refuses the token (R-SU-03). [Token.Unreadable] says what was found. Other claims
// are different: a token with a jti, azp or act of another type is refused on every
// route, because the token, its client or its actor would otherwise be taken for another
// one (RFC 7519 §4.1.7, RFC 8693 §4.1).

// readClass reads acr.
func (c *tokenClaims) readClass(v strictjson.Value) { c.acr, _ = jwtclaims.Text(v) }

// readMethods reads amr, as a whole or not at all.
func (c *tokenClaims) readMethods(v strictjson.Value) {
	if jwtclaims.CheckTexts(v) == nil {
		c.amr = v
	}
}

// readAuthTime reads auth_time. A number that is too large for a date lies in the
// future, and is refused.
func (c *tokenClaims) readAuthTime(v strictjson.Value) *Error {
	if v.Kind() != strictjson.Number || strings.HasPrefix(v.Raw(), "-") {
		return nil
	}
	return readDate(&c.authTime, claimAuthTime, v)
}

// readSession reads sid.
func (c *tokenClaims) readSession(v strictjson.Value) { c.sessionID, _ = jwtclaims.Text(v) }

// optionalClaims are the claims that are read so.
var optionalClaims = []string{"acr", "amr", claimAuthTime, "sid"}

// Unreadable returns what a token has in place of acr, amr, auth_time or sid, such as
// "auth_time, which is a string". Such a claim counts as absent. It returns "" if the
// claim is absent or was read, and for other claims. It is for texts that people read,
// and shows no text of the claim. It parses the payload, as [Token.Satisfies] does.
func (t *Token) Unreadable(claim string) string { return unreadable(claim, t.claim(claim)) }

// unreadable returns what v is, the claim of that name, if it cannot be read.
func unreadable(claim string, v strictjson.Value) string {
	if v.Kind() == strictjson.Absent {
		return ""
	}
	var err error
	switch claim {
	case "acr", "sid":
		_, err = jwtclaims.Text(v)
	case "amr":
		if err = jwtclaims.CheckTexts(v); v.Kind() == strictjson.String {
			return "amr, which is a string"
		}
	case claimAuthTime:
		_, err = jwtclaims.Date(v)
	}
	if err == nil {
		return ""
	}
	return jwtclaims.Unreadable(err, claim, v).Found
}

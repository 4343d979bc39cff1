package validator

import (
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// Claims that several files read.
const (
	claimScope    = "scope"
	claimAuthTime = "auth_time"
)

// tokenClaims are the claims of a verified payload that have a meaning here, each
// of the JSON type that it must have. Absent strings are empty and absent times
// zero: a token with an empty identifier is refused, and no NumericDate is the
// zero time.
type tokenClaims struct {
	issuer          string
	subject         string
	clientID        string
	authorizedParty string
	id              string
	sessionID       string
	audience        strictjson.Value
	expiry          time.Time
	issuedAt        time.Time
	notBefore       time.Time
	authTime        time.Time
	scope           string
	acr             string
	amr             strictjson.Value
	actor           Party
	hasActor        bool
	isBound         bool         // there is a cnf, of whatever form
	confirmation    confirmation // what cnf says, as far as it can be read
	idTokenOnly     bool         // there is a claim that no access token has
	algorithm       jose.Algorithm

	// caller and the fields below are set by derive from the configuration of the
	// issuer. derive also changes clientID, acr and scope.
	caller      caller
	multiFactor bool
	tenant      string
	roles       string // with roleSeparator between them
}

var (
	errClaimType    = refusal(BadClaims, "a claim has the wrong JSON type, or is an empty string")
	errClaimControl = refusal(BadClaims, "a claim has control characters")
	errClaimDate    = refusal(BadClaims, "a NumericDate is not a number from 0 to 2^53 (RFC 7519 §2)")
	errScopeSyntax  = refusal(BadClaims, "scope is not a list of scope tokens separated by single spaces (RFC 6749 §3.3)")
	errActor        = refusal(BadClaims, "act is not an object with strings (RFC 8693 §4.1)")
	errAudienceType = refusal(BadClaims, "aud is neither a string nor an array of strings (RFC 7519 §4.1.3)")
)

// readMembers reads the claims of a token, or the members of an answer about one. Members
// that it does not know are ignored.
func (is *checkedIssuer) readMembers(c *tokenClaims, members []strictjson.Member, ofAnswer bool, r *report) *Error {
	for i := range members {
		m := &members[i]
		var refused *Error
		switch {
		case m.Name == claimScope && m.Value.Kind() == strictjson.Array:
			refused = is.readScopeList(c, m.Value, ofAnswer)
		case is.SubjectOptional && m.Name == "sub" && m.Value.Raw() == `""`: // as if it were absent
		default:
			refused = c.read(m)
		}
		if refused = r.judgeClaim(m.Name, refused); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *tokenClaims) read(m *strictjson.Member) *Error {
	switch m.Name {
	case "iss":
		return readText(&c.issuer, m.Name, m.Value)
	case "sub":
		return readText(&c.subject, m.Name, m.Value)
	case "client_id":
		return readText(&c.clientID, m.Name, m.Value)
	case "azp":
		return readText(&c.authorizedParty, m.Name, m.Value)
	case "jti":
		return readText(&c.id, m.Name, m.Value)
	case "acr":
		c.readClass(m.Value)
	case "sid":
		c.readSession(m.Value)
	case "exp":
		return readDate(&c.expiry, m.Name, m.Value)
	case "iat":
		return readDate(&c.issuedAt, m.Name, m.Value)
	case "nbf":
		return readDate(&c.notBefore, m.Name, m.Value)
	case claimAuthTime:
		return c.readAuthTime(m.Value)
	case "aud":
		return c.readAudience(m.Value)
	case "amr":
		c.readMethods(m.Value)
	case claimScope:
		return c.readScope(m.Value)
	case "act":
		return c.readActor(m.Value)
	case "cnf":
		c.isBound, c.confirmation = true, readConfirmation(m.Value)
	case "nonce", "at_hash", "c_hash", "s_hash", "events":
		c.idTokenOnly = true
	}
	return nil
}

// readText reads the claim called name as an identifier.
func readText(dst *string, name string, v strictjson.Value) *Error {
	text, err := jwtclaims.Text(v)
	if err != nil {
		return claimRefused(err, name, v)
	}
	*dst = text
	return nil
}

// readDate reads the claim called name as a NumericDate.
func readDate(dst *time.Time, name string, v strictjson.Value) *Error {
	date, err := jwtclaims.Date(v)
	if err != nil {
		return claimRefused(err, name, v)
	}
	*dst = date
	return nil
}

// claimRefused returns the refusal for an error of the readers of package claims about v,
// the claim called name.
func claimRefused(err error, name string, v strictjson.Value) *Error {
	return claimKind(err).because(func() cause.Details { return jwtclaims.Unreadable(err, name, v) })
}

func claimKind(err error) *Error {
	switch {
	case errors.Is(err, jwtclaims.ErrControl):
		return errClaimControl
	case errors.Is(err, jwtclaims.ErrDate):
		return errClaimDate
	case errors.Is(err, jwtclaims.ErrScope):
		return errScopeSyntax
	case errors.Is(err, jwtclaims.ErrAudienceType):
		return errAudienceType
	default:
		return errClaimType
	}
}

// readAudience reads aud.
func (c *tokenClaims) readAudience(v strictjson.Value) *Error {
	if err := jwtclaims.CheckAudience(v); err != nil {
		return claimRefused(err, "aud", v)
	}
	c.audience = v
	return nil
}

// readScope reads scope.
func (c *tokenClaims) readScope(v strictjson.Value) *Error {
	text, err := jwtclaims.Scope(v)
	if err != nil {
		return claimRefused(err, claimScope, v)
	}
	c.scope = text
	return nil
}

// readActor reads the outermost actor. Actors nested in it are history without
// effect (RFC 8693 §4.1).
func (c *tokenClaims) readActor(v strictjson.Value) *Error {
	var stack [8]strictjson.Member
	members, err := jwtclaims.Object(v, stack[:0])
	if err != nil {
		return actorRefused("act", v)
	}
	for _, m := range members {
		var refused *Error
		switch m.Name {
		case "iss":
			refused = readText(&c.actor.Issuer, m.Name, m.Value)
		case "sub":
			refused = readText(&c.actor.Subject, m.Name, m.Value)
		case "client_id":
			refused = readText(&c.actor.ClientID, m.Name, m.Value)
		}
		if refused != nil {
			return actorRefused("act."+m.Name, m.Value)
		}
	}
	c.hasActor = true
	return nil
}

// actorRefused returns the refusal of a token whose act has v under that name.
func actorRefused(name string, v strictjson.Value) *Error {
	return errActor.because(func() cause.Details {
		return cause.Details{Found: describedType(name, v), Wanted: "an object with strings that are not empty"}
	})
}

// caller says for whom a token was issued, as far as that is known.
type caller uint8

const (
	callerUnknown caller = iota
	callerUser
	callerClient // without a user
)

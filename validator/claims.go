package validator

import (
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// claims are the claims of a verified payload that have a meaning here, each
// of the JSON type that it must have. Absent strings are empty, absent times
// zero: a present empty identifier is refused when read, and no NumericDate is
// the zero time.
type claims struct {
	issuer          string
	subject         string
	clientID        string
	authorizedParty string
	id              string
	audience        strictjson.Value
	expiry          time.Time
	issuedAt        time.Time
	notBefore       time.Time
	authTime        time.Time
	scope           string
	acr             string
	amr             strictjson.Value
	actor           Actor
	bound           bool // there is a cnf, of whatever form
	idTokenOnly     bool // there is a claim that no access token has
	algorithm       jose.Algorithm

	// By the issuer's configuration, which also changes clientID, acr and scope;
	// see derive.
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

// readAll types the claims. Members that it does not know are ignored.
func (c *claims) readAll(members []strictjson.Member) *Error {
	for i := range members {
		if refused := c.read(&members[i]); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *claims) read(m *strictjson.Member) *Error {
	switch m.Name {
	case "iss":
		return readText(&c.issuer, m.Value)
	case "sub":
		return readText(&c.subject, m.Value)
	case "client_id":
		return readText(&c.clientID, m.Value)
	case "azp":
		return readText(&c.authorizedParty, m.Value)
	case "jti":
		return readText(&c.id, m.Value)
	case "acr":
		return readText(&c.acr, m.Value)
	case "exp":
		return readDate(&c.expiry, m.Value)
	case "iat":
		return readDate(&c.issuedAt, m.Value)
	case "nbf":
		return readDate(&c.notBefore, m.Value)
	case "auth_time":
		return readDate(&c.authTime, m.Value)
	case "aud":
		return c.readAudience(m.Value)
	case "amr":
		return c.readMethods(m.Value)
	case "scope":
		return c.readScope(m.Value)
	case "act":
		return c.readActor(m.Value)
	case "cnf":
		c.bound = true
	case "nonce", "at_hash", "c_hash", "s_hash", "events":
		c.idTokenOnly = true
	}
	return nil
}

// readText reads an identifier: a string, not empty, that can be written to a
// log or a header field.
func readText(dst *string, v strictjson.Value) *Error {
	text, _ := v.Text() // empty for another type
	if text == "" {
		return errClaimType
	}
	if !v.Printable() && hasControl(text) {
		return errClaimControl
	}
	*dst = text
	return nil
}

// hasControl reports whether text has a control character of Unicode (C0, DEL,
// C1).
func hasControl(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' { // ASCII has no others; the rest is for the tables
			return strings.ContainsFunc(text[i:], unicode.IsControl)
		}
	}
	return false
}

func readDate(dst *time.Time, v strictjson.Value) *Error {
	date, ok := clock.NumericDate(v.Raw())
	if !ok {
		return errClaimDate
	}
	*dst = date
	return nil
}

// readTexts checks that v is an array of identifiers.
func readTexts(v strictjson.Value) *Error {
	for element := range v.Elements() {
		var text string
		if refused := readText(&text, element); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *claims) readAudience(v strictjson.Value) *Error {
	switch v.Kind() {
	case strictjson.String:
		var text string
		if refused := readText(&text, v); refused != nil {
			return refused
		}
	case strictjson.Array:
		if refused := readTexts(v); refused != nil {
			return refused
		}
	default:
		return errAudienceType
	}
	c.audience = v
	return nil
}

func (c *claims) readMethods(v strictjson.Value) *Error {
	if v.Kind() != strictjson.Array {
		return errClaimType
	}
	c.amr = v
	return readTexts(v)
}

// readScope reads the list of RFC 6749 §3.3. An empty string is no scope.
func (c *claims) readScope(v strictjson.Value) *Error {
	text, ok := v.Text()
	if !ok {
		return errClaimType
	}
	before := byte(' ')
	for i := range len(text) {
		b := text[i]
		if !scopeToken[b] && (b != ' ' || before == ' ') {
			return errScopeSyntax
		}
		before = b
	}
	if text != "" && before == ' ' {
		return errScopeSyntax
	}
	c.scope = text
	return nil
}

// scopeToken has the bytes of a scope token: printable ASCII but the space, the
// quote and the backslash.
var scopeToken = func() (allowed [256]bool) {
	for c := '!'; c <= '~'; c++ {
		allowed[c] = c != '"' && c != '\\'
	}
	return allowed
}()

// readActor reads the outermost actor; actors nested in it are history without
// effect (RFC 8693 §4.1).
func (c *claims) readActor(v strictjson.Value) *Error {
	var stack [8]strictjson.Member
	members, err := strictjson.ParseObject(v.Raw(), strictjson.TokenLimits, stack[:0])
	if err != nil {
		return errActor
	}
	for _, m := range members {
		var refused *Error
		switch m.Name {
		case "iss":
			refused = readText(&c.actor.Issuer, m.Value)
		case "sub":
			refused = readText(&c.actor.Subject, m.Value)
		case "client_id":
			refused = readText(&c.actor.ClientID, m.Value)
		}
		if refused != nil {
			return errActor
		}
	}
	c.actor.present = true
	return nil
}

// audiences yields the members of aud.
func (c *claims) audiences() iter.Seq[string] {
	return func(yield func(string) bool) {
		if text, ok := c.audience.Text(); ok {
			yield(text)
			return
		}
		for element := range c.audience.Elements() {
			if text, _ := element.Text(); !yield(text) {
				return
			}
		}
	}
}

// namesAny reports whether aud names one of the accepted identifiers.
func (c *claims) namesAny(accepted []string) bool {
	for audience := range c.audiences() {
		if slices.Contains(accepted, audience) {
			return true
		}
	}
	return false
}

// namesOneOfBoth reports whether aud names an identifier that is in both lists.
func (c *claims) namesOneOfBoth(a, b []string) bool {
	for audience := range c.audiences() {
		if slices.Contains(a, audience) && slices.Contains(b, audience) {
			return true
		}
	}
	return false
}

// namesOther reports whether aud names an identifier that is not accepted.
func (c *claims) namesOther(accepted []string) bool {
	for audience := range c.audiences() {
		if !slices.Contains(accepted, audience) {
			return true
		}
	}
	return false
}

// soleAudience is the only identifier in aud, if it has only one.
func (c *claims) soleAudience() (sole string, found bool) {
	for audience := range c.audiences() {
		if found && audience != sole {
			return "", false
		}
		sole, found = audience, true
	}
	return sole, found
}

var (
	errNoExpiry   = refusal(BadClaims, "exp is missing (RFC 9068 §2.2)")
	errNoSubject  = refusal(BadClaims, "sub is missing (RFC 9068 §2.2)")
	errNoClient   = refusal(BadClaims, "client_id is missing (RFC 9068 §2.2)")
	errNoIssuedAt = refusal(BadClaims, "iat is missing (RFC 9068 §2.2)")
	errNoID       = refusal(BadClaims, "jti is missing (RFC 9068 §2.2)")
	errExpired    = refusal(Expired, "now is at or after exp and the leeway")
	errNotBefore  = refusal(NotYetValid, "nbf lies ahead by more than the leeway")
	errIssuedAt   = refusal(NotYetValid, "iat lies ahead by more than the leeway")
	errAuthTime   = refusal(NotYetValid, "auth_time lies ahead by more than the leeway")
	errAudience   = refusal(WrongAudience, "aud is missing or names none of the configured audiences")
	errReplicated = refusal(BadClaims, "the header replicates iss, sub or aud with another value (RFC 7519 §5.3)")
)

// judgeRequired asks for the claims that the profile needs.
func (c *claims) judgeRequired(profile Profile) *Error {
	strict := profile != ProfileLegacy
	switch {
	case c.expiry.IsZero():
		return errNoExpiry
	case c.subject == "":
		return errNoSubject
	case strict && c.clientID == "":
		return errNoClient
	case strict && c.issuedAt.IsZero():
		return errNoIssuedAt
	case strict && c.id == "":
		return errNoID
	default:
		return nil
	}
}

// judgeTimes holds the times against now.
func (c *claims) judgeTimes(now time.Time, leeway Leeway) *Error {
	if second := now.Unix(); second < c.expiry.Unix() && second > c.issuedAt.Unix() &&
		second > c.notBefore.Unix() && second > c.authTime.Unix() { // nearly always; whole seconds compare in less time
		return nil
	}
	if !now.Before(c.expiry.Add(leeway.Expiry)) {
		return errExpired
	}
	latest := now.Add(leeway.Future)
	if c.notBefore.After(latest) {
		return errNotBefore
	}
	if c.issuedAt.After(latest) {
		return errIssuedAt
	}
	if c.authTime.After(latest) {
		return errAuthTime
	}
	return nil
}

// span is when judgeTimes has nothing to refuse, without any leeway: from the
// first whole second when nothing is in the future until before that of exp, in
// seconds since 1970.
func (c *claims) span() (from, until int64) {
	for _, instant := range [...]time.Time{c.issuedAt, c.notBefore, c.authTime} {
		if !instant.IsZero() {
			from = max(from, instant.Unix()+1)
		}
	}
	return from, c.expiry.Unix()
}

// judgeReplicated compares the claims that the header repeats, as JSON text:
// an issuer that writes one value in two ways is refused.
func judgeReplicated(h jose.Header, members []strictjson.Member) *Error {
	issuer, subject, audience := h.ReplicatedClaims()
	for _, replica := range []struct{ name, raw string }{{"iss", issuer}, {"sub", subject}, {"aud", audience}} {
		if replica.raw != "" && lookup(members, replica.name).Raw() != replica.raw {
			return errReplicated
		}
	}
	return nil
}

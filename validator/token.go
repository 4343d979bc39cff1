package validator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Token is a validated access token: its verified claims, or what its issuer said about
// it, without the token itself. Only [Validator.Validate] makes one. It is immutable and may be
// shared. The methods of a nil or zero Token return zero values.
//
// A printed or logged Token shows its issuer, client, id and expiry, and never
// its subject or other claims.
type Token struct {
	// facts is a double pointer, because fmt follows a single one under a wrong verb
	// and would print the claims.
	facts **facts
}

// draft is a Token together with its facts, in one piece of memory.
type draft struct {
	token   Token
	pointer *facts
	facts   facts
}

// mint makes the Token of d. No other code makes one.
func (d *draft) mint() {
	d.pointer = &d.facts
	d.token.facts = &d.pointer
}

// minted returns the Token, or nil if there is none or a caller that got it has
// assigned another Token to it.
func (d *draft) minted() *Token {
	if d.token.facts != &d.pointer || d.pointer != &d.facts {
		return nil
	}
	return &d.token
}

// mintedOrCopy returns the Token, or that of a copy of the facts if a caller that got the
// first one has assigned another Token to it.
func (d *draft) mintedOrCopy() *Token {
	if token := d.minted(); token != nil {
		return token
	}
	c := &draft{facts: d.facts}
	c.mint()
	return c.minted()
}

// noClaims are the claims of a nil or zero Token. It has no user.
var noClaims = tokenClaims{caller: callerClient}

// read returns the claims of the token, and empty ones for a nil or zero Token.
func (t *Token) read() *tokenClaims {
	if t == nil || t.facts == nil {
		return &noClaims
	}
	return &(*t.facts).claims
}

// Issuer returns iss: one of the configured issuers, byte for byte.
func (t *Token) Issuer() string { return t.read().issuer }

// Subject returns sub. It is unique only within its issuer; the principal is
// (Issuer, Subject), which [Token.Is] compares. For a token that a client got for
// itself it is not a user (RFC 9068 §2.2). It is "" if the issuer named none for an
// opaque token, or gave the token to a client without a user and Issuer.SubjectOptional is
// set. Callers without a subject are told apart by [Token.ClientID]: do not look up what
// belongs to an empty subject.
func (t *Token) Subject() string { return t.read().subject }

// Is reports whether the principal of the token is the subject of that issuer.
// Both compare byte for byte. It is false for a nil or zero Token, and if issuer
// or subject is empty.
func (t *Token) Is(issuer, subject string) bool {
	c := t.read()
	return issuer != "" && subject != "" && c.issuer == issuer && c.subject == subject
}

// ClientID returns client_id (RFC 8693 §4.3), or "" if the issuer named none for an opaque
// token. Under [ProfileLegacy] it is the claim
// that Issuer.ClientClaim names, or empty if the client is not known.
func (t *Token) ClientID() string { return t.read().clientID }

// ClientOnly reports whether the client is known to have got the token for
// itself, so that no user is behind it and Subject must not be looked up among
// users (RFC 9700 §4.15). That is so if the subject is the client itself, if
// there is no subject, if Issuer.ClientOnly says so, or if sub_profile names something else than a user and there
// is neither act nor a match of Issuer.User. It is also true for a nil or zero Token.
//
// A token that is not ClientOnly need not have a user: ask [Token.HasUser].
func (t *Token) ClientOnly() bool { return t.read().caller == callerClient }

// HasUser reports whether a user is known to be behind the token. It is not the
// opposite of [Token.ClientOnly]. Both are false if it is not known whether there is a
// user: the token does not name its client, or names it in a claim whose issuer may
// give a subject of its own to tokens without a user. Issuer.User, Issuer.ClientClaim
// and Issuer.ClientOnly tell the two apart.
func (t *Token) HasUser() bool { return t.read().caller == callerUser }

// ID returns jti, unique within the issuer, or "" if a [ProfileLegacy] token or an opaque
// token has none. Some servers give an opaque token another one in each answer.
func (t *Token) ID() string { return t.read().id }

// SessionID returns sid, the user's session at the issuer (OpenID Connect
// Front-Channel Logout 1.0 §3), or "" if the token has none.
func (t *Token) SessionID() string { return t.read().sessionID }

// Audience returns aud, always as a list.
func (t *Token) Audience() []string {
	var all []string
	for audience := range t.read().audiences() {
		all = append(all, audience)
	}
	return all
}

// Algorithm returns the algorithm of the key that verified the token. The token's
// header cannot choose it. It is 0 for an opaque token, and for a nil or zero Token.
func (t *Token) Algorithm() jose.Algorithm { return t.read().algorithm }

// Key returns the names of the key that verified the token, by its kid and by its
// thumbprint. [Validator.ForbidKey] takes either. They come from the issuer's key
// set, not from the token's header. The first is zero if the key has no kid. Both are
// zero for an opaque token.
func (t *Token) Key() (byID, byThumbprint jwkscache.KeyName) {
	if t == nil || t.facts == nil {
		return byID, byThumbprint
	}
	return (*t.facts).keyNames()
}

// Introspected reports whether the issuer was asked about the token (RFC 7662): it is
// opaque, or a JWT that was asked about because its issuer's configuration or a route
// demands it. The answer gets old, as [Validator.Recheck] tells.
func (t *Token) Introspected() bool { return t != nil && t.facts != nil && (*t.facts).answer != nil }

// Confirmation returns a member of cnf (RFC 7800), which says what the token is
// bound to: jkt, x5t#S256, kid or another string, and for jwk the key as JSON. It
// returns false if the token has no such member.
func (t *Token) Confirmation(member string) (string, bool) {
	return t.read().confirmation.lookup(member)
}

// Expiry returns exp, without leeway. It is zero if the issuer named none for an opaque
// token: such a token has to be asked about again, as [Validator.Recheck] tells. It may be
// after the year 9999. Package encoding/json does not marshal such a time, so write
// Expiry().Unix().
func (t *Token) Expiry() time.Time { return t.read().expiry }

// IssuedAt returns iat. It is zero if a [ProfileLegacy] token or an opaque token has none.
func (t *Token) IssuedAt() time.Time { return t.read().issuedAt }

// NotBefore returns nbf, or the zero time if the token has none.
func (t *Token) NotBefore() time.Time { return t.read().notBefore }

// AuthTime returns auth_time, when the user authenticated (OpenID Connect Core
// §2), or the zero time if the token has none, or one that is no NumericDate.
func (t *Token) AuthTime() time.Time { return t.read().authTime }

// ACR returns acr, the authentication context class, or "" if the token has none that is
// a string, or Issuer.ACRs does not list it. [Token.Claims] returns it as it is in the token.
func (t *Token) ACR() string { return t.read().acr }

// AMR returns amr, the authentication methods (RFC 8176), or nil if the token has none or
// amr is not an array of strings.
func (t *Token) AMR() []string {
	var all []string
	for element := range t.read().amr.Elements() {
		method, _ := element.Text()
		all = append(all, method)
	}
	return all
}

// MultiFactor reports whether amr has a value that counts as authentication by
// several factors, by Issuer.MultiFactor.
func (t *Token) MultiFactor() bool { return t.read().multiFactor }

// Tenant returns the tenant that the token speaks for, by Issuer.Tenant, or "" if
// the issuer has no tenants.
func (t *Token) Tenant() string { return t.read().tenant }

// Scopes returns the scopes that the token has, each once: those of scope in their
// order (RFC 6749 §3.3), then those that Issuer.Mappings makes of other claims.
// Scopes that Issuer.Grants does not list are left out.
func (t *Token) Scopes() []string { return unique(strings.Fields(t.read().scope)) }

// HasScope reports whether scope is one of [Token.Scopes], whole and
// case-sensitive. It allocates nothing.
func (t *Token) HasScope(scope string) bool { return containsWord(t.read().scope, ' ', scope) }

// EachScope yields the scopes of [Token.Scopes], and may yield a scope again that
// the token repeats. It allocates nothing: for scope := range token.EachScope.
func (t *Token) EachScope(yield func(scope string) bool) {
	scopes := t.read().scope
	for scopes != "" {
		end := strings.IndexByte(scopes, ' ')
		if end < 0 {
			yield(scopes)
			return
		}
		if !yield(scopes[:end]) {
			return
		}
		scopes = scopes[end+1:]
	}
}

// Roles returns the roles that Issuer.Mappings makes of the token's claims, each
// once. Roles that Issuer.Roles does not list are left out. Without a Mapping a
// token has no roles.
func (t *Token) Roles() []string {
	roles := t.read().roles
	if roles == "" {
		return nil
	}
	return strings.Split(roles, string(roleSeparator))
}

// HasRole reports whether role is one of [Token.Roles], whole and
// case-sensitive. It allocates nothing.
func (t *Token) HasRole(role string) bool { return containsWord(t.read().roles, roleSeparator, role) }

// Actor returns the outermost actor of act (RFC 8693 §4.1), who acts for the
// subject, and whether there is one.
func (t *Token) Actor() (Party, bool) {
	c := t.read()
	return c.actor, c.hasActor
}

// Claims decodes all claims into dst, a pointer to the caller's struct or map,
// by the rules of encoding/json/v2: names match byte for byte, unknown claims
// are ignored, types are not converted. Numbers keep all of their digits in int64, uint64,
// *big.Int and json.Number of the standard library. In an any, a number of at most 15
// significant digits is a float64, and one of more a json.Number. The claims of an opaque token are the answer of
// its issuer (RFC 7662 §2.2). Those of a JWT that was asked about are its own. Unlike the strings that the other methods
// return, strings decoded this way may have control characters.
func (t *Token) Claims(dst any) error {
	if t == nil || t.facts == nil {
		return fmt.Errorf("validator: no token was validated: %w", NoCredentials)
	}
	return strictjson.Unmarshal((*t.facts).payload, dst)
}

func (t *Token) redacted() string {
	c := t.read()
	return fmt.Sprintf("Token(iss=%q client_id=%q jti=%q exp=%d)", c.issuer, c.clientID, c.id, c.expiry.Unix())
}

// Format writes the redacted form under every verb.
func (t *Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.redacted()) }

// MarshalText returns the redacted form, also for JSON.
func (t *Token) MarshalText() ([]byte, error) { return []byte(t.redacted()), nil }

// LogValue returns the issuer, client, id and expiry. An expiry after the year 9999 is in
// seconds since 1970, since handlers write no such time.
func (t *Token) LogValue() slog.Value {
	c := t.read()
	return slog.GroupValue(
		slog.String("iss", c.issuer),
		slog.String("client_id", c.clientID),
		slog.String("jti", c.id),
		expiryAttr(c.expiry),
	)
}

// maxYear is the last year that RFC 3339 can express, and that slog and encoding/json
// write.
const maxYear = 9999

// expiryAttr returns exp for a log, as a time, or in seconds since 1970 if it is after
// maxYear.
func expiryAttr(expiry time.Time) slog.Attr {
	if expiry.Year() > maxYear {
		return slog.Int64("exp", expiry.Unix())
	}
	return slog.Time("exp", expiry)
}

var errNotMinted = refusal(NoCredentials, "no token was validated")

// The refusals of [Token.Meets] for the key are made once, so that it allocates
// nothing.
var (
	errKeyNotInUse  = &Error{UnknownKey, fmt.Errorf("validator: the key of the token is not published or is forbidden: %w", jose.ErrUnknownKey)}
	errKeysNotInUse = &Error{Unavailable, fmt.Errorf("validator: the issuer of the token was forgotten or has no keys: %w", issuerkeys.ErrUnavailable)}
)

// meetsGrace is how long Meets holds an opaque token after its answer is too old for a new
// request, for the handler of a request that came just before.
const meetsGrace = time.Minute

// Meets returns nil if the token still holds, as far as a Token alone can tell, and
// meets demands. It checks the key, which must be published and not forbidden; the
// times, with the Validator's Leeway; and demands. A key that was withdrawn or
// forbidden for a while counts again once it is back.
//
// The error is an [*Error] with one of the Reasons of Validate: [UnknownKey] for
// the key, or [Unavailable] if its issuer was forgotten; [Expired] or
// [NotYetValid] for the times; [WrongAudience], [BadClaims] or [BindingMismatch]
// for demands; Unavailable, for which errors.Is reports introspect.AnswerOutdated, if demands
// ask for a fresher answer of the issuer about the token than the last one, always for
// EachRequest, and for an opaque token a minute after its answer is used no more;
// [NoCredentials] for a nil or zero Token.
//
// Meets is for code that asks more of a Token than its route did. It never waits, and
// allocates nothing unless it returns an error. It does not check whether the issuer is still
// configured as it was, nor how old the last known keys of the issuer are. Code
// that holds a Token for long asks [Validator.Recheck], which does.
func (t *Token) Meets(ctx context.Context, demands Demands) (err error) {
	if t == nil || t.facts == nil {
		return errNotMinted
	}
	defer func() {
		if recover() != nil { // ctx is nil, or its methods panic
			err = errContext
		}
	}()
	f, instant := *t.facts, clock.Now(ctx)
	if refused := f.claims.checkTimes(instant, f.terms.leeway); refused != nil {
		return refused
	}
	if refused := f.checkKey(); refused != nil {
		return refused
	}
	if refused := demands.check(instant, &f.claims, f.terms.audiences); refused != nil {
		return refused
	}
	if demands.ActiveWithin != 0 && !f.isYounger(demands.ActiveWithin) || !f.signed && !f.isYounger(f.terms.answers.ttl+meetsGrace) {
		return errOutdated
	}
	return nil
}

// checkKey returns the refusal of a token whose key is not in use any more. A token that no
// key vouches for has none.
func (f *facts) checkKey() *Error {
	if !f.signed {
		return nil
	}
	switch err := f.key.Live(); {
	case err == nil:
		return nil
	case errors.Is(err, jose.ErrUnknownKey):
		return errKeyNotInUse
	default:
		return errKeysNotInUse
	}
}

// Satisfies reports whether the token has a claim as rule says: at its top level, of
// that JSON type, with that value. It parses the payload, which takes about a
// microsecond and allocates nothing.
func (t *Token) Satisfies(rule ClaimRule) bool {
	if t == nil || t.facts == nil || !rule.isValid() {
		return false
	}
	var stack [24]strictjson.Member
	return rule.holds(t.members(stack[:0]))
}

// Date returns the time in the claim of that name at the top level of the token. It
// returns false if the claim is not a NumericDate (RFC 7519 §2) from 0 to 2^53. It does
// not compare the time with the clock. It parses the payload, as [Token.Satisfies]
// does.
func (t *Token) Date(claim string) (time.Time, bool) {
	date, ok := clock.NumericDate(t.claim(claim).Raw())
	if !ok {
		return time.Time{}, false
	}
	return date, true
}

// claim returns the claim of that name, or an absent value.
func (t *Token) claim(name string) strictjson.Value {
	if t == nil || t.facts == nil {
		return strictjson.Value{}
	}
	var stack [24]strictjson.Member
	return jwtclaims.Lookup(t.members(stack[:0]), name)
}

// members appends the claims of a token that has facts to members.
func (t *Token) members(members []strictjson.Member) []strictjson.Member {
	all, _ := strictjson.ParseObject((*t.facts).payload, strictjson.Checked, members) // parsed before, so it is no error
	return all
}

package validator

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Token is a validated access token: its verified claims, without the token
// itself. Only [Validator.Validate] makes one. It is immutable and may be
// shared. A nil or zero Token answers every question with nothing.
//
// A Token printed or logged shows its issuer, client, id and expiry, and never
// its subject or other claims.
type Token struct {
	// Behind two pointers, so that no printer which looks into unexported
	// fields comes upon them: fmt follows one, under a wrong verb.
	facts **facts
}

// facts is what a signature vouched for, and what it is held to.
type facts struct {
	claims  claims
	payload string
	terms   *terms
	key     jwkscache.Handle // that verified the signature
}

// draft is a Token that is being judged, in one piece of memory.
type draft struct {
	token   Token
	pointer *facts
	facts   facts
}

// mint is the only place where a Token comes into being.
func (d *draft) mint() {
	d.pointer = &d.facts
	d.token.facts = &d.pointer
}

// minted is the Token, or nil if there is none or the caller it was given to
// has assigned another one to it.
func (d *draft) minted() *Token {
	if d.token.facts != &d.pointer || d.pointer != &d.facts {
		return nil
	}
	return &d.token
}

// none is what is known of a token that was not minted: no user is behind it.
var none = claims{caller: callerClient}

// read gives the claims of a minted token, and empty ones for any other.
func (t *Token) read() *claims {
	if t == nil || t.facts == nil {
		return &none
	}
	return &(*t.facts).claims
}

// Issuer is iss: one of the configured issuers, byte for byte.
func (t *Token) Issuer() string { return t.read().issuer }

// Subject is sub. It is unique only within its issuer; the principal is
// (Issuer, Subject), which [Token.Is] compares. For a token that a client got for
// itself it is not a user (RFC 9068 §2.2).
func (t *Token) Subject() string { return t.read().subject }

// Is reports whether the principal of the token is the subject of that issuer.
// Both compare byte for byte. It is false for a nil or zero Token, and if issuer
// or subject is empty.
func (t *Token) Is(issuer, subject string) bool {
	c := t.read()
	return issuer != "" && subject != "" && c.issuer == issuer && c.subject == subject
}

// ClientID is client_id (RFC 8693 §4.3). Under [ProfileLegacy] it is the claim that
// Issuer.ClientClaim names, or empty if the client cannot be told.
func (t *Token) ClientID() string { return t.read().clientID }

// ID is jti, unique within the issuer, or empty under [ProfileLegacy].
func (t *Token) ID() string { return t.read().id }

// Audience is aud, always as a list.
func (t *Token) Audience() []string {
	var all []string
	for audience := range t.read().audiences() {
		all = append(all, audience)
	}
	return all
}

// Algorithm is the one of the key that verified the token, which no header can
// choose. It is 0 for a worthless Token.
func (t *Token) Algorithm() jose.Algorithm { return t.read().algorithm }

// Expiry is exp, without leeway.
func (t *Token) Expiry() time.Time { return t.read().expiry }

// IssuedAt is iat, or zero under [ProfileLegacy].
func (t *Token) IssuedAt() time.Time { return t.read().issuedAt }

// NotBefore is nbf, or zero.
func (t *Token) NotBefore() time.Time { return t.read().notBefore }

// AuthTime is auth_time, when the user authenticated (OpenID Connect Core §2),
// or zero.
func (t *Token) AuthTime() time.Time { return t.read().authTime }

// ACR is acr, the authentication context class, or empty. It is also empty if
// Issuer.ACRs does not let the value count; [Token.Claims] returns it as it is in
// the token.
func (t *Token) ACR() string { return t.read().acr }

// AMR is amr, the authentication methods (RFC 8176).
func (t *Token) AMR() []string {
	var all []string
	for element := range t.read().amr.Elements() {
		method, _ := element.Text()
		all = append(all, method)
	}
	return all
}

// Actor is the outermost actor of act (RFC 8693 §4.1), who acts for the
// subject, and whether there is one.
func (t *Token) Actor() (Actor, bool) {
	actor := t.read().actor
	return actor, actor.present
}

// Actor is a party that acts for the subject of a token. Absent members are
// empty.
type Actor struct {
	Issuer   string // iss
	Subject  string // sub
	ClientID string // client_id
	present  bool
}

// Claims decodes all claims into dst, a pointer to the caller's struct or map,
// by the rules of encoding/json/v2: names match byte for byte, unknown claims
// are ignored, types are not converted. Unlike what the accessors return,
// strings decoded this way may hold control characters.
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

// MarshalText writes the redacted form, also as JSON.
func (t *Token) MarshalText() ([]byte, error) { return []byte(t.redacted()), nil }

// LogValue is the issuer, client, id and expiry.
func (t *Token) LogValue() slog.Value {
	c := t.read()
	return slog.GroupValue(
		slog.String("iss", c.issuer),
		slog.String("client_id", c.clientID),
		slog.String("jti", c.id),
		slog.Time("exp", c.expiry),
	)
}

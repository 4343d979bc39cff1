package validator

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// answerFacts is what is known of the answer that facts come from, or were confirmed by.
type answerFacts struct {
	digest digest       // of the token, under the selection of its issuer
	began  clock.Moment // when the request for it began
	// forgettings is the number of the last call of ForgetAnswers before that.
	forgettings uint64
}

var (
	errInactive = refusal(Inactive, "the issuer says that the token is not active (RFC 7662 §2.2)").with(cause.Details{
		Found: "active false", Wanted: "active true", Mend: "let the client get a new token; check that the token is of this issuer, and that the server lets this API introspect it",
	})
	errAnswerIss = refusal(UnknownIssuer, "iss in the answer about the token is not the issuer that was asked")
)

// readAnswer returns the facts of an active answer about an opaque token, or a refusal.
// The answer is judged as the claims of a JWT are, with what RFC 7662 leaves open: iss,
// sub, client_id, iat, jti and exp may be absent. Its aud is required, unless the issuer
// filters; and so is evidence that the token is an access token.
func (is *checkedIssuer) readAnswer(ctx context.Context, a *introspection.Answer) (*draft, *Error) {
	d := &draft{facts: facts{payload: a.Document}}
	f := &d.facts
	f.setIssuer(is)
	c := &f.claims
	if refused := is.readMembers(c, a.Members, true, nil); refused != nil {
		return nil, refused
	}
	if c.issuer != "" && c.issuer != is.URL {
		found := c.issuer
		return nil, errAnswerIss.because(func() cause.Details {
			return cause.Details{Found: "iss " + cause.Quote(found), Wanted: cause.Quote(is.URL)}
		})
	}
	c.issuer = is.URL
	if refused := is.checkTokenType(c, a.Members); refused != nil {
		return nil, refused
	}
	if refused := c.checkTimes(clock.Now(ctx), is.terms.leeway); refused != nil {
		return nil, refused
	}
	if refused := is.checkAnswerAudience(c, a.Members); refused != nil {
		return nil, refused
	}
	if refused := is.checkDeclared(a.Members); refused != nil {
		return nil, refused
	}
	if refused := is.derive(c, a.Members); refused != nil {
		return nil, refused
	}
	f.from, f.until = c.span()
	f.isBound = c.isBound
	f.isDPoP = strings.EqualFold(textOf(a.Members, "token_type"), typeDPoP)
	return d, nil
}

// checkAnswerAudience returns the refusal of an answer whose aud does not name this API.
// An absent aud is allowed if the client is one of Issuer.ClientIDs, or, without those, if
// the issuer filters. An aud that is there counts in any case.
func (is *checkedIssuer) checkAnswerAudience(c *tokenClaims, members []strictjson.Member) *Error {
	switch {
	case hasClaim(members, "aud"):
		if !c.namesAny(is.Audiences) {
			return is.refuseAudience(c)
		}
		return nil
	case is.judgesByClient(c):
		return is.checkClientIDs(members)
	case is.Answers.FiltersAudience:
		return nil
	default:
		return errWithheld.with(cause.Details{
			Found: "none of " + introspection.Withheld(members), Wanted: "aud with " + cause.OneOf(is.Audiences),
			Mend: "register this API as an audience at the server; Issuer.Answers.FiltersAudience is for issuers that call only tokens for this API active",
		})
	}
}

// answerBytes returns about how many bytes of an answer, and of what was derived from it,
// stay in memory with the facts.
func (is *checkedIssuer) answerBytes(f *facts) int32 {
	n := len(f.payload) + is.derivedBytes(&f.claims)
	if strings.IndexByte(f.payload, '\\') >= 0 {
		n += len(f.payload) // strings with escapes are copies
	}
	return int32(n) //nolint:gosec // answers are far shorter
}

// narrow returns the facts of a JWT as an active answer of its issuer leaves them: the
// earlier exp, the common scopes, and the audiences that the answer still names. What names
// the parties must be equal where the answer has it. Everything else stays as the
// signature vouches for it.
func (is *checkedIssuer) narrow(ctx context.Context, jwt *facts, a *introspection.Answer) (*draft, *Error) {
	var said tokenClaims
	if refused := is.readMembers(&said, a.Members, true, nil); refused != nil {
		return nil, refused
	}
	if refused := is.checkOtherTokens(a.Members); refused != nil {
		return nil, refused
	}
	if refused := is.checkSaidType(a.Members); refused != nil {
		return nil, refused
	}
	d := &draft{facts: *jwt}
	f := &d.facts
	c := &f.claims
	if refused := checkSameParties(c, &said, a.Members); refused != nil {
		return nil, refused
	}
	if refused := said.checkTimes(clock.Now(ctx), is.terms.leeway); refused != nil {
		return nil, refused
	}
	if hasClaim(a.Members, "aud") {
		if refused := is.narrowAudience(c, &said); refused != nil {
			return nil, refused
		}
	}
	if hasClaim(a.Members, claimScope) {
		if refused := is.narrowScope(c, jwt.payload, said.scope); refused != nil {
			return nil, refused
		}
	}
	if !said.expiry.IsZero() && said.expiry.Before(c.expiry) {
		c.expiry = said.expiry
	}
	f.from, f.until = c.span()
	f.isDPoP = strings.EqualFold(textOf(a.Members, "token_type"), typeDPoP)
	return d, nil
}

var errWithheld = refusal(WrongAudience, "the answer about the token has no aud; servers leave members out for a client that they do not know as an audience")

var errAnswerAudience = refusal(BadClaims, "the answer about the JWT has an aud that the JWT does not have")

// narrowAudience replaces the audiences of a JWT by those that the answer names, which
// must be among them and include this API.
func (is *checkedIssuer) narrowAudience(jwt, said *tokenClaims) *Error {
	if !said.namesAny(is.Audiences) {
		return is.refuseAudience(said)
	}
	if own := slices.Collect(jwt.audiences()); said.namesOther(own) {
		return refuseAudience(errAnswerAudience, said, own)
	}
	jwt.audience = said.audience
	return nil
}

// narrowScope leaves the scopes of a JWT that the answer has, too, and derives from them
// again what the configuration makes of scope. payload has the claims of the JWT.
func (is *checkedIssuer) narrowScope(c *tokenClaims, payload, said string) *Error {
	members, err := strictjson.ParseObject(payload, strictjson.Checked, nil)
	if err != nil {
		return errPayload // it was parsed before
	}
	text := scopeText(jwtclaims.Lookup(members, claimScope))
	left, err := strictjson.ParseObject(`{"scope":"`+commonScopes(text, said)+`"}`, strictjson.Checked, nil) // scopes have no character that JSON escapes
	if err != nil {
		return errScopeSyntax
	}
	for i := range members {
		if members[i].Name == claimScope {
			members[i].Value = left[0].Value
		}
	}
	narrowed := tokenClaims{algorithm: c.algorithm}
	if refused := is.readMembers(&narrowed, members, false, nil); refused != nil {
		return refused
	}
	narrowed.audience = c.audience
	if refused := is.derive(&narrowed, members); refused != nil {
		return refused
	}
	narrowed.scope = commonScopes(narrowed.scope, said)
	*c = narrowed
	return nil
}

// checkSameParties returns the refusal of an answer that names another issuer, subject,
// client or binding than the JWT.
func checkSameParties(jwt, said *tokenClaims, members []strictjson.Member) *Error {
	for _, party := range [...]struct{ name, jwt, said string }{
		{"iss", jwt.issuer, said.issuer}, {"sub", jwt.subject, said.subject}, {"client_id", jwt.clientID, said.clientID},
	} {
		if hasClaim(members, party.name) && party.said != party.jwt {
			return errAnswerParty.with(cause.Details{Found: "another " + party.name, Wanted: "that of the JWT"})
		}
	}
	if said.isBound && !sameConfirmation(jwt.confirmation, said.confirmation) {
		return errAnswerBinding
	}
	return nil
}

var errAnswerParty = refusal(BadClaims, "the answer about the JWT has another iss, sub or client_id than the JWT")

var errAnswerBinding = refusal(BadClaims, "the answer about the JWT has another cnf than the JWT").with(cause.Details{Found: "another cnf", Wanted: "that of the JWT"})

// sameConfirmation reports whether two cnf can be read and have the same members.
func sameConfirmation(a, b confirmation) bool {
	if len(a) == 0 || len(a) != len(b) {
		return false
	}
	for _, m := range a {
		text, _ := confirmationText(m)
		if other, ok := b.lookup(m.Name); !ok || other != text {
			return false
		}
	}
	return true
}

// commonScopes returns the scopes of a that b has, too.
func commonScopes(a, b string) string {
	var all []string
	for scope := range strings.FieldsSeq(a) {
		if containsWord(b, ' ', scope) {
			all = append(all, scope)
		}
	}
	return strings.Join(all, " ")
}

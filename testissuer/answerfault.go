package testissuer

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is a way in which the introspection endpoint answers wrongly, or in a form that
// only some servers use, about one token. The zero value answers as it should. See
// [Token] and [Issuer.Answer]. For what has nothing to do with a token, see
// [Issuer.Behave].
type Fault uint8

// The faults. Unless a comment says otherwise, the rest of the answer is good, so that
// it reveals clients that overlook the fault. Those from ActiveString to
// BoundToCertificate change only answers that are active. In a signed answer they
// change its token_introspection.
const (
	// ActiveString has active "true", a string.
	ActiveString Fault = iota + 1
	// ActiveNumber has active 1.
	ActiveNumber
	// ActiveNull has active null.
	ActiveNull
	// ActiveMissing has no active.
	ActiveMissing
	// ActiveCapital has Active true, and no active.
	ActiveCapital
	// ActiveTwice has active false first, and active true.
	ActiveTwice
	// AudienceTwice has another aud first, and the right one.
	AudienceTwice
	// AudienceEmpty has aud [].
	AudienceEmpty
	// AudienceNull has aud null.
	AudienceNull
	// AudienceNumber has aud 1.
	AudienceNumber
	// AudienceOther has aud https://other.test.
	AudienceOther
	// AudienceMissing has no aud.
	AudienceMissing
	// IssuerOther has iss https://other.test.
	IssuerOther
	// IssuerMissing has no iss.
	IssuerMissing
	// SubjectMissing has no sub.
	SubjectMissing
	// ExpiryMissing has no exp.
	ExpiryMissing
	// ExpiryString has exp as a string.
	ExpiryString
	// ScopeArray has scope as an array of strings.
	ScopeArray
	// Stripped has only active, iss and token_type, as for a client that is
	// not among the audiences.
	Stripped
	// TokenTypeMissing has no token_type.
	TokenTypeMissing
	// TokenTypeLower has token_type "bearer".
	TokenTypeLower
	// TokenTypeDPoP has token_type "DPoP", and no cnf.
	TokenTypeDPoP
	// TokenTypeAccess has token_type "access_token".
	TokenTypeAccess
	// TokenTypeRefresh has token_type "refresh_token".
	TokenTypeRefresh
	// TokenTypeID has token_type "id_token".
	TokenTypeID
	// TokenTypeNumber has token_type 1.
	TokenTypeNumber
	// RefreshToken is a refresh token: without token_type and jti.
	RefreshToken
	// RefreshTokenBearer is a refresh token with token_type "Bearer", and
	// token_use "refresh_token", as Hydra answers.
	RefreshTokenBearer
	// BoundToKey has token_type "DPoP" and a jkt in cnf (RFC 9449 §6.2).
	BoundToKey
	// BoundToKeyBearer has token_type "Bearer" and a jkt in cnf.
	BoundToKeyBearer
	// BoundToCertificate has an x5t#S256 in cnf (RFC 8705 §3.2).
	BoundToCertificate

	// ActiveAnyway answers {"active":true}, also about tokens that are not
	// active.
	ActiveAnyway
	// ExpiredActive answers that an expired token is active.
	ExpiredActive
	// InactiveWithClaims answers active false together with all claims.
	InactiveWithClaims
	// InactiveOnce answers once that the token is not active.
	InactiveOnce
	// ActiveOnce answers once that the token is active, and later that it is
	// not: a token that its introspection uses up.
	ActiveOnce
	// Flapping answers in turn that the token is active and that it is not.
	Flapping
	// FlappingError answers in turn as it should and with status 500.
	FlappingError

	// AnswerArray has the answer as the only element of an array.
	AnswerArray
	// AnswerString has the answer as a JSON string with its text.
	AnswerString
	// AnswerHTML is a page in HTML.
	AnswerHTML
	// AnswerEmpty has no body.
	AnswerEmpty
	// AnswerCut ends before its Content-Length.
	AnswerCut
	// AnswerMarked has a byte order mark in front.
	AnswerMarked
	// AnswerTrailing has another object behind it.
	AnswerTrailing
	// AnswerLarge is 1 MiB larger, by white space behind it.
	AnswerLarge
	// AnswerWrongType has the content type text/plain.
	AnswerWrongType
	// AnswerUntyped has no content type.
	AnswerUntyped

	// StatusNoContent has status 204, and thus no body.
	StatusNoContent
	// StatusPartial has status 206.
	StatusPartial
	// StatusRedirect has status 307, and the introspection endpoint itself as
	// Location, where the answer is good.
	StatusRedirect
	// StatusBadRequest has status 400 and no body.
	StatusBadRequest
	// StatusInvalidToken has status 400 and the error "invalid_token".
	StatusInvalidToken
	// StatusUnsupported has status 400 and the error "unsupported_token_type".
	StatusUnsupported
	// StatusUnauthorized has status 401 and the error "invalid_client".
	StatusUnauthorized
	// StatusForbidden has status 403 and a page in HTML.
	StatusForbidden
	// StatusThrottled has status 429 and Retry-After 5.
	StatusThrottled
	// StatusError has status 500.
	StatusError
	// StatusUnavailable has status 503 and Retry-After 5.
	StatusUnavailable
	// Slow answers after 10 seconds.
	Slow

	// SignedTypeMissing has no typ. This one and all below change only signed
	// answers (RFC 9701).
	SignedTypeMissing
	// SignedTypeAccess has typ "at+jwt".
	SignedTypeAccess
	// SignedTypeJWT has typ "JWT".
	SignedTypeJWT
	// SignedNone has alg "none" and no signature.
	SignedNone
	// SignedHMAC has alg "HS256" and the PEM text of the public key as the
	// secret.
	SignedHMAC
	// SignedTampered has the signature of another payload.
	SignedTampered
	// SignedOtherKey is signed by a key that the issuer never published, with
	// the kid of one that it published.
	SignedOtherKey
	// SignedUnknownKey is signed by such a key, with a kid of its own.
	SignedUnknownKey
	// SignedIssuerOther has iss https://other.test.
	SignedIssuerOther
	// SignedIssuerMissing has no iss.
	SignedIssuerMissing
	// SignedAudienceOther has aud https://other.test.
	SignedAudienceOther
	// SignedAudienceMissing has no aud.
	SignedAudienceMissing
	// SignedAudienceArray has aud as an array, with the right one behind
	// another. RFC 9701 allows it.
	SignedAudienceArray
	// SignedTimeMissing has no iat.
	SignedTimeMissing
	// SignedTimeOld has an iat of an hour ago.
	SignedTimeOld
	// SignedTimeFuture has an iat in an hour.
	SignedTimeFuture
	// SignedAnswerMissing has no token_introspection. For one that is a string
	// or an array, see AnswerString and AnswerArray.
	SignedAnswerMissing
	// SignedAnswerTwice has token_introspection {"active":false} first, and the
	// right one.
	SignedAnswerTwice
	// SignedActiveAbove has active at the top level, and a token_introspection
	// without it.
	SignedActiveAbove
	// SignedContradiction has active true and the claims of the token at the
	// top level, and active false in token_introspection.
	SignedContradiction
	// SignedNot is JSON.
	SignedNot
	// SignedOldForm is a JWT of type application/jwt with the answer at the top
	// level.
	SignedOldForm
	// SignedMember is JSON with the JWT in its member jwt.
	SignedMember
	// SignedEncrypted has five segments, as an encrypted answer (RFC 9701 §6)
	// for a client that registered no encryption.
	SignedEncrypted

	faults // the number of faults, and one
)

const (
	page       = "<!DOCTYPE html><title>Error</title><p>Something went wrong."
	padding    = 1 << 20
	slowness   = 10 * time.Second
	redirected = "redirected" // the query of the redirect
)

// check panics if f is not one of the constants.
func (f Fault) check() {
	if f >= faults {
		panic("testissuer: there is no Fault " + strconv.Itoa(int(f)))
	}
}

// inactive reports whether f makes the answer inactive that is the use-th since f was
// set.
func (f Fault) inactive(use int) bool {
	switch f {
	case InactiveWithClaims:
		return true
	case InactiveOnce:
		return use == 1
	case ActiveOnce:
		return use > 1
	case Flapping:
		return use%2 == 0
	default:
		return false
	}
}

// reshape returns the introspection response with the faults of its JSON text.
func (f Fault) reshape(document []byte, active bool) []byte {
	switch {
	case f == ActiveTwice && active:
		return append([]byte(`{"active":false,`), document[1:]...)
	case f == AudienceTwice && active:
		return append([]byte(`{"aud":"https://other.test",`), document[1:]...)
	case f == AnswerArray:
		return append(append([]byte("["), document...), ']')
	case f == AnswerString:
		return must(json.Marshal(string(document)))
	default:
		return document
	}
}

// spoil applies the faults of the HTTP answer. endpoint is the URL of the introspection
// endpoint.
func (f Fault) spoil(answer *reply, use int, endpoint string) {
	if answer.header == nil {
		answer.header = http.Header{}
	}
	if status, has := statuses[f]; has {
		answer.status = status
	}
	if texts, has := bodies[f]; has {
		answer.header.Set("Content-Type", texts[0])
		answer.body = []byte(texts[1])
	}
	switch f {
	case FlappingError:
		if use%2 == 0 {
			answer.status = http.StatusInternalServerError
		}
	case AnswerCut:
		answer.header.Set("Content-Length", strconv.Itoa(2*len(answer.body)))
	case AnswerMarked:
		answer.body = append([]byte("\ufeff"), answer.body...)
	case AnswerTrailing:
		answer.body = append(answer.body, `{"active":false}`...)
	case AnswerLarge:
		answer.body = append(answer.body, strings.Repeat(" ", padding)...)
	case AnswerWrongType:
		answer.header.Set("Content-Type", "text/plain")
	case AnswerUntyped:
		answer.header["Content-Type"] = nil
	case StatusRedirect:
		answer.header.Set("Location", endpoint+"?"+redirected)
	case StatusThrottled, StatusUnavailable:
		answer.header.Set("Retry-After", "5")
	case Slow:
		answer.delay = slowness
	default:
	}
}

// statuses holds the status of faults.
var statuses = map[Fault]int{
	StatusNoContent:    http.StatusNoContent,
	StatusPartial:      http.StatusPartialContent,
	StatusRedirect:     http.StatusTemporaryRedirect,
	StatusBadRequest:   http.StatusBadRequest,
	StatusInvalidToken: http.StatusBadRequest,
	StatusUnsupported:  http.StatusBadRequest,
	StatusUnauthorized: http.StatusUnauthorized,
	StatusForbidden:    http.StatusForbidden,
	StatusThrottled:    http.StatusTooManyRequests,
	StatusError:        http.StatusInternalServerError,
	StatusUnavailable:  http.StatusServiceUnavailable,
}

// bodies holds the content type and the body of faults that replace them.
var bodies = map[Fault][2]string{
	AnswerHTML:         {"text/html", page},
	AnswerEmpty:        {jsonType, ""},
	StatusBadRequest:   {jsonType, ""},
	StatusInvalidToken: {jsonType, `{"error":"invalid_token"}`},
	StatusUnsupported:  {jsonType, `{"error":"unsupported_token_type"}`},
	StatusUnauthorized: {jsonType, `{"error":"invalid_client"}`},
	StatusForbidden:    {"text/html", page},
}

const jsonType = "application/json"

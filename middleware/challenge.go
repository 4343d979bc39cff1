package middleware

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Authentication schemes of challenges.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

// answer is one response class: all that a client is told of a refusal, but for
// what the policy asks for.
type answer struct {
	status      int
	scheme      string // of the challenge; none if empty
	code        string // error code of RFC 6750 §3.1, RFC 9470 §3 or RFC 9449 §7.1
	description string
	retryAfter  time.Duration
}

var (
	plainChallenge = answer{status: http.StatusUnauthorized, scheme: bearer}
	invalidRequest = answer{
		status: http.StatusBadRequest, scheme: bearer,
		code: "invalid_request", description: "The request is malformed",
	}
	invalidToken = answer{
		status: http.StatusUnauthorized, scheme: bearer,
		code: "invalid_token", description: "The access token is invalid",
	}
	expiredToken = answer{
		status: http.StatusUnauthorized, scheme: bearer,
		code: "invalid_token", description: "The access token expired",
	}
	insufficientScope = answer{
		status: http.StatusForbidden, scheme: bearer,
		code: "insufficient_scope", description: "The access token lacks a scope",
	}
	stepUp = answer{
		status: http.StatusUnauthorized, scheme: bearer,
		code: "insufficient_user_authentication", description: "Stronger or more recent authentication is required",
	}
	invalidProof = answer{
		status: http.StatusUnauthorized, scheme: dpop,
		code: "invalid_dpop_proof", description: "The DPoP proof is invalid",
	}
	nonceRequired = answer{
		status: http.StatusUnauthorized, scheme: dpop,
		code: "use_dpop_nonce", description: "The DPoP proof needs a nonce",
	}
	policyDenial = answer{status: http.StatusForbidden}
	undetermined = answer{status: http.StatusServiceUnavailable, retryAfter: time.Second}
)

// answers is the wire mapping: how each Reason is told to a client.
var answers = map[validator.Reason]*answer{
	validator.NoCredentials:       &plainChallenge,
	validator.MalformedRequest:    &invalidRequest,
	validator.TooLarge:            &invalidRequest,
	validator.MalformedToken:      &invalidToken,
	validator.AlgorithmNotAllowed: &invalidToken,
	validator.UnknownKey:          &invalidToken,
	validator.BadSignature:        &invalidToken,
	validator.WrongType:           &invalidToken,
	validator.UnknownIssuer:       &invalidToken,
	validator.WrongAudience:       &invalidToken,
	validator.NotYetValid:         &invalidToken,
	validator.BadClaims:           &invalidToken,
	validator.Inactive:            &invalidToken,
	validator.Revoked:             &invalidToken,
	validator.BindingMismatch:     &invalidToken,
	validator.Expired:             &expiredToken,
	validator.InsufficientScope:   &insufficientScope,
	validator.StepUpRequired:      &stepUp,
	validator.BadProof:            &invalidProof,
	validator.ProofReplayed:       &invalidProof,
	validator.NonceRequired:       &nonceRequired,
	validator.Forbidden:           &policyDenial,
	validator.Unavailable:         &undetermined,
}

// challenger writes the challenges of a guard.
type challenger struct {
	realm      string
	metadata   string // URL of RFC 9728 §5.1; "" for none
	hideScopes bool
	constant   map[validator.Reason][]string // what no policy adds to
}

func newChallenger(config *Config) *challenger {
	c := &challenger{
		realm: config.Realm, metadata: config.ResourceMetadata, hideScopes: config.HideScopes,
		constant: make(map[validator.Reason][]string, len(answers)),
	}
	for reason, class := range answers {
		if class.scheme != "" {
			c.constant[reason] = []string{c.challenge(class, nil)}
		}
	}
	return c
}

// plain is what a request without credentials is told on a route of policy:
// where to get a token, and for which scopes.
func (c *challenger) plain(policy scopes.Policy) []string {
	needs := policy.Needs()
	if c.hideScopes || len(needs) == 0 {
		return c.constant[validator.NoCredentials]
	}
	return []string{c.challenge(&plainChallenge, &scopes.Refusal{Scopes: needs})}
}

// challenges are those of class; told is what the policy adds and may be nil.
func (c *challenger) challenges(reason validator.Reason, class *answer, told *scopes.Refusal) []string {
	if told == nil || class.scheme == "" {
		return c.constant[reason]
	}
	return []string{c.challenge(class, told)}
}

// challenge is class as one challenge of RFC 9110 §11.3.
func (c *challenger) challenge(class *answer, told *scopes.Refusal) string {
	var b strings.Builder
	b.WriteString(class.scheme)
	writeParam(&b, " ", "realm", c.realm)
	writeParam(&b, ", ", "error", class.code)
	writeParam(&b, ", ", "error_description", class.description)
	if told != nil {
		writeParam(&b, ", ", "scope", withoutOffline(told.Scopes))
		writeParam(&b, ", ", "acr_values", strings.Join(told.ACRValues, " "))
		if told.MaxAge > 0 {
			writeParam(&b, ", ", "max_age", strconv.FormatInt(int64(told.MaxAge/time.Second), 10))
		}
	}
	if class.status != http.StatusBadRequest { // a better token would not mend that
		writeParam(&b, ", ", "resource_metadata", c.metadata)
	}
	return b.String()
}

// writeParam adds a parameter with its value as a quoted-string (RFC 9110
// §5.6.4). One that is empty or cannot be written is left out: no value makes
// two fields of one, or two parameters.
func writeParam(b *strings.Builder, separator, name, value string) {
	if value == "" || !isPrintable(value) {
		return
	}
	b.WriteString(separator)
	b.WriteString(name)
	b.WriteString(`="`)
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	b.WriteByte('"')
}

// withoutOffline joins scopes, but for the one that asks the authorization
// server for a refresh token, which is none of an API's business.
func withoutOffline(all []string) string {
	var b strings.Builder
	for _, scope := range all {
		if scope == "offline_access" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(scope)
	}
	return b.String()
}

// isPrintable reports whether text can stand in a quoted-string.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

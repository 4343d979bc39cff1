package middleware

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Denial is the answer to a request that may not pass. It holds constants of
// its response class only: nothing in it tells a client more than the class.
type Denial struct {
	// Reason is for logs and metrics, not for the client.
	Reason validator.Reason
	// Status is the HTTP status.
	Status int
	// Challenges are the values of the WWW-Authenticate fields, one field
	// line each (RFC 9110 §11.6.1). May be empty.
	Challenges []string
	// RetryAfter is the value of the Retry-After field, or 0 for none.
	RetryAfter time.Duration
	cause      error
}

// Error is constant for the Reason.
func (d *Denial) Error() string { return "sallyport: denied: " + string(d.Reason) }

// Unwrap gives the refusal of the validator or the policy.
func (d *Denial) Unwrap() error { return d.cause }

// Authentication schemes of challenges.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

// ServeHTTP answers a request with d: the status, one WWW-Authenticate field
// for each challenge, Retry-After, Cache-Control: no-store, and a small body
// (RFC 9457) that says no more than the status.
func (d *Denial) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/problem+json")
	for _, challenge := range d.Challenges {
		header.Add("WWW-Authenticate", challenge)
	}
	if d.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((d.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(d.Status)
	// The connection is gone if this fails; there is nobody to tell.
	_, _ = fmt.Fprintf(w, `{"title":%q,"status":%d}`+"\n", http.StatusText(d.Status), d.Status)
}

// answer is one response class.
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

// deny answers err in its class. scopes go into the challenge.
func (g *Guard) deny(err error, scopes []string) *Denial {
	reason := validator.ReasonOf(err)
	class := answers[reason]
	if class == nil { // not one of the closed set: nothing was determined
		class = &undetermined
	}
	d := &Denial{Reason: reason, Status: class.status, RetryAfter: class.retryAfter, cause: err}
	if class.scheme != "" {
		d.Challenges = []string{class.challenge(g.realm, scopes)}
	}
	return d
}

// challenge writes the class as one challenge of RFC 9110 §11.3. Codes,
// descriptions and scope tokens need no quoting; the realm may.
func (a *answer) challenge(realm string, scopes []string) string {
	var b strings.Builder
	b.WriteString(a.scheme)
	b.WriteString(` realm="`)
	for i := range len(realm) {
		if realm[i] == '"' || realm[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(realm[i])
	}
	b.WriteByte('"')
	write := func(name, value string) {
		if value != "" {
			b.WriteString(`, ` + name + `="` + value + `"`)
		}
	}
	write("error", a.code)
	write("error_description", a.description)
	write("scope", strings.Join(scopes, " "))
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

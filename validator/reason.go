package validator

// Reason says why a request was refused. The set is closed; the values are
// stable and safe as metric labels. A Reason is also an error, for use with
// errors.Is: errors.Is(err, validator.Expired).
type Reason string

// The reasons.
const (
	NoCredentials       Reason = "no_credentials"        // the request has none
	MalformedRequest    Reason = "malformed_request"     // the credentials do not follow RFC 6750 §2.1
	MalformedToken      Reason = "malformed_token"       // not a JWS in compact form with strict JSON
	TooLarge            Reason = "too_large"             // longer than the configured limit, or with more claims
	AlgorithmNotAllowed Reason = "algorithm_not_allowed" // not in the issuer's list, or not the key's
	UnknownKey          Reason = "unknown_key"           // no single key of the issuer fits
	BadSignature        Reason = "bad_signature"         // does not verify
	WrongType           Reason = "wrong_type"            // not an access token
	UnknownIssuer       Reason = "unknown_issuer"        // iss is absent or not configured
	WrongAudience       Reason = "wrong_audience"        // aud is absent or names others
	Expired             Reason = "expired"               // now is at or after exp
	NotYetValid         Reason = "not_yet_valid"         // nbf, iat or auth_time lies ahead
	BadClaims           Reason = "bad_claims"            // a claim is missing, of the wrong type or value
	Inactive            Reason = "inactive"              // the authorization server says so
	Revoked             Reason = "revoked"               // on a deny list
	BindingMismatch     Reason = "binding_mismatch"      // sender-constrained, and not to this sender
	BadProof            Reason = "bad_proof"             // the DPoP proof does not hold
	ProofReplayed       Reason = "proof_replayed"        // the DPoP proof was used before
	NonceRequired       Reason = "nonce_required"        // the DPoP proof needs the server's nonce
	InsufficientScope   Reason = "insufficient_scope"    // a scope is missing
	StepUpRequired      Reason = "step_up_required"      // authentication is too weak or too old
	Forbidden           Reason = "forbidden"             // the policy says no, and no scope would help
	Unavailable         Reason = "unavailable"           // could not be determined; the token may be good
	Canceled            Reason = "canceled"              // the caller left, or its deadline passed, before anything was determined
)

// Reasons returns the closed set, in the order of the constants.
func Reasons() []Reason {
	return []Reason{
		NoCredentials, MalformedRequest, MalformedToken, TooLarge, AlgorithmNotAllowed, UnknownKey, BadSignature, WrongType, UnknownIssuer,
		WrongAudience, Expired, NotYetValid, BadClaims, Inactive, Revoked, BindingMismatch, BadProof, ProofReplayed, NonceRequired,
		InsufficientScope, StepUpRequired, Forbidden, Unavailable, Canceled,
	}
}

// descriptions has a sentence for each reason. They may be shown to anyone.
var descriptions = map[Reason]string{
	NoCredentials:       "the request carries no credentials",
	MalformedRequest:    "the credentials are malformed",
	MalformedToken:      "the token is malformed",
	TooLarge:            "the token is too large",
	AlgorithmNotAllowed: "the token's algorithm is not allowed",
	UnknownKey:          "the token's key is unknown",
	BadSignature:        "the token's signature is bad",
	WrongType:           "the token is not an access token",
	UnknownIssuer:       "the token's issuer is unknown",
	WrongAudience:       "the token is meant for another audience",
	Expired:             "the token expired",
	NotYetValid:         "the token is not valid yet",
	BadClaims:           "the token's claims are not as required",
	Inactive:            "the token is not active",
	Revoked:             "the token was revoked",
	BindingMismatch:     "the token is bound to a sender that is not proven",
	BadProof:            "the proof of possession is bad",
	ProofReplayed:       "the proof of possession was used before",
	NonceRequired:       "the proof of possession lacks the server's nonce",
	InsufficientScope:   "the token lacks a scope",
	StepUpRequired:      "the user must authenticate more strongly or again",
	Forbidden:           "the token does not permit this",
	Unavailable:         "the token could not be checked now",
	Canceled:            "the request ended before the token was checked",
}

// Description returns a constant English sentence for r, without details of the
// request.
func (r Reason) Description() string { return descriptions[r] }

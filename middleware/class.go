package middleware

import (
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Class is the response class of a [Denial]: all that a client learns of
// a refusal, except for what the policy asks for. The set is closed, so a Class is
// safe as a metric label. An adapter writes a Denial by its Class: Status is for
// HTTP, Code for OAuth, and GRPC for gRPC.
type Class string

// The classes.
const (
	ClassNoCredentials     Class = "no_credentials"     // no token was presented
	ClassInvalidRequest    Class = "invalid_request"    // the credentials cannot be read
	ClassInvalidToken      Class = "invalid_token"      // the token is not valid here
	ClassExpiredToken      Class = "expired_token"      // the token was valid once
	ClassInsufficientScope Class = "insufficient_scope" // the token lacks a scope
	ClassStepUp            Class = "step_up"            // the user must authenticate again
	ClassInvalidProof      Class = "invalid_proof"      // the DPoP proof is not valid
	ClassNonceRequired     Class = "nonce_required"     // the DPoP proof needs a nonce
	ClassForbidden         Class = "forbidden"          // the policy does not permit the token
	ClassNotFound          Class = "not_found"          // the token is valid and no route matches
	ClassMethodNotAllowed  Class = "method_not_allowed" // the token is valid and the route has other methods
	ClassUnavailable       Class = "unavailable"        // nothing could be determined
	ClassCanceled          Class = "canceled"           // the caller left, or its deadline passed, before anything was determined
)

// Authentication schemes of challenges.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

// Codes of gRPC. Package codes of gRPC has the same numbers.
const (
	grpcCanceled         = 1
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// classRow is what a Class means on the wire.
type classRow struct {
	status      int    // of HTTP
	grpc        uint32 // code of gRPC
	reason      string // of google.rpc.ErrorInfo
	scheme      string // of the challenge; empty: there is no challenge
	code        string // error code of RFC 6750 §3.1, RFC 9470 §3 or RFC 9449 §7.1
	description string // of the error, for the challenge
	message     string // of the error, for protocols that have one beside the challenge
	retryAfter  time.Duration
}

// classes is the wire mapping: what each Class means.
var classes = map[Class]*classRow{
	ClassNoCredentials: {status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "NO_CREDENTIALS", scheme: bearer, message: "an access token is required"},
	ClassInvalidRequest: {
		status: http.StatusBadRequest, grpc: grpcUnauthenticated, reason: "INVALID_REQUEST", scheme: bearer,
		code: "invalid_request", description: "The request is malformed",
		message: "the credentials are malformed",
	},
	ClassInvalidToken: {
		status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "INVALID_TOKEN", scheme: bearer,
		code: "invalid_token", description: "The access token is invalid",
		message: "the access token is invalid",
	},
	ClassExpiredToken: {
		status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "EXPIRED_TOKEN", scheme: bearer,
		code: "invalid_token", description: "The access token expired",
		message: "the access token expired",
	},
	ClassInsufficientScope: {
		status: http.StatusForbidden, grpc: grpcPermissionDenied, reason: "INSUFFICIENT_SCOPE", scheme: bearer,
		code: "insufficient_scope", description: "The access token lacks a scope",
		message: "the access token lacks a scope",
	},
	ClassStepUp: {
		status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "INSUFFICIENT_USER_AUTHENTICATION", scheme: bearer,
		code: "insufficient_user_authentication", description: "Stronger or more recent authentication is required",
		message: "stronger or more recent authentication is required",
	},
	ClassInvalidProof: {
		status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "INVALID_DPOP_PROOF", scheme: dpop,
		code: "invalid_dpop_proof", description: "The DPoP proof is invalid",
		message: "the DPoP proof is invalid",
	},
	ClassNonceRequired: {
		status: http.StatusUnauthorized, grpc: grpcUnauthenticated, reason: "USE_DPOP_NONCE", scheme: dpop,
		code: "use_dpop_nonce", description: "The DPoP proof needs a nonce",
		message: "the DPoP proof needs a nonce",
	},
	ClassForbidden:        {status: http.StatusForbidden, grpc: grpcPermissionDenied, reason: "FORBIDDEN", message: "the access token does not permit this"},
	ClassNotFound:         {status: http.StatusNotFound, grpc: grpcUnimplemented, reason: "NOT_FOUND", message: "there is no such method"},
	ClassMethodNotAllowed: {status: http.StatusMethodNotAllowed, grpc: grpcUnimplemented, reason: "METHOD_NOT_ALLOWED", message: "there is no such method"},
	ClassUnavailable:      {status: http.StatusServiceUnavailable, grpc: grpcUnavailable, reason: "UNAVAILABLE", retryAfter: time.Second, message: "authorization could not be determined now"},
	ClassCanceled:         {status: http.StatusServiceUnavailable, grpc: grpcCanceled, reason: "CANCELED", message: "the caller left before authorization was determined"},
}

// classOf maps each Reason to its Class.
var classOf = map[validator.Reason]Class{
	validator.NoCredentials:       ClassNoCredentials,
	validator.MalformedRequest:    ClassInvalidRequest,
	validator.TooLarge:            ClassInvalidRequest,
	validator.MalformedToken:      ClassInvalidToken,
	validator.AlgorithmNotAllowed: ClassInvalidToken,
	validator.UnknownKey:          ClassInvalidToken,
	validator.BadSignature:        ClassInvalidToken,
	validator.WrongType:           ClassInvalidToken,
	validator.UnknownIssuer:       ClassInvalidToken,
	validator.WrongAudience:       ClassInvalidToken,
	validator.NotYetValid:         ClassInvalidToken,
	validator.BadClaims:           ClassInvalidToken,
	validator.Inactive:            ClassInvalidToken,
	validator.Revoked:             ClassInvalidToken,
	validator.BindingMismatch:     ClassInvalidToken,
	validator.Expired:             ClassExpiredToken,
	validator.InsufficientScope:   ClassInsufficientScope,
	validator.StepUpRequired:      ClassStepUp,
	validator.BadProof:            ClassInvalidProof,
	validator.ProofReplayed:       ClassInvalidProof,
	validator.NonceRequired:       ClassNonceRequired,
	validator.Forbidden:           ClassForbidden,
	validator.Unavailable:         ClassUnavailable,
	validator.Canceled:            ClassCanceled,
}

// classFor returns the Class of reason. A reason outside the closed set means that
// nothing was determined.
func classFor(reason validator.Reason) Class {
	if class, ok := classOf[reason]; ok {
		return class
	}
	return ClassUnavailable
}

// row returns what c means. An unknown Class means what ClassUnavailable does.
func (c Class) row() *classRow {
	if row := classes[c]; row != nil {
		return row
	}
	return classes[ClassUnavailable]
}

// Status returns the HTTP status: 400 to 599.
func (c Class) Status() int { return c.row().status }

// Code returns the OAuth error code (RFC 6750 §3.1, RFC 9470 §3, RFC 9449 §7.1),
// or "" if the class has none.
func (c Class) Code() string { return c.row().code }

// GRPC returns the code of gRPC: Unauthenticated, PermissionDenied, Unavailable, for
// requests that no route matches Unimplemented, and for ClassCanceled Canceled, which an
// adapter makes DeadlineExceeded if that is why the context ended. It is never OK.
func (c Class) GRPC() uint32 { return c.row().grpc }

// Message returns a constant text for clients, such as the message of a gRPC status.
func (c Class) Message() string { return c.row().message }

package introspect

import (
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Client is this API as a client of one authorization server: where it asks, as whom,
// and what it accepts as an answer. The zero value of a field has the default that the
// field names. validator.New reports the faults.
type Client struct {
	// Endpoint is the introspection endpoint (RFC 7662 §2): https, or http to a
	// loopback host, without user information and fragment. "" means the
	// introspection_endpoint of the issuer's metadata (RFC 8414, then OpenID Connect
	// Discovery). With an Endpoint, no metadata is fetched for introspection.
	Endpoint string
	// ID is the client_id under which this API is registered at the issuer. It is
	// required. With [Bearer] it is used at the token endpoint only.
	ID string
	// Authentication is how this API proves to the endpoint that it is ID. It is
	// required: an endpoint without it would tell anyone about any token (RFC 7662
	// §4).
	Authentication Authentication
	// Prefix marks the tokens of this issuer: every token that starts with it is
	// asked about here and nowhere else, also if it looks like a JWT. It is needed
	// where several issuers issue opaque tokens, unless routes say which issuer
	// they take (validator.Demands). No Prefix may start with that of another
	// issuer, or fit JWTs (eyJ) where JWTs are validated locally.
	Prefix string
	// Hint is the token_type_hint of requests: access_token if it is "", and none if
	// it is [NoHint]. It helps the server to search, and is no evidence of what the
	// token is.
	Hint string

	// Signed requires answers that are signed JWTs (RFC 9701) and refuses all others.
	Signed bool
	// AnswerAudiences are the names of this API in the aud of signed answers, of
	// which one must be there (RFC 9701 §5). nil means ID. They have nothing to do
	// with the audiences of the token.
	AnswerAudiences []string
	// AnswerKeys says where the keys of signed answers come from. nil means the
	// Keys of the issuer, and its metadata if it has none.
	AnswerKeys jwkscache.Source

	// InactiveErrors are the error codes (RFC 6749 §5.2) with which a status of 400
	// means that the token is not active. "" stands for an answer without a code. nil
	// means that a 400 says nothing about the token. It is for servers that forget
	// expired tokens and answer 400 for them.
	InactiveErrors []string

	// Cache says how long answers are used.
	Cache Cache
	// Limits bound what the requests may cost.
	Limits Limits
	// Store is a cache that several processes share. nil means none.
	Store Store
	// StoreSecret is a secret of at least 32 bytes that all processes with the same
	// Store share. It encrypts what is stored, and keeps tokens out of it. Required
	// with a Store, refused without.
	StoreSecret Secret
}

// NoHint as Client.Hint leaves token_type_hint out.
const NoHint = "-"

// Cache says how long the answers of one issuer are used. It bounds how long a token
// that was revoked at the issuer is still accepted: TTL, plus the time of one request.
type Cache struct {
	// TTL is how long an answer "active" is used, counted from the beginning of the
	// request: 30 s if it is 0, [NoCache] for not at all, otherwise 1 s to 5 min. No
	// answer is used after the exp that it names. A route may ask for fresher
	// answers.
	TTL time.Duration
	// Negative is how long an answer "not active" is used, counted from its arrival:
	// 5 s if it is 0, [NoCache] for not at all, otherwise up to 5 s. A token that
	// was active when the issuer was asked before is asked about again at once.
	Negative time.Duration
}

// NoCache as a duration of [Cache] means that no answer is used for another request.
// With it as TTL, each request asks the issuer, however many come at once.
const NoCache time.Duration = -1

// SharedLimits bound the requests to all issuers of a Validator together, beside the
// [Limits] of each. A zero field has the default. A field that is out of bounds is a
// fault of the configuration.
type SharedLimits struct {
	Concurrency int // requests under way at once: 128 (1 to 100 000). A quarter is for tokens that were active before
	Queue       int // requests that wait for their turn: 1 024 (1 to 1 000 000)
	Waiters     int // callers that wait for requests, one or many for each: 10 000 (1 to 1 000 000)
}

// Limits bound the requests to one issuer. A zero field has the default. A field that
// is out of bounds is a fault of the configuration.
type Limits struct {
	Timeout      time.Duration // of one request, from connecting to the last byte: 3 s (100 ms to 30 s)
	Concurrency  int           // requests under way at once: 32 (1 to 10 000). A quarter is for tokens that were active before
	Queue        int           // requests that wait for their turn: 256 (1 to 100 000)
	QueueTimeout time.Duration // how long one waits for its turn: 1 s (10 ms to 30 s)
	AnswerBytes  int           // of one answer: 256 KiB (1 KiB to 1 MiB)
	MaxHold      time.Duration // longest Retry-After that is heeded: 30 s (1 s to 5 min)
}

// Package validator checks whether an access token is genuine, meant for this API,
// valid now, and presented by the sender that it is bound to. What the token permits is
// decided by package scopes.
//
// A [Validator] is made by [New] from a [Config]. New reports all faults of the
// Config at once. [Validator.Validate] takes a [Presentation], which an adapter
// read from a request, and returns a [Token] or an [Error] with one [Reason] of a
// closed set.
//
// A *Token proves that a token was validated: only this package makes one, its
// fields cannot be set, and the zero Token grants nothing.
//
// Validate checks in this order:
//
//   - size and form;
//   - the issuer, byte for byte;
//   - the algorithm, against the issuer's list;
//   - the type (RFC 9068 §4, or a marker under [ProfileLegacy]);
//   - the key and the signature;
//   - the JSON types of the claims, and the claims that are required;
//   - expiry and the other times;
//   - the audience, or the client of a token without aud (Issuer.ClientIDs);
//   - claims that the configuration declares, or makes a tenant, scopes or roles
//     of;
//   - the binding to the sender;
//   - what the route demands.
//
// The issuer's configuration limits what its tokens may do: Issuer.Grants bounds
// their scopes, and claims other than scope mean nothing without a [Mapping]. What a
// route requires is decided by package scopes.
//
// The facts about a token that was verified are cached. When the token returns, only
// what can change is checked again: whether the issuer is still configured as it
// was, whether the key is still published and not forbidden, the times, the binding
// and what the route demands. [CacheConfig] bounds the cache, and can turn it
// off. [Validator.Recheck] does the same for a Token that is held, by a stream for
// example.
//
// A token that is no JWT of a configured issuer is opaque. Its issuer is selected by the
// configuration (Issuer.Opaque, its prefix, the route, Config.OpaqueIssuer), and asked
// about it (RFC 7662). The answer is checked as the claims of a JWT are: the issuer, what
// tells an access token from others, the times, the audience, declared claims, the
// binding and what the route demands. A JWT that was selected for local validation and
// failed is never asked about. A route or an issuer may demand that the issuer of a valid
// JWT is asked, too ([Demands].ActiveWithin); the answer can only take away.
//
// A Validator is used as soon as it is made. Run it in a goroutine of its own
// ([Validator.Run]), so that keys are fetched at once and kept fresh. Otherwise they are
// fetched when tokens need them, and [Validator.Ready] is an error until then. What an
// operator should know is logged to Config.Logger.
//
// Sender-constrained tokens (any cnf, any DPoP presentation) are not supported yet and
// are refused, because the binding cannot be checked. A bearer token that was stolen is
// not detected: nothing in the token can tell.
package validator

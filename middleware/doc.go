// Package middleware puts a policy in front of each operation of an API: a [Guard]
// validates the token of a request, asks the policy of its [Route], and answers
// with a [Verdict]: the request passes, or there is a [Denial] to write.
//
// Run the Guard in a goroutine of its own ([Guard.Run]), so that the keys of the issuers
// are fetched at once and kept fresh. Refusals are logged with their cause to
// Config.Logger, which is [slog.Default] if nothing else is configured.
//
// For net/http there are [Mux], on which every pattern has a policy, and
// [Guard.Require] and [Guard.Middleware] for handlers under other routers. Tokens
// are read from the Authorization field only (RFC 6750 §2.1), never from query,
// body or cookies. An adapter for another transport makes a Route for each
// operation, turns a request into a [validator.Presentation] and calls
// [Route.Check].
//
// Fields that could make a handler serve something else than was checked, such as
// X-HTTP-Method-Override, or X-Forwarded-For from a peer that is not a trusted
// proxy, are removed from the request that the handler gets.
//
// Not done here: answers to CORS preflights, rate limits, and anything for which
// the body has to be read.
package middleware

// Package middleware joins the two doors: a [Guard] validates what a request
// presents, asks the route's policy, and answers with a token or with a
// [Denial] that is ready to be written.
//
// For net/http there are a [Mux], on which every pattern has a policy, and
// [Guard.Require], [Guard.Optional] and [Guard.Middleware] for single handlers
// under any router. Tokens are read from the Authorization field only (RFC 6750
// §2.1), never from query, body or cookies. Other transports turn their request
// into a [validator.Presentation] and call [Guard.Check].
//
// What could make a handler do something else than was judged, such as
// X-HTTP-Method-Override, or X-Forwarded-For from a peer that is no trusted
// proxy, is removed from what it sees.
//
// Not done here: answers to CORS preflights, rate limits, and anything that
// takes reading the body.
package middleware

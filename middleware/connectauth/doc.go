// Package connectauth puts a policy in front of each procedure of a service that
// [connect] serves, for its three protocols alike: Connect, gRPC and gRPC-Web.
//
// A [Gate] has two halves. [Gate.Handler] is HTTP middleware in front of the Connect
// handlers: it decides by the header of a request, before a byte of the body is read,
// and writes refusals in the form of the request's protocol. [Gate.Interceptor] goes
// into the options of the handlers: it refuses what did not come through the other half,
// and ends streams when their token ends. [Gated] applies both to one service.
// [Gate.Covers] returns an error if a method has no policy, a policy has no method, or a
// half is missing.
//
// In a handler, [middleware.TokenFrom] returns the token.
//
// Not done here: answers to CORS preflights, rate limits, and decisions that need the
// message.
package connectauth

// Package latency measures how long requests take, over real connections on a loopback
// address, with and without validation of their tokens.
//
// Load is open: a request is due at a fixed time, whether or not earlier ones were
// answered, and its latency counts from that time. So a server that stalls is charged
// with all requests that were due meanwhile, and not with the one that it delayed
// (coordinated omission). Requests are due at a constant rate, which is a share of what
// the server without validation can do (its saturation).
//
// Client and servers are processes of their own: [Measure] starts its own program again
// for each server, so a program that calls it must call [Child] first.
//
// A server with a middleware and one without run in alternating windows, with requests
// of the same bytes. What the middleware adds is the difference between a window and the
// window without it of the same round. The report has the medians over all rounds, and
// their quartiles.
package latency

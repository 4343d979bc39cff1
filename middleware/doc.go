// Package middleware joins the two doors: a [Guard] validates what a request
// presents, asks the route's policy, and answers with a token or with a
// [Denial] that is ready to be written.
package middleware

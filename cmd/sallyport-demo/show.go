package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// The lines of the table: request, status or code, microseconds, reason, challenge.
const (
	layout     = "%-28s %6s %8s  %-22s %s\n"
	callLayout = "%-28s %-16s %8s  %-18s %s\n"
)

// show sends the rows in turn and prints each answer. It returns how many answers were
// not the expected ones.
func show(ctx context.Context, out io.Writer, rows []row) (bad int) {
	lines := ""
	for _, r := range rows {
		if lines == "" && !r.isCall() {
			lines = layout
			fmt.Fprintf(out, lines, "request", "status", "µs", "reason", "challenge")
		}
		if lines != callLayout && r.isCall() {
			lines = callLayout
			fmt.Fprintf(out, "\n"+lines, "gRPC call", "code", "µs", "reason", "challenge")
		}
		got := r.send(ctx)
		status, reason := r.text(got.status), string(got.reason)
		if reason == "" {
			reason = "-"
		}
		if got.challenge == "" {
			got.challenge = "-"
		}
		fmt.Fprintf(out, lines, r.name, status, fmt.Sprint(got.took.Microseconds()), reason, got.challenge)
		if got.err != nil || got.status != r.status || got.reason != r.reason {
			bad++
			fmt.Fprintf(out, "  ^ should be %s %s", r.text(r.status), r.reason)
			if got.err != nil {
				fmt.Fprintf(out, ": %v", got.err)
			}
			fmt.Fprintln(out)
		}
		if ctx.Err() != nil {
			return bad
		}
	}
	fmt.Fprintf(out, "\n%d requests as they should be, %d not\n", len(rows)-bad, bad)
	return bad
}

// isCall reports whether the row is a gRPC call.
func (r row) isCall() bool { return r.status < 100 }

// text returns the text of a status of HTTP or of a code of gRPC.
func (r row) text(status int) string {
	if r.isCall() {
		return codes.Code(status).String() //nolint:gosec // a code is a small number
	}
	return fmt.Sprint(status)
}

// invite prints commands to try.
func (d *demo) invite(out io.Writer) {
	const hour = time.Hour
	try := func(what, rest, field string) {
		fmt.Fprintf(out, "# %s\ncurl -i", what)
		if field != "" {
			fmt.Fprintf(out, " -H 'Authorization: %s'", field)
		}
		fmt.Fprintf(out, " %s\n\n", rest)
	}
	opaque := d.issuer.Opaque(testissuer.Token{Scope: readScope, Lifetime: hour, Prefix: opaquePrefix})
	fmt.Fprint(out, "\nThe API serves on. Tokens are good for an hour; stop with Ctrl-C.\n\n")
	try("a good token", d.url+order, d.bearer(testissuer.Token{Scope: readScope, Lifetime: hour}))
	try("an opaque token", d.url+order, "Bearer "+opaque)
	try("no token", d.url+order, "")
	try("a scope is missing", "-X POST "+d.url+"/orders", d.bearer(testissuer.Token{Scope: readScope, Lifetime: hour}))
	try("it is there", "-X POST "+d.url+"/orders", d.bearer(testissuer.Token{Scope: "orders:write", Lifetime: hour}))
	try("an ID token", d.url+order, d.bearer(testissuer.Token{Lifetime: hour, Header: map[string]any{"typ": "JWT"}}))
	try("where the issuer's keys are found", d.issuer.URL()+"/.well-known/oauth-authorization-server", "")
}

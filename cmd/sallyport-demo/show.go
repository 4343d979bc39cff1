package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// layout is one line of the table: request, status, microseconds, reason,
// challenge.
const layout = "%-28s %6s %8s  %-22s %s\n"

// show sends the rows in turn, prints what each got as it comes, and answers how
// many are not what they should be.
func show(ctx context.Context, out io.Writer, rows []row) (bad int) {
	fmt.Fprintf(out, layout, "request", "status", "µs", "reason", "challenge")
	for _, r := range rows {
		got := r.send(ctx)
		status, reason := fmt.Sprint(got.status), string(got.reason)
		if reason == "" {
			reason = "-"
		}
		if got.challenge == "" {
			got.challenge = "-"
		}
		fmt.Fprintf(out, layout, r.name, status, fmt.Sprint(got.took.Microseconds()), reason, got.challenge)
		if got.err != nil || got.status != r.status || got.reason != r.reason {
			bad++
			fmt.Fprintf(out, "  ^ should be %d %s", r.status, r.reason)
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

// invite prints requests to try.
func (d *demo) invite(out io.Writer) {
	const hour = time.Hour
	try := func(what, rest string, token *testissuer.Token) {
		fmt.Fprintf(out, "# %s\ncurl -i", what)
		if token != nil {
			fmt.Fprintf(out, " -H 'Authorization: %s'", d.bearer(*token))
		}
		fmt.Fprintf(out, " %s\n\n", rest)
	}
	fmt.Fprint(out, "\nThe API serves on. Tokens are good for an hour; stop with Ctrl-C.\n\n")
	try("a good token", d.url+order, &testissuer.Token{Scope: "orders:read", Lifetime: hour})
	try("no token", d.url+order, nil)
	try("a scope is missing", "-X POST "+d.url+"/orders", &testissuer.Token{Scope: "orders:read", Lifetime: hour})
	try("it is there", "-X POST "+d.url+"/orders", &testissuer.Token{Scope: "orders:write", Lifetime: hour})
	try("an ID token", d.url+order, &testissuer.Token{Lifetime: hour, Header: map[string]any{"typ": "JWT"}})
	try("where the issuer's keys are found", d.issuer.URL()+"/.well-known/oauth-authorization-server", nil)
}

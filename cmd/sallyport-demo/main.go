// Command sallyport-demo shows what Sallyport does: it starts an issuer and a
// protected API on loopback, sends requests that should pass and requests that
// should not, and prints what each got. Then it keeps serving, for your own
// requests.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
)

// Exit statuses.
const (
	exitGood  = 0 // every request got what it should
	exitBad   = 1 // one did not
	exitUsage = 2 // usage, or no loopback address could be listened on
)

// commandLine is what the program understands.
type commandLine struct {
	Once bool   `help:"Stop after the table instead of serving on."`
	Addr string `default:"127.0.0.1:0" help:"Loopback address of the API; port 0 takes a free one."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its surroundings given.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var command commandLine
	helped := false
	parser, err := kong.New(&command,
		kong.Name("sallyport-demo"),
		kong.Description("An issuer, a protected API, and what becomes of good and bad requests."),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { helped = true }),
	)
	if err == nil {
		_, err = parser.Parse(args)
	}
	if helped {
		return exitGood
	}
	if err != nil {
		fmt.Fprintf(errOut, "sallyport-demo: %v; see --help\n", err)
		return exitUsage
	}
	d, err := start(ctx, command.Addr)
	if err != nil {
		fmt.Fprintf(errOut, "sallyport-demo: %v\n", err)
		return exitUsage
	}
	defer d.close()
	fmt.Fprintf(out, "issuer %s\napi    %s\n\n", d.issuer.URL(), d.url)
	bad := show(ctx, out, d.rows())
	if !command.Once && ctx.Err() == nil {
		d.invite(out)
		<-ctx.Done()
	}
	if bad > 0 {
		fmt.Fprintf(errOut, "sallyport-demo: %d rows are not what they should be\n", bad)
		return exitBad
	}
	return exitGood
}

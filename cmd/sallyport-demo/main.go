// Command sallyport-demo shows what Sallyport does. It starts an issuer and a
// protected API on a loopback address, sends requests that should pass and requests
// that should be refused, and prints the answers. Then it serves until it is stopped,
// so that you can send requests of your own.
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
	exitGood  = 0 // every answer was the expected one
	exitBad   = 1 // an answer was another one
	exitUsage = 2 // bad usage, or no address to listen on
)

// commandLine holds the commands of the program.
type commandLine struct {
	Show  showCommand  `cmd:"" default:"withargs" help:"Show what good and bad requests get, and serve on (the default)."`
	Drill drillCommand `cmd:"" help:"Practise an incident: print what an operator sees, and end with 0 if all was as it should be."`
}

// showCommand sends good and bad requests.
type showCommand struct {
	Once bool   `help:"Stop after the table."`
	Addr string `default:"127.0.0.1:0" help:"Loopback address of the API; port 0 means a free one."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run runs the program and returns its exit status.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var command commandLine
	helped := false
	parser, err := kong.New(&command,
		kong.Name("sallyport-demo"),
		kong.Description("An issuer, a protected API, and what becomes of good and bad requests."),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { helped = true }),
	)
	var parsed *kong.Context
	if err == nil {
		parsed, err = parser.Parse(args)
	}
	if helped {
		return exitGood
	}
	if err != nil {
		fmt.Fprintf(errOut, "sallyport-demo: %v; see --help\n", err)
		return exitUsage
	}
	if parsed.Command() == "drill <incident>" {
		return command.Drill.run(ctx, out, errOut)
	}
	return command.Show.run(ctx, out, errOut)
}

// run returns the exit status.
func (c *showCommand) run(ctx context.Context, out, errOut io.Writer) int {
	d, err := start(ctx, c.Addr, out)
	if err != nil {
		fmt.Fprintf(errOut, "sallyport-demo: %v\n", err)
		return exitUsage
	}
	defer d.close()
	fmt.Fprintf(out, "issuer %s\napi    %s\ngRPC   %s\n\n", d.issuer.URL(), d.url, d.connection.Target())
	bad := show(ctx, out, d.rows())
	if !c.Once && ctx.Err() == nil {
		d.invite(out)
		<-ctx.Done()
	}
	if bad > 0 {
		fmt.Fprintf(errOut, "sallyport-demo: %d rows are not what they should be\n", bad)
		return exitBad
	}
	return exitGood
}

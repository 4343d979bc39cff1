// Command release makes a version of all modules of this repository. See
// RELEASE.md.
//
//	go run ./internal/release [-n] v1.2.3
//
// It makes one commit and one tag for each module, v1.2.3 for the root and
// folder/v1.2.3 for a nested one. In the commit, no module replaces another one
// of this repository, and each requires the others in the version that is
// released, with their checksums in go.sum. It pushes nothing.
//
// With -n it makes the commit without moving a branch or adding a tag, and
// prints what it would do.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, ".", os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command, with its working directory as an argument.
func run(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dry := flags.Bool("n", false, "change nothing and print what would be done")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(stderr, "release: want one version, such as v1.2.3")
		return 2
	}
	if err := release(ctx, dir, flags.Arg(0), *dry, stdout); err != nil {
		fmt.Fprintln(stderr, "release:", err)
		return 1
	}
	return 0
}

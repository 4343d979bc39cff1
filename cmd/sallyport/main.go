// Command sallyport is the resource-server side of OAuth 2.0 as a program:
// `sallyport verify` judges access tokens against a configuration, one verdict
// a line.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"github.com/alecthomas/kong"
)

// Exit statuses.
const (
	exitDone   = 0 // every line was judged
	exitInput  = 1 // input that cannot be read
	exitConfig = 2 // bad configuration or usage
)

// commandLine is what the program understands.
type commandLine struct {
	Verify  verifyCommand  `cmd:"" help:"Judge access tokens: NDJSON on standard input, one verdict a line on standard output."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are the standard streams, so that tests can give others.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// exit carries kong's wish to stop out of its parser.
type exit int

// run is main with its surroundings given.
func run(args []string, std streams) (status int) {
	defer func() {
		if wish := recover(); wish != nil {
			code, ok := wish.(exit)
			if !ok {
				panic(wish)
			}
			status = int(code)
		}
	}()
	var command commandLine
	parser, err := kong.New(&command,
		kong.Name("sallyport"),
		kong.Description("OAuth 2.0 access token validation, strict by default."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		complain(std, err)
		return exitConfig
	}
	selected, err := parser.Parse(args)
	if err != nil {
		complain(std, fmt.Errorf("%w; see sallyport --help", err))
		return exitConfig
	}
	if selected.Command() == "version" {
		return command.Version.run(std)
	}
	return command.Verify.run(std)
}

// complain writes one line to standard error for each line of err.
func complain(std streams, err error) {
	for _, line := range lines(err) {
		fmt.Fprintln(std.err, "sallyport: "+line)
	}
}

// versionCommand prints the version that the go command recorded.
type versionCommand struct{}

func (versionCommand) run(std streams) int {
	version, goVersion := "(devel)", "unknown Go"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		isRevision := func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" }
		if i := slices.IndexFunc(info.Settings, isRevision); i >= 0 {
			version += " " + info.Settings[i].Value
		}
	}
	fmt.Fprintf(std.out, "sallyport %s %s\n", version, goVersion)
	return exitDone
}

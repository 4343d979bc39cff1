// Command sallyport is the resource-server side of OAuth 2.0 as a program. Its verify
// command checks access tokens against the configuration of an API and writes one
// verdict a line.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/alecthomas/kong"
)

// commandLine holds the commands of the program.
type commandLine struct {
	Verify  verifyCommand  `cmd:"" help:"Check access tokens: NDJSON on standard input, one verdict a line on standard output."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	os.Exit(execute(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// exit is the value of a panic that ends the parser of kong with this status.
type exit int

// execute runs the program with these arguments and returns its exit status.
func execute(args []string, std streams) (status int) {
	defer func() {
		if cause := recover(); cause != nil {
			code, ok := cause.(exit)
			if !ok {
				panic(cause)
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

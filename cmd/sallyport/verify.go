package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// verifyCommand is the command verify.
type verifyCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration, YAML or JSON. See docs/verify.md."`
	At     *int64 `placeholder:"UNIX_SECONDS" help:"Verify as at this time instead of now."`
	JWKS   string `name:"jwks" placeholder:"FILE" help:"The issuer's JWK Set, in place of the keys in the configuration (which must have one issuer)."`

	Explain bool `help:"Write how each token fares in every check, for people to read, instead of NDJSON."`
}

// Help is shown by sallyport verify --help.
func (*verifyCommand) Help() string {
	return `Each input line is a JSON object with "name" and "token" and, optionally, scheme (default
Bearer), method, url, dpop (array of proofs), cert (PEM) and route (a pattern of the
configuration's routes, or method and path to be matched). Other members are ignored.

Each output line, in the same order, is one of

  {"name":"…","accept":true,"issuer":"…","subject":"…","client_id":"…","scopes":["…"],"expires":1700000000}
  {"name":"…","accept":false,"reason":"expired","status":401,"challenges":["Bearer …"]}

With --explain, the output has for each token a line for every check: what was found and
wanted, and what can be done. No part of the token is written. The input may then also be a
token, "Bearer" and a token, an Authorization field, or the output of curl -v.

Opaque tokens are sent to the introspection endpoint of their issuer.

Exit status: 0 every line was verified; 1 a line could not be read (it is named, and the
others were verified); 2 bad configuration or usage (all faults are listed).

  sallyport verify --config sallyport.yaml --jwks keys.json < tokens.ndjson
  curl -v -H "Authorization: Bearer $TOKEN" https://api.example/orders/42 2>&1 | sallyport verify --explain --config sallyport.yaml`
}

// maxLine is the longest input line, in bytes.
const maxLine = 32 << 20

// maxTime is the latest time for --at, as for the dates in tokens. Later ones could
// overflow.
const maxTime = 1 << 53

var errTime = errors.New("--at must be from 0 to 2^53")

func (c *verifyCommand) run(std streams) int {
	if c.At != nil && (*c.At < 0 || *c.At > maxTime) {
		complain(std, errTime)
		return exitConfig
	}
	loaded, err := load(c.Config, c.JWKS)
	if err != nil {
		complain(std, err)
		return exitConfig
	}
	for _, warning := range loaded.warnings() {
		fmt.Fprintln(std.err, "sallyport: warning: "+warning)
	}
	ctx := context.Background()
	if c.At != nil {
		ctx = clock.At(ctx, time.Unix(*c.At, 0))
	}
	if isTerminal(std.in) {
		what := "NDJSON"
		if c.Explain {
			what = "a token, an Authorization field, the output of curl -v or NDJSON"
		}
		fmt.Fprintln(std.err, "sallyport: reading "+what+" from the terminal; end with Ctrl-D")
	}
	if c.Explain {
		return explainAll(ctx, loaded, std)
	}
	return verifyAll(ctx, loaded, std)
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// tally counts the lines of a run.
type tally struct{ accepted, refused, unreadable int }

// verifyAll writes one verdict for every line that can be read.
func verifyAll(ctx context.Context, loaded *verifier, std streams) int {
	in := bufio.NewReaderSize(std.in, 64<<10)
	out := bufio.NewWriter(std.out)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var count tally
	for number := 1; ; number++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		var input input
		if err == nil {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			input, err = parseInput(string(line))
		}
		if err != nil {
			count.unreadable++
			complain(std, fmt.Errorf("input line %d: %w", number, err))
			if !errors.Is(err, errLine) { // the stream cannot be read
				break
			}
			continue
		}
		verdict := loaded.verdict(ctx, &input)
		if verdict.Accept {
			count.accepted++
		} else {
			count.refused++
		}
		if err := encoder.Encode(verdict); err != nil {
			complain(std, fmt.Errorf("standard output: %w", err))
			return exitInput
		}
		if in.Buffered() == 0 { // the writer may wait for this verdict
			if err := out.Flush(); err != nil {
				complain(std, fmt.Errorf("standard output: %w", err))
				return exitInput
			}
		}
	}
	for _, cause := range loaded.causes {
		fmt.Fprintln(std.err, "sallyport: "+cause)
	}
	return finish(out, count, std)
}

// finish writes what is left of the output and the counts, and returns the exit status.
func finish(out *bufio.Writer, count tally, std streams) int {
	if err := out.Flush(); err != nil {
		complain(std, fmt.Errorf("standard output: %w", err))
		return exitInput
	}
	fmt.Fprintf(std.err, "sallyport: %d accepted, %d refused", count.accepted, count.refused)
	if count.unreadable == 0 {
		fmt.Fprintln(std.err)
		return exitDone
	}
	fmt.Fprintf(std.err, ", %d unreadable\n", count.unreadable)
	return exitInput
}

// readLine returns the next line without its newline. io.EOF means that there is none.
// A line that is too long is skipped as a whole.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	length := 0
	for {
		part, err := in.ReadSlice('\n')
		if length += len(part); length <= maxLine+1 {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || length == 0):
			return nil, err
		}
		if line = bytes.TrimSuffix(line, []byte("\n")); length > maxLine+1 || len(line) > maxLine {
			return nil, fmt.Errorf("%w: longer than %d MB", errLine, maxLine>>20)
		}
		return line, nil
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

var errNoToken = errors.New("no token was found; curl -v writes what it sends to standard error, so add 2>&1 to it")

// explainAll says of every token of the input how it fares in each check.
func explainAll(ctx context.Context, loaded *verifier, std streams) int {
	in := bufio.NewReaderSize(std.in, 64<<10)
	out := bufio.NewWriter(std.out)
	e := explainer{loaded: loaded, out: out, style: styleOf(std.out)}
	var from paste
	var count tally
	for number := 1; ; number++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		var inputs []input
		if err == nil {
			inputs, err = from.line(string(line), number)
		}
		if err != nil {
			count.unreadable++
			complain(std, fmt.Errorf("input line %d: %w", number, err))
			if !errors.Is(err, errLine) { // the stream cannot be read
				break
			}
			continue
		}
		e.explain(ctx, inputs, &count)
		if in.Buffered() == 0 { // the writer may wait for this
			_ = out.Flush() // finish tells of an error
		}
	}
	e.explain(ctx, from.end(), &count)
	if count.accepted+count.refused == 0 {
		complain(std, errNoToken)
	}
	return finish(out, count, std)
}

// explainer writes explanations.
type explainer struct {
	loaded *verifier
	out    io.Writer
	style  style
}

// explain writes how each token fares.
func (e *explainer) explain(ctx context.Context, inputs []input, count *tally) {
	for i := range inputs {
		denial, checks := e.loaded.explain(ctx, &inputs[i])
		if denial == nil {
			count.accepted++
		} else {
			count.refused++
		}
		e.write(inputs[i].name, denial, checks)
	}
}

// explain returns why the token of one line is refused, or nil, and how it fares in each
// check. A line of NDJSON names its route; of what was pasted, the request counts if the
// configuration has routes.
func (v *verifier) explain(ctx context.Context, in *input) (*middleware.Denial, []validator.Judgement) {
	route := v.anyToken
	if in.routed || in.route != "" && len(v.routes.named) > 0 {
		route = v.routes.find(in.route)
	}
	if in.unreadable != nil {
		denial := route.Refuse(ctx, in.unreadable)
		j := validator.Judgement{Check: "credentials", Reached: true, Reason: denial.Reason, Found: denial.Cause().Error()}
		if found, ok := cause.Of(denial); ok {
			d := found.Details()
			j.Found, j.Wanted, j.Mend = d.Found, d.Wanted, d.Mend
		}
		return denial, []validator.Judgement{j, {Check: "token", Found: "there is none that can be read"}}
	}
	verdict, checks := route.Explain(ctx, in.presentation, scopes.Operation{})
	if last := &checks[len(checks)-1]; route == v.anyToken && last.Passed {
		last.Found = "no route is given, so every valid token passes"
	}
	return verdict.Denial(), checks
}

// nameWidth is the width of the column of the names of checks.
const nameWidth = 20

// write writes one explanation.
func (e *explainer) write(name string, denial *middleware.Denial, checks []validator.Judgement) {
	var b strings.Builder
	verdict := e.style.paint(green, "accepted")
	if denial != nil {
		verdict = e.style.paint(red, "refused") + fmt.Sprintf(": %s, status %d (%s)", denial.Reason, denial.Status, denial.Reason.Description())
	}
	fmt.Fprintf(&b, "%s: %s\n", plainName(name), verdict)
	for len(checks) > 0 {
		n := alike(checks)
		e.writeCheck(&b, &checks[0], checks[1:n])
		checks = checks[n:]
	}
	_, _ = io.WriteString(e.out, e.style.write(inWords(b.String(), nil)))
}

// alike returns how many of the first checks were not reached for the same reason, and 1 if
// the first was reached.
func alike(checks []validator.Judgement) int {
	n := 1
	for n < len(checks) && !checks[0].Reached && !checks[n].Reached && checks[n].Found == checks[0].Found {
		n++
	}
	return n
}

// writeCheck writes a line for a check, and one for its mend. more are checks that were not
// reached for the same reason.
func (e *explainer) writeCheck(b *strings.Builder, j *validator.Judgement, more []validator.Judgement) {
	mark, text := e.style.paint(green, "✓"), j.Found
	switch {
	case !j.Reached:
		mark, text = "·", "not reached: "+j.Found
		if len(more) > 0 {
			names := make([]string, len(more))
			for i := range more {
				names[i] = more[i].Check
			}
			text += "; nor " + strings.Join(names, ", ")
		}
	case !j.Passed:
		mark = e.style.paint(red, "✗")
	}
	if j.Wanted != "" {
		text += "; wanted " + j.Wanted
	}
	fmt.Fprintf(b, "  %s %-*s %s\n", mark, nameWidth, j.Check, text)
	if j.Mend != "" {
		fmt.Fprintf(b, "    %-*s → %s\n", nameWidth, "", j.Mend)
	}
}

// plainName returns the name of an input line, in quotes if it has anything but printable
// ASCII or is long.
func plainName(name string) string {
	if quoted := cause.Quote(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}

// style says what a terminal can show.
type style struct{ color, ascii bool }

// Colors of ANSI terminals.
const (
	red   = "31"
	green = "32"
)

// styleOf returns the style for output: in color only on a terminal, and not if NO_COLOR
// is set; in ASCII if the locale says that the encoding is not UTF-8.
func styleOf(out io.Writer) style {
	return style{
		color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(out),
		ascii: !isUTF8Locale(),
	}
}

// isUTF8Locale reports whether the locale has the encoding UTF-8. One that is not set
// counts as such.
func isUTF8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(os.Getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return true
}

// paint returns text in a color.
func (s style) paint(color, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// inASCII replaces the other characters that explanations have.
var inASCII = strings.NewReplacer("✓", "ok", "✗", "NO", "·", "--", "→", "->", "−", "-", "…", "...", "§", "section ")

// write returns text as the terminal can show it.
func (s style) write(text string) string {
	if !s.ascii {
		return text
	}
	return inASCII.Replace(text)
}

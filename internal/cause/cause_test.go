package cause_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
)

var errKind = errors.New("validator: aud is wrong")

// TestCause checks the text, the kind and the log value of a Cause.
func TestCause(t *testing.T) {
	calls := 0
	c := cause.New(errKind, func() cause.Details {
		calls++
		return cause.Details{Found: `aud "a"`, Wanted: `"b"`, Mend: "ask for b"}
	})
	err := errors.Join(c)
	if !errors.Is(err, errKind) || calls != 0 {
		t.Errorf("the kind is lost, or the details were written %d times", calls)
	}
	if got, want := c.Error(), `validator: aud is wrong; found aud "a"; wanted "b"; ask for b`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if found, ok := cause.Of(err); !ok || found != c || found.Details().Mend != "ask for b" {
		t.Errorf("%v, %t", found, ok)
	}
	if _, ok := cause.Of(errKind); ok {
		t.Error("an error without details has a cause")
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "why", c, "bare", cause.New(errKind, func() cause.Details { return cause.Details{} }))
	if got, want := b.String(), `why.error="validator: aud is wrong" why.found="aud \"a\"" why.wanted="\"b\"" why.mend="ask for b" bare.error="validator: aud is wrong"`; !strings.Contains(got, want) {
		t.Errorf("logged as %s", got)
	}
	if got := cause.New(errKind, func() cause.Details { return cause.Details{} }).Error(); got != errKind.Error() {
		t.Errorf("without details: %s", got)
	}
}

// TestAmend adds a mend to a Cause, and leaves every other error alone.
func TestAmend(t *testing.T) {
	none, one := cause.Details{}, cause.Details{Mend: "a"}
	for want, details := range map[string]cause.Details{"b": none, "a; b": one} {
		err := cause.Amend(cause.New(errKind, func() cause.Details { return details }), "b")
		for range 2 { // it is printed twice
			if c, ok := cause.Of(err); !ok || c.Details().Mend != want {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
	if cause.Amend(errKind, "b") != errKind { //nolint:errorlint // the value itself
		t.Error("an error without details was changed")
	}
}

// TestSettled: a settled Cause is written once, and repeats no part of a secret (A2).
func TestSettled(t *testing.T) {
	const secret = "0123456789abcdef"
	for found, want := range map[string]string{
		"aud x": "aud x", "aud 0123456789a": "aud 0123456789a", "aud 0123456789ab": "a value that repeats a part of the token",
		"aud 456789abcdef!": "a value that repeats a part of the token", secret: "a value that repeats a part of the token",
	} {
		calls := 0
		err := cause.Settled(cause.New(errKind, func() cause.Details {
			calls++
			return cause.Details{Found: found, Wanted: "w", Mend: "m"}
		}), "", "short", secret)
		c, ok := cause.Of(err)
		if !ok || c.Details() != (cause.Details{Found: want, Wanted: "w", Mend: "m"}) || calls != 1 || !errors.Is(err, errKind) {
			t.Errorf("%s: %v, %d calls", found, err, calls)
		}
	}
	if cause.Settled(errKind, secret) != errKind || cause.Settled(nil) != nil { //nolint:errorlint // the value itself
		t.Error("an error without details was changed")
	}
}

// TestQuote (R-OB-07): a value is bounded, in printable ASCII, and no token.
func TestQuote(t *testing.T) {
	long := strings.Repeat("é", 100)
	for text, want := range map[string]string{
		"":                                `""`,
		"api":                             `"api"`,
		"a\r\nb\tc\x00\x1b[31m":           `"a\r\nb\tc\x00\x1b[31m"`,
		"\"quoted\" \\":                   `"\"quoted\" \\"`,
		"\u202eevil\u0085\u2028":          `"\u202eevil\u0085\u2028"`,
		"\u0430pi":                        `"\u0430pi"`, // Cyrillic
		"\xff\xfe":                        `"\xff\xfe"`,
		strings.Repeat("a", 64):           `"` + strings.Repeat("a", 64) + `"`,
		strings.Repeat("a", 65):           `"` + strings.Repeat("a", 64) + `"… (65 bytes)`,
		long:                              `"` + strings.Repeat(`\u00e9`, 64) + `"… (200 bytes)`,
		strings.Repeat("é", 40):           `"` + strings.Repeat(`\u00e9`, 40) + `"`,
		"eyJ":                             `"eyJ"`,
		"eyJhbGciOiJFUzI1NiJ9.e3":         `"eyJhbGciOiJFUzI1NiJ9.e3"`, // a byte too short
		"eyJhbGciOiJFUzI1NiJ9.e30":        "a text of 24 bytes that looks like a token",
		"Bearer eyJhbGciOiJFUzI1NiJ9.e30": "a text of 31 bytes that looks like a token",
	} {
		if got := cause.Quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestQuotes bounds lists.
func TestQuotes(t *testing.T) {
	for want, texts := range map[string][]string{
		"none": nil, `"a"`: {"a"}, `"a", "b", "c", "d"`: {"a", "b", "c", "d"}, `"a", "b", "c", "d" and 2 more`: {"a", "b", "c", "d", "e", "f"},
	} {
		if got := cause.Quotes(slices.Values(texts)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		prefix := ""
		if len(texts) > 1 {
			prefix = "one of "
		}
		if got := cause.OneOf(texts); got != prefix+want {
			t.Errorf("%s, want %s", got, prefix+want)
		}
	}
}

// TestSeconds rounds up.
func TestSeconds(t *testing.T) {
	for want, d := range map[string]time.Duration{"0 s": 0, "1 s": time.Millisecond, "65 s": 65 * time.Second, "66 s": 65*time.Second + 1, "more than 292 years": math.MaxInt64} {
		if got := cause.Seconds(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestCharacter names kinds of characters and never the character itself.
func TestCharacter(t *testing.T) {
	for c, want := range map[byte]string{
		'=': "padding (=)", '+': "+ or /", '/': "+ or /", ' ': "white space", '\t': "white space", '\r': "white space", '\n': "white space", 0: "a control character", 0x7f: "a control character",
		0xc3: "a character outside of ASCII", '~': "a character that is not allowed",
	} {
		if got := cause.Character(c); got != want {
			t.Errorf("%q: %s, want %s", c, got, want)
		}
	}
}

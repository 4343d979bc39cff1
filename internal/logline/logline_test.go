package logline_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/logline"
)

// to returns a function that returns a logger which writes to b.
func to(b *bytes.Buffer) func() *slog.Logger {
	logger := slog.New(slog.NewTextHandler(b, nil))
	return func() *slog.Logger { return logger }
}

func TestWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := logline.New(to(&b))
		log.Write(slog.LevelDebug, "not enabled")
		log.Write(slog.LevelWarn, "message", logline.Text("a", "b"), logline.Error("none", nil), logline.Texts("c", []string{"d", "e"}))
		log.Flush()
		if got, want := b.String(), "level=WARN msg=message a=b c=\"d, e\"\n"; !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("wrote %q, want %q", got, want)
		}
	})
}

// TestDefault checks that a logger which is set after New is used.
func TestDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before, after bytes.Buffer
		logger := to(&before)
		log := logline.New(func() *slog.Logger { return logger() })
		logger = to(&after)
		log.Write(slog.LevelInfo, "message")
		log.Flush()
		if before.Len() != 0 || after.Len() == 0 {
			t.Errorf("the first logger got %q, the second %q", before.String(), after.String())
		}
	})
}

// blocking is a handler that blocks in Handle, or panics in Enabled.
type blocking struct {
	slog.Handler

	release <-chan struct{}
	panics  bool
}

func (b blocking) Enabled(context.Context, slog.Level) bool {
	if b.panics {
		panic("Enabled")
	}
	return true
}

func (b blocking) Handle(context.Context, slog.Record) error {
	<-b.release
	return nil
}

// TestBlockedLogger covers A12: a logger that blocks holds up neither Write nor, for longer
// than a second, Flush.
func TestBlockedLogger(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		release := make(chan struct{})
		defer close(release)
		logger := slog.New(blocking{release: release})
		log := logline.New(func() *slog.Logger { return logger })
		for range 10_000 {
			log.Write(slog.LevelInfo, "message")
		}
		log.Flush()
	})
}

// TestCarelessLogger checks that a handler that panics does no harm, and neither does a nil
// Log.
func TestCarelessLogger(t *testing.T) {
	logger := slog.New(blocking{panics: true})
	for _, log := range []*logline.Log{nil, logline.New(func() *slog.Logger { return logger }), logline.New(func() *slog.Logger { return nil })} {
		if log.Enabled(slog.LevelError) {
			t.Error("enabled")
		}
		log.Write(slog.LevelError, "message")
		log.Flush()
	}
}

// TestSilent covers the documented way to silence a log: nothing is built.
func TestSilent(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	log := logline.New(func() *slog.Logger { return logger })
	if log.Enabled(slog.LevelError) {
		t.Error("slog.DiscardHandler is enabled")
	}
	if n := testing.AllocsPerRun(100, func() { log.Write(slog.LevelError, "message") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type panicking struct{}

func (*panicking) Error() string { panic("Error") }

// TestText covers R-OB-07: no control character, line break or invalid UTF-8 is written.
func TestText(t *testing.T) {
	tests := []struct{ text, want string }{
		{"plain", "plain"},
		{`aud ["a"] and \ stay`, `aud ["a"] and \ stay`},
		{"Zürich", "Zürich"},
		{"a\nlevel=ERROR msg=forged", "a; level=ERROR msg=forged"},
		{"a\rb\x1b[31mred\x00", `a\rb\x1b[31mred\x00`},
		{"bidi \u202e", `bidi \u202e`},
		{"line \u2028", `line \u2028`},
		{"\xff", `\xff`},
		{strings.Repeat("x", 3000), strings.Repeat("x", 2048) + "… (3000 bytes)"},
		{strings.Repeat("ü", 1500) + "x", strings.Repeat("ü", 1024) + "… (3001 bytes)"},
		{"x" + strings.Repeat("ü", 1500), "x" + strings.Repeat("ü", 1023) + "… (3001 bytes)"},
	}
	for _, tt := range tests {
		if got := logline.Printable(tt.text); got != tt.want {
			t.Errorf("Printable(%.40q) = %q, want %q", tt.text, got, tt.want)
		}
	}
	if got, want := logline.Error("error", errors.Join(errors.New("a"), errors.New("b"))).Value.String(), "a; b"; got != want {
		t.Errorf("joined errors: %q, want %q", got, want)
	}
	var nilError *panicking
	if got := logline.Error("error", nilError).Value.String(); !strings.Contains(got, "panic") {
		t.Errorf("an error that panics: %q", got)
	}
}

// FuzzPrintable covers R-OB-07.
func FuzzPrintable(f *testing.F) {
	f.Add("a\nb")
	f.Add("\xff\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		got := logline.Printable(text)
		for _, r := range got {
			if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x202e {
				t.Errorf("%q has %q", got, r)
			}
		}
		if !utf8.ValidString(got) {
			t.Errorf("%q is no UTF-8", got)
		}
	})
}

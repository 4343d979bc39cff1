package redact_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

type (
	textual struct {
		Err error
		N   int
	}
	jsonText struct {
		Err error
		N   int
	}
	named  struct{ n int }
	format struct{ n int }
)

func (v textual) MarshalText() ([]byte, error)  { return []byte("as text"), v.Err }
func (v jsonText) MarshalJSON() ([]byte, error) { return []byte("as JSON"), v.Err }
func (named) String() string                    { return "as String" }
func (format) Format(s fmt.State, _ rune)       { _, _ = io.WriteString(s, "as Format") }

// TestValues (R-OB-01, A3): what becomes of values of all kinds.
func TestValues(t *testing.T) {
	five := 5
	for name, row := range map[string]struct {
		value any
		want  string
	}{
		"durations":         {[]time.Duration{time.Second}, `[1000000000]`},
		"times":             {[]time.Time{time.Unix(0, 0).UTC()}, `["1970-01-01T00:00:00Z"]`},
		"nil pointer":       {(*int)(nil), `null`},
		"pointer":           {&five, `5`},
		"cookie":            {&http.Cookie{Name: "sid", Value: "a"}, `"sid=[redacted]"`},
		"nil cookie":        {(*http.Cookie)(nil), `null`},
		"key of bytes":      {ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), `"[ed25519.PrivateKey]"`},
		"slog.Value":        {[]any{slog.IntValue(1)}, `[1]`},
		"bytes":             {[]byte("text"), `"text"`},
		"array of bytes":    {[4]byte{'t', 'e', 'x', 't'}, `"text"`},
		"TextMarshaler":     {textual{}, `"as text"`},
		"bad TextMarshaler": {textual{errors.New("bad"), 1}, `{"Err":"bad","N":1}`},
		"MarshalJSON":       {jsonText{}, `"as JSON"`},
		"bad MarshalJSON":   {jsonText{errors.New("bad"), 1}, `{"Err":"bad","N":1}`},
		"Stringer":          {named{1}, `"as String"`},
		"Formatter":         {format{1}, `"as Format"`},
		"members in JSON": {struct {
			A int `json:"-"`
			B int `json:"c"`
		}{1, 2}, `{"c":2}`},
		"client_secret": {struct{ A string }{"a"}, `{"A":"[redacted]"}`},
	} {
		var log bytes.Buffer
		slog.New(newHandler(t, slog.NewJSONHandler(&log, nil), "session")).Info("m", name, row.value)
		var got map[string]json.RawMessage
		if err := json.Unmarshal(log.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if text := string(got[name]); text != row.want {
			t.Errorf("%s: %s, want %s", name, text, row.want)
		}
	}
}

// TestEnabled (A3): the next handler says which levels are written.
func TestEnabled(t *testing.T) {
	h := newHandler(t, slog.NewTextHandler(new(bytes.Buffer), nil))
	if h.Enabled(context.Background(), slog.LevelDebug) || !h.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("not the levels of the next handler")
	}
}

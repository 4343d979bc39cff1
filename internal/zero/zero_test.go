package zero_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/zero"
)

// sample has a method of each kind that Panics treats differently.
type sample struct{ text *string } //nolint:recvcheck // Panics treats the two kinds of receivers differently

func (s *sample) Careful() string {
	if s == nil || s.text == nil {
		return ""
	}
	return *s.text
}
func (s *sample) Careless() string                { return *s.text }
func (s sample) Value() bool                      { return s.text == nil }
func (s *sample) Context(ctx context.Context) any { return ctx.Value(s) }
func (s sample) Format(f fmt.State, _ rune)       { _, _ = f.Write(nil) }
func (s *sample) Several(a, b int, more ...string) {
	if a != 7 || b != 7 || len(more) > 0 {
		panic("other arguments")
	}
}

// TestBad checks that the contexts and the error panic when they are used.
func TestBad(t *testing.T) {
	for name, ctx := range zero.Contexts() {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s can be used", name)
				}
			}()
			_ = ctx.Err()
		}()
	}
	if panics := zero.Panics(nil, zero.Error()); len(panics) != 3 {
		t.Errorf("%q", panics)
	}
}

// TestPanics checks that exactly the methods that panic are reported.
func TestPanics(t *testing.T) {
	const nilPointer = ": runtime error: invalid memory address or nil pointer dereference"
	for _, row := range []struct {
		name   string
		args   []any
		values []any
		want   []string
	}{
		{"nothing", nil, nil, nil},
		{"nil", []any{t.Context(), 7}, []any{(*sample)(nil)}, []string{"(*zero_test.sample)(nil).Careless" + nilPointer}},
		{"zero", []any{t.Context(), 7}, []any{&sample{}}, []string{"&zero_test.sample.Careless" + nilPointer}},
		{"value", nil, []any{sample{}}, nil},
		{"made", []any{t.Context(), 7}, []any{&sample{text: new(string)}}, nil},
		{"no arguments", nil, []any{&sample{text: new(string)}}, []string{
			"&zero_test.sample.Context" + nilPointer, "&zero_test.sample.Several: other arguments",
		}},
	} {
		if got := zero.Panics(row.args, row.values...); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

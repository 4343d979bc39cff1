package hook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// hollow is a context whose methods panic, because it embeds nil.
type hollow struct{ context.Context }

// half is a context with one method that panics.
type half struct {
	context.Context

	broken string
}

func (h half) Deadline() (time.Time, bool) { h.check("Deadline"); return h.Context.Deadline() }
func (h half) Done() <-chan struct{}       { h.check("Done"); return h.Context.Done() }
func (h half) Err() error                  { h.check("Err"); return h.Context.Err() }
func (h half) Value(key any) any           { h.check("Value"); return h.Context.Value(key) }
func (h half) check(method string) {
	if h.broken == method {
		panic("injected")
	}
}

// TestCheckContext checks that contexts whose methods panic are refused, and others
// are not, even if they have ended.
func TestCheckContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string]context.Context{
		"nil": nil, "a nil pointer": (*hollow)(nil), "no context inside": hollow{}, "a pointer to no context inside": &hollow{},
		"Deadline": half{t.Context(), "Deadline"}, "Done": half{t.Context(), "Done"},
		"Err": half{t.Context(), "Err"}, "Value": half{t.Context(), "Value"},
		"a derived one": context.WithValue(hollow{}, hollow{}, 1),
	} {
		if err := hook.CheckContext(ctx); !errors.Is(err, hook.ErrContext) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, ctx := range map[string]context.Context{"a test's": t.Context(), "ended": ended, "custom": half{t.Context(), ""}} {
		if err := hook.CheckContext(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Errors one of whose methods panics.
type (
	noText   struct{}
	noIs     struct{ error }
	noUnwrap struct{ error }
)

func (*noText) Error() string  { panic("secret") }
func (noIs) Is(error) bool     { panic("secret") }
func (noUnwrap) Unwrap() error { panic("secret") }

// TestCheckError checks that an error is replaced if a method panics, be it of the
// error itself or of one in its chain, and that any other is returned unchanged.
func TestCheckError(t *testing.T) {
	good := errors.New("good")
	for name, err := range map[string]error{
		"*hook_test.noText":   (*noText)(nil),
		"hook_test.noIs":      noIs{good},
		"hook_test.noUnwrap":  noUnwrap{good},
		"*fmt.wrapError":      fmt.Errorf("wrapped: %w", noIs{good}),
		"*errors.joinError":   errors.Join(good, noUnwrap{good}),
		"*hook_test.noUnwrap": (*noUnwrap)(nil),
	} {
		checked := hook.CheckError(err)
		if checked == nil || !strings.Contains(checked.Error(), "of type "+name+" ") || strings.Contains(checked.Error(), "secret") || errors.Is(checked, good) {
			t.Errorf("%s: %v", name, checked)
		}
	}
	for _, err := range []error{nil, good, fmt.Errorf("wrapped: %w", good), errors.Join(good, good)} {
		if checked := hook.CheckError(err); checked != err { //nolint:errorlint // the same error is returned
			t.Errorf("%v became %v", err, checked)
		}
	}
}

// TestRecover checks that a panic ends where Recover is deferred.
func TestRecover(t *testing.T) {
	calls := 0
	for _, panics := range []any{"text", errors.New("error"), nil} {
		func() {
			defer hook.Recover()
			calls++
			panic(panics)
		}()
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

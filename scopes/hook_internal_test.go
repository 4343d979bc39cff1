package scopes

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHookWithoutContext checks that a hook is not called without a context, and that
// the error says why. A middleware that has validated the token does not check its
// context again before.
func TestHookWithoutContext(t *testing.T) {
	called := false
	c := &check{name: "hook", timeout: time.Second, late: newLateRuns(), hook: func(context.Context, *validator.Token, Operation) error {
		called = true
		return nil
	}}
	var none context.Context
	if err := c.run(none, question{}); !errors.Is(err, hook.ErrContext) || called {
		t.Errorf("%v, called: %t", err, called)
	}
}

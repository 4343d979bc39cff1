package middleware_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// reused is the context of a framework that takes it away from its request: methods panic
// from then on.
type reused struct {
	context.Context

	away atomic.Bool
}

func (c *reused) Value(key any) any {
	if c.away.Load() {
		panic("injected")
	}
	return c.Context.Value(key)
}

// TestHeldContextTakenAway checks that a context whose methods panic when the request ends
// or is released stops neither the program nor the checks of other requests.
func TestHeldContextTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		hold := func(lifetime time.Duration) (*heldRequest, *reused) {
			ctx := &reused{Context: t.Context()}
			return api.holdWith(ctx, issuertest.Bearer(api.Sign(testissuer.Token{Lifetime: lifetime}))), ctx
		}
		first, ctx := hold(time.Second)
		second, _ := hold(2 * time.Second)
		third, last := hold(time.Hour)
		ctx.away.Store(true)
		last.away.Store(true)
		third.Release()
		time.Sleep(leeway + 3*time.Second)
		first.wantEnd("taken away", middleware.ClassExpiredToken, leeway+time.Second+period)
		second.wantEnd("another", middleware.ClassExpiredToken, leeway+2*time.Second+period)
		if third.Context().Err() == nil {
			t.Error("a context goes on after Release")
		}
	})
}

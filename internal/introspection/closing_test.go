package introspection

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestForbiddenIsRare covers R-IN-12: 403 before any verdict may mean that the credentials
// are wrong, and new tokens then cause as few requests as after 401, at intervals that grow
// from 5 s to 30 s.
func TestForbiddenIsRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []string
		start := time.Now()
		a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
			times = append(times, fmt.Sprint(time.Since(start).Round(time.Second).Seconds()))
			return failed(introspect.CredentialsRefused, 403)
		}))
		for time.Since(start) < 100*time.Second {
			if _, err := a.Ask(t.Context(), Question{}); kindOf(t, err) != introspect.CredentialsRefused {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := strings.Join(times, " "); got != "0 0 0 0 0 5 15 35 65 95" {
			t.Errorf("requests at %s", got)
		}
	})
}

// TestAnsweredCloses covers R-IN-11: an answer that says nothing about the token shows that
// the server can be reached again. It closes a breaker that failures to reach it have
// opened, and not one that failures of the server have opened.
func TestAnsweredCloses(t *testing.T) {
	for _, row := range []struct {
		name  string
		down  attempt
		want  introspect.State
		calls int64 // of 20 at once, after the answer
	}{
		{"unreachable", failed(introspect.Unreachable, 0), introspect.Asking, 20},
		{"500", failed(introspect.ServerError, 500), introspect.Failing, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			result := row.down
			x, calls := counted(&result)
			a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(ctx context.Context, q Question) attempt {
				got := x.ask(ctx, q)
				time.Sleep(time.Millisecond)
				return got
			}))
			for range failures {
				_, _ = a.Ask(t.Context(), Question{})
			}
			time.Sleep(2 * time.Second)
			result = failed(introspect.RequestRefused, 400)
			if _, err := a.Ask(t.Context(), Question{}); kindOf(t, err) != introspect.RequestRefused || a.Status().State != row.want {
				t.Errorf("%s: %v, %s", row.name, err, a.Status().State)
			}
			calls.Store(0)
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { _, _ = a.Ask(t.Context(), Question{}) })
			}
			all.Wait()
			if calls.Load() != row.calls {
				t.Errorf("%s: %d calls at once, want %d", row.name, calls.Load(), row.calls)
			}
		})
	}
}

// TestAnsweredKeepsVerdicts checks that an answer which says nothing about the token leaves
// the verdicts of a closed breaker: failures that anybody can cause do not open it.
func TestAnsweredKeepsVerdicts(t *testing.T) {
	b, now := newBreaker(serverProbing), time.Now()
	for _, o := range []outcome{verdict, certain, answered, doubtful, doubtful, doubtful, doubtful, doubtful, doubtful} {
		p, _, ok := b.enter(false, now)
		if !ok {
			t.Fatal("the breaker is open")
		}
		b.leave(p, o, now)
	}
	if b.open() {
		t.Error("the breaker is open, although a verdict came within ten seconds")
	}
}

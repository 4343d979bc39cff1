package introspection

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestAskDone shows what the hook is told about a request.
func TestAskDone(t *testing.T) {
	for _, row := range []struct {
		name   string
		result attempt
		known  bool
		want   introspect.AskDone
	}{
		{"active", yes, true, introspect.AskDone{Active: true, Status: 200, Requests: 1}},
		{"inactive", no, false, introspect.AskDone{Status: 200, Requests: 1}},
		{"not active any more", no, true, introspect.AskDone{Status: 200, Requests: 1, Flipped: true}},
		{"failed", failed(introspect.ServerError, 502), true, introspect.AskDone{Kind: introspect.ServerError, Status: 502, Requests: 1}},
		{"repeated", attempt{kind: introspect.Unreachable, err: errInjected, requests: 2}, false, introspect.AskDone{Kind: introspect.Unreachable, Requests: 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen recorder
			a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 1}}, Binding{Trace: seen.trace()}, endpointFunc(func(context.Context, Question) attempt {
				time.Sleep(300 * time.Millisecond)
				return row.result
			}))
			var all sync.WaitGroup
			all.Go(func() { _, _ = a.Ask(t.Context(), Question{}) })
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
			_, err := a.Ask(t.Context(), Question{Known: row.known})
			want := row.want
			want.Queued, want.Took, want.Err = 200*time.Millisecond, 300*time.Millisecond, err
			if got := seen.last(); got != want {
				t.Errorf("%s: %+v, want %+v", row.name, got, want)
			}
			all.Wait()
		})
	}
}

// TestStates shows that a state is reported when it changes, in order, and that an
// issuer whose endpoint is found is asked again at once.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		var result attempt
		x, _ := counted(&result)
		a := newAsker(t, introspect.Client{}, Binding{Trace: seen.trace()}, x)
		for _, step := range []struct {
			result attempt
			times  int
			wait   time.Duration
			want   string
		}{
			{yes, 2, 0, ""},
			{failed(introspect.NoEndpoint, 0), 3, 0, "undiscovered"},
			{no, 2, 0, "asking"},
			{failed(introspect.Throttled, 503), 1, 0, "held"},
			{yes, 1, time.Second, "asking"},
			{failed(introspect.ServerError, 500), 9, 10 * time.Second, "failing"},
			{yes, 1, time.Second, "asking"},
			{failed(introspect.CredentialsRefused, 401), 9, 10 * time.Second, "credentials_refused"},
			{yes, 1, 5 * time.Second, "asking"},
		} {
			time.Sleep(step.wait)
			result = step.result
			for range step.times {
				_, _ = a.Ask(t.Context(), Question{})
			}
			if got := seen.take(); got != step.want {
				t.Errorf("%s: %q, want %q", step.result.kind, got, step.want)
			}
		}
	})
}

// TestStateHook shows that a hook may ask for the Status, that a slow one gets all
// changes in order, and that one which ends its goroutine stops none that come later.
func TestStateHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		var a *Asker
		ends := true
		result := failed(introspect.Throttled, 429)
		x, _ := counted(&result)
		a = newAsker(t, introspect.Client{}, Binding{Trace: &introspect.Trace{StateChanged: func(from string, state introspect.State) {
			_ = a.Status()
			time.Sleep(3 * time.Second)
			names = append(names, from+" "+string(state))
			if ends {
				ends = false
				runtime.Goexit()
			}
		}}}, x)
		for range 3 {
			go func() { _, _ = a.Ask(t.Context(), Question{}) }()
			synctest.Wait()
			result = yes
			time.Sleep(1001 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		_, _ = a.Ask(t.Context(), Question{})
		result = failed(introspect.Throttled, 429)
		_, _ = a.Ask(t.Context(), Question{})
		if got, want := strings.Join(names, "; "), issuer+" held; "+issuer+" asking; "+issuer+" held"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

package issuerkeys_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestNilContext covers R-OP-04: a context that cannot be used is an error of the
// call that it was passed to. A fetch that began with it serves all other callers.
func TestNilContext(t *testing.T) {
	for how, ctx := range zero.Contexts() {
		synctest.Test(t, func(t *testing.T) {
			s := new(site)
			s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
			keys := openSite(t, s, func(b *issuerkeys.Binding) { b.SnapshotDir = snapshots(t) })
			name := jwkscache.KeyName{KeyID: "b"}
			refuses := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, hook.ErrContext) || !errors.Is(err, issuerkeys.ErrUnavailable) {
					t.Errorf("%s: %s: %v", how, what, err)
				}
			}
			_, err := keys.Find(ctx, time.Now(), headerOf(t, "a"))
			refuses("Find", err)
			refuses("Warm", keys.Warm(ctx))
			keys.Run(ctx) // returns
			refuses("Permit", keys.Permit(ctx, name))
			refuses("Forbid", keys.Forbid(ctx, name))
			synctest.Wait()
			wants(t, "another caller", find(t, keys, "a"), nil)                                       //nolint:contextcheck // it has a context of its own
			wants(t, "a kid that was forbidden all the same", find(t, keys, "b"), jose.ErrUnknownKey) //nolint:contextcheck // as above
			advance(2 * time.Second)                                                                  // a fetch for an unknown kid may begin
			_, err = keys.Find(ctx, time.Now(), headerOf(t, "unknown"))
			refuses("Find of an unknown kid", err)

			if ctx == nil { // also if nothing has to be waited for
				_, err = keys.Find(ctx, time.Now(), headerOf(t, "a"))
				refuses("Find of a fresh key", err)
			}
			h := held(t, keys, "a") //nolint:contextcheck // as above
			advance(11 * time.Minute)
			wants(t, "a stale handle", h.handle.Check(ctx, time.Now()), nil) // it never waits
			synctest.Wait()
			if status := keys.Status(); status.State != "fresh" {
				t.Errorf("%s: after the refresh that the handle began: %s", how, status.State)
			}
		})
	}
}

// TestNilErrors covers R-OP-04: a nil pointer that a transport or Locate returns as
// an error fails the fetch and does no other harm.
func TestNilErrors(t *testing.T) {
	for name, change := range map[string]func(*issuerkeys.Binding){
		"Locate": func(b *issuerkeys.Binding) {
			b.Locate = func(context.Context) (string, error) { return "", zero.Error() }
		},
		"transport": func(b *issuerkeys.Binding) {
			b.Locate = func(context.Context) (string, error) { return siteURL, nil }
			b.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, zero.Error() })}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			keys := bindTo(t, jwkscache.Discovered(), change)
			wants(t, name, find(t, keys, "a"), issuerkeys.ErrUnavailable)
			if status := keys.Status(); status.LastError == nil || errors.Is(status.LastError, jose.ErrUnknownKey) {
				t.Errorf("%s: %v", name, status.LastError)
			}
		})
	}
}

// TestZeroValues shows that no method panics on a zero value, and that the zero
// Keys return ErrUnavailable.
func TestZeroValues(t *testing.T) {
	values := []any{
		(*issuerkeys.Keys)(nil), new(issuerkeys.Keys),
		issuerkeys.Found{},
		issuerkeys.Handle{},
		jwkscache.KeyName{},
		(*jwkscache.Trace)(nil), new(jwkscache.Trace),
	}
	for _, args := range [][]any{{t.Context()}, nil} {
		for _, line := range zero.Panics(args, values...) {
			t.Error(line)
		}
	}
	var none *issuerkeys.Keys
	wants(t, "Find", find(t, none, "a"), issuerkeys.ErrUnavailable)
	for what, err := range map[string]error{
		"Warm": none.Warm(t.Context()), "Ready": none.Ready(), "Handle": issuerkeys.Handle{}.Check(t.Context(), time.Now()),
		"Forbid": none.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}), "Permit": none.Permit(t.Context(), jwkscache.KeyName{KeyID: "a"}),
	} {
		wants(t, what, err, issuerkeys.ErrUnavailable)
	}
	if none.Status().State != "unavailable" {
		t.Errorf("nil Keys are %s", none.Status().State)
	}
	var found issuerkeys.Found
	wants(t, "the handle of nothing found", found.Handle(nil).Check(t.Context(), time.Now()), issuerkeys.ErrUnavailable)
}

package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestStatusOverTime shows the states of one issuer.
func TestStatusOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		keys := openSite(t, s)
		if got := keys.Status(); got.Issuer != issuer || got.Source != "url" || got.Location != siteURL || got.State != "unavailable" ||
			got.Origin != "" || got.Keys != nil || got.Ignored != nil || got.Forbidden != nil || !got.Fetched.IsZero() || !got.FreshUntil.IsZero() ||
			!got.UsableUntil.IsZero() || !got.NextRefresh.IsZero() || got.LastError != nil || !got.LastFailure.IsZero() || got.Failures != 0 {
			t.Errorf("at first: %+v", got)
		}
		wants(t, "a failure", keys.Warm(t.Context()), errRefused)
		failed := time.Now()
		if got := keys.Status(); !errors.Is(got.LastError, errRefused) || !got.LastFailure.Equal(failed) || got.Failures != 1 || got.State != "unavailable" ||
			got.NextRefresh.Sub(failed) < time.Second/2 || got.NextRefresh.Sub(failed) > time.Second {
			t.Errorf("after a failure: %+v", got)
		}
		advance(time.Minute)
		_ = keys.Warm(t.Context())
		if got := keys.Status(); got.Failures != 2 {
			t.Errorf("after two: %+v", got)
		}

		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"AKP","kid":"pq"}`, jwk(t, "b")))
		must(t, keys.Warm(t.Context()))
		fetched := time.Now()
		got := keys.Status()
		if got.State != "fresh" || got.Origin != "fetched" || len(got.Keys) != 2 || len(got.Ignored) != 1 || got.Ignored[0].KeyID != "pq" ||
			!got.Fetched.Equal(fetched) || !got.FreshUntil.Equal(fetched.Add(10*time.Minute)) || !got.UsableUntil.Equal(fetched.Add(70*time.Minute)) ||
			got.LastError != nil || got.LastFailure.IsZero() || got.Failures != 0 {
			t.Errorf("fetched: %+v", got)
		}
		if ahead := got.FreshUntil.Sub(got.NextRefresh); ahead < time.Minute || ahead > 9*time.Minute {
			t.Errorf("Run fetches %v ahead of expiry", ahead)
		}
		if id, _ := got.Keys[0].ID(); id != "a" || len(keys.Ignored()) != 1 {
			t.Errorf("the first key is %s; %d are ignored", id, len(keys.Ignored()))
		}
		got.Keys[0], got.Ignored[0].KeyID = nil, "x" // the caller's own
		if again := keys.Status(); again.Keys[0] == nil || again.Ignored[0].KeyID != "pq" {
			t.Error("what Status answered can be changed")
		}

		for _, row := range []struct {
			after time.Duration
			state string
		}{
			{10*time.Minute - 1, "fresh"},
			{10 * time.Minute, "stale"},
			{70*time.Minute - 1, "stale"},
			{70 * time.Minute, "unavailable"},
		} {
			advance(row.after - time.Since(fetched))
			if got := keys.Status(); got.State != row.state || len(got.Keys) != 2 {
				t.Errorf("after %v: %+v", row.after, got)
			}
			if ready := keys.Ready(); (ready == nil) != (row.state != "unavailable") {
				t.Errorf("after %v: Ready is %v", row.after, ready)
			}
		}
		if text := fmt.Sprint(keys.Ready()); text != "jwkscache: the issuer's keys are unavailable: the last ones are too old to trust" {
			t.Error(text)
		}
	})
}

// TestStatusOfSources shows the names of the sources.
func TestStatusOfSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		document := setOf(jwk(t, "a"))
		s := new(site)
		s.answers(200, document)
		path := filepath.Join(t.TempDir(), "jwks.json")
		write(t, path, document)
		client := func(b *issuerkeys.Binding) {
			b.HTTPClient = &http.Client{Transport: s}
			b.Locate = func(context.Context) (string, error) { return siteURL, nil }
		}
		for _, row := range []struct {
			source                          jwkscache.Source
			name, before, after, had, state string
		}{
			{jwkscache.URL(siteURL), "url", siteURL, siteURL, "", "fresh"},
			{jwkscache.Discovered(), "discovery", "", siteURL, "", "fresh"},
			{jwkscache.File(path), "file", path, path, "", "fresh"},
			{jwkscache.Static([]byte(document)), "static", "", "", "static", "fresh"},
			{jwkscache.WithFallback(jwkscache.URL(siteURL), []byte(document)), "url", siteURL, siteURL, "fallback", "fresh"},
			{jwkscache.WithFallback(jwkscache.Discovered(), []byte(document)), "discovery", "", siteURL, "fallback", "fresh"},
			{jwkscache.WithFallback(jwkscache.File(path), []byte(document)), "file", path, path, "fallback", "fresh"},
		} {
			keys := bindTo(t, row.source, client)
			before := keys.Status()
			if before.Source != row.name || before.Location != row.before || before.Origin != row.had {
				t.Errorf("%s: %+v", row.name, before)
			}
			must(t, keys.Warm(t.Context()))
			after := keys.Status()
			if after.Location != row.after || after.State != row.state || row.name != "static" && after.Origin != "fetched" {
				t.Errorf("%s: %+v", row.name, after)
			}
			if row.name == "static" && (!after.Fetched.IsZero() || !after.FreshUntil.IsZero() || !after.UsableUntil.IsZero()) {
				t.Errorf("%+v", after)
			}
		}
	})
}

// TestStatusOfUnknownKids shows that Status reports the fruitless fetches and the
// waiting callers of R-JK-10.
func TestStatusOfUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=86400")
		keys := openSite(t, s, func(b *issuerkeys.Binding) { b.HTTPClient.Transport = delayed{s, 100 * time.Millisecond} })
		must(t, keys.Warm(t.Context()))
		for n := range 3 {
			advance(time.Second)
			wants(t, "made up", find(t, keys, fmt.Sprint(n)), jose.ErrUnknownKey)
			if got := keys.Status(); got.Fruitless != n+1 || got.Waiting != 0 {
				t.Errorf("after %d: %+v", n+1, got)
			}
		}
		advance(time.Second)
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() { wants(t, "made up", find(t, keys, strings.Repeat("x", i+1)), jose.ErrUnknownKey) })
		}
		synctest.Wait()
		if got := keys.Status(); got.Waiting != 5 {
			t.Errorf("%d wait", got.Waiting)
		}
		all.Wait()
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "b")))
		wants(t, "a new one", find(t, keys, "b"), nil)
		if got := keys.Status(); got.Fruitless != 0 || got.Waiting != 0 {
			t.Errorf("at last: %+v", got)
		}
	})
}

// TestStatusSortsForbidden shows that the names of forbidden keys are sorted.
func TestStatusSortsForbidden(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a"), jwk(t, "b")))))
	prints := []string{thumbprintOf(t, keys, "a"), thumbprintOf(t, keys, "b")}
	slices.Sort(prints)
	want := []jwkscache.KeyName{{Thumbprint: prints[0]}, {Thumbprint: prints[1]}, {KeyID: "a"}, {KeyID: "b"}, {KeyID: "c"}}
	for _, i := range []int{3, 1, 4, 0, 2} {
		must(t, keys.Forbid(t.Context(), want[i]))
	}
	if got := keys.Status().Forbidden; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestErrorsNameTheCause shows that each error names its cause for the operator,
// and is one of the two errors that callers distinguish.
func TestErrorsNameTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		keys := openSite(t, s)
		says := func(what string, err, is error, text string) {
			t.Helper()
			wants(t, what, err, is)
			if err == nil || !strings.Contains(err.Error(), text) || strings.Count(err.Error(), "the issuer's keys are unavailable") > 1 {
				t.Errorf("%s: %v, want %s", what, err, text)
			}
		}
		says("nothing yet", keys.Ready(), issuerkeys.ErrUnavailable, "none were fetched yet")
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the caller has left"))
		s.answers(503, "")
		_, err := openSite(t, s, func(b *issuerkeys.Binding) { b.HTTPClient.Transport = delayed{s, time.Second} }).Find(gone, time.Now(), headerOf(t, "a"))
		says("a caller who left", err, issuerkeys.ErrUnavailable, "the caller has left")
		says("a status", keys.Warm(t.Context()), issuerkeys.ErrUnavailable, siteURL+" answered 503")
		says("and in the pause after it", find(t, keys, "a"), issuerkeys.ErrUnavailable, siteURL+" answered 503")
		advance(time.Minute)
		s.answers(200, "{}")
		says("no set", keys.Warm(t.Context()), jose.ErrNotJWKS, siteURL)
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, keys.Warm(t.Context()))
		a := held(t, keys, "a")
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}), keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
		says("forbidden", find(t, keys, "x"), jose.ErrUnknownKey, "forbidden")
		says("held", a.check(t), jose.ErrUnknownKey, "withdrawn or forbidden")
	})
}

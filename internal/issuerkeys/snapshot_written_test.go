//go:build unix

package issuerkeys_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestSnapshotIsWritten shows when a snapshot is written: after a fetch that
// returned something new, and at most once a minute after other fetches. It is
// never written for files and static keys.
func TestSnapshotIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), snapshots(t), new(diary)
		one, two := setOf(jwk(t, "a")), setOf(jwk(t, "b"))
		s.answers(200, one, `ETag: "1"`)
		at := siteURL
		keys := discoveredAt(t, s, &at, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		must(t, keys.Warm(t.Context()))
		d.reads(t, "the first", "stored load true", "stored save true")
		fetch := func(what string, after time.Duration, want ...string) {
			t.Helper()
			advance(after)
			before := len(s.visited())
			_ = find(t, keys, what) // an unknown kid makes it fetch
			if len(s.visited()) == before {
				t.Errorf("%s: no fetch", what)
			}
			d.reads(t, what, want...)
		}
		const save = "stored save true"
		fetch("the same", 2*time.Second)
		s.answers(304, "")
		fetch("a 304", 6*time.Second)
		s.down()
		fetch("a failure", 6*time.Second)
		s.answers(200, one, `ETag: "2"`)
		fetch("another tag", 6*time.Second, save)
		s.answers(200, two, `ETag: "2"`)
		fetch("another document", 6*time.Second, save)
		at += "/other"
		fetch("another URL", 6*time.Second, save)
		fetch("the same again", 6*time.Second)
		fetch("the same a minute later", time.Minute, save)
		advance(time.Minute)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
		d.reads(t, "forbidding", "stored forbid true")
	})
	synctest.Test(t, func(t *testing.T) {
		dir, d := snapshots(t), new(diary)
		path, document := filepath.Join(t.TempDir(), "jwks.json"), setOf(jwk(t, "a"))
		write(t, path, document)
		for _, source := range []jwkscache.Source{jwkscache.File(path), jwkscache.Static([]byte(document))} {
			keys := bindTo(t, source, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
			must(t, keys.Warm(t.Context()))
			advance(time.Minute)
			must(t, keys.Warm(t.Context()))
			d.reads(t, "no snapshot of files and static keys", "stored load true")
		}
		if found := filesOf(t, dir, "keys"); found != nil {
			t.Errorf("%v", found)
		}
	})
}

// TestSnapshotCannotBeWritten shows that the keys serve if the snapshot cannot be
// written, and that the error is reported until a write succeeds.
func TestSnapshotCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), snapshots(t), new(diary)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		path := fileIn(t, dir, "keys")
		must(t, os.Remove(path), os.Mkdir(path, 0o700))

		keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		go keys.Run(t.Context())
		synctest.Wait()
		d.reads(t, "opened", "stored load false", "stored save false")
		only := func(what string, ok bool) {
			t.Helper()
			uses := d.uses()
			for _, stored := range uses {
				if stored.Use != "save" || (stored.Err == nil) != ok {
					t.Errorf("%s: %+v", what, stored)
				}
			}
			if len(uses) == 0 {
				t.Errorf("%s: not tried", what)
			}
		}
		d.uses()
		for range 5 {
			wants(t, "served", find(t, keys, "a"), nil)
			if status := keys.Status(); status.State != "fresh" || status.LastError != nil || status.SnapshotError == nil {
				t.Errorf("%+v", status)
			}
			advance(10 * time.Minute)
			only("tried again", false)
		}
		must(t, os.Remove(path))
		advance(10 * time.Minute)
		only("mended", true)
		if err := keys.Status().SnapshotError; err != nil {
			t.Error(err)
		}
		fileIn(t, dir, "keys")
	})
}

// TestSnapshotIsRetriedAtOnce shows that a failed write of the snapshot is tried
// again after the next fetch, even if that returned nothing new.
func TestSnapshotIsRetriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d, document := new(site), filepath.Join(snapshots(t), "snapshots"), new(diary), setOf(jwk(t, "a"))
		keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		s.answersBy(func(*http.Request) *http.Response { // after the store was read
			must(t, os.WriteFile(dir, nil, 0o600))
			s.answer = func(*http.Request) *http.Response { return reply(200, document) }
			return s.answer(nil)
		})
		must(t, keys.Warm(t.Context()))
		d.reads(t, "in the way", "stored load true", "stored save false")
		must(t, os.Remove(dir))
		advance(2 * time.Second)
		wants(t, "a made-up kid", find(t, keys, "x"), jose.ErrUnknownKey)
		d.reads(t, "retried", "stored save true")
	})
}

// TestSnapshotIsNotReplacedByAnOlderOne shows that of two Keys of one issuer, as
// before and after a change of its configuration, the set whose fetch began later
// is kept, whichever fetch ends last.
func TestSnapshotIsNotReplacedByAnOlderOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := snapshots(t)
		answering := func(document string, after time.Duration) *issuerkeys.Keys {
			return bindTo(t, jwkscache.URL(siteURL), kept(dir), func(b *issuerkeys.Binding) {
				b.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
					advance(after)
					return &http.Response{
						StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
						Body: io.NopCloser(strings.NewReader(document)),
					}, nil
				})}
			})
		}
		older, newer := answering(setOf(jwk(t, "a")), 3*time.Second), answering(setOf(jwk(t, "b")), 0)
		go func() { _ = older.Warm(t.Context()) }()
		advance(time.Second)
		must(t, newer.Warm(t.Context()))
		advance(4 * time.Second)
		wants(t, "the older one serves what it has", find(t, older, "a"), nil)
		restarted := bindTo(t, jwkscache.URL(siteURL), kept(dir), func(b *issuerkeys.Binding) {
			b.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errRefused })}
		})
		wants(t, "after a restart", find(t, restarted, "b"), nil)
		wants(t, "what was withdrawn", find(t, restarted, "a"), issuerkeys.ErrUnavailable)
	})
}

// TestSnapshotFromTheFutureIsReplaced shows that a fetched set replaces one that was
// written before the clock was set back.
func TestSnapshotFromTheFutureIsReplaced(t *testing.T) {
	s, dir := new(site), t.TempDir()
	must(t, os.Chmod(dir, 0o700)) // whatever the umask
	synctest.Test(t, func(t *testing.T) {
		advance(24 * time.Hour)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
	})
	synctest.Test(t, func(t *testing.T) { // which begins at the same time
		s.answers(200, setOf(jwk(t, "b")))
		d := new(diary)
		must(t, openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored})).Warm(t.Context()))
		d.reads(t, "fetched", "stored load false", "stored save true")
		s.down()
		wants(t, "restarted in an outage", find(t, openSite(t, s, kept(dir)), "b"), nil)
	})
}

// TestEmptyStoreIsNoStart shows that FetchDone is not called for a store without keys.
func TestEmptyStoreIsNoStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := new(site), new(diary)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(snapshots(t)), traced(d.trace())).Warm(t.Context()))
		d.reads(t, "the first start", "stored load true", "start missing", "done missing 1 +1 -0", "stored save true")
	})
}

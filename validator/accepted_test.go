package validator_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// acceptedPath is the file of dir with the issuers of which a token was accepted.
func acceptedPath(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.accepted.json"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	return paths[0]
}

// acceptedDigests are how many issuers are listed in dir.
func acceptedDigests(t *testing.T, dir string) int {
	t.Helper()
	digests, err := snapshot.NewAcceptedFile(dir, nil).Load()
	if err != nil {
		t.Error(err)
	}
	return len(digests)
}

// occupied lets junk take every place for strangers, and those that wait for one,
// by calls that last until let is called.
func occupied(t *testing.T, v *validator.Validator, d *directory) (let func()) {
	t.Helper()
	// The file of accepted issuers is read first: until it has been, calls only queue,
	// and the queue is shorter than what follows.
	d.set("*", failing(validator.ErrUnknownIssuer))
	_, _ = v.Validate(t.Context(), bearer(junk("https://first.test", "k")))
	gate := make(chan struct{})
	d.set("*", held(gate, failing(validator.ErrUnknownIssuer)))
	var all sync.WaitGroup
	for i := range 512 + 1000 {
		all.Go(func() { _, _ = v.Validate(t.Context(), bearer(junk(fmt.Sprintf("https://made-up-%d.test", i), "k"))) })
	}
	synctest.Wait()
	return func() {
		close(gate)
		all.Wait()
	}
}

// TestAcceptedIssuersComeFirst shows for which issuers ResolveIssuer is asked although
// strangers take all the places: those of which a token was accepted in this
// process or before a restart, and no others.
func TestAcceptedIssuersComeFirst(t *testing.T) {
	for name, row := range map[string]struct {
		before func(*testing.T, *validator.Validator, *directory, *issuertest.Issuer) // with the resolved issuer's configuration in the directory
		want   validator.Reason
	}{
		"never seen": {func(*testing.T, *validator.Validator, *directory, *issuertest.Issuer) {}, validator.Unavailable},
		"a forged token": {func(t *testing.T, v *validator.Validator, _ *directory, resolved *issuertest.Issuer) {
			wantReason(t, "forged", reasonFor(t, v, resolved, testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature)
		}, validator.Unavailable},
		"an accepted token": {func(t *testing.T, v *validator.Validator, _ *directory, resolved *issuertest.Issuer) {
			wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
		}, ""},
		"forgotten": {func(t *testing.T, v *validator.Validator, _ *directory, resolved *issuertest.Issuer) {
			wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
			v.ForgetIssuer(resolved.URL())
		}, ""},
		"withdrawn": {func(t *testing.T, v *validator.Validator, d *directory, resolved *issuertest.Issuer) {
			wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
			d.set(resolved.URL(), nil)
			v.ForgetIssuer(resolved.URL())
			wantReason(t, "withdrawn", reasonFor(t, v, resolved, testissuer.Token{}), validator.UnknownIssuer)
			d.set(resolved.URL(), answering(pinned(resolved)))
		}, validator.Unavailable},
	} {
		for _, restarted := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "keys")
			synctest.Test(t, func(t *testing.T) {
				resolved := issuertest.At(t, "https://resolved.test")
				d := newDirectory()
				d.set(resolved.URL(), answering(pinned(resolved)))
				start := func() *validator.Validator {
					return configured(t, func(c *validator.Config) { c.SnapshotDir, c.ResolveIssuer = dir, d.find })
				}
				v := start()
				row.before(t, v, d, resolved)
				advance(11 * time.Second) // until that is written, and misses are over
				if restarted {
					v = start()
				} else {
					v.ForgetIssuer(resolved.URL())
				}
				let, asked := occupied(t, v, d), time.Now()
				wantReason(t, fmt.Sprintf("%s, restarted: %v", name, restarted), reasonFor(t, v, resolved, testissuer.Token{}), row.want)
				wantTook(t, fmt.Sprintf("%s, restarted: %v: the verdict", name, restarted), asked, 0)
				let()
			})
		}
	}
}

// TestKnownIssuerIsRenewed shows that ResolveIssuer is called again for an issuer that is
// known although calls for unknown issuers take all their places, also if no token of
// the known issuer was accepted.
func TestKnownIssuerIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolved := issuertest.At(t, "https://resolved.test")
		d := newDirectory()
		d.set(resolved.URL(), answering(pinned(resolved)))
		v := resolving(t, d, 0, nil)
		wantReason(t, "forged", reasonFor(t, v, resolved, testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature)
		advance(5 * time.Minute)
		let := occupied(t, v, d)
		wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
		wantCount(t, "calls", d.times(resolved.URL()), 2)
		let()
	})
}

// TestAcceptedIssuersAreWritten shows that the file follows what is accepted and
// withdrawn within a few seconds, and is not written without need.
func TestAcceptedIssuersAreWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d := newDirectory()
		var mu sync.Mutex
		saves := 0
		v := configured(t, func(c *validator.Config) {
			c.SnapshotDir, c.ResolveIssuer = dir, d.find
			c.Trace = &validator.Trace{Keys: &jwkscache.Trace{Stored: func(issuer string, stored jwkscache.Stored) {
				mu.Lock()
				defer mu.Unlock()
				if issuer == "" && stored.Use == "save" {
					saves++
				}
			}}}
		})
		issuers := hosted(signer, 20)
		for _, resolved := range issuers {
			d.set(resolved.URL, answering(resolved))
			for range 3 {
				wantReason(t, "good", reasonAt(t, v, signer, resolved.URL), "")
			}
		}
		advance(6 * time.Second)
		wantCount(t, "issuers in the file", acceptedDigests(t, dir), 20)
		d.set(issuers[7].URL, nil)
		v.ForgetIssuer(issuers[7].URL)
		wantReason(t, "withdrawn", reasonAt(t, v, signer, issuers[7].URL), validator.UnknownIssuer)
		advance(6 * time.Second)
		wantCount(t, "issuers in the file after one was withdrawn", acceptedDigests(t, dir), 19)
		advance(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if saves < 2 || saves > 4 {
			t.Errorf("the file was written %d times", saves)
		}
	})
}

// TestAcceptedFileIsNoProof shows that what stands in the file causes no call and
// no fetch, and makes no token good: it only says who is asked for first.
func TestAcceptedFileIsNoProof(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	synctest.Test(t, func(t *testing.T) {
		resolved, stranger := issuertest.At(t, "https://resolved.test"), issuertest.At(t, "https://stranger.test")
		noError(t, snapshot.NewAcceptedFile(dir, nil).Save([]snapshot.IssuerDigest{
			snapshot.DigestIssuer(resolved.URL()), snapshot.DigestIssuer(stranger.URL()),
		}))
		d := newDirectory()
		d.set(resolved.URL(), answering(discovering(resolved)))
		v := configured(t, func(c *validator.Config) { c.SnapshotDir, c.ResolveIssuer = dir, d.find })
		noError(t, v.Warm(t.Context()))
		defer running(t, v)()
		advance(time.Minute)
		wantCount(t, "calls", d.total(), 0)
		wantCount(t, "fetches", resolved.Requests(testissuer.JWKS), 0)
		wantReason(t, "no issuer", reasonFor(t, v, stranger, testissuer.Token{}), validator.UnknownIssuer)
		wantReason(t, "forged", reasonFor(t, v, resolved, testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature)
		wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
	})
}

// TestAcceptedFileUnreadable shows that a damaged file costs nothing but the order:
// the hook is told, and the file is written anew.
func TestAcceptedFileUnreadable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	noError(t, snapshot.NewAcceptedFile(dir, nil).Save([]snapshot.IssuerDigest{snapshot.DigestIssuer("https://other.test")}))
	noError(t, os.WriteFile(acceptedPath(t, dir), []byte("damaged"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		resolved := issuertest.At(t, "https://resolved.test")
		d := newDirectory()
		d.set(resolved.URL(), answering(pinned(resolved)))
		var mu sync.Mutex
		var told error
		v := configured(t, func(c *validator.Config) {
			c.SnapshotDir, c.ResolveIssuer = dir, d.find
			c.Trace = &validator.Trace{Keys: &jwkscache.Trace{Stored: func(issuer string, stored jwkscache.Stored) {
				mu.Lock()
				defer mu.Unlock()
				if issuer == "" && stored.Use == "load" {
					told = stored.Err
				}
			}}}
		})
		wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
		mu.Lock()
		if told == nil || !strings.Contains(told.Error(), "remove it") {
			t.Errorf("told %v", told)
		}
		mu.Unlock()
		advance(6 * time.Second)
		wantCount(t, "issuers in the file", acceptedDigests(t, dir), 1)
	})
}

// TestAcceptedFileOutlastsARestart shows that the issuers of the file are kept with
// the first token that is accepted after a restart, although the hook is slow or
// the file could not be read at first, and that no token waits for the hook.
func TestAcceptedFileOutlastsARestart(t *testing.T) {
	for name, row := range map[string]struct {
		hook  time.Duration
		start os.FileMode // of the file while the first token comes
	}{
		"a slow hook":                    {time.Minute, 0o600},
		"a file that others may write":   {0, 0o602},
		"that, and a slow hook":          {time.Minute, 0o602},
		"nothing that is out of the way": {0, 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			synctest.Test(t, func(t *testing.T) {
				resolved := issuertest.At(t, "https://resolved.test")
				d := newDirectory()
				d.set(resolved.URL(), answering(pinned(resolved)))
				noError(t, snapshot.NewAcceptedFile(dir, nil).Save([]snapshot.IssuerDigest{snapshot.DigestIssuer("https://other.test")}))
				noError(t, os.Chmod(acceptedPath(t, dir), row.start))
				v := configured(t, func(c *validator.Config) {
					c.SnapshotDir, c.ResolveIssuer = dir, d.find
					c.Trace = &validator.Trace{Keys: &jwkscache.Trace{Stored: func(issuer string, stored jwkscache.Stored) {
						if issuer != "" {
							return
						}
						if stored.Use == "load" { // the first time it has been read
							noError(t, os.Chmod(acceptedPath(t, dir), 0o600))
						}
						time.Sleep(row.hook)
					}}}
				})
				start := time.Now()
				wantReason(t, "good", reasonFor(t, v, resolved, testissuer.Token{}), "")
				if row.start == 0o600 {
					wantTook(t, "the first token", start, 0)
				}
				advance(10 * time.Minute)
				wantCount(t, "issuers in the file", acceptedDigests(t, dir), 2)
			})
		})
	}
}

// TestResolvedSlowCalls shows that slow calls for strangers are given up only where
// others wait, and that their contexts then end.
func TestResolvedSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolved := issuertest.At(t, "https://resolved.test")
		d := newDirectory()
		d.set(resolved.URL(), answering(pinned(resolved)))
		v := resolving(t, d, 0, nil)
		var mu sync.Mutex
		var ended []time.Duration
		d.set("*", func(ctx context.Context) (validator.Issuer, error) {
			began := time.Now()
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, time.Since(began))
			return validator.Issuer{}, ctx.Err()
		})
		var all sync.WaitGroup
		for i := range 512 {
			all.Go(func() { _, _ = v.Validate(t.Context(), bearer(junk(fmt.Sprintf("https://made-up-%d.test", i), "k"))) })
		}
		advance(time.Second)
		mu.Lock()
		wantCount(t, "calls given up while nobody waits", len(ended), 0)
		mu.Unlock()
		start := time.Now()
		wantReason(t, "one more", reasonFor(t, v, resolved, testissuer.Token{}), "")
		wantTook(t, "one more", start, 0)
		synctest.Wait()
		mu.Lock()
		wantCount(t, "calls given up for one", len(ended), 1)
		mu.Unlock()
		all.Wait()
		for _, took := range ended[1:] {
			if took != 5*time.Second {
				t.Errorf("a call ended after %v", took)
			}
		}
	})
}

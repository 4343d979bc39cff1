package validator_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
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

// hosts serves the key sets of many resolved issuers, by the host of the URL.
type hosts struct {
	takes time.Duration // a fetch

	mu      sync.Mutex
	sets    map[string][]byte // "*" is for the others
	fetches []time.Time
	now     int // fetches under way
	most    int
}

func newHosts(set []byte) *hosts { return &hosts{sets: map[string][]byte{"*": set}} }

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.fetches = append(h.fetches, time.Now())
	h.now++
	h.most = max(h.most, h.now)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now--
	}()
	select {
	case <-time.After(h.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	set, found := h.sets[r.URL.Hostname()]
	if !found {
		set = h.sets["*"]
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(set)), Request: r,
	}, nil
}

// set changes the key set of the resolved issuer of that URL.
func (h *hosts) set(url string, set []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sets[strings.TrimPrefix(url, "https://")] = set
}

// fetched is how many fetches there were.
func (h *hosts) fetched() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.fetches)
}

// fetchedIssuers makes n hosted resolved issuers, whose keys are fetched from h, known to d.
func fetchedIssuers(signer *issuertest.Issuer, d *directory, h *hosts, n int) []validator.Issuer {
	issuers := hosted(signer, n)
	client := &http.Client{Transport: h}
	for i := range issuers {
		issuers[i].Keys, issuers[i].HTTPClient = jwkscache.URL(issuers[i].URL+"/jwks"), client
		d.set(issuers[i].URL, answering(issuers[i]))
	}
	return issuers
}

// TestUnknownKidsOfAllResolvedIssuers shows that tokens of made-up kids, of 200 resolved issuers at
// a time, cause at most as many fetches in any second as are allowed, here 20, and
// that a key which one of the resolved issuers starts to use meanwhile is found: where no
// token of the others was accepted, within the 5 s that fetches of one issuer are
// apart and a second, and where it was, within the time of a turn of all 200 more.
func TestUnknownKidsOfAllResolvedIssuers(t *testing.T) {
	for name, row := range map[string]struct {
		accepted int // resolved issuers of which a token was
		within   time.Duration
	}{
		"a known issuer among strangers": {1, 6 * time.Second},
		"one of many":                    {200, 16 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer := issuertest.New(t)
				d, h := newDirectory(), newHosts(signer.JWKS())
				issuers := fetchedIssuers(signer, d, h, 200)
				v := configured(t, func(c *validator.Config) { c.SharedLimits.UnknownKids, c.ResolveIssuer = 20, d.find })
				for _, resolved := range issuers[:row.accepted] {
					wantReason(t, "before", reasonAt(t, v, signer, resolved.URL), "")
				}
				advance(10 * time.Second)
				var all sync.WaitGroup
				start := time.Now()
				for i, resolved := range issuers {
					all.Go(func() {
						for n := 0; time.Since(start) < 40*time.Second; n++ {
							token := junk(resolved.URL, fmt.Sprintf("%d-%d", i, n))
							all.Go(func() { _, _ = v.Validate(t.Context(), bearer(token)) })
							advance(time.Second/2 + rand.N(time.Second))
						}
					})
				}
				advance(20 * time.Second)
				began := h.fetched()
				signer.Rotate()
				h.set(issuers[0].URL, signer.JWKS())
				rotated := time.Now()
				for reasonAt(t, v, signer, issuers[0].URL) != "" {
					advance(100 * time.Millisecond)
				}
				if took := time.Since(rotated); took > row.within {
					t.Errorf("the new key was found after %v", took)
				}
				all.Wait()
				for i, at := range h.fetches[began:] {
					if i >= 20 && at.Sub(h.fetches[began+i-20]) < time.Second {
						t.Fatalf("21 fetches within %v", at.Sub(h.fetches[began+i-20]))
					}
				}
				if n := h.fetched() - began; n < 200 {
					t.Errorf("%d fetches in 20 s", n)
				}
			})
		})
	}
}

// TestFirstKeysOfAllResolvedIssuers shows that the first fetches of many resolved issuers are
// bounded in any second and at once, and that their requests wait for them: 300
// resolved issuers come at one instant, and none is refused.
func TestFirstKeysOfAllResolvedIssuers(t *testing.T) {
	for _, row := range []struct {
		takes  time.Duration // a fetch
		most   int           // at once
		within time.Duration
	}{
		{0, 48, 2*time.Second + 10*time.Millisecond},
		{time.Second, 48, 7 * time.Second}, // a quarter of 64 is for resolved issuers of which a token was accepted
	} {
		synctest.Test(t, func(t *testing.T) {
			signer := issuertest.New(t)
			d, h := newDirectory(), newHosts(signer.JWKS())
			h.takes = row.takes
			issuers := fetchedIssuers(signer, d, h, 300)
			v := resolving(t, d, 0, nil)
			var all sync.WaitGroup
			for _, resolved := range issuers {
				all.Go(func() { wantReason(t, resolved.URL, reasonAt(t, v, signer, resolved.URL), "") })
			}
			start := time.Now()
			all.Wait()
			if took := time.Since(start); took > row.within {
				t.Errorf("that took %v", took)
			}
			if h.most > row.most || len(h.fetches) != 300 {
				t.Errorf("%d fetches, %d at once", len(h.fetches), h.most)
			}
			for i, at := range h.fetches {
				if i >= 100 && at.Sub(h.fetches[i-100]) < time.Second {
					t.Fatalf("101 fetches within %v", at.Sub(h.fetches[i-100]))
				}
			}
		})
	}
}

// TestFirstKeysOfAcceptedIssuers shows that after a restart the keys of a resolved issuer of
// which a token was accepted before come ahead of those of strangers that came
// earlier.
func TestFirstKeysOfAcceptedIssuers(t *testing.T) {
	for accepted, want := range map[bool]time.Duration{true: time.Second, false: 2 * time.Second} {
		dir := filepath.Join(t.TempDir(), "keys")
		synctest.Test(t, func(t *testing.T) {
			signer := issuertest.New(t)
			d, h := newDirectory(), newHosts(signer.JWKS())
			issuers := fetchedIssuers(signer, d, h, 300)
			last := issuers[299].URL
			if accepted {
				noError(t, snapshot.NewAcceptedFile(dir, nil).Save([]snapshot.IssuerDigest{snapshot.DigestIssuer(last)}))
			}
			v := configured(t, func(c *validator.Config) { c.SnapshotDir, c.ResolveIssuer = dir, d.find })
			wantReason(t, "which reads the file", reasonFor(t, v, signer, madeUp("https://made-up.test")), validator.UnknownIssuer)
			var all sync.WaitGroup
			for _, resolved := range issuers[:299] {
				all.Go(func() { _, _ = v.Validate(t.Context(), bearer(junk(resolved.URL, "k"))) })
			}
			// Before they are asked for keys, each reads what is forbidden, which is no
			// waiting that the bubble knows of.
			for h.fetched() < 100 || waitingFor(v) < 199 {
				synctest.Wait()
			}
			start := time.Now()
			wantReason(t, "good", reasonAt(t, v, signer, last), "")
			wantTook(t, fmt.Sprintf("the first keys, accepted: %v", accepted), start, want)
			all.Wait()
		})
	}
}

// waitingFor is how many requests wait for keys.
func waitingFor(v *validator.Validator) (n int) {
	for _, s := range v.Status().Issuers {
		n += s.Waiting
	}
	return n
}

// TestWaitersOfAllResolvedIssuers shows that those who wait are bounded over all resolved issuers,
// and that there is room for those of one more.
func TestWaitersOfAllResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d, h := newDirectory(), newHosts(signer.JWKS())
		h.takes = 4 * time.Second
		issuers := fetchedIssuers(signer, d, h, 21)
		v := configured(t, func(c *validator.Config) { c.SharedLimits.Waiters, c.ResolveIssuer = 400, d.find })
		var all sync.WaitGroup
		for _, resolved := range issuers[:20] {
			token := junk(resolved.URL, "k")
			for range 200 {
				all.Go(func() { _, _ = v.Validate(t.Context(), bearer(token)) })
			}
			synctest.Wait()
		}
		if waiting := waitingFor(v); waiting < 250 || waiting > 400 {
			t.Errorf("%d wait", waiting)
		}
		wantReason(t, "one more issuer", reasonAt(t, v, signer, issuers[20].URL), "")
		all.Wait()
	})
}

// padded is a key set of so many bytes.
func padded(set []byte, size int) []byte {
	return slices.Concat(set, bytes.Repeat([]byte(" "), size-len(set)))
}

// TestKeyMemoryOfAllResolvedIssuers shows that key sets have a bound over all resolved issuers, that
// small ones have room beside large ones, and that those of resolved issuers that are gone
// do not count.
func TestKeyMemoryOfAllResolvedIssuers(t *testing.T) {
	for name, forget := range map[string]bool{"kept": false, "forgotten": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer := issuertest.New(t)
				d, h := newDirectory(), newHosts(padded(signer.JWKS(), 200<<10))
				issuers := fetchedIssuers(signer, d, h, 40)
				v := configured(t, func(c *validator.Config) { c.SharedLimits.KeyBytes, c.ResolveIssuer = 8<<20, d.find })
				accepted := 0
				for _, resolved := range issuers {
					switch reason := reasonAt(t, v, signer, resolved.URL); reason {
					case "":
						accepted++
					case validator.Unavailable:
					default:
						t.Errorf("%s: %q", resolved.URL, reason)
					}
					if forget {
						v.ForgetIssuer(resolved.URL)
					}
				}
				if want := 40; forget && accepted != want {
					t.Errorf("%d of %d sets have room", accepted, want)
				}
				if !forget && (accepted < 2 || accepted > 20) {
					t.Errorf("%d sets of 400 KiB have room in 8 MiB", accepted)
				}
				small := hosted(signer, 41)[40]
				small.Keys, small.HTTPClient = jwkscache.URL(small.URL+"/jwks"), &http.Client{Transport: h}
				h.set(small.URL, signer.JWKS())
				d.set(small.URL, answering(small))
				wantReason(t, "a small set", reasonAt(t, v, signer, small.URL), "")
			})
		})
	}
}

// TestSharedLimitsConfig shows that SharedLimits out of bounds are faults, told
// with the others, and that those who wait for one issuer fit in.
func TestSharedLimitsConfig(t *testing.T) {
	issuer := validator.Issuer{URL: "https://issuer.test", Audiences: []string{"a"}}
	_, err := validator.New(validator.Config{
		Issuers: []validator.Issuer{issuer}, MaxTokenBytes: 1,
		SharedLimits: jwkscache.SharedLimits{Waiters: -1, Fetches: 3, UnknownKids: 10_001, Missing: 1, KeyBytes: 1},
	})
	for _, want := range []string{
		"MaxTokenBytes is 1", "SharedLimits.Waiters is -1", "SharedLimits.Fetches is 3", "SharedLimits.UnknownKids is 10001",
		"SharedLimits.Missing is 1", "SharedLimits.KeyBytes is 1",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d, h := newDirectory(), newHosts(signer.JWKS())
		h.takes = time.Second
		config := fetchedIssuers(signer, d, h, 1)[0]
		config.KeyLimits.Waiters = 2000
		v := configured(t, func(*validator.Config) {}, config)
		var all sync.WaitGroup
		token := signer.Sign(testissuer.Token{Claims: map[string]any{"iss": config.URL}})
		for range 2000 {
			all.Go(func() {
				if _, err := v.Validate(t.Context(), bearer(token)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

// TestKeyMemoryOfALetInIssuer shows that the keys of a resolved issuer that had to give way
// while they were fetched count once it is let in again with its accepted token.
func TestKeyMemoryOfALetInIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d, h := newDirectory(), newHosts(signer.JWKS())
		h.takes = time.Second
		issuers := fetchedIssuers(signer, d, h, 4)
		large, filler, other, small := issuers[0], issuers[1], issuers[2], issuers[3]
		h.set(large.URL, padded(signer.JWKS(), 480<<10))
		for _, resolved := range []*validator.Issuer{&filler, &other} {
			resolved.Keys = jwkscache.Static(signer.JWKS())
			d.set(resolved.URL, answering(*resolved))
		}
		v := configured(t, func(c *validator.Config) {
			c.SharedLimits.KeyBytes, c.MaxResolvedIssuers, c.ResolveIssuer = 1<<20, 2, d.find
		})
		letIn := make(chan validator.Reason, 1)
		go func() { letIn <- reasonAt(t, v, signer, large.URL) }()
		synctest.Wait()
		wantReason(t, "filler", reasonAt(t, v, signer, filler.URL), "")
		wantReason(t, "named", reasonFor(t, v, signer, madeUp(other.URL)), validator.BadSignature)
		wantListed(t, "while the keys are fetched", v, filler.URL, other.URL)
		wantReason(t, "the issuer that had to give way", <-letIn, "")
		wantListed(t, "with its token", v, large.URL, filler.URL)
		wantReason(t, "a small set", reasonAt(t, v, signer, small.URL), validator.Unavailable)
		v.ForgetIssuer(large.URL)
		advance(10 * time.Second)
		wantReason(t, "a small set when the large one is gone", reasonAt(t, v, signer, small.URL), "")
	})
}

// TestWaitersForAnswers shows that those who wait for ResolveIssuer are bounded over all
// issuers as those who wait for keys are.
func TestWaitersForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d := newDirectory()
		issuers := hosted(signer, 21)
		for _, resolved := range issuers {
			d.set(resolved.URL, late(time.Second, answering(resolved)))
		}
		v := configured(t, func(c *validator.Config) { c.SharedLimits.Waiters, c.ResolveIssuer = 400, d.find })
		var all sync.WaitGroup
		var mu sync.Mutex
		waited := 0
		for _, resolved := range issuers[:20] {
			token := junk(resolved.URL, "k")
			for range 200 {
				all.Go(func() {
					_, err := v.Validate(t.Context(), bearer(token))
					mu.Lock()
					defer mu.Unlock()
					if validator.ReasonOf(err) != validator.Unavailable {
						waited++
					}
				})
			}
			synctest.Wait()
		}
		wantReason(t, "one more issuer", reasonAt(t, v, signer, issuers[20].URL), "")
		all.Wait()
		if waited < 250 || waited > 400 {
			t.Errorf("%d waited", waited)
		}
	})
}

package validator_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// seconds is how long a flood lasts.
const seconds = 5

// flood sends junk to v, at so many tokens a second, and one good token of each of
// the resolved issuers a second, for so many seconds.
type flood struct {
	v       *validator.Validator
	signer  *issuertest.Issuer
	issuers []validator.Issuer
	junk    int // tokens a second, each of another made-up issuer

	mu      sync.Mutex
	refused [seconds]int // good tokens, by second
	never   map[int]bool // resolved issuers of which no token was accepted
}

// junk is a token of a made-up issuer or kid, which costs nothing to make.
func junk(issuer, kid string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + encode([]byte(`{"iss":"`+issuer+`"}`)) + "." + encode(make([]byte, 64))
}

func (f *flood) run(t *testing.T) {
	t.Helper()
	f.never = make(map[int]bool, len(f.issuers))
	for i := range f.issuers {
		f.never[i] = true
	}
	start := time.Now()
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; time.Since(start) < seconds*time.Second+200*time.Millisecond; i++ {
			all.Go(func() {
				if _, err := f.v.Validate(t.Context(), bearer(junk(fmt.Sprintf("https://made-up-%d.test", i), "k"))); err == nil {
					t.Error("junk is accepted")
				}
			})
			advance(rand.N(2 * time.Second / time.Duration(f.junk)))
		}
	})
	advance(200 * time.Millisecond)
	for i, resolved := range f.issuers {
		token := f.signer.Sign(testissuer.Token{Claims: map[string]any{"iss": resolved.URL}, Lifetime: time.Hour})
		all.Go(func() {
			advance(time.Duration(i) * time.Second / time.Duration(len(f.issuers)))
			for second := range f.refused {
				all.Go(func() {
					advance(rand.N(50 * time.Millisecond))
					f.judge(t, i, second, token)
				})
				advance(time.Second)
			}
		})
	}
	all.Wait()
}

func (f *flood) judge(t *testing.T, resolved, second int, token string) {
	t.Helper()
	_, err := f.v.Validate(t.Context(), bearer(token))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.never, resolved)
		return
	}
	f.refused[second]++
	if !f.never[resolved] {
		t.Errorf("second %d: a token is refused whose issuer had one accepted before", second)
	}
	if validator.ReasonOf(err) != validator.Unavailable {
		t.Errorf("a good token: %v", err)
	}
}

// after counts the good tokens that were refused in that second or later.
func (f *flood) after(second int) (n int) {
	for _, refused := range f.refused[second:] {
		n += refused
	}
	return n
}

// TestResolvedFloodKeepsNobodyOut shows that made-up issuers, of which tokens come
// at about 400 kB/s from before the first good token on, keep no resolved issuer out. How
// that ends depends on what Config.ResolveIssuer takes for resolved issuers and for others, and
// on whether a token of the resolved issuers was accepted before a restart.
func TestResolvedFloodKeepsNobodyOut(t *testing.T) {
	hangs := func(ctx context.Context) (validator.Issuer, error) {
		<-ctx.Done()
		return validator.Issuer{}, ctx.Err()
	}
	deaf := func(context.Context) (validator.Issuer, error) {
		<-time.After(time.Second)
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}
	unknown := failing(validator.ErrUnknownIssuer)
	for name, row := range map[string]struct {
		takes     time.Duration // a call for a resolved issuer
		junk      finder
		restarted bool
		from      int // the second from which no good token is refused
	}{
		"an answer from memory":               {0, unknown, false, 0},
		"one of a millisecond":                {time.Millisecond, late(time.Millisecond, unknown), false, 0},
		"one of 20 ms":                        {20 * time.Millisecond, late(20*time.Millisecond, unknown), false, 0},
		"one of 200 ms":                       {200 * time.Millisecond, late(200*time.Millisecond, unknown), false, 2}, // the few that were refused first try again a second later
		"one of 200 ms, after a restart":      {200 * time.Millisecond, late(200*time.Millisecond, unknown), true, 0},
		"none for junk":                       {time.Millisecond, hangs, false, 0},
		"none for junk, after a restart":      {200 * time.Millisecond, hangs, true, 0},
		"none for junk, whatever its context": {200 * time.Millisecond, deaf, true, 0},
		"failures for junk":                   {20 * time.Millisecond, late(20*time.Millisecond, failing(errDirectory)), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			synctest.Test(t, func(t *testing.T) {
				signer := issuertest.New(t)
				d := newDirectory()
				f := &flood{signer: signer, issuers: hosted(signer, 200), junk: 2400}
				for _, resolved := range f.issuers {
					d.set(resolved.URL, late(row.takes, answering(resolved)))
				}
				start := func() *validator.Validator {
					return configured(t, func(c *validator.Config) { c.SnapshotDir, c.ResolveIssuer = dir, d.find })
				}
				if row.restarted {
					before := start()
					for _, resolved := range f.issuers {
						wantReason(t, "before the restart", reasonAt(t, before, signer, resolved.URL), "")
					}
					advance(10 * time.Second) // until that is written
				}
				f.v = start()
				d.set("*", row.junk)
				f.run(t)
				if n := f.after(row.from); n != 0 || len(f.never) != 0 {
					t.Errorf("refused in each second: %v; %d issuers were locked out", f.refused, len(f.never))
				}
				if d.atOnce() > 512 {
					t.Errorf("%d calls at once", d.atOnce())
				}
			})
		})
	}
}

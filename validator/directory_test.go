package validator_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// finder answers for one resolved issuer.
type finder func(context.Context) (validator.Issuer, error)

// directory is what Config.ResolveIssuer asks in these tests.
type directory struct {
	mu      sync.Mutex
	finders map[string]finder
	asked   map[string]int
	calls   int // under way for what is not set
	most    int // that were
}

func newDirectory() *directory {
	return &directory{finders: make(map[string]finder), asked: make(map[string]int)}
}

func (d *directory) find(ctx context.Context, url string) (validator.Issuer, error) {
	d.mu.Lock()
	d.asked[url]++
	f, known := d.finders[url]
	if !known {
		f = d.finders["*"]
		d.calls++
		d.most = max(d.most, d.calls)
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.calls--
		}()
	}
	d.mu.Unlock()
	if f == nil {
		return validator.Issuer{}, fmt.Errorf("directory: %w", validator.ErrUnknownIssuer)
	}
	return f(ctx)
}

// set changes what is answered for url; nil means that it is no resolved issuer. The url
// "*" is for those that are not set.
func (d *directory) set(url string, f finder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finders[url] = f
}

// times is how often url was asked for.
func (d *directory) times(url string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[url]
}

// total is how often anything was.
func (d *directory) total() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, times := range d.asked {
		n += times
	}
	return n
}

func (d *directory) atOnce() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

func answering(config validator.Issuer) finder {
	return func(context.Context) (validator.Issuer, error) { return config, nil }
}

func failing(err error) finder {
	return func(context.Context) (validator.Issuer, error) { return validator.Issuer{}, err }
}

// late answers after a while, unless its context ends before.
func late(d time.Duration, f finder) finder {
	return func(ctx context.Context) (validator.Issuer, error) {
		select {
		case <-time.After(d):
			return f(ctx)
		case <-ctx.Done():
			return validator.Issuer{}, context.Cause(ctx)
		}
	}
}

// held answers, whatever becomes of its context, when it is let go.
func held(until <-chan struct{}, f finder) finder {
	return func(ctx context.Context) (validator.Issuer, error) {
		<-until
		return f(ctx)
	}
}

// grantAll lets an issuer beside others grant every scope.
func grantAll(c *validator.Issuer) { c.Grants = allScopes }

// discovering is the configuration of a resolved issuer whose keys are fetched.
func discovering(issuer *issuertest.Issuer) validator.Issuer {
	return issuer.Config(issuer.Fetched, grantAll)
}

// pinned is the configuration of a resolved issuer whose keys are known.
func pinned(issuer *issuertest.Issuer) validator.Issuer {
	return issuer.Config(grantAll)
}

// resolving makes a validator that asks d.
func resolving(t *testing.T, d *directory, maxResolvedIssuers int, trace *jwkscache.Trace, static ...validator.Issuer) *validator.Validator {
	t.Helper()
	return issuertest.Validator(t, validator.Config{
		Issuers: static, ResolveIssuer: d.find, MaxResolvedIssuers: maxResolvedIssuers, Trace: &validator.Trace{Keys: trace},
	})
}

// hosted are n resolved issuers whose tokens signer signs.
func hosted(signer *issuertest.Issuer, n int) []validator.Issuer {
	all := make([]validator.Issuer, n)
	for i := range all {
		all[i] = pinned(signer)
		all[i].URL = fmt.Sprintf("https://hosted-%03d.test", i)
	}
	return all
}

// reasonAt returns why v refuses a good token of the issuer at url, which has the keys of
// signer, or "".
func reasonAt(t *testing.T, v *validator.Validator, signer *issuertest.Issuer, url string) validator.Reason {
	t.Helper()
	return reasonFor(t, v, signer, testissuer.Token{Claims: map[string]any{"iss": url}})
}

// startIssuers starts n issuers whose keys are in d.
func startIssuers(t *testing.T, d *directory, n int) []*issuertest.Issuer {
	t.Helper()
	var all []*issuertest.Issuer
	for i := range n {
		issuer := issuertest.At(t, fmt.Sprintf("https://resolved-%02d.test", i))
		d.set(issuer.URL(), answering(pinned(issuer)))
		all = append(all, issuer)
	}
	return all
}

// madeUp returns a forged token of an issuer that need not exist.
func madeUp(url string) testissuer.Token {
	return testissuer.Token{Claims: map[string]any{"iss": url}, Forgery: testissuer.ZeroSignature}
}

// verdict returns the error of Validate for a good token of the issuer.
func verdict(t *testing.T, v *validator.Validator, issuer *issuertest.Issuer) error {
	t.Helper()
	_, err := v.Validate(t.Context(), bearer(issuer.Sign(testissuer.Token{})))
	return err
}

// inBackground validates a good token in the background. The channel gets the reason.
func inBackground(t *testing.T, v *validator.Validator, issuer *issuertest.Issuer) <-chan validator.Reason {
	t.Helper()
	reasons := make(chan validator.Reason, 1)
	go func() { reasons <- validator.ReasonOf(verdict(t, v, issuer)) }()
	synctest.Wait()
	return reasons
}

// listed returns the resolved issuers that v knows, in the order of Status.
func listed(v *validator.Validator) (urls []string) {
	for _, s := range v.Status().Issuers {
		urls = append(urls, s.Issuer)
	}
	return urls
}

func wantCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func wantListed(t *testing.T, what string, v *validator.Validator, want ...string) {
	t.Helper()
	if got := listed(v); !slices.Equal(got, want) {
		t.Errorf("%s: %q are known, want %q", what, got, want)
	}
}

func wantTook(t *testing.T, what string, since time.Time, want time.Duration) {
	t.Helper()
	if took := time.Since(since); took != want {
		t.Errorf("%s took %v, want %v", what, took, want)
	}
}

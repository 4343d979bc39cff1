package validator_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// finder answers for one tenant.
type finder func(context.Context) (validator.Issuer, error)

// directory is what Config.Tenants asks in these tests.
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

// set changes what is answered for url; nil means that it is no tenant. The url
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

// discovering is the configuration of a tenant whose keys are fetched.
func discovering(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, HTTPClient: issuer.Client(), Grants: allScopes}
}

// pinned is the configuration of a tenant whose keys are known.
func pinned(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: allScopes}
}

// tenanted makes a validator that asks d.
func tenanted(t *testing.T, d *directory, maxTenants int, trace *jwkscache.Trace, static ...validator.Issuer) *validator.Validator {
	t.Helper()
	config := validator.Config{Issuers: static, Tenants: d.find, MaxTenants: maxTenants, Trace: &validator.Trace{Keys: trace}}
	v, err := validator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// hosted are n tenants whose tokens signer signs.
func hosted(signer *testissuer.Issuer, n int) []validator.Issuer {
	all := make([]validator.Issuer, n)
	for i := range all {
		all[i] = pinned(signer)
		all[i].URL = fmt.Sprintf("https://hosted-%03d.test", i)
	}
	return all
}

// judgedAs judges a good token of a hosted tenant.
func judgedAs(t *testing.T, v *validator.Validator, signer *testissuer.Issuer, url string) validator.Reason {
	t.Helper()
	return judged(t, v, signer, testissuer.Token{Claims: map[string]any{"iss": url}})
}

// startTenants starts n issuers whose keys are in d.
func startTenants(t *testing.T, d *directory, n int) []*testissuer.Issuer {
	t.Helper()
	var all []*testissuer.Issuer
	for i := range n {
		issuer := startIssuer(t, fmt.Sprintf("https://tenant-%02d.test", i))
		d.set(issuer.URL(), answering(pinned(issuer)))
		all = append(all, issuer)
	}
	return all
}

func closeAll(issuers []*testissuer.Issuer) {
	for _, issuer := range issuers {
		issuer.Close()
	}
}

// madeUp is a forged token of an issuer that need not exist.
func madeUp(url string) testissuer.Token {
	return testissuer.Token{Claims: map[string]any{"iss": url}, Fault: testissuer.ZeroSignature}
}

// verdict judges a good token of the issuer.
func verdict(t *testing.T, v *validator.Validator, issuer *testissuer.Issuer) error {
	t.Helper()
	_, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{})})
	return err
}

// inBackground starts to judge a good token; the channel gets the reason.
func inBackground(t *testing.T, v *validator.Validator, issuer *testissuer.Issuer) <-chan validator.Reason {
	t.Helper()
	reasons := make(chan validator.Reason, 1)
	go func() { reasons <- validator.ReasonOf(verdict(t, v, issuer)) }()
	synctest.Wait()
	return reasons
}

// listed are the tenants that v knows, in the order of Status.
func listed(v *validator.Validator) (urls []string) {
	for _, s := range v.Status() {
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

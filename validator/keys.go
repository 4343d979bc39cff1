package validator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/discovery"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Bounds of an issuer's metadata.
const (
	// metadataFresh is how long it is used without asking again. The key URL
	// hardly ever changes; the keys do.
	metadataFresh = time.Hour
	// metadataStale is how long the last known key URL is used while
	// discovery fails.
	metadataStale = 24 * time.Hour
	// metadataRetry keeps failed attempts apart, so that they do not delay
	// every fetch of keys.
	metadataRetry = time.Minute
)

// location is where an issuer's keys stand, by its metadata. After a first
// success, a failure leaves the last known URL in use for a bounded time
// (R-DI-07).
type location struct {
	client    *discovery.Client
	issuer    string
	audiences []string // of this API

	mu        sync.Mutex // never held across I/O
	known     *discovery.Metadata
	found     time.Time // when it was
	attempted time.Time // when the last attempt failed
	again     time.Time // when findAgain asked last
}

func newLocation(issuer string, audiences []string, client *http.Client, insecureAllowHTTP bool) *location {
	return &location{
		client:    discovery.New(discovery.Config{HTTPClient: client, InsecureAllowHTTP: insecureAllowHTTP}),
		issuer:    issuer,
		audiences: audiences,
	}
}

// find answers with the key URL; see [jwkscache.Binding].
func (l *location) find(ctx context.Context) (string, error) {
	known, due := l.last()
	return l.ask(ctx, known, due)
}

// findAgain answers with the key URL that the metadata names now, for a key set
// that is gone or lacks a key. It asks once in metadataRetry, and answers with
// the last known URL in between.
func (l *location) findAgain(ctx context.Context) (string, error) {
	known, due := l.last()
	now := time.Now()
	l.mu.Lock()
	if known != nil && now.Sub(l.again) >= metadataRetry && now.Sub(l.attempted) >= metadataRetry {
		due = true
	}
	if due {
		l.again = now
	}
	l.mu.Unlock()
	return l.ask(ctx, known, due)
}

// ask asks for the metadata if that is due. known is what may be used instead,
// or nil.
func (l *location) ask(ctx context.Context, known *discovery.Metadata, due bool) (string, error) {
	if !due {
		return known.JWKSURI, nil
	}
	metadata, err := l.client.Discover(ctx, l.issuer)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.known, l.found = l.needed(metadata), time.Now()
		return metadata.JWKSURI, nil
	case known != nil:
		l.attempted = time.Now()
		return known.JWKSURI, nil
	default:
		return "", err
	}
}

// needed returns what is kept of metadata, in copies: the document may be large,
// and one piece of it would keep all of it in memory.
func (l *location) needed(metadata *discovery.Metadata) *discovery.Metadata {
	kept := &discovery.Metadata{Issuer: l.issuer, JWKSURI: metadata.JWKSURI}
	if metadata.ProtectedResources != nil {
		kept.ProtectedResources = []string{}
	}
	for _, audience := range l.audiences {
		if slices.Contains(metadata.ProtectedResources, audience) {
			kept.ProtectedResources = append(kept.ProtectedResources, audience)
		}
	}
	return kept
}

// last answers the metadata that may still be used, or nil, and whether it is
// time to ask again.
func (l *location) last() (known *discovery.Metadata, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := time.Since(l.found)
	if l.known == nil || age >= metadataStale {
		return nil, true
	}
	return l.known, age >= metadataFresh && time.Since(l.attempted) >= metadataRetry
}

// lists reports whether the metadata read last names one of l.audiences as a
// protected resource, or says nothing of such (R-DI-10).
func (l *location) lists() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known == nil || l.known.ProtectedResources == nil || len(l.known.ProtectedResources) > 0
}

// Warm fetches the keys of every issuer that needs it and waits for them, no
// longer than ctx. The error tells all issuers whose keys could not be had;
// the others can be judged all the same.
func (v *Validator) Warm(ctx context.Context) error {
	if err := v.usable(ctx); err != nil {
		return err
	}
	failures := make([]error, len(v.issuers))
	v.each(func(i int, is *issuer) { failures[i] = is.failure(is.keys.Warm(ctx)) })
	return errors.Join(failures...)
}

// Run keeps the keys of every issuer fresh until ctx ends, and then returns
// nil. A Validator that is not run refreshes when tokens ask for it. A nil ctx is
// an error.
func (v *Validator) Run(ctx context.Context) error {
	if err := v.usable(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	if v.tenants != nil {
		all.Go(func() { v.tenants.run(ctx) })
	}
	v.each(func(_ int, is *issuer) { is.keys.Run(ctx) })
	all.Wait()
	return nil
}

// Status tells how the keys of each issuer are, in the order of the
// configuration, and then of each tenant that is known.
func (v *Validator) Status() []jwkscache.Status {
	if v == nil {
		return nil
	}
	var all []jwkscache.Status
	for _, is := range v.issuers {
		all = append(all, is.keys.Status())
	}
	if v.tenants != nil {
		all = append(all, v.tenants.status()...)
	}
	return all
}

// ForbidKey stops a key of an issuer now: its tokens are refused as those of
// an unknown key, whatever a later refresh brings. With Config.SnapshotDir that
// outlasts a restart; see [jwkscache.Keys.Forbid], also for errors. A tenant
// that is not known at present is asked for; its key is forbidden even if that
// fails.
func (v *Validator) ForbidKey(ctx context.Context, issuer string, key jwkscache.KeyName) error {
	is, err := v.amended(ctx, issuer, key, true)
	if err != nil {
		return err
	}
	return is.failure(is.keys.Forbid(ctx, key))
}

// PermitKey undoes [Validator.ForbidKey].
func (v *Validator) PermitKey(ctx context.Context, issuer string, key jwkscache.KeyName) error {
	is, err := v.amended(ctx, issuer, key, false)
	if err != nil {
		return err
	}
	return is.failure(is.keys.Permit(ctx, key))
}

// amended is the issuer for which a key is to be forbidden or permitted.
func (v *Validator) amended(ctx context.Context, issuer string, key jwkscache.KeyName, forbid bool) (*issuer, error) {
	if !v.made() {
		return nil, errNotMade
	}
	if is := v.byURL[issuer]; is != nil {
		return is, nil
	}
	if v.tenants == nil {
		return nil, ErrUnknownIssuer
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	v.tenants.forbid(issuer, key, forbid)
	if t := v.tenants.get(issuer); t != nil { // also if Tenants fails
		return t.answer.Load().issuer, nil
	}
	return v.tenants.issuer(ctx, issuer)
}

// ForgetTenant drops what Config.Tenants said of an issuer, with its keys: the
// next token asks anew, and tokens of a tenant that was removed are refused.
func (v *Validator) ForgetTenant(issuer string) {
	if v != nil && v.tenants != nil {
		v.tenants.forget(issuer)
	}
}

// Ready is nil if tokens of every issuer can be judged now; otherwise it tells
// all issuers whose tokens cannot. Stale keys that still serve count as ready;
// [Validator.Status] tells which those are, and until when.
func (v *Validator) Ready() error {
	if !v.made() {
		return errNotMade
	}
	var failures []error
	for _, is := range v.issuers {
		failures = append(failures, is.failure(is.keys.Ready()))
	}
	return errors.Join(failures...)
}

// each runs do for all issuers at once and waits for them.
func (v *Validator) each(do func(int, *issuer)) {
	var all sync.WaitGroup
	for i, is := range v.issuers {
		all.Go(func() { do(i, is) })
	}
	all.Wait()
}

// failure names the issuer of an error.
func (is *issuer) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("validator: issuer %q: %w", is.url, err)
}

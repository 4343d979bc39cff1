package validator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/discovery"
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
	// metadataPatience bounds an attempt for which the last known key URL can
	// step in: the keys are to be had in the same flight.
	metadataPatience = 3 * time.Second
)

// locator finds the issuer's key URL by discovery. After a first success, a
// failure leaves the last known URL in use for a bounded time.
func (c *Issuer) locator() func(context.Context) (string, error) {
	l := &location{
		client: discovery.New(discovery.Config{HTTPClient: c.HTTPClient, InsecureAllowHTTP: c.InsecureAllowHTTP}),
		issuer: c.URL,
	}
	return l.find
}

// location is where an issuer's keys stand.
type location struct {
	client *discovery.Client
	issuer string

	known string    // the key URL, or empty
	found time.Time // when it was
	tried time.Time // when the last attempt failed
}

// find is called by one fetch at a time; see [jwkscache.Binding].
func (l *location) find(ctx context.Context) (string, error) {
	age := time.Since(l.found)
	usable := age < metadataStale // never, before a first success
	if usable && (age < metadataFresh || time.Since(l.tried) < metadataRetry) {
		return l.known, nil
	}
	if usable {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, metadataPatience)
		defer cancel()
	}
	metadata, err := l.client.Discover(ctx, l.issuer)
	switch {
	case err == nil:
		l.known, l.found = metadata.JWKSURI, time.Now()
		return l.known, nil
	case usable:
		l.tried = time.Now()
		return l.known, nil
	default:
		return "", err
	}
}

// Warm fetches the keys of every issuer that needs it and waits for them, no
// longer than ctx. The error tells all issuers whose keys could not be had;
// the others can be judged all the same.
func (v *Validator) Warm(ctx context.Context) error {
	failures := make([]error, len(v.issuers))
	v.each(func(i int, is *issuer) { failures[i] = is.failure(is.keys.Warm(ctx)) })
	return errors.Join(failures...)
}

// Run keeps the keys of every issuer fresh until ctx ends, and then returns
// nil. A Validator that is not run refreshes when tokens ask for it.
func (v *Validator) Run(ctx context.Context) error {
	v.each(func(_ int, is *issuer) { is.keys.Run(ctx) })
	return nil
}

// Ready is nil if tokens of every issuer can be judged now; otherwise it tells
// all issuers whose tokens cannot.
func (v *Validator) Ready() error {
	if len(v.issuers) == 0 {
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

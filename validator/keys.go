package validator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/discovery"
)

// metadataFresh is how long an issuer's metadata is used without asking again.
// Its key URL hardly ever changes; its keys do.
const metadataFresh = time.Hour

// locator finds the issuer's key URL by discovery. After a first success, a
// failure leaves the last known URL in use.
func (c *Issuer) locator() func(context.Context) (string, error) {
	client := discovery.New(discovery.Config{HTTPClient: c.HTTPClient, InsecureAllowHTTP: c.InsecureAllowHTTP})
	issuer := c.URL
	var mu sync.Mutex
	var known string
	var fetched time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		location, age := known, time.Since(fetched)
		mu.Unlock()
		if age < metadataFresh {
			return location, nil
		}
		metadata, err := client.Discover(ctx, issuer)
		if err != nil {
			if location != "" {
				return location, nil
			}
			return "", err
		}
		mu.Lock()
		defer mu.Unlock()
		known, fetched = metadata.JWKSURI, time.Now()
		return known, nil
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

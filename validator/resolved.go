package validator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/directory"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// ErrUnknownIssuer means that no issuer of that URL is configured. It is what
// Config.ResolveIssuer returns for an issuer that it does not know.
var ErrUnknownIssuer = errors.New("validator: no such issuer is configured")

var errAnotherIssuer = errors.New("the answer is of another issuer than the one asked for")

// resolvedIssuers are the issuers that Config.ResolveIssuer finds. Their names come
// from tokens that nobody has verified yet; package directory says what bounds that.
type resolvedIssuers struct {
	resolve  func(context.Context, string) (Issuer, error)
	common   opener
	accepted *acceptedIssuers
	known    *directory.Directory[checkedIssuer]

	mu sync.Mutex // never held across I/O
	// forbidden are the keys that ForbidKey named, by issuer. They are stored here,
	// because they stay forbidden after the issuer was displaced.
	forbidden map[string]map[jwkscache.KeyName]struct{}
}

func newResolvedIssuers(config *Config, common opener) *resolvedIssuers {
	common.resolved, common.counters = true, new(counters)
	r := &resolvedIssuers{
		resolve:   config.ResolveIssuer,
		common:    common,
		accepted:  newAcceptedIssuers(common.snapshotDir, common.keyHooks().Join(common.lines.storeTrace()), common.shared),
		forbidden: make(map[string]map[jwkscache.KeyName]struct{}),
	}
	r.known = directory.New(directory.Config[checkedIssuer]{
		Find:     r.find,
		Unknown:  ErrUnknownIssuer,
		Size:     config.MaxResolvedIssuers,
		Entered:  func(is *checkedIssuer) { is.keys.Count(true) },
		Left:     func(is *checkedIssuer) { is.keys.Count(false) },
		Accepted: r.accepted,
		Wait:     r.wait,
	})
	return r
}

// get returns the issuer of that URL. It waits for Config.ResolveIssuer if the
// issuer is not known or the last answer is too old, but no longer than ctx.
func (r *resolvedIssuers) get(ctx context.Context, url string) (*checkedIssuer, error) {
	if r.known.Known(url) == nil && !isIssuerName(url) {
		return nil, ErrUnknownIssuer
	}
	is, err := r.known.Get(ctx, url)
	if _, isFault := errors.AsType[Fault](err); err != nil && !isFault { // a Fault names its issuer
		return nil, fmt.Errorf("validator: ResolveIssuer: %w", err)
	}
	return is, err
}

// fresh returns the issuer of that URL, or nil if it is not known or get would wait.
// It never waits.
func (r *resolvedIssuers) fresh(ctx context.Context, url string, now time.Time) *checkedIssuer {
	return r.known.Fresh(ctx, url, now)
}

// accept records that a token of is was accepted. It returns false if the issuer was
// forgotten, withdrawn or changed, or one of its keys was forbidden, since is was
// found.
func (r *resolvedIssuers) accept(is *checkedIssuer) bool { return r.known.Accept(is.URL, is) }

// find calls Config.ResolveIssuer.
func (r *resolvedIssuers) find(ctx context.Context, url string) (directory.Opener[checkedIssuer], error) {
	config, err := r.resolve(ctx, url)
	if err != nil { // the error is kept for later calls, so it must not have the URL, which an attacker chose
		return nil, err
	}
	if config.URL != url {
		return nil, fmt.Errorf("%w: Issuer.URL %q, asked for %q", errAnotherIssuer, config.URL, url)
	}
	config = config.clone()                                      // ResolveIssuer may go on using what it returned
	return func(before *checkedIssuer) (*checkedIssuer, error) { //nolint:contextcheck // lines are written later
		if before != nil && before.equal(&config) {
			return before, nil // with its keys
		}
		return r.open(&config)
	}, nil
}

// open makes an issuer of a configuration. Its keys do not count in the shared
// memory until the issuer enters the directory, which may not happen.
func (r *resolvedIssuers) open(config *Issuer) (*checkedIssuer, error) {
	f := fault.In("validator")
	common := r.common
	common.accepted = r.accepted.Has(config.URL)
	common.forbidden = r.forbiddenKeys(config.URL)
	is := config.open(common, f.Atf("ResolveIssuer(%q)", config.URL))
	is.keys.Count(false) // also if there is a fault
	is.self = weak.Make(is)
	is.configured = func() bool { return r.accept(is) }
	return is, f.Err()
}

// anyReady reports whether tokens of one of the known issuers can be validated now.
func (r *resolvedIssuers) anyReady() bool {
	if r == nil {
		return false
	}
	for is := range r.known.All() {
		if is.ready() == nil {
			return true
		}
	}
	return false
}

// wait waits for a call of Config.ResolveIssuer. The caller counts among the waiters
// of all issuers.
func (r *resolvedIssuers) wait(ctx context.Context, f *detached.Flight, limit int, accepted bool) error {
	if accepted {
		return r.common.shared.Wait(ctx, f, limit)
	}
	return r.common.shared.WaitForStranger(ctx, f, limit)
}

// forbiddenKeys returns the keys of an issuer that ForbidKey named.
func (r *resolvedIssuers) forbiddenKeys(url string) []jwkscache.KeyName {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.forbidden[url]))
}

// forbid remembers a forbidden key for as long as the process lives, or removes it
// again.
func (r *resolvedIssuers) forbid(url string, name jwkscache.KeyName, forbid bool) {
	r.known.Amend(url, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		names := r.forbidden[url]
		if !forbid {
			delete(names, name)
			return
		}
		if names == nil {
			names = make(map[jwkscache.KeyName]struct{})
			r.forbidden[url] = names
		}
		names[name] = struct{}{}
	})
}

// forget removes what is known of an issuer, so that the next token asks for it.
func (r *resolvedIssuers) forget(url string) { r.known.Forget(url) }

// run keeps the keys of the known issuers fresh until ctx ends, and removes issuers
// that are not used.
func (r *resolvedIssuers) run(ctx context.Context) {
	r.known.Run(ctx, func(ctx context.Context, is *checkedIssuer) { is.keys.Run(ctx) })
}

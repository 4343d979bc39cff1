package issuerkeys

import (
	"context"
	"fmt"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Keys holds the keys of one issuer. It is made by [Open] and safe for concurrent
// use.
type Keys struct {
	*settings

	self      weak.Pointer[Keys]
	lookup    lookup
	vault     *vault
	refresher *refresher
	refusals  *detached.Spread // of tokens that waited for a kid
}

// Refusals of tokens that waited for a fetch. Each costs tens of µs with its answer, so that
// a thousand at once would keep other requests waiting for as many ms. Tokens whose kid the
// fetch brought go on at once.
const (
	refusalsAtOnce = 100
	refusalSpread  = 250 * time.Millisecond // that the others take
)

// Open binds source to one issuer. It does no I/O and starts no goroutine. The error
// joins every fault of both. The paths of the faults are relative to
// validator.Issuer: "Keys", "KeyLimits.Waiters", "ForbiddenKeys[0]".
func Open(source jwkscache.Source, binding Binding) (*Keys, error) {
	faults := fault.In("jwkscache")
	checkLimits(faults.At("KeyLimits"), &binding.Limits)
	if err := binding.Shared.check(); err != nil {
		faults.At("Shared").Addf("", "%w", err)
	}
	checkForbidden(faults.At("ForbiddenKeys"), binding.Forbidden)
	s := newSettings(binding)
	openSource(faults.At("Keys"), s, source)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return newKeys(s), nil
}

func newKeys(s *settings) *Keys {
	familiar := s.binding.Accepted || s.binding.Configured
	k := &Keys{settings: s}
	k.self = weak.Make(k)
	k.lookup.account = s.binding.Shared.account(familiar)
	k.lookup.everAccepted.Store(familiar)
	k.vault = newVault(s, &k.lookup)
	k.refresher = newRefresher(s, &k.lookup, k.vault)
	k.refusals = detached.NewSpread(refusalsAtOnce, refusalSpread, s.limits.Waiters)
	if s.initial != nil && k.vault.isLoaded() {
		k.start()
	}
	return k
}

// start puts the initial keys into use. It is not called if the store must be read
// first.
func (k *Keys) start() {
	k.refresher.mu.Lock()
	changed := k.refresher.publish(k.initial)
	k.refresher.mu.Unlock()
	k.trace.fetchDone(jwkscache.FetchDone{Cause: "start", Keys: len(changed.added), Added: changed.added, Ignored: k.Ignored()})
}

// opened reports whether k was made by Open.
func (k *Keys) opened() bool { return k != nil && k.settings != nil }

// usable returns the error of a call that cannot be served: k was not made by
// [Open], or ctx is nil or panics.
func (k *Keys) usable(ctx context.Context) error {
	if !k.opened() {
		return errNotOpened
	}
	if err := hook.CheckContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Ignored returns the keys of the current set that are not used, and why.
func (k *Keys) Ignored() []jose.IgnoredKey {
	if k == nil {
		return nil
	}
	if v := k.lookup.current.Load(); v != nil {
		return v.set.Ignored()
	}
	return nil
}

// Warm gets the keys unless they are fresh, and waits for them, no longer than ctx.
// Stale keys that cannot be refreshed are no error as long as they serve.
func (k *Keys) Warm(ctx context.Context) error {
	if err := k.usable(ctx); err != nil {
		return err
	}
	if k.Ready() != nil {
		if _, err := k.refresher.renew(ctx); err != nil {
			return err
		}
	}
	if !k.lookup.current.Load().freshAt(time.Now()) {
		_, _ = k.refresher.wait(ctx, request{cause: CauseStale}) // the stale keys serve
	}
	return k.Ready()
}

// Ready returns nil if there are usable keys, also stale ones: an issuer that is
// down for a while must not take its relying parties out of service. [Keys.Status]
// has the difference, and until when the keys serve.
func (k *Keys) Ready() error {
	if !k.opened() {
		return errNotOpened
	}
	return k.refresher.ready()
}

// Run keeps the keys fresh until ctx ends. It refreshes them ahead of expiry, and
// again after failures, at random times. It returns at once if ctx is nil or k was
// not made by [Open].
func (k *Keys) Run(ctx context.Context) {
	if k.usable(ctx) == nil {
		k.refresher.keepFresh(ctx)
	}
}

// Count sets whether k counts against [Binding].Shared, as it does from [Open] on.
// Call Count(false) when k is dropped, to free its share at once. k remains usable.
func (k *Keys) Count(count bool) {
	if !k.opened() {
		return
	}
	k.refresher.mu.Lock()
	defer k.refresher.mu.Unlock()
	k.lookup.account.count(count, k.lookup.current.Load().bytes())
}

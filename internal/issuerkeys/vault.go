package issuerkeys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// saveInterval is the least time between two writes of a set that does not change.
const saveInterval = time.Minute

// vault knows which keys are forbidden, and keeps that and the last keys in the
// snapshot directory. Its lock is never held across I/O or in a hook.
type vault struct {
	*settings

	lookup  *lookup
	store   *snapshot.Store // nil without a SnapshotDir
	storing chan struct{}   // holds one value while the store is written to
	queued  atomic.Bool     // a writer of the set in use waits for storing

	mu        sync.Mutex
	loaded    bool                       // the forbidden keys of the store are known
	forbidden map[jwkscache.KeyName]bool // and whether the store has them
	state     storeState
}

// storeState is what is known of the store.
type storeState struct {
	err   error     // of the last reading or writing
	saved *version  // what the store has
	at    time.Time // since when
}

func newVault(s *settings, l *lookup) *vault {
	v := &vault{settings: s, lookup: l, storing: make(chan struct{}, 1), loaded: true, forbidden: make(map[jwkscache.KeyName]bool)}
	for _, name := range s.binding.Forbidden {
		v.forbidden[name] = false
	}
	if dir := s.binding.SnapshotDir; dir != "" {
		v.store, v.loaded = snapshot.New(dir, s.binding.Issuer), false
	}
	return v
}

// isLoaded reports whether the forbidden keys of the store are known.
func (t *vault) isLoaded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loaded
}

// forbidsID reports whether the kid is forbidden.
func (t *vault) forbidsID(kid string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, found := t.forbidden[jwkscache.KeyName{KeyID: kid}]
	return found
}

// permitted returns a copy of v without the forbidden keys.
func (t *vault) permitted(v *version) *version {
	t.mu.Lock()
	defer t.mu.Unlock()
	return v.without(t.forbidden)
}

// amend changes in memory whether a name is forbidden.
func (t *vault) amend(name jwkscache.KeyName, forbid bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !forbid {
		delete(t.forbidden, name)
		return nil
	}
	if _, already := t.forbidden[name]; !already && len(t.forbidden) >= maxForbidden {
		return fmt.Errorf("jwkscache: %d keys are forbidden already; change the issuer's jwks_uri instead", maxForbidden)
	}
	t.forbidden[name] = true
	return nil
}

// report returns the forbidden names in order, and the error of the last use of
// the store.
func (t *vault) report() (forbidden []jwkscache.KeyName, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Keys(t.forbidden), compareNames), t.state.err
}

// contents is what the store had.
type contents struct {
	forbidden []jwkscache.KeyName
	version   *version // nil if there is none that may serve
	err       error    // why not
	empty     bool     // nothing was saved before, or keys of this source are not kept
}

// read returns the forbidden keys, or an error if they cannot be read, and the last
// keys. If a group can write to the store, it returns names of forbidden keys and
// no keys, with the reason in contents.err.
func (t *vault) read() (*contents, error) {
	forbidden, err := t.store.LoadForbidden()
	if err != nil && !errors.Is(err, snapshot.ErrGroup) {
		return &contents{}, fmt.Errorf("the list of forbidden keys cannot be read: %w", err)
	}
	found := &contents{forbidden: forbidden, empty: true, err: err}
	if !t.remembers {
		return found, nil
	}
	saved, err := t.store.Load()
	if errors.Is(err, snapshot.ErrNone) {
		return found, nil
	}
	found.empty = false
	if err == nil {
		found.version, err = t.restored(saved)
	}
	found.err = cmp.Or(err, found.err)
	return found, nil
}

// take records what was read.
func (t *vault) take(found *contents) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loaded = true
	for _, name := range found.forbidden {
		t.forbidden[name] = true
	}
	t.state = storeState{err: found.err}
}

// failed records that the store could not be read.
func (t *vault) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.err = err
}

// recordUse records how a use of the store ended, and calls the hook.
func (t *vault) recordUse(use string, err error) {
	t.failed(err)
	t.trace.stored(jwkscache.Stored{Use: use, Err: err})
}

// save writes the set in use to the store, after a fetch. It returns at once if
// another call waits to do that.
func (t *vault) save() {
	if t.store == nil || !t.remembers || !t.queued.CompareAndSwap(false, true) {
		return
	}
	t.storing <- struct{}{}
	t.queued.Store(false)
	saved, err := t.saveCurrent()
	<-t.storing
	if saved {
		t.recordUse("save", err)
	}
}

// saveCurrent writes the set in use, which was fetched, unless the store has it, and
// reports whether it did. The caller holds storing.
func (t *vault) saveCurrent() (bool, error) {
	v := t.lookup.current.Load()
	t.mu.Lock()
	last := t.state
	t.mu.Unlock()
	if last.err == nil && last.saved != nil && last.saved.document == v.document && last.saved.etag == v.etag &&
		last.saved.location == v.location && time.Since(last.at) < saveInterval {
		return false, nil
	}
	// Other Keys of this issuer may have written a newer set meanwhile: those of the
	// configuration before, whose fetch took longer, or of the one after.
	if there, err := t.store.Load(); err == nil && there.Fetched.After(v.fetched) && !there.Fetched.After(time.Now()) {
		return false, nil
	}
	err := t.store.Save(&snapshot.Saved{
		Issuer: t.binding.Issuer, Source: t.source, Location: v.location, ETag: v.etag, Document: v.document,
		Fetched: v.fetched, Fresh: v.fresh.at, Usable: v.usable.at,
	})
	t.mu.Lock()
	t.state.saved, t.state.at = v, time.Now()
	t.mu.Unlock()
	return true, err
}

// saveForbidden writes the forbidden names to the store.
func (t *vault) saveForbidden(ctx context.Context) error {
	if t.store == nil {
		return nil
	}
	select {
	case t.storing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("jwkscache: the change holds until the process ends, and could not be written: %w", context.Cause(ctx))
	}
	t.mu.Lock()
	names := slices.Collect(maps.Keys(t.forbidden))
	names = slices.DeleteFunc(names, func(name jwkscache.KeyName) bool { return !t.forbidden[name] })
	t.mu.Unlock()
	slices.SortFunc(names, compareNames)
	err := t.store.SaveForbidden(names)
	<-t.storing
	t.recordUse("forbid", err)
	return err
}

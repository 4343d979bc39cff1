package jwkscache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// saveInterval keeps a set that does not change from being written at every
// fetch.
const saveInterval = time.Minute

// keeping is what is known of the store.
type keeping struct {
	err   error     // of the last reading or writing
	saved *version  // what stands in it
	at    time.Time // since when
}

// contents is what the store had.
type contents struct {
	forbidden []KeyName
	version   *version // nil if there is none that may serve
	err       error    // why not, if there is one
	empty     bool     // there never was one, or none is kept of this source
}

var (
	errPlace  = errors.New("jwkscache: the snapshot is of another source or jwks_uri; it is replaced with the next fetch")
	errTooOld = errors.New("jwkscache: the snapshot is too old to trust, or from the future")
)

// readStore finds out which keys are forbidden, which must be possible, and
// what the last keys were. A store that a group can write to gives names of
// forbidden keys and no keys, and is told as an error.
func (k *Keys) readStore(context.Context) (catch, error) {
	forbidden, err := k.store.loadForbidden()
	if err != nil && !errors.Is(err, errGroup) {
		return catch{store: &contents{}}, fmt.Errorf("which keys are forbidden cannot be read: %w", err)
	}
	found := &contents{forbidden: forbidden, empty: true, err: err}
	if !k.remembers {
		return catch{store: found}, nil
	}
	kept, err := k.store.load()
	if errors.Is(err, errNoSnapshot) {
		return catch{store: found}, nil
	}
	found.empty = false
	if err == nil {
		found.version, err = k.restored(kept)
	}
	found.err = cmp.Or(err, found.err)
	return catch{store: found}, nil
}

// restored makes a version of what was kept, if it may still serve.
func (k *Keys) restored(kept *saved) (*version, error) {
	if kept.Source != k.source || k.location != "" && kept.Location != k.location {
		return nil, errPlace
	}
	now := time.Now()
	fetched := kept.Fetched
	fresh := earlier(kept.Fresh, fetched.Add(k.limits.MaxFresh))
	usable := earlier(earlier(kept.Usable, fresh.Add(k.limits.Stale)), fetched.Add(k.limits.MaxAge))
	set, err := k.parse(kept.Document)
	if err != nil {
		return nil, err
	}
	empty := time.Time{}
	if isEmpty(set) {
		empty = fetched
		usable = earlier(usable, fetched.Add(k.limits.MinFresh))
	}
	fresh = earlier(fresh, usable)
	if fetched.After(now.Add(time.Minute)) || !now.Before(usable) {
		return nil, errTooOld
	}
	by := func(wall time.Time) deadline { return until(now.Add(wall.Sub(now))) } // on both clocks
	return &version{
		published: set, origin: "snapshot", document: kept.Document, etag: kept.ETag, location: kept.Location,
		lifetime: lifetime{kept.Fresh.Sub(fetched), byMaxAge}, empty: empty,
		fetched: fetched, renewal: by(fresh), fresh: by(fresh), usable: by(usable),
	}, nil
}

// landStore is what reading the store changes. The lock is held.
func (k *Keys) landStore(found *contents, err error) change {
	if err != nil {
		k.failed = time.Now()
		k.schedule.failed(k.failed, 0)
		k.kept.err = err
		return change{}
	}
	k.loaded = true
	k.schedule = schedule{limits: k.schedule.limits, cap: k.schedule.cap} // it was no fetch
	for _, name := range found.forbidden {
		k.forbidden[name] = true
	}
	k.kept = keeping{err: found.err}
	switch {
	case found.version != nil:
		k.schedule.due, k.known = found.version.renewal, found.version.location
		return k.publish(found.version)
	case k.initial != nil && found.empty:
		return k.publish(k.initial)
	default:
		return change{}
	}
}

// keep writes the set in use to the store. Who finds another one waiting for
// that need not wait as well.
func (k *Keys) keep() {
	if k.store == nil || !k.remembers || !k.queued.CompareAndSwap(false, true) {
		return
	}
	k.storing <- struct{}{}
	k.queued.Store(false)
	v, err := k.save()
	<-k.storing
	if v != nil {
		k.toldStore("save", err)
	}
}

// save writes the set in use, unless it stands there already, and answers it if
// it did.
func (k *Keys) save() (*version, error) {
	v := k.current.Load()
	if v == nil || v.origin != "fetched" {
		return nil, nil //nolint:nilnil // nothing was to be done
	}
	k.mu.Lock()
	last := k.kept
	k.mu.Unlock()
	if last.err == nil && last.saved != nil && last.saved.document == v.document && last.saved.etag == v.etag &&
		last.saved.location == v.location && time.Since(last.at) < saveInterval {
		return nil, nil //nolint:nilnil // as above
	}
	// Another one of this issuer may have written meanwhile: that of the
	// configuration before, whose fetch took longer, or the one after.
	if there, err := k.store.load(); err == nil && there.Fetched.After(v.fetched) && !there.Fetched.After(time.Now()) {
		return nil, nil //nolint:nilnil // as above
	}
	err := k.store.save(&saved{
		Issuer: k.binding.Issuer, Source: k.source, Location: v.location, ETag: v.etag, Document: v.document,
		Fetched: v.fetched, Fresh: v.fresh.at, Usable: v.usable.at,
	})
	k.mu.Lock()
	k.kept.saved, k.kept.at = v, time.Now()
	k.mu.Unlock()
	return v, err
}

// toldStore remembers how a use of the store ended, and tells the hook.
func (k *Keys) toldStore(use string, err error) {
	k.mu.Lock()
	k.kept.err = err
	k.mu.Unlock()
	k.binding.Trace.stored(k.binding.Issuer, Stored{Use: use, Err: err})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// moved tells where the keys stood before, if they stand elsewhere now. The
// lock is held.
func (k *Keys) moved(location string) (from string) {
	if location == "" || location == k.known {
		return ""
	}
	from, k.known = k.known, location
	return from
}

// tell reports a landing.
func (k *Keys) tell(done FetchDone, from string, c catch) {
	if c.store != nil {
		k.binding.Trace.stored(k.binding.Issuer, Stored{Use: "load", Err: errors.Join(done.Err, c.store.err)})
		if len(done.Added) == 0 {
			return
		}
		done.Cause, done.Took = "start", 0
	}
	if from != "" {
		k.binding.Trace.moved(k.binding.Issuer, from, done.Location)
	}
	k.binding.Trace.fetchDone(k.binding.Issuer, done)
	if c.version != nil {
		k.keep()
	}
}

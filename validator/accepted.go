package validator

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	// acceptedLoadTimeout bounds how long requests wait for the file.
	acceptedLoadTimeout = time.Second
	// acceptedSaveInterval is how far apart the file is written.
	acceptedSaveInterval = 5 * time.Second
)

// acceptedIssuers are the issuers that Tenants found and of which a token was
// accepted, in this process or, with a SnapshotDir, before a restart. Tenants is
// asked for them apart from strangers. The file decides nothing else: it causes no
// call and no fetch, and cannot make a token valid.
type acceptedIssuers struct {
	file *jwkscache.AcceptedFile // nil without a SnapshotDir

	mu      sync.Mutex // never held across I/O
	known   map[jwkscache.IssuerDigest]struct{}
	loading *detached.Flight // nil before the first use
	over    chan struct{}    // closed when the first reading has ended, which may be later; nil before
	loaded  bool             // known has what the file has
	changed bool             // since the file was written
	saving  bool             // the file is written, or will be
}

func newAcceptedIssuers(dir string, trace *jwkscache.Trace) *acceptedIssuers {
	a := &acceptedIssuers{known: make(map[jwkscache.IssuerDigest]struct{})}
	if dir != "" {
		a.file = jwkscache.NewAcceptedFile(dir, trace)
	}
	return a
}

// load waits until the file has been read, which happens once, but no longer than
// ctx. A file that cannot be read counts as empty.
func (a *acceptedIssuers) load(ctx context.Context, shared *jwkscache.Shared) error {
	if a.file == nil {
		return nil
	}
	a.mu.Lock()
	if a.loading == nil {
		a.loading, a.over = detached.NewFlight(), make(chan struct{})
		go a.read(ctx, a.loading, a.over)
	}
	loading := a.loading
	a.mu.Unlock()
	select {
	case <-loading.Done():
		return nil
	default:
		return shared.Wait(ctx, loading, maxAskedWaiters)
	}
}

// read reads the file, and lands the flight once that is done or takes too long.
// Digests that come later are taken as well.
func (a *acceptedIssuers) read(ctx context.Context, loading *detached.Flight, over chan struct{}) {
	land := sync.OnceFunc(func() { loading.Land(nil) })
	defer land()
	_, _, err := detached.Do(ctx, acceptedLoadTimeout, func(context.Context) (struct{}, error) {
		defer close(over)
		return struct{}{}, a.file.LoadTo(func(digests []jwkscache.IssuerDigest) {
			a.take(digests)
			land()
		})
	})
	_ = err // the hook is told
}

// take adds what the file has.
func (a *acceptedIssuers) take(digests []jwkscache.IssuerDigest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded = true
	for _, digest := range digests {
		a.put(digest)
	}
}

// put adds a digest, and forgets any other if there are too many. The lock is
// held.
func (a *acceptedIssuers) put(digest jwkscache.IssuerDigest) {
	if _, found := a.known[digest]; found {
		return
	}
	if len(a.known) >= jwkscache.MaxAcceptedIssuers {
		for other := range a.known {
			delete(a.known, other)
			break
		}
	}
	a.known[digest] = struct{}{}
}

// has reports whether a token of url was accepted once.
func (a *acceptedIssuers) has(url string) bool {
	digest := jwkscache.DigestIssuer(url)
	a.mu.Lock()
	defer a.mu.Unlock()
	_, found := a.known[digest]
	return found
}

// add records that a token of url was accepted.
func (a *acceptedIssuers) add(url string) {
	digest := jwkscache.DigestIssuer(url)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.known[digest]; !found {
		a.put(digest)
		a.save()
	}
}

// remove forgets url, which is no tenant.
func (a *acceptedIssuers) remove(url string) {
	digest := jwkscache.DigestIssuer(url)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.known[digest]; found {
		delete(a.known, digest)
		a.save()
	}
}

// save starts to write the file, in the background. The lock is held.
func (a *acceptedIssuers) save() {
	a.changed = true
	if a.file != nil && !a.saving {
		a.saving = true
		go a.write()
	}
}

// write writes the file, and again after a while if there is more by then.
func (a *acceptedIssuers) write() {
	a.mu.Lock()
	if !a.changed {
		a.saving = false
		a.mu.Unlock()
		return
	}
	a.changed = false
	a.mu.Unlock()
	a.merge()
	a.mu.Lock()
	digests := slices.Collect(maps.Keys(a.known))
	a.mu.Unlock()
	if a.file.Save(digests) == nil { // the hook is told of an error
		a.mu.Lock()
		a.loaded = true
		a.mu.Unlock()
	}
	time.AfterFunc(acceptedSaveInterval, a.write)
}

// merge reads the file if that failed before or is still under way, so that its
// digests are not lost when it is replaced. A file that cannot be read is replaced
// all the same.
func (a *acceptedIssuers) merge() {
	a.mu.Lock()
	over := a.over
	a.mu.Unlock()
	if over != nil {
		<-over
	}
	a.mu.Lock()
	loaded := a.loaded
	a.mu.Unlock()
	if !loaded {
		_ = a.file.LoadTo(a.take) // the hook is told of an error
	}
}

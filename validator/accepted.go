package validator

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	// acceptedLoadTimeout bounds how long requests wait for the file.
	acceptedLoadTimeout = time.Second
	// maxLoadWaiters is how many requests wait for the file.
	maxLoadWaiters = 1000
	// acceptedSaveInterval is how far apart the file is written.
	acceptedSaveInterval = 5 * time.Second
)

// acceptedIssuers are the issuers that ResolveIssuer found and of which a token was
// accepted, in this process or, with a SnapshotDir, before a restart. Calls of
// ResolveIssuer for them have bounds of their own. The file has no other effect: it
// causes no call and no fetch, and cannot make a token valid.
type acceptedIssuers struct {
	file   *snapshot.AcceptedFile // nil without a SnapshotDir
	shared *issuerkeys.Shared

	mu      sync.Mutex // never held across I/O
	known   map[snapshot.IssuerDigest]struct{}
	loading *detached.Flight // nil before the first use
	ended   chan struct{}    // closed when the file has been read, which may be after loading has landed; nil before
	loaded  bool             // known has what the file has
	changed bool             // known has changed since the file was written
	saving  bool             // the file is being written, or will be
}

// newAcceptedIssuers returns an empty set. The file in snapshotDir is read later. ""
// means that there is none.
func newAcceptedIssuers(snapshotDir string, trace *jwkscache.Trace, shared *issuerkeys.Shared) *acceptedIssuers {
	a := &acceptedIssuers{known: make(map[snapshot.IssuerDigest]struct{}), shared: shared}
	if snapshotDir != "" {
		a.file = snapshot.NewAcceptedFile(snapshotDir, trace)
	}
	return a
}

// Load waits until the file has been read, which happens once, but no longer than
// ctx. A file that cannot be read counts as empty.
func (a *acceptedIssuers) Load(ctx context.Context) error {
	if a.file == nil {
		return nil
	}
	a.mu.Lock()
	if a.loading == nil {
		a.loading, a.ended = detached.NewFlight(), make(chan struct{})
		go a.read(ctx, a.loading, a.ended)
	}
	loading := a.loading
	a.mu.Unlock()
	select {
	case <-loading.Done():
		return nil
	default:
		return a.shared.Wait(ctx, loading, maxLoadWaiters)
	}
}

// read reads the file, and lands the flight when that is done or takes too long.
// Digests that are read later are added as well.
func (a *acceptedIssuers) read(ctx context.Context, loading *detached.Flight, over chan struct{}) {
	land := sync.OnceFunc(func() { loading.Land(nil) })
	defer land()
	_, _, err := detached.Do(ctx, acceptedLoadTimeout, func(context.Context) (struct{}, error) {
		defer close(over)
		return struct{}{}, a.file.LoadTo(func(digests []snapshot.IssuerDigest) {
			a.take(digests)
			land()
		})
	})
	_ = err // the file has called the hook
}

// take adds the digests that the file has.
func (a *acceptedIssuers) take(digests []snapshot.IssuerDigest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded = true
	for _, digest := range digests {
		a.put(digest)
	}
}

// put adds a digest, and forgets any other if there are too many. The lock is
// held.
func (a *acceptedIssuers) put(digest snapshot.IssuerDigest) {
	if _, found := a.known[digest]; found {
		return
	}
	if len(a.known) >= snapshot.MaxAcceptedIssuers {
		for other := range a.known {
			delete(a.known, other)
			break
		}
	}
	a.known[digest] = struct{}{}
}

// Has reports whether a token of url was accepted before.
func (a *acceptedIssuers) Has(url string) bool {
	digest := snapshot.DigestIssuer(url)
	a.mu.Lock()
	defer a.mu.Unlock()
	_, found := a.known[digest]
	return found
}

// Add records that a token of url was accepted.
func (a *acceptedIssuers) Add(url string) {
	digest := snapshot.DigestIssuer(url)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.known[digest]; !found {
		a.put(digest)
		a.save()
	}
}

// Remove removes url.
func (a *acceptedIssuers) Remove(url string) {
	digest := snapshot.DigestIssuer(url)
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
	if a.file.Save(digests) == nil { // Save has called the hook with an error
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
	over := a.ended
	a.mu.Unlock()
	if over != nil {
		<-over
	}
	a.mu.Lock()
	loaded := a.loaded
	a.mu.Unlock()
	if !loaded {
		_ = a.file.LoadTo(a.take) // LoadTo has called the hook with an error
	}
}

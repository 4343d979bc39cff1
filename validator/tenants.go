package validator

import (
	"context"
	"errors"
	"hash/maphash"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Bounds of dynamic tenants.
const (
	defaultTenants = 1000
	maxTenants     = 10_000
	// maxIssuerBytes is the longest iss that Tenants is asked for.
	maxIssuerBytes = 512

	tenantIdle   = time.Hour // after which an unused tenant is forgotten
	maxDisplaced = 4096      // tenants that had to give way, which are let in again with an accepted token
)

// ErrUnknownIssuer means that no issuer of that URL is configured. It is what
// Config.Tenants answers for an issuer that is no tenant.
var ErrUnknownIssuer = errors.New("validator: no such issuer is configured")

var (
	errTenant    = errors.New("validator: Tenants answered with another issuer than it was asked for")
	errForgotten = errors.New("validator: the tenant was forgotten or changed meanwhile")
	errGaveWay   = errors.New("validator: the tenant had to give way to others before a token of it was accepted")
	errOpen      = errors.New("validator: the answer of Tenants made its own use panic")
)

// tenants are the issuers that Config.Tenants knows. Who is asked for is chosen
// by tokens that nobody has verified yet: so what is known is found without a
// lock, calls are limited in number and time, and a tenant none of whose tokens
// was ever accepted gives way to others first.
type tenants struct {
	find func(context.Context, string) (Issuer, error)
	max  int
	born time.Time

	common   commonParts
	accepted *acceptedIssuers // those of which a token was accepted once

	known sync.Map // from URL to *tenant
	added chan struct{}

	mu        sync.Mutex // never held across I/O
	size      int
	asked     map[string]*asking
	lanes     [2]lane // of calls for strangers, and for issuers that are known
	missed    misses  // those that are no tenants, or could not be asked for
	gaveWay   misses  // tenants that had to, apart: a flood of the others must not push these out
	seed      maphash.Seed
	displaced map[uint64]weak.Pointer[tenant]           // tenants that had to give way, and were not forgotten, withdrawn or lost keys since; by hash of the URL
	forbidden map[string]map[jwkscache.KeyName]struct{} // since a tenant that gives way must not forget
	amended   int                                       // how often that has changed
}

// tenant is one issuer that Tenants knows.
type tenant struct {
	url     string
	answer  atomic.Pointer[answer]
	proven  atomic.Bool  // a token of it was accepted
	used    atomic.Int64 // s since the tenants began
	running atomic.Bool  // its keys are kept fresh
	gone    chan struct{}
}

func newTenants(config *Config, common commonParts) *tenants {
	ts := &tenants{
		find:      config.Tenants,
		common:    common,
		max:       config.MaxTenants,
		born:      time.Now(),
		accepted:  newAcceptedIssuers(common.snapshotDir, common.trace.keys()),
		added:     make(chan struct{}, 1),
		asked:     make(map[string]*asking),
		missed:    make(misses),
		gaveWay:   make(misses),
		displaced: make(map[uint64]weak.Pointer[tenant]),
		seed:      maphash.MakeSeed(),
		forbidden: make(map[string]map[jwkscache.KeyName]struct{}),
	}
	ts.lanes[strangers].impatient = true
	return ts
}

// open makes an issuer of a configuration. Its keys do not count in the shared
// memory before insert lets a tenant in with them, since the answer may come to
// nothing.
func (ts *tenants) open(c *Issuer) (*issuer, error) {
	var f faults
	field := "Tenants: " + strconv.Quote(c.URL)
	common := ts.common
	common.dynamic, common.accepted = true, ts.accepted.has(c.URL)
	is := c.checked(field, common, &f)
	is.keys.Count(false)
	is.self = weak.Make(is)
	return is, f.err()
}

// issuer answers the tenant of that URL.
func (ts *tenants) issuer(ctx context.Context, url string) (*issuer, error) {
	now := time.Now()
	t := ts.get(url)
	if t == nil && (len(url) > maxIssuerBytes || !isIssuerURL(url, true)) { // those that are known were looked at
		return nil, ErrUnknownIssuer
	}
	if t != nil {
		if is := ts.fresh(ctx, t, now); is != nil {
			return is, nil
		}
	}
	call, err := ts.ask(ctx, url, t != nil)
	if err == nil {
		err = ts.wait(ctx, call)
	}
	if err == nil {
		return call.issuer, nil
	}
	if errors.Is(err, errForgotten) {
		return ts.issuer(ctx, url)
	}
	if t != nil && ts.get(url) == t && !errors.Is(err, ErrUnknownIssuer) { // not if it was forgotten meanwhile
		if a := t.answer.Load(); a.since.age(ts.moment(time.Now())) < tenantStale {
			return a.issuer, nil
		}
	}
	return nil, err
}

// wait waits for a call within the bounds of its lane.
func (ts *tenants) wait(ctx context.Context, call *asking) error {
	if call.lane == &ts.lanes[strangers] {
		return ts.common.shared.WaitForStranger(ctx, call.Flight, maxAskedWaiters)
	}
	return ts.common.shared.Wait(ctx, call.Flight, maxAskedWaiters)
}

// fresh answers what is known of a tenant, or nil if somebody has to wait for an
// answer that is newer. It never waits.
func (ts *tenants) fresh(ctx context.Context, t *tenant, now time.Time) *issuer {
	if s := ts.seconds(now); t.used.Load() != s {
		t.used.Store(s)
	}
	a := t.answer.Load()
	age := a.since.age(ts.moment(now))
	if age >= a.fresh {
		return nil
	}
	if age >= a.renewal {
		_, _ = ts.ask(ctx, t.url, true) // in the background
	}
	return a.issuer
}

// seconds is now on the monotonic clock, which nobody can set.
func (ts *tenants) seconds(now time.Time) int64 { return int64(now.Sub(ts.born) / time.Second) }

// moment is now by both clocks.
func (ts *tenants) moment(now time.Time) moment { return moment{now.Sub(ts.born), now.UnixNano()} }

func (ts *tenants) get(url string) *tenant {
	found, ok := ts.known.Load(url)
	if !ok {
		return nil
	}
	return found.(*tenant) //nolint:forcetypeassert // nothing else is in there
}

func (c *Issuer) clone() Issuer {
	clone := *c
	clone.Audiences = slices.Clone(c.Audiences)
	clone.Algorithms = slices.Clone(c.Algorithms)
	clone.ForbiddenKeys = slices.Clone(c.ForbiddenKeys)
	clone.Marker = slices.Clone(c.Marker)
	clone.Claims = slices.Clone(c.Claims)
	clone.Grants = slices.Clone(c.Grants)
	clone.Mappings = cloneMappings(c.Mappings)
	clone.Roles = slices.Clone(c.Roles)
	clone.ACRs = slices.Clone(c.ACRs)
	clone.Tenant = c.Tenant.clone()
	clone.MultiFactor = slices.Clone(c.MultiFactor)
	return clone
}

// equal compares configurations, and clients by address: what is in them is in
// use.
func (c *Issuer) equal(other *Issuer) bool {
	a, b := *c, *other
	a.HTTPClient, b.HTTPClient = nil, nil
	return c.HTTPClient == other.HTTPClient && reflect.DeepEqual(a, b)
}

// put makes an answer the one of url. The lock is held.
func (ts *tenants) put(url string, a *answer) {
	ts.unmiss(url)
	next := &tenant{url: url, gone: make(chan struct{})}
	if t := ts.get(url); t != nil {
		if t.answer.Load().issuer == a.issuer {
			t.answer.Store(a)
			return
		}
		next.proven.Store(t.proven.Load())
		ts.remove(t) // with its keys
	}
	next.answer.Store(a)
	ts.insert(next)
}

// insert makes room for t, and lets it in. The lock is held.
func (ts *tenants) insert(t *tenant) {
	t.used.Store(ts.seconds(time.Now()))
	if ts.size >= ts.max {
		worst := ts.victim()
		if len(ts.displaced) >= maxDisplaced {
			clear(ts.displaced)
		}
		ts.displaced[ts.hash(worst.url)] = weak.Make(worst)
		ts.remove(worst)
		if !worst.proven.Load() { // or naming it again would fetch its keys again
			ts.gaveWay.add(ts.hash(worst.url), errGaveWay, ts.moment(time.Now()), tenantMissed)
		}
	}
	is := t.answer.Load().issuer
	is.tenant.Store(t)
	is.keys.Count(true)
	ts.known.Store(t.url, t)
	ts.size++
	select {
	case ts.added <- struct{}{}:
	default: // Run will look anyway
	}
}

// victim is who gives way: of those without an accepted token the one unused
// for longest, or of all if there are no such. So whoever names one tenant
// after the other, without having tokens of them, displaces one that is in use
// at most.
func (ts *tenants) victim() *tenant {
	var worst *tenant
	for _, found := range ts.known.Range {
		t := found.(*tenant) //nolint:forcetypeassert // as in get
		if worst == nil || worse(t, worst) {
			worst = t
		}
	}
	return worst
}

func worse(t, than *tenant) bool {
	if a, b := t.proven.Load(), than.proven.Load(); a != b {
		return b
	}
	return t.used.Load() < than.used.Load()
}

// remove forgets a tenant and its keys. The lock is held.
func (ts *tenants) remove(t *tenant) {
	if ts.known.CompareAndDelete(t.url, t) {
		ts.size--
		t.answer.Load().issuer.keys.Count(false)
		close(t.gone)
	}
}

func (ts *tenants) hash(url string) uint64 { return maphash.String(ts.seed, url) }

// prove records that a token of a tenant was accepted. It is false if the tenant
// was forgotten, withdrawn or changed, or keys of it forbidden, since it was
// found. A tenant that had to give way before its first accepted token is let in
// again, and asked for again soon, since it may have changed.
func (ts *tenants) prove(is *issuer) bool {
	t := is.tenant.Load()
	if t == nil {
		return false
	}
	if t.proven.Load() && ts.get(t.url) == t {
		return true
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	switch {
	case ts.get(t.url) == t:
		t.proven.Store(true)
		ts.accepted.add(t.url)
		return true
	case ts.displaced[ts.hash(t.url)] != weak.Make(t) || ts.get(t.url) != nil:
		return false
	}
	ts.drop(t.url)
	again := &tenant{url: t.url, gone: make(chan struct{})}
	again.proven.Store(true)
	ts.accepted.add(t.url)
	a := *t.answer.Load()
	a.renewal = 0
	again.answer.Store(&a)
	delete(ts.gaveWay, ts.hash(t.url))
	ts.insert(again)
	return true
}

// drop keeps a tenant that had to give way from being let in again. The lock is
// held.
func (ts *tenants) drop(url string) { delete(ts.displaced, ts.hash(url)) }

// forget drops what is known of url, so that the next token asks anew.
func (ts *tenants) forget(url string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.drop(url)
	ts.unmiss(url)
	delete(ts.asked, url)
	if t := ts.get(url); t != nil {
		ts.remove(t)
	}
}

// forbid remembers a forbidden key for as long as the process lives, or forgets
// it again.
func (ts *tenants) forbid(url string, name jwkscache.KeyName, forbid bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	names := ts.forbidden[url]
	ts.amended++
	ts.drop(url)
	ts.unmiss(url) // who asks for this is no attacker
	if !forbid {
		delete(names, name)
		return
	}
	if names == nil {
		names = make(map[jwkscache.KeyName]struct{})
		ts.forbidden[url] = names
	}
	names[name] = struct{}{}
}

// run keeps the keys of all tenants fresh until ctx ends, and forgets those that
// are not used.
func (ts *tenants) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		for _, found := range ts.known.Range {
			t := found.(*tenant) //nolint:forcetypeassert // as in get
			if t.running.CompareAndSwap(false, true) {
				all.Go(func() { t.run(ctx) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ts.added:
		case now := <-tick.C:
			ts.forgetIdle(now)
		}
	}
}

// run keeps the tenant's keys fresh until it is gone.
func (t *tenant) run(ctx context.Context) {
	defer t.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-t.gone:
		case <-ctx.Done():
		}
	}()
	t.answer.Load().issuer.keys.Run(ctx)
}

func (ts *tenants) forgetIdle(now time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, found := range ts.known.Range {
		t := found.(*tenant) //nolint:forcetypeassert // as in get
		if ts.seconds(now)-t.used.Load() >= int64(tenantIdle/time.Second) {
			ts.remove(t)
		}
	}
}

// status tells how the keys of the tenants are, by URL.
func (ts *tenants) status() []jwkscache.Status {
	var all []jwkscache.Status
	for _, found := range ts.known.Range {
		all = append(all, found.(*tenant).answer.Load().issuer.keys.Status()) //nolint:forcetypeassert // as in get
	}
	slices.SortFunc(all, func(a, b jwkscache.Status) int { return strings.Compare(a.Issuer, b.Issuer) })
	return all
}

package validator

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Bounds of dynamic tenants.
const (
	defaultTenants = 1000
	maxTenants     = 10_000
	// maxIssuerBytes is the longest iss that Tenants is asked for.
	maxIssuerBytes = 512

	tenantRenewal = 4 * time.Minute  // after which an answer is asked for again in the background
	tenantFresh   = 5 * time.Minute  // after which requests wait for that
	tenantStale   = time.Hour        // how long an answer serves while Tenants fails
	tenantRetry   = 5 * time.Second  // after Tenants failed
	tenantMissed  = 10 * time.Second // how long an issuer stays unknown
	tenantIdle    = time.Hour        // after which an unused tenant is forgotten
	tenantTimeout = 5 * time.Second  // of one call

	maxMisses       = 4096 // that are remembered
	dropSlots       = 4096 // in which drops are counted
	maxAsked        = 16   // calls under way at once
	askedPerSecond  = 100
	maxAskedWaiters = 1000 // for one answer
)

// ErrUnknownIssuer means that no issuer of that URL is configured. It is what
// Config.Tenants answers for an issuer that is no tenant.
var ErrUnknownIssuer = errors.New("validator: no such issuer is configured")

var (
	errTenant       = errors.New("validator: Tenants answered with another issuer than it was asked for")
	errTooManyAsked = errors.New("validator: Tenants is asked too often at present")
	errForgotten    = errors.New("validator: the tenant was forgotten or changed meanwhile")
	errGaveWay      = errors.New("validator: the tenant had to give way to others before a token of it was accepted")
	errOpen         = errors.New("validator: the answer of Tenants made its own use panic")
)

// tenants are the issuers that Config.Tenants knows. Who is asked for is chosen
// by tokens that nobody has verified yet: so what is known is found without a
// lock, calls are limited in number and rate, and a tenant none of whose tokens
// was ever accepted gives way to others first.
type tenants struct {
	find func(context.Context, string) (Issuer, error)
	open func(*Issuer) (*issuer, error)
	max  int
	born time.Time

	known sync.Map // from URL to *tenant
	added chan struct{}

	mu        sync.Mutex // never held across I/O
	size      int
	asked     map[string]*asking
	missed    map[uint64]miss // by URL: an attacker's strings are not kept
	seed      maphash.Seed
	dropped   [dropSlots]uint32                         // how often tenants were forgotten, withdrawn or lost keys, by hash of the URL
	calls     map[bool]int                              // under way, for known tenants or others
	begun     [askedPerSecond]time.Time                 // the last calls for others, in a ring
	oldest    int                                       // of them
	forbidden map[string]map[jwkscache.KeyName]struct{} // since a tenant that gives way must not forget
	amended   int                                       // how often that has changed
}

// miss is why there is no tenant, and until when nobody is asked again.
type miss struct {
	err   error
	until time.Time
}

// tenant is one issuer that Tenants knows.
type tenant struct {
	url     string
	answer  atomic.Pointer[answer]
	proven  atomic.Bool  // a token of it was accepted
	used    atomic.Int64 // s since the tenants began
	running atomic.Bool  // its keys are kept fresh
	gone    chan struct{}
	evicted bool   // had to give way; guarded by the lock
	drops   uint32 // of its URL when that happened
}

// answer is what Tenants said of a tenant. It is immutable.
type answer struct {
	config                Issuer
	issuer                *issuer
	renewal, fresh, stale time.Time
}

// asking is a call of Tenants that many may wait for.
type asking struct {
	*detached.Flight

	issuer *issuer // set before it lands
}

func newTenants(config *Config, open func(*Issuer) (*issuer, error)) *tenants {
	return &tenants{
		find:      config.Tenants,
		open:      open,
		max:       config.MaxTenants,
		born:      time.Now(),
		added:     make(chan struct{}, 1),
		asked:     make(map[string]*asking),
		missed:    make(map[uint64]miss),
		seed:      maphash.MakeSeed(),
		calls:     make(map[bool]int),
		forbidden: make(map[string]map[jwkscache.KeyName]struct{}),
	}
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
		err = call.Wait(ctx, maxAskedWaiters)
	}
	if err == nil {
		return call.issuer, nil
	}
	if errors.Is(err, errForgotten) {
		return ts.issuer(ctx, url)
	}
	if t != nil && ts.get(url) == t && !errors.Is(err, ErrUnknownIssuer) { // not if it was forgotten meanwhile
		if a := t.answer.Load(); now.Before(a.stale) {
			return a.issuer, nil
		}
	}
	return nil, err
}

// fresh answers what is known of a tenant, or nil if somebody has to wait for an
// answer that is newer. It never waits.
func (ts *tenants) fresh(ctx context.Context, t *tenant, now time.Time) *issuer {
	if s := ts.seconds(now); t.used.Load() != s {
		t.used.Store(s)
	}
	a := t.answer.Load()
	if !now.Before(a.fresh) {
		return nil
	}
	if !now.Before(a.renewal) {
		_, _ = ts.ask(ctx, t.url, true) // in the background
	}
	return a.issuer
}

// seconds is now on the monotonic clock, which nobody can set.
func (ts *tenants) seconds(now time.Time) int64 { return int64(now.Sub(ts.born) / time.Second) }

func (ts *tenants) get(url string) *tenant {
	found, ok := ts.known.Load(url)
	if !ok {
		return nil
	}
	return found.(*tenant) //nolint:forcetypeassert // nothing else is in there
}

// ask joins the call under way for url or starts one, if that is allowed.
func (ts *tenants) ask(ctx context.Context, url string, known bool) (*asking, error) {
	now := time.Now()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if call := ts.asked[url]; call != nil {
		return call, nil
	}
	if m, ok := ts.missed[ts.hash(url)]; ok && now.Before(m.until) {
		return nil, m.err
	}
	if !ts.mayAsk(now, known) {
		return nil, errTooManyAsked
	}
	ts.calls[known]++
	url = strings.Clone(url) // of the token, which must not be kept
	call := &asking{Flight: detached.NewFlight()}
	ts.asked[url] = call
	go ts.call(ctx, url, known, call)
	return call, nil
}

// mayAsk reports whether one more call is allowed. Those for known tenants,
// which are few, and those for others each have their share, so that a flood of
// unknown ones does not keep a tenant from being withdrawn, nor many renewals a
// new one from being known. The lock is held.
func (ts *tenants) mayAsk(now time.Time, known bool) bool {
	if ts.calls[known] >= maxAsked {
		return false
	}
	if known {
		return true
	}
	if now.Sub(ts.begun[ts.oldest]) < time.Second {
		return false
	}
	ts.begun[ts.oldest] = now
	ts.oldest = (ts.oldest + 1) % askedPerSecond
	return true
}

// call asks Tenants and lands the call.
func (ts *tenants) call(ctx context.Context, url string, known bool, call *asking) {
	config, over, err := detached.Do(ctx, tenantTimeout, func(ctx context.Context) (Issuer, error) { return ts.find(ctx, url) })
	if err == nil && config.URL != url {
		err = fmt.Errorf("%w: Issuer.URL %q, asked for %q", errTenant, config.URL, url)
	}
	call.issuer, err = ts.settle(url, call, &config, err)
	call.Land(err)
	<-over // a call that does not end counts until it does
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.calls[known]--
}

// settle makes what Tenants said the answer for url.
func (ts *tenants) settle(url string, call *asking, config *Issuer, err error) (*issuer, error) {
	for {
		var a *answer
		names, amended := ts.names(url)
		if err == nil {
			a, err = ts.accept(config, names)
		}
		again, err := ts.settled(url, call, a, err, amended)
		if again {
			continue
		}
		if err != nil {
			return nil, err
		}
		return a.issuer, nil
	}
}

// names are the forbidden keys of url, and the version of that list.
func (ts *tenants) names(url string) ([]jwkscache.KeyName, int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.Collect(maps.Keys(ts.forbidden[url])), ts.amended
}

// settled puts an answer or an error into effect, and answers which error the
// callers get: another one if the tenant was forgotten meanwhile, since what was
// said may be older than that. It is again if keys were forbidden meanwhile,
// which a must know of.
func (ts *tenants) settled(url string, call *asking, a *answer, err error, amended int) (again bool, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	known := ts.get(url)
	switch {
	case ts.asked[url] != call:
		return false, errForgotten
	case err == nil && amended != ts.amended:
		return true, nil
	case err == nil:
		ts.put(url, a)
	case errors.Is(err, ErrUnknownIssuer):
		if known != nil {
			ts.remove(known)
		}
		ts.drop(url)
		ts.miss(url, ErrUnknownIssuer, tenantMissed)
	case known != nil && known.postpone():
	default:
		ts.miss(url, err, tenantRetry)
	}
	delete(ts.asked, url)
	return false, err
}

// accept makes an answer of a configuration. One that has not changed keeps its
// keys.
func (ts *tenants) accept(config *Issuer, forbidden []jwkscache.KeyName) (accepted *answer, err error) {
	defer func() {
		if recover() != nil {
			accepted, err = nil, errOpen
		}
	}()
	now := time.Now()
	a := &answer{
		config:  config.clone(),
		renewal: now.Add(tenantRenewal), fresh: now.Add(tenantFresh), stale: now.Add(tenantStale),
	}
	if t := ts.get(config.URL); t != nil {
		if before := t.answer.Load(); before.config.equal(&a.config) {
			a.issuer = before.issuer
			return a, nil
		}
	}
	a.config.ForbiddenKeys = slices.Concat(config.ForbiddenKeys, forbidden)
	a.issuer, err = ts.open(&a.config)
	a.config.ForbiddenKeys = slices.Clone(config.ForbiddenKeys)
	return a, err
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

// postpone keeps the last answer in use for a moment, after Tenants failed, so
// that not every request asks, and that those of a busy tenant do not wait for
// calls which fail slowly. It is false once that is too old.
func (t *tenant) postpone() bool {
	a := *t.answer.Load()
	retry := time.Now().Add(tenantRetry)
	if !retry.Before(a.stale) {
		return false
	}
	a.renewal, a.fresh = retry, retry.Add(tenantFresh-tenantRenewal)
	if a.stale.Before(a.fresh) {
		a.fresh = a.stale
	}
	t.answer.Store(&a)
	return true
}

// put makes an answer the one of url. The lock is held.
func (ts *tenants) put(url string, a *answer) {
	delete(ts.missed, ts.hash(url))
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
		worst.evicted, worst.drops = true, *ts.drops(worst.url)
		ts.remove(worst)
		if !worst.proven.Load() { // or naming it again would fetch its keys again
			ts.miss(worst.url, errGaveWay, tenantMissed)
		}
	}
	t.answer.Load().issuer.tenant.Store(t)
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
		close(t.gone)
	}
}

// miss remembers that url is no tenant, or cannot be asked for. The lock is
// held.
func (ts *tenants) miss(url string, err error, howLong time.Duration) {
	if len(ts.missed) >= maxMisses {
		clear(ts.missed)
	}
	ts.missed[ts.hash(url)] = miss{err, time.Now().Add(howLong)}
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
		return true
	case !t.evicted || t.drops != *ts.drops(t.url) || ts.get(t.url) != nil:
		return false
	}
	again := &tenant{url: t.url, gone: make(chan struct{})}
	again.proven.Store(true)
	a := *t.answer.Load()
	a.renewal = time.Now()
	again.answer.Store(&a)
	delete(ts.missed, ts.hash(t.url))
	ts.insert(again)
	return true
}

// drop keeps who had to give way from being let in again. The lock is held.
func (ts *tenants) drop(url string) { *ts.drops(url)++ }

// drops is how often url was dropped, or others that share its counter. The lock
// is held.
func (ts *tenants) drops(url string) *uint32 { return &ts.dropped[ts.hash(url)%dropSlots] }

// forget drops what is known of url, so that the next token asks anew.
func (ts *tenants) forget(url string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.drop(url)
	delete(ts.missed, ts.hash(url))
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
	delete(ts.missed, ts.hash(url)) // who asks for this is no attacker
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

package validator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/introspect"
)

// Bounds of an issuer's metadata.
const (
	// metadataFresh is how long the metadata is used before it is fetched again. The
	// URLs hardly ever change; the keys do.
	metadataFresh = time.Hour
	// metadataStale is how long the last known URLs are used while discovery fails.
	metadataStale = 24 * time.Hour
	// metadataRetry is the time between two attempts after a failed one, so that
	// failures do not delay every fetch of keys.
	metadataRetry = time.Minute
	// endpointRetry is the same for endpoints while none is known. It is short,
	// because until then every token of the issuer is answered with 503.
	endpointRetry = time.Second
	// metadataOver is added to the time that a fetch may take. Discover ends before.
	metadataOver = time.Second
	// metadataShare is how long a fetch that looks for something else is waited for,
	// because it may find this as well.
	metadataShare = time.Second
	// metadataWaiters is how many callers may wait for one fetch.
	metadataWaiters = 1000
)

// location finds the URLs of an issuer's keys and endpoints in its metadata. After a
// first success, the last known URLs are used for a bounded time while discovery fails
// (R-DI-07).
type location struct {
	client    *discovery.Client
	issuer    string
	audiences []string          // of this API
	work      time.Duration     // the time limit of one fetch
	trace     *introspect.Trace // may be nil

	mu    sync.Mutex // never held across I/O
	known discovery.Metadata
	keys  metadataPart
	asked metadataPart // the endpoints for introspection; its need is 0 if all are configured
	again time.Time    // when keyURLAgain fetched last
}

// metadataPart is the state of the members of the metadata that are needed together.
// The lock of the location guards it, except for need.
type metadataPart struct {
	need   discovery.Need
	flight *detached.Flight // the fetch under way that looks for them, or nil
	found  time.Time        // when a fetch found them last
	failed time.Time        // when a fetch that looked for them failed last
	err    error            // of that fetch
}

// usable reports whether the members that were found last may still be used.
func (p *metadataPart) usable(now time.Time) bool { return now.Sub(p.found) < metadataStale }

// due reports whether usable members are due to be fetched again.
func (p *metadataPart) due(now time.Time) bool {
	return now.Sub(p.found) >= metadataFresh && now.Sub(p.failed) >= metadataRetry
}

func newLocation(is *Issuer, client *http.Client, trace *introspect.Trace) *location {
	timeout := cmp.Or(is.KeyLimits.MetadataTimeout, fetch.Timeout)
	return &location{
		client: discovery.New(discovery.Config{
			HTTPClient: client, InsecureAllowHTTP: is.InsecureAllowHTTP, MetadataURL: is.MetadataURL, Timeout: timeout,
		}),
		work:      timeout + metadataOver,
		issuer:    is.URL,
		audiences: is.Audiences,
		keys:      metadataPart{need: discovery.Keys},
		asked:     metadataPart{need: endpointNeed(is.Opaque)},
		trace:     trace,
	}
}

// endpointNeed returns what introspection needs of the metadata.
func endpointNeed(c *introspect.Client) (need discovery.Need) {
	if c == nil {
		return 0
	}
	if c.Endpoint == "" {
		need |= discovery.Introspection
	}
	authentication := c.Authentication
	if pointed, ok := authentication.(*introspect.Bearer); ok && pointed != nil {
		authentication = *pointed
	}
	if bearer, ok := authentication.(introspect.Bearer); ok && bearer.TokenEndpoint == "" {
		need |= discovery.Token
	}
	return need
}

// keyURL returns the key URL; see [issuerkeys.Binding].
func (l *location) keyURL(ctx context.Context) (string, error) {
	known, due := l.lastKnown(time.Now())
	return l.discoverKeys(ctx, known, due)
}

// keyURLAgain returns the key URL that the metadata names now, for a key set that is
// gone or lacks a key. It fetches the metadata once in metadataRetry, and returns the
// last known URL in between.
func (l *location) keyURLAgain(ctx context.Context) (string, error) {
	now := time.Now()
	known, due := l.lastKnown(now)
	l.mu.Lock()
	if known != "" && now.Sub(l.again) >= metadataRetry && now.Sub(l.keys.failed) >= metadataRetry {
		due = true
	}
	if due {
		l.again = now
	}
	l.mu.Unlock()
	return l.discoverKeys(ctx, known, due)
}

// lastKnown returns the key URL that may still be used, or "", and whether it is due to
// be fetched again.
func (l *location) lastKnown(now time.Time) (known string, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.keys.usable(now) {
		return "", true
	}
	return l.known.JWKSURI, l.keys.due(now)
}

// discoverKeys fetches the metadata if due is true. known is the key URL to use if that
// fails, or "".
func (l *location) discoverKeys(ctx context.Context, known string, due bool) (string, error) {
	if !due {
		return known, nil
	}
	err := l.refresh(ctx, &l.keys, &l.asked)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		return l.known.JWKSURI, nil
	case known != "":
		return known, nil
	default:
		return "", err
	}
}

// endpoints returns the endpoints that introspection needs; see
// [introspection.Binding]. It waits for a fetch only while none is known; known ones
// that are due to be fetched again are fetched meanwhile. After a failure without known
// endpoints, the next fetch begins a second later, and callers before that get the
// error of the last.
//
// The fields of Endpoints that the configuration has may be empty. If it has all that
// are needed, nothing is fetched.
func (l *location) endpoints(ctx context.Context) (introspection.Endpoints, error) {
	if l.asked.need == 0 {
		return introspection.Endpoints{}, nil
	}
	now := time.Now()
	l.mu.Lock()
	known, last := l.knownEndpoints(), l.asked
	l.mu.Unlock()
	switch {
	case last.usable(now):
		if last.due(now) {
			_, _ = l.begin(ctx, &l.asked, now) // nobody waits for it
		}
		return known, nil
	case now.Sub(last.failed) < endpointRetry:
		return introspection.Endpoints{}, l.endpointFault(last.err)
	}
	if err := l.refresh(ctx, &l.asked, &l.keys); err != nil {
		return introspection.Endpoints{}, l.endpointFault(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.knownEndpoints(), nil
}

// knownEndpoints returns the endpoints that were found last. The caller holds the lock.
func (l *location) knownEndpoints() introspection.Endpoints {
	return introspection.Endpoints{
		Introspection: l.known.IntrospectionEndpoint,
		Token:         l.known.TokenEndpoint,
		AuthMethods:   slices.Clone(l.known.IntrospectionAuthMethods),
	}
}

// endpointFault adds to err which fields of the configuration take the place of what the
// documents lack.
func (l *location) endpointFault(err error) error {
	if !errors.Is(err, discovery.ErrMissing) && !errors.Is(err, discovery.ErrDisagree) {
		return err
	}
	var fields []string
	if l.asked.need&discovery.Introspection != 0 {
		fields = append(fields, "Issuer.Opaque.Endpoint")
	}
	if l.asked.need&discovery.Token != 0 {
		fields = append(fields, "TokenEndpoint of Issuer.Opaque.Authentication")
	}
	return fmt.Errorf("validator: the metadata does not say where to introspect; set %s: %w", strings.Join(fields, " and "), err)
}

// refresh waits until a fetch that began now or is under way has found the members of p.
// A fetch that looks for other is waited for first, since it may find both.
func (l *location) refresh(ctx context.Context, p, other *metadataPart) error {
	now := time.Now()
	l.mu.Lock()
	f := other.flight
	if p.flight != nil {
		f = nil
	}
	l.mu.Unlock()
	if f != nil {
		share, cancel := context.WithTimeout(ctx, metadataShare)
		_ = f.Wait(share, metadataWaiters) // begin looks what was found
		cancel()
	}
	f, err := l.begin(ctx, p, now)
	if f == nil {
		return err
	}
	return f.Wait(ctx, metadataWaiters)
}

// begin returns the fetch under way that looks for p, or a new one. If a fetch has found
// p since the given time or failed to, it returns nil and the error of that fetch.
func (l *location) begin(ctx context.Context, p *metadataPart, since time.Time) (*detached.Flight, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p.flight != nil:
		return p.flight, nil
	case !p.found.Before(since):
		return nil, nil //nolint:nilnil // p was found
	case !p.failed.Before(since):
		return nil, p.err
	}
	p.flight = detached.NewFlight()
	go l.run(ctx, p, p.flight)
	return p.flight, nil
}

// run fetches the metadata for p, and ends the wait of the callers.
func (l *location) run(ctx context.Context, p *metadataPart, f *detached.Flight) {
	metadata, _, err := detached.Do(ctx, l.work, func(ctx context.Context) (*discovery.Metadata, error) {
		return l.client.Discover(ctx, l.issuer, p.need)
	})
	var moves []endpointMove
	l.mu.Lock()
	p.flight = nil
	if err != nil {
		p.failed, p.err = time.Now(), err
	} else {
		moves = l.learn(metadata, time.Now())
	}
	l.mu.Unlock()
	f.Land(err)
	for _, m := range moves {
		l.reportMove(m)
	}
}

// learn records what was found, whatever was looked for, and returns the endpoints that
// have moved. It keeps copies of the protected resources that are used: a part of the
// document itself would keep all of it in memory, and it may be large. The caller holds
// the lock.
func (l *location) learn(metadata *discovery.Metadata, now time.Time) (moves []endpointMove) {
	if metadata.Has(discovery.Keys) {
		l.known.JWKSURI, l.keys.found = metadata.JWKSURI, now
	}
	if l.asked.need != 0 && metadata.Has(l.asked.need) {
		moves = endpointMoves(&l.known, metadata, l.asked.need)
		l.known.IntrospectionEndpoint, l.known.TokenEndpoint = metadata.IntrospectionEndpoint, metadata.TokenEndpoint
		l.known.IntrospectionAuthMethods = metadata.IntrospectionAuthMethods
		l.asked.found = now
	}
	l.known.AccessTokenIssuer = metadata.AccessTokenIssuer
	l.known.ProtectedResources = nil
	if metadata.ProtectedResources != nil && len(l.audiences) > 0 {
		l.known.ProtectedResources = []string{}
	}
	for _, audience := range l.audiences {
		if slices.Contains(metadata.ProtectedResources, audience) {
			l.known.ProtectedResources = append(l.known.ProtectedResources, audience)
		}
	}
	return moves
}

// endpointMove is a change of an endpoint.
type endpointMove struct{ from, to string }

// endpointMoves returns the changes of the endpoints of need. They are without queries,
// which may hold secrets.
func endpointMoves(before, now *discovery.Metadata, need discovery.Need) (moves []endpointMove) {
	add := func(member discovery.Need, from, to string) {
		from, to = discovery.WithoutQuery(from), discovery.WithoutQuery(to)
		if need&member != 0 && from != "" && from != to {
			moves = append(moves, endpointMove{from, to})
		}
	}
	add(discovery.Introspection, before.IntrospectionEndpoint, now.IntrospectionEndpoint)
	add(discovery.Token, before.TokenEndpoint, now.TokenEndpoint)
	return moves
}

// reportMove calls the hook for a change of an endpoint.
func (l *location) reportMove(m endpointMove) {
	if l.trace != nil && l.trace.Moved != nil {
		defer hook.Recover()
		l.trace.Moved(l.issuer, m.from, m.to)
	}
}

// listsAudience reports whether the last known metadata lists one of l.audiences as a
// protected resource. It is true if the metadata has no such list (R-DI-10).
func (l *location) listsAudience() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known.ProtectedResources == nil || len(l.known.ProtectedResources) > 0
}

// issuerOfAccessTokens returns the issuer that access tokens name by the last known
// metadata, if it is another one than that of the configuration, or "".
func (l *location) issuerOfAccessTokens() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known.AccessTokenIssuer == l.issuer {
		return ""
	}
	return l.known.AccessTokenIssuer
}

package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// maxRoutes is the most routes that have series of their own. A program that makes routes
// out of requests would otherwise make series without end.
const maxRoutes = 1000

// Labels that are no names of issuers and routes.
const (
	noIssuer    = "none"
	otherLabel  = "other"
	unnamed     = "unnamed"
	resolvedURL = "resolved" // as in Decisions
)

// routeName is the key of a route.
type routeName struct{ transport, route string }

// routeTable is the routes by name. It is copied to be changed.
type routeTable struct {
	byName map[routeName]*route
	// quick has some of the routes, each at the place that its name has. A look-up in a map
	// would take a third of the time that metrics may take.
	quick [quickPlaces]atomic.Pointer[namedRoute]
}

const quickPlaces = 64 // a power of two

type namedRoute struct {
	name  routeName
	route *route
}

// place returns the place of a name in quick.
func (n *routeName) place() int {
	length := len(n.route)
	if length == 0 {
		return 0
	}
	return (length<<3 ^ int(n.route[length/2]) ^ int(n.route[length-1])<<2) % quickPlaces
}

// find returns the route of that name, or nil.
func (t *routeTable) find(name *routeName) *route {
	place := &t.quick[name.place()]
	known := place.Load()
	if known != nil && known.name == *name {
		return known.route
	}
	r := t.byName[*name]
	if known == nil && r != nil {
		place.Store(&namedRoute{*name, r})
	}
	return r
}

// route counts the decisions of one route.
type route struct {
	refused []atomic.Uint64 // by kind
	passing atomic.Pointer[[]*passing]
}

// passing counts the requests that pass on one route with tokens of one issuer, or without
// a token. There is a counter for each source, so that a request on the repeat path adds
// to one counter only.
type passing struct {
	key      string // the issuer as in Decisions
	label    string
	kind     kind
	bySource [len(sources)]striped
}

// issuer counts the decisions about tokens of one issuer that are not counted in passing.
type issuer struct {
	decided []atomic.Uint64 // by kind; of passing requests, those of routes that were removed
	ended   []atomic.Uint64 // held requests, by kind
}

const stripes = 8 // a power of two

// striped is a counter in several pieces of memory, so that processors that count at once
// seldom wait for each other.
type striped [stripes]struct {
	n atomic.Uint64
	_ [56]byte // to the end of the cache line
}

// add adds 1. stripe is any number.
func (s *striped) add(stripe uint32) { s[stripe%stripes].n.Add(1) }

func (s *striped) load() (n uint64) {
	for i := range s {
		n += s[i].n.Load()
	}
	return n
}

// route returns the counters of a route, which it makes if there are none.
func (c *Collector) route(name *routeName) *route {
	if r := c.routes.Load().find(name); r != nil {
		return r
	}
	return c.newRoute(*name)
}

func (c *Collector) newRoute(name routeName) *route {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.routes.Load().byName
	if known[name] == nil && (len(known) >= maxRoutes || !utf8.ValidString(name.route)) {
		name = routeName{otherLabel, otherLabel} // one more
	}
	if r := known[name]; r != nil {
		return r
	}
	r := &route{refused: make([]atomic.Uint64, len(kinds))}
	r.passing.Store(new([]*passing))
	more := &routeTable{byName: maps.Clone(known)}
	more.byName[routeName{strings.Clone(name.transport), strings.Clone(name.route)}] = r
	c.routes.Store(more)
	return r
}

// of returns the counters for tokens of one issuer, or nil if there are none.
func (r *route) of(key string) *passing {
	for _, p := range *r.passing.Load() {
		if p.key == key {
			return p
		}
	}
	return nil
}

// newPassing makes the counters of a route for tokens of one issuer. Without a token, key
// is "" and k is anonymous.
func (c *Collector) newPassing(r *route, key string, k kind) *passing {
	c.mu.Lock()
	defer c.mu.Unlock()
	label := c.issuerLabel(key)
	if label == otherLabel {
		key = otherLabel
	}
	if p := r.of(key); p != nil {
		return p
	}
	p := &passing{key: key, label: label, kind: k} // no copy: equal strings at one address compare at once
	more := append(slices.Clone(*r.passing.Load()), p)
	r.passing.Store(&more)
	return p
}

// issuerLabel returns the label for the issuer of a Decision: one that no Guard has is
// "other". The caller holds the lock.
func (c *Collector) issuerLabel(key string) string {
	switch _, known := (*c.issuers.Load())[key]; {
	case key == "":
		return noIssuer
	case known:
		return key
	default:
		return otherLabel
	}
}

// issuer returns the counters for the issuer of a Decision.
func (c *Collector) issuer(key string) *issuer {
	if key == "" {
		key = noIssuer
	}
	if i := (*c.issuers.Load())[key]; i != nil {
		return i
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addIssuer(otherLabel) // of a Guard that is gone
}

// addIssuer makes the counters of an issuer unless there are some. The caller holds the
// lock.
func (c *Collector) addIssuer(label string) *issuer {
	known := *c.issuers.Load()
	if i := known[label]; i != nil {
		return i
	}
	i := &issuer{decided: make([]atomic.Uint64, len(kinds)), ended: make([]atomic.Uint64, len(kinds))}
	more := maps.Clone(known)
	more[label] = i
	c.issuers.Store(&more)
	return i
}

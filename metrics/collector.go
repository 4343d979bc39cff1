package metrics

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/middleware"
)

// Collector counts the decisions of Guards, and is a [prometheus.Collector] of these
// counts and of the state of the Guards. [NewCollector] makes one. It is safe for
// concurrent use. A nil or zero Collector counts nothing and has no series.
//
// Its Trace may be given to several Guards, whose counts are then added up. Guards that
// must be told apart have a Collector each, registered with
// [prometheus.WrapRegistererWith].
type Collector struct {
	trace *middleware.Trace

	routes    atomic.Pointer[routeTable]
	issuers   atomic.Pointer[map[string]*issuer] // by the Issuer of Decisions; copied to be changed
	refused   [len(sources)]atomic.Uint64        // requests that did not pass, by source
	passed    [len(sources)]uint64               // requests that passed, of routes that were removed; scraping guards it
	inURL     atomic.Uint64
	held      atomic.Uint64
	durations [len(sources)]prometheus.Histogram

	mu      sync.Mutex // for changes of routes and issuers; never held while a Guard is asked
	guards  []guardRef
	changed bool // guards, by Forget

	scraping sync.Mutex // for one scrape at a time; locked before mu
	past     past
}

// New makes a [Collector], registers it, and returns its Trace, for
// middleware.Config.Trace.
//
// A registerer takes one Collector. The error for a second one says what to do: give the
// same Trace to all Guards, or register each under a label of its own:
//
//	metrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"guard": "admin"}, registerer))
//
// To unregister, use NewCollector instead.
func New(registerer prometheus.Registerer) (*middleware.Trace, error) {
	if registerer == nil {
		return nil, errors.New("metrics: the registerer is nil; give prometheus.DefaultRegisterer, or a prometheus.NewRegistry()")
	}
	c := NewCollector()
	err := registerer.Register(c)
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil, errors.New("metrics: the registerer has these series already; give the Trace of the first New to both Guards, " +
			"or tell them apart by a label with prometheus.WrapRegistererWith")
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return c.Trace(), nil
}

// NewCollector makes a Collector that is not registered, for programs that unregister it
// later: [prometheus.Registerer] takes the Collector for both. Its Trace goes into
// middleware.Config.Trace.
func NewCollector() *Collector {
	c := new(Collector)
	c.routes.Store(&routeTable{byName: map[routeName]*route{}})
	c.issuers.Store(&map[string]*issuer{})
	for i, source := range sources {
		c.durations[i] = newHistogram(source.label)
	}
	c.trace = &middleware.Trace{
		Made: c.watch, Decided: c.decided, TokenInURL: c.tokenInURL, HeldStarted: c.heldStarted, HeldEnded: c.heldEnded,
	}
	return c
}

// Trace returns the hooks for middleware.Config.Trace. It is the same for every call.
func (c *Collector) Trace() *middleware.Trace {
	if c == nil {
		return nil
	}
	return c.trace
}

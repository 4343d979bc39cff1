package middleware

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

var errUnmade = errors.New("middleware: the Guard was not made by New or For")

// Guard decides on requests. [New] and [For] make one. It is safe for concurrent
// use. Any other Guard, such as the zero one, makes no routes, registers no
// handlers and refuses every request.
type Guard struct {
	validator       *validator.Validator
	hierarchy       scopes.Hierarchy
	challenger      *challenger
	style           responseStyle
	transport       string
	public          *url.URL // nil: not configured
	proxies         []netip.Prefix
	kept            []string // fields that are never removed
	refuseURLTokens bool
	pathValue       func(*http.Request, string) string // of Config
	trace           Trace
	lines           *lines
	notes           *notes
	long            *longRequests
	original        *Guard // the one that New made; hooks may refer to it weakly
}

// maxNotes is the most warnings that are kept, for programs that make a Route for
// each request.
const maxNotes = 100

// notes are the Warnings of a Guard.
type notes struct {
	mu  sync.Mutex
	all []string
}

const defaultRealm = "api"

// For makes a Guard for these issuers with everything else at its default.
func For(issuers ...validator.Issuer) (*Guard, error) {
	v, err := validator.New(validator.Config{Issuers: issuers})
	if err != nil {
		return nil, err
	}
	return New(Config{Validator: v})
}

// New checks config and makes a Guard, or reports every fault of it at once.
// It does no I/O and starts no goroutine.
func New(config Config) (*Guard, error) {
	if config.Realm == "" {
		config.Realm = defaultRealm
	}
	public, err := config.check()
	if err != nil {
		return nil, err
	}
	g := &Guard{
		validator: config.Validator, refuseURLTokens: config.RefuseURLTokens, challenger: newChallenger(config.Realm, config.ResourceMetadata, config.HideScopes),
		hierarchy: maps.Clone(config.Hierarchy), public: public, proxies: slices.Clone(config.TrustedProxies), kept: slices.Clone(config.InsecureKeepFields),
		pathValue: config.PathValue,
		style:     responseStyle{noBody: config.NoBody, expose: config.ExposeHeaders, render: config.DenialBody},
		lines:     newLines(config.Logger, config.Validator),
		transport: "http", notes: new(notes), long: newLongRequests(config.LongRequests),
	}
	for broad, below := range g.hierarchy {
		g.hierarchy[broad] = slices.Clone(below)
	}
	g.original = g
	if config.Trace != nil {
		g.trace = *config.Trace
		g.trace.made(g)
	}
	return g, nil
}

// made reports whether [New] or [For] made g.
func (g *Guard) made() bool { return g != nil && g.challenger != nil }

// Over returns g for requests that come over another transport: the Decisions of
// its routes have this Transport. Everything else of g is shared.
//
// The transport is a label of metrics, so it must be a constant of the adapter, such
// as "grpc", and never a text from a request. Over panics if it is empty, longer
// than 512 bytes or not printable.
func (g *Guard) Over(transport string) *Guard {
	if !g.made() {
		return g
	}
	if !isLabel(transport) {
		panic(fmt.Sprintf("middleware: Over: %.64q is not a name of a transport; use a short constant such as \"grpc\"", transport))
	}
	over := *g
	over.transport = transport
	return &over
}

// Warm fetches what is needed to validate tokens, so that the first request does
// not wait. A Guard that was not warmed fetches on demand.
func (g *Guard) Warm(ctx context.Context) error {
	if !g.made() {
		return errUnmade
	}
	return g.validator.Warm(ctx)
}

// Run keeps the keys of the issuers fresh until ctx ends. A Guard that is not run
// refreshes them on demand.
func (g *Guard) Run(ctx context.Context) error {
	if !g.made() {
		return errUnmade
	}
	var all sync.WaitGroup
	defer all.Wait()
	g.lines.begin(ctx, &all)
	return g.validator.Run(ctx)
}

// Ready returns nil if tokens of one issuer at least can be validated now. Without Warm or
// Run, that is so once the first token has come; see [validator.Validator.Ready].
func (g *Guard) Ready() error {
	if !g.made() {
		return errUnmade
	}
	return g.validator.Ready()
}

// Validator returns the validator of g, for its Status and for forbidding keys.
func (g *Guard) Validator() *validator.Validator {
	if g == nil {
		return nil
	}
	return g.validator
}

package validator

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// opener opens the issuers of a Validator. Its fields are what they have in common.
type opener struct {
	snapshotDir    string
	trace          *Trace
	lines          *lines
	shared         *issuerkeys.Shared
	leeway         Leeway
	start          time.Time // of the Validator
	introspections *introspection.Shared
	limits         strictjson.Limits // of claims, and of answers about tokens
	identity       *identity
	sole           bool                // there is one issuer, and no Config.ResolveIssuer
	counters       *counters           // of all resolved issuers; nil for a configured one, which has its own
	resolved       bool                // the issuer was found by Config.ResolveIssuer
	accepted       bool                // a token of the issuer was accepted before
	forbidden      []jwkscache.KeyName // keys that are forbidden beside Issuer.ForbiddenKeys
}

// open checks the configuration of an issuer and opens its keys. Its faults are added
// to f.
func (c *Issuer) open(common opener, f fault.List) *checkedIssuer {
	if c.Err != nil {
		f.Merge(hook.CheckError(c.Err))
		f = fault.In("validator") // not reported: the function that found Err could not set the fields
	}
	c.check(common.sole, f)
	if common.resolved {
		c.checkResolvedOpaque(f)
	}
	if common.counters == nil {
		common.counters = new(counters)
	}
	is := &checkedIssuer{
		Issuer:   c.clone(),
		counters: common.counters,
		resolved: common.resolved,
		grants:   grantList(c.Grants).set(),
		roles:    roleList(c.Roles).set(),
		acrs:     acrList(c.ACRs).set(),
	}
	if c.ACRs == nil && !common.sole {
		is.acrs = nameSet{} // none: with several issuers, only listed values count
	}
	is.derivesNothing = !is.ScopeLists && is.grants == nil && len(is.Mappings) == 0 && is.acrs == nil && is.Tenant.isZero() && len(is.MultiFactor) == 0
	algorithms := is.Algorithms
	if algorithms == nil {
		algorithms = defaultAlgorithms
	}
	for _, a := range algorithms {
		is.allowed[a] = true
	}
	is.asks = &askLines{lines: common.lines, issuer: is}
	is.openLocation(common.askHooks().Join(is.asks.trace()))
	source := is.Keys
	if source == nil {
		source = jwkscache.Discovered()
	}
	lines := &keyLines{lines: common.lines, issuer: is, keys: "keys", status: func() jwkscache.Status { return is.keys.Status() }}
	is.keys = is.openKeysOf(source, algorithms, common, lines, f)
	is.terms = &terms{validator: common.identity, audiences: is.Audiences, leeway: common.leeway, start: common.start, mapped: mappedClaims(is.Mappings), grants: is.grants}
	if !is.resolved {
		is.terms.keys = is.keys
	}
	if is.Opaque != nil {
		is.openOpaque(common, algorithms, f.At("Opaque"))
	}
	return is
}

// keyHooks returns the hooks for keys, those of the counters included.
func (o *opener) keyHooks() *jwkscache.Trace { return o.counters.keyHooks(o.trace.keys()) }

// askHooks returns the hooks for introspection, those of the counters included.
func (o *opener) askHooks() *introspect.Trace { return o.counters.askHooks(o.trace.introspection()) }

// openLocation sets the client for metadata and keys, which share their connections.
func (is *checkedIssuer) openLocation(trace *introspect.Trace) {
	is.client = is.HTTPClient
	if is.client == nil || is.client.Transport == nil {
		is.client = &http.Client{Transport: fetch.NewTransportWithin(max(is.KeyLimits.FetchTimeout, is.KeyLimits.MetadataTimeout))}
	}
	is.location = newLocation(&is.Issuer, is.client, trace)
}

// openKeysOf opens the keys of the issuer that source has.
func (is *checkedIssuer) openKeysOf(source jwkscache.Source, algorithms []jose.Algorithm, common opener, lines *keyLines, f fault.List) *issuerkeys.Keys {
	keys, err := issuerkeys.Open(source, issuerkeys.Binding{
		Issuer:            is.URL,
		Algorithms:        algorithms,
		KeyIssuers:        is.KeyIssuers,
		Locate:            is.location.keyURL,
		Relocate:          is.location.keyURLAgain,
		HTTPClient:        is.client,
		InsecureAllowHTTP: is.InsecureAllowHTTP,
		Limits:            is.KeyLimits,
		SnapshotDir:       common.snapshotDir,
		Forbidden:         slices.Concat(is.ForbiddenKeys, common.forbidden),
		Shared:            common.shared,
		Accepted:          common.accepted,
		Configured:        !common.resolved,
		Trace:             common.keyHooks().Join(lines.trace()),
	})
	f.Merge(err)
	return keys
}

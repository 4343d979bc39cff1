package middleware

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Config is everything a [Guard] is told. It is copied; later changes have no
// effect.
type Config struct {
	// Validator is the first door. Required.
	Validator *validator.Validator
	// Hierarchy says which scopes contain which. It holds for every policy
	// that is registered with the Guard. nil: none contains another.
	Hierarchy scopes.Hierarchy
	// Realm is the realm of challenges (RFC 9110 §11.5): text for people, in
	// printable ASCII. Empty means "api".
	Realm string
	// ResourceMetadata is the URL of this API's metadata, for challenges
	// (RFC 9728 §5.1); see package resourcemeta. It is https, or http to a
	// loopback host. Empty: challenges name none.
	ResourceMetadata string
	// HideScopes keeps the scopes of routes from callers without
	// credentials. By default their challenge names the scopes to ask for,
	// which also tells that the route exists.
	HideScopes bool
	// NoBody leaves out the body of refusals.
	NoBody bool
	// DenialBody writes the body of refusals; nil means that of RFC 9457. Of
	// what it does to the ResponseWriter only the body and the Content-Type
	// (application/problem+json unless it says otherwise) are sent: status
	// and all other fields are the Denial's. If it panics, the answer has the
	// body of RFC 9457; to have that anyway, it calls the Denial's ServeHTTP.
	// Its arguments are not to be kept. Not to be confused with Trace.Denied,
	// which observes.
	DenialBody func(http.ResponseWriter, *http.Request, *Denial)
	// ExposeHeaders lets scripts of other origins read WWW-Authenticate and
	// DPoP-Nonce, by Access-Control-Expose-Headers on refusals and on what
	// passes. It is for APIs behind a CORS middleware, which this is not.
	ExposeHeaders bool
	// PublicURL is the scheme and host that clients call, such as
	// https://api.example.com, whatever a request says. Empty: that of the
	// request, see [Guard.Arrival].
	PublicURL string
	// TrustedProxies are the networks of the proxies in front of this
	// program. Forwarded, X-Forwarded-* and the like (docs/http.md has them)
	// count if the TCP peer is in one of them; from all others they are removed
	// before a handler sees the request, and so are spellings such as
	// X_Forwarded_For from everybody. Such a proxy must set or remove Forwarded and
	// X-Forwarded-For, -Proto and -Host, and whatever else of the kind a
	// handler relies on, never pass on a client's. nil: there are none, and
	// the fields are always removed.
	TrustedProxies []netip.Prefix
	// InsecureKeepFields are names of header fields that handlers see whoever
	// sent them, out of those that are removed (docs/http.md has them). Anybody
	// who reaches this program can then send such a field, and so take the
	// address, the name or the certificate of somebody else, or another method
	// or path than was judged, with every handler, framework and backend that
	// believes it. Each name keeps that one field in that one spelling; case
	// does not count. nil: none is kept.
	InsecureKeepFields []string
	// RefuseURLTokens answers 400 to a request that has an access_token in
	// its URL beside the one in its Authorization field. By default the one
	// in the URL is ignored (OAuth 2.1 §5.1). It is never used.
	RefuseURLTokens bool
	// PathValue reads a wildcard of the path from a request that came through
	// another router than [Mux]: chi.URLParam, (*http.Request).PathValue, or
	// a function of yours. It returns "" if there is none. nil: the router
	// has no such values, and a policy that looks for one ([scopes.TenantFrom])
	// is refused by [Guard.Require], [Guard.Optional] and [Guard.Middleware].
	PathValue func(r *http.Request, name string) string
	// Trace gets hooks for observation. It may be nil.
	Trace *Trace
}

const defaultRealm = "api"

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
		validator: config.Validator, refuseURLTokens: config.RefuseURLTokens, challenger: newChallenger(&config),
		hierarchy: maps.Clone(config.Hierarchy), public: public, proxies: slices.Clone(config.TrustedProxies), kept: slices.Clone(config.InsecureKeepFields),
		pathValue: config.PathValue,
		manner:    manner{noBody: config.NoBody, expose: config.ExposeHeaders, render: config.DenialBody},
	}
	for broad, below := range g.hierarchy {
		g.hierarchy[broad] = slices.Clone(below)
	}
	if config.Trace != nil {
		g.trace = *config.Trace
	}
	return g, nil
}

// check tells every fault, or gives the PublicURL, if there is one.
func (c *Config) check() (*url.URL, error) {
	var faults []error
	addf := func(format string, args ...any) { faults = append(faults, fmt.Errorf("middleware: "+format, args...)) }
	switch {
	case c.Validator == nil:
		addf("Validator is nil; make one with validator.New")
	case len(c.Validator.Issuers()) == 0 && !c.Validator.ResolvesIssuers(): // validator.New wants either
		addf("Validator was not made by validator.New; it would refuse every request")
	}
	if err := c.Hierarchy.Err(); err != nil {
		addf("Hierarchy: %w", err)
	}
	if !isPrintable(c.Realm) {
		addf("Realm %q has characters other than printable ASCII", c.Realm)
	}
	if c.ResourceMetadata != "" {
		if _, ok := absolute(c.ResourceMetadata); !ok {
			addf("ResourceMetadata %q is not an absolute https URL without user and fragment; http is for loopback hosts only", c.ResourceMetadata)
		}
	}
	if c.NoBody && c.DenialBody != nil {
		addf("NoBody and DenialBody exclude each other; leave one out")
	}
	var public *url.URL
	if c.PublicURL != "" {
		u, ok := absolute(c.PublicURL)
		if !ok || strings.TrimSuffix(c.PublicURL, "/") != u.Scheme+"://"+u.Host || !isHost(u.Host) {
			addf("PublicURL %q is not an https URL of nothing but scheme and host; http is for loopback hosts only", c.PublicURL)
		}
		public = u
	}
	for i, proxies := range c.TrustedProxies {
		switch {
		case !proxies.IsValid(), proxies.Addr().Is4In6():
			addf("TrustedProxies[%d] is not a network such as 10.0.0.0/8 or 2001:db8::/32", i)
		case proxies.Bits() == 0:
			addf("TrustedProxies[%d] %v trusts everybody; name the networks of your proxies", i, proxies)
		}
	}
	for i, name := range c.InsecureKeepFields {
		switch f := fieldsByName.find(name); {
		case f == nil:
			addf("InsecureKeepFields[%d] %q is no field that is removed; leave it out", i, name)
		case !f.spells(name):
			addf("InsecureKeepFields[%d] %q is not spelled like %s, and only fields in the usual spelling can be kept", i, name, f.name)
		}
	}
	return public, errors.Join(faults...)
}

// absolute reads a URL that clients are told.
func absolute(text string) (*url.URL, bool) {
	u, err := fetch.CheckURL(text, false)
	return u, err == nil && isPrintable(text) && !strings.ContainsAny(text, ` "\<>#`)
}

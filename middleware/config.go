package middleware

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Config is the configuration of a [Guard]. New copies it; later changes have no
// effect.
type Config struct {
	// Validator validates the tokens. Required.
	Validator *validator.Validator
	// Hierarchy says which scopes imply which. It applies to every policy of the
	// Guard. nil: no scope implies another.
	Hierarchy scopes.Hierarchy
	// Realm is the realm of challenges (RFC 9110 §11.5): text for people, in
	// printable ASCII. Empty means "api".
	Realm string
	// ResourceMetadata is the URL of this API's metadata, for challenges
	// (RFC 9728 §5.1); see package resourcemeta. It is https, or http to a
	// loopback host. Empty: challenges have no such URL.
	ResourceMetadata string
	// HideScopes keeps the scopes of routes from callers without
	// credentials. By default their challenge names the scopes to ask for,
	// which also shows that the route exists.
	HideScopes bool
	// NoBody makes refusals have no body.
	NoBody bool
	// DenialBody writes the body of refusals. nil: the body of RFC 9457. Only the
	// body and the Content-Type that it writes are sent; the default of the latter
	// is application/problem+json. The status and all other fields are those of
	// the Denial. If it panics, the body is that of RFC 9457. To write that body
	// for some requests, call ServeHTTP of the Denial. It must not keep its
	// arguments. To observe refusals, use Trace.Decided.
	DenialBody func(http.ResponseWriter, *http.Request, *Denial)
	// ExposeHeaders lets scripts of other origins read WWW-Authenticate and
	// DPoP-Nonce: it adds Access-Control-Expose-Headers to refusals and to other
	// answers. It is for APIs behind a CORS middleware; this package is not one.
	ExposeHeaders bool
	// PublicURL is the scheme and host that clients call, such as
	// https://api.example.com, whatever a request says. Empty: that of the
	// request, see [Guard.Arrival].
	PublicURL string
	// TrustedProxies are the networks of the proxies in front of this
	// program. Forwarded, X-Forwarded-* and the like (docs/http.md has them)
	// count if the TCP peer is in one of these networks. They are removed from the
	// requests of all other peers, and spellings such as X_Forwarded_For from all
	// requests. Such a proxy must set or remove Forwarded, X-Forwarded-For, -Proto
	// and -Host, and any similar field that a handler relies on. It must never
	// pass on the field of a client. nil: no proxy is trusted.
	TrustedProxies []netip.Prefix
	// InsecureKeepFields are names of header fields that are not removed, out of
	// those that are (docs/http.md has them). Anyone who reaches this program can
	// then send such a field. To every handler, framework and backend that trusts
	// the field, they can claim the address, the name or the certificate of another
	// caller, or another method or path than was checked. Each name keeps that one
	// field in that spelling; case does not count. nil: all are removed.
	InsecureKeepFields []string
	// RefuseURLTokens answers 400 to a request that has a token in its
	// Authorization field and an access_token in its URL. By default the one in
	// the URL is ignored (OAuth 2.1 §5.1). It is never used.
	RefuseURLTokens bool
	// PathValue returns the value of a wildcard in the path of a request that came
	// through another router than [Mux], or "" if there is none: chi.URLParam,
	// (*http.Request).PathValue, or your own function. nil: [Guard.Require] and
	// [Guard.Middleware] refuse a policy that looks for such a value
	// ([scopes.TenantFrom]).
	PathValue func(r *http.Request, name string) string
	// LongRequests says how requests end that outlive their token: see [Route.Hold] and
	// [Guard.EndWithToken].
	LongRequests LongRequests
	// Trace gets hooks for observation. It may be nil.
	Trace *Trace
	// Logger gets a line about each refusal with its cause, up to five a minute for each
	// reason and issuer, and then the number of the others (docs/logging.md). nil means
	// the Logger of the Validator, which is [slog.Default] unless validator.Config has
	// another. slog.New(slog.DiscardHandler) logs nothing.
	//
	// No request waits for the Logger. Lines are handed to it by a goroutine that runs
	// while there are some, with [context.Background]; to log with the values of a
	// request's context, use Trace.Decided.
	Logger *slog.Logger
}

// check returns the URL of PublicURL, or nil if that is empty. The error joins all
// faults.
func (c *Config) check() (*url.URL, error) {
	faults := fault.In("middleware")
	switch {
	case c.Validator == nil:
		faults.At("Validator").Add("is nil", "make one with validator.New")
	case len(c.Validator.Issuers()) == 0 && !c.Validator.ResolvesIssuers(): // validator.New wants either
		faults.At("Validator").Add("was not made by validator.New; it would refuse every request", "make one with validator.New")
	}
	faults.At("Hierarchy").Merge(c.Hierarchy.Err())
	if !isPrintable(c.Realm) {
		faults.At("Realm").Addf("use printable ASCII", "%q has other characters than printable ASCII", c.Realm)
	}
	if c.ResourceMetadata != "" {
		if _, ok := absolute(c.ResourceMetadata); !ok {
			faults.At("ResourceMetadata").Addf("give an absolute https URL; http is for loopback hosts only",
				"%q is not an absolute https URL without user and fragment", c.ResourceMetadata)
		}
	}
	if c.NoBody && c.DenialBody != nil {
		faults.At("DenialBody").Add("is set, and so is NoBody", "leave one out")
	}
	c.checkFields(faults)
	c.LongRequests.check(faults.At("LongRequests"))
	return c.publicURL(faults), faults.Err()
}

// publicURL adds the fault of PublicURL.
func (c *Config) publicURL(faults fault.List) *url.URL {
	if c.PublicURL == "" {
		return nil
	}
	u, ok := absolute(c.PublicURL)
	if !ok || strings.TrimSuffix(c.PublicURL, "/") != u.Scheme+"://"+u.Host || !isHost(u.Host) {
		faults.At("PublicURL").Addf("give scheme and host only; http is for loopback hosts only",
			"%q is not an https URL of scheme and host only", c.PublicURL)
	}
	return u
}

// checkFields adds the faults of TrustedProxies and InsecureKeepFields.
func (c *Config) checkFields(faults fault.List) {
	for i, proxies := range c.TrustedProxies {
		at := faults.Atf("TrustedProxies[%d]", i)
		switch {
		case !proxies.IsValid(), proxies.Addr().Is4In6():
			at.Add("is not a network", "give one such as 10.0.0.0/8 or 2001:db8::/32")
		case proxies.Bits() == 0:
			at.Addf("name the networks of your proxies", "%v trusts everybody", proxies)
		}
	}
	for i, name := range c.InsecureKeepFields {
		at := faults.Atf("InsecureKeepFields[%d]", i)
		switch f := fieldsByName.find(name); {
		case f == nil:
			at.Addf("leave it out", "%q is not a field that is removed", name)
		case !f.spells(name):
			at.Addf("only fields in the usual spelling can be kept", "%q is not spelled like %s", name, f.name)
		}
	}
}

// absolute parses a URL that is sent to clients, and reports whether it is absolute,
// https or to a loopback host, and printable.
func absolute(text string) (*url.URL, bool) {
	u, err := fetch.CheckURL(text, false)
	return u, err == nil && isPrintable(text) && !strings.ContainsAny(text, ` "\<>#`)
}

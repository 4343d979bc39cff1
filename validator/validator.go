package validator

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// Validator validates access tokens. It is made by [New] and safe for
// concurrent use.
type Validator struct {
	issuers     []*checkedIssuer
	byURL       map[string]*checkedIssuer
	resolved    *resolvedIssuers // nil if there are none
	cache       *cache           // nil if it is off
	cacheTTL    time.Duration
	jwts        selection       // of tokens whose iss selects the issuer
	opaque      *opaqueSelector // nil if no issuer can be asked about tokens
	negatives   *negatives
	active      *activeTokens
	forgettings *forgettings
	underWay    *atomic.Int64 // calls of Validate that verify a token, or wait for an issuer
	checks      checks
	headers     *jose.Headers
	identity    *identity
	start       time.Time
	maxBytes    int
	limits      strictjson.Limits // of claims
	trace       *Trace
	lines       *lines
}

var (
	errNotMade = refusal(Unavailable, "the Validator was not made by New")
	errIssuer  = refusal(UnknownIssuer, "iss is missing, not a string, or not a configured issuer")
)

// New checks config and makes a Validator. It does no I/O and starts no goroutine.
// The error joins every fault of config, each a [Fault] whose Path is the field of
// Config ("Issuers[1].Audiences", "Leeway.Expiry"); see [Faults].
func New(config Config) (*Validator, error) {
	f, start := fault.In("validator"), time.Now()
	trace := config.Trace.clone()
	config.MaxResolvedIssuers = checkedMaxResolvedIssuers(config.MaxResolvedIssuers, f.At("MaxResolvedIssuers"))
	common := opener{
		snapshotDir: config.SnapshotDir, trace: trace, lines: newLines(config.Logger, start), shared: config.checkedShared(f.At("SharedLimits")), leeway: config.Leeway.checked(f.At("Leeway")),
		start: start,
		sole:  len(config.Issuers) == 1 && config.ResolveIssuer == nil, identity: new(identity),
		introspections: config.checkedIntrospections(f.At("IntrospectionLimits")), limits: config.checkedTokenLimits(f),
	}
	cacheConfig := config.Cache.checked(f.At("Cache"))
	checkPrefixes(config.Issuers, config.validatesJWTs(), f.At("Issuers"))
	v := &Validator{
		checks:      checks{leeway: common.leeway},
		maxBytes:    checkedTokenBytes(config.MaxTokenBytes, f.At("MaxTokenBytes")),
		issuers:     config.openIssuers(common, f.At("Issuers")),
		cache:       newCache(cacheConfig),
		cacheTTL:    cacheConfig.TTL,
		jwts:        newSelection(),
		headers:     new(jose.Headers),
		identity:    common.identity,
		start:       start,
		trace:       trace,
		lines:       common.lines,
		limits:      common.limits,
		negatives:   newNegatives(),
		active:      newActiveTokens(),
		forgettings: new(forgettings),
		underWay:    new(atomic.Int64),
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	v.byURL = make(map[string]*checkedIssuer, len(v.issuers))
	for _, is := range v.issuers {
		v.byURL[is.URL] = is
	}
	v.lines.issuers = v.issuers
	v.opaque = newOpaqueSelector(&config, v.issuers)
	if config.ResolveIssuer != nil {
		v.resolved = newResolvedIssuers(&config, common)
	}
	return v, nil
}

// initialized reports whether [New] made v.
func (v *Validator) initialized() bool { return v != nil && v.byURL != nil }

// usable returns the error of a call that cannot be served: New did not make v,
// or ctx is nil or panics.
func (v *Validator) usable(ctx context.Context) error {
	if !v.initialized() {
		return errNotMade
	}
	if hook.CheckContext(ctx) != nil {
		return errContext
	}
	return nil
}

// selectIssuer returns the issuer that is configured under that URL. It may wait for
// Config.ResolveIssuer.
func (v *Validator) selectIssuer(ctx context.Context, unverified string) (*checkedIssuer, *Error) {
	if is := v.byURL[unverified]; is != nil {
		return is, nil
	}
	if v.resolved == nil || unverified == "" {
		return nil, errIssuer
	}
	is, err := v.resolved.get(ctx, unverified)
	switch {
	case err == nil:
		return is, nil
	case errors.Is(err, ErrUnknownIssuer):
		return nil, errIssuer
	default:
		return nil, &Error{reason: Unavailable, cause: err}
	}
}

package validator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Config is everything a [Validator] is told. It is copied; later changes have
// no effect.
type Config struct {
	// Issuers are the authorization servers whose tokens are accepted, each
	// with its own keys. At least one is required, unless there are Tenants.
	Issuers []Issuer
	// Tenants finds the configuration of an issuer that is not among
	// Issuers, and [ErrUnknownIssuer] if it is none; nil means that there are
	// no others. It is asked for whatever unverified tokens name, before any
	// key is fetched: look the string up, and never make an URL of it. The
	// Issuer.URL of its answer must be that string. Return the same
	// HTTPClient every time.
	//
	// Its context has a deadline and none of a request's values, since the
	// answer is for all requests. Answers are kept for five minutes, and for an
	// hour while Tenants fails; misses for ten seconds. At most 512 calls for
	// issuers that are not known are under way at once, and 512 for tenants and
	// for issuers of which a token was accepted before, also before a restart
	// if there is a SnapshotDir; 1 000 more of each wait. Tokens whose issuer
	// cannot be asked for because of that, or whose call takes longer than five
	// seconds, cannot be judged ([Unavailable]). While others wait, only 256
	// calls for issuers that are not known may take longer than 50 ms; the
	// contexts of the others end. See [Validator.ForgetTenant].
	Tenants func(ctx context.Context, unverifiedIssuer string) (Issuer, error)
	// MaxTenants is how many of them are kept, each with its keys. 0 means
	// 1 000; otherwise 1 to 10 000. If there are more, those none of whose
	// tokens was accepted yet give way first.
	MaxTenants int
	// SharedLimits bound what the keys of all issuers cost together. A zero
	// field has the default; that of Waiters is four times the largest of the
	// issuers' KeyLimits, if that is more.
	SharedLimits jwkscache.SharedLimits
	// SnapshotDir is a directory for what a restart needs while an issuer is
	// down: the last keys of each issuer, and which of them were forbidden. It
	// also has the digests of the issuers that Tenants found and of which a
	// token was accepted, which are asked for first after a restart.
	// It is made if it is not there, and must belong to this user alone, as
	// every directory above it to this user or root; see [jwkscache.Binding].
	// "" keeps nothing.
	SnapshotDir string
	// Cache bounds the cache of verified tokens. The zero value keeps 10 000
	// for at most five minutes each.
	Cache CacheConfig
	// Leeway is how far clocks may differ. The zero value allows 30 s.
	Leeway Leeway
	// MaxTokenBytes is the longest token that is looked at. 0 means 16 384;
	// otherwise 1 024 to 1 048 576.
	MaxTokenBytes int
	// Trace gets hooks for observation. It may be nil.
	Trace *Trace
}

// Issuer is one authorization server (RFC 8414) and what its access tokens
// must be.
type Issuer struct {
	// URL is the issuer identifier, compared byte for byte with iss: a
	// trailing slash matters. It is https without query and fragment, or
	// http to a loopback host. Required.
	URL string
	// Audiences are the identifiers of this API, of which aud must name at
	// least one, byte for byte (RFC 9068 §4). Required.
	Audiences []string
	// Algorithms are those that tokens may be signed with. nil means RS256,
	// PS256, ES256 and EdDSA; an empty list is refused. The first RSA
	// algorithm is the one RSA keys without alg are bound to; see package
	// jose.
	Algorithms []jose.Algorithm
	// Keys says where the issuer's keys come from. nil means that they are
	// discovered from URL (RFC 8414, then OpenID Connect Discovery).
	Keys jwkscache.Source
	// KeyLimits bound how keys are fetched, and how long they serve while the
	// issuer is down. The zero value has the defaults.
	KeyLimits jwkscache.Limits
	// ForbiddenKeys are never used, wherever they are published; see
	// [Validator.ForbidKey].
	ForbiddenKeys []jwkscache.KeyName
	// HTTPClient replaces the transport of fetches, for TLS roots, a client
	// certificate or a proxy; redirects stay off and the bounds stay on. nil
	// means one without environment proxy that refuses link-local and cloud
	// metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback, for
	// URL and for the keys. Anyone on the path can then substitute their own
	// keys and mint tokens. For isolated test networks only.
	InsecureAllowHTTP bool
	// Profile says how an access token is told from the other JWTs that the
	// issuer signs. The zero value is strict RFC 9068.
	Profile Profile
	// Marker is what only access tokens of a [ProfileLegacy] issuer carry.
	// Required there, refused elsewhere.
	Marker []ClaimRule
	// Claims are further claims that every token must carry.
	Claims []ClaimRule
	// Grants are the scopes that this issuer may grant: its tokens have no
	// others, whatever they say. nil means all, for an issuer that is the only
	// one. With several Issuers, or with Tenants, each needs a list, so that
	// none grants what only another may; [AllScopes] as its only member says
	// all. An empty list grants none.
	Grants []string
	// Mappings make scopes or roles of other claims. nil: none does. There are
	// presets, such as [EntraMappings].
	Mappings []Mapping
	// Roles are the roles that this issuer may give: its tokens have no
	// others, whatever Mappings make of them. nil means all, for an issuer
	// that is the only one. With several Issuers, or with Tenants, an issuer
	// needs a list if a Mapping to roles has no Values; [AllRoles] as its only
	// member says all. An empty list gives none.
	Roles []string
	// ACRs are the values of acr that count of this issuer's tokens; the
	// others are absent from [Token.ACR], so that a policy that asks for them
	// refuses with a step-up challenge. nil means all, for an issuer that is
	// the only one, and none with several Issuers or with Tenants, since two
	// issuers may mean different things by one value.
	ACRs []string
	// Tenant says which tenant the tokens speak for. The zero rule: there are
	// no tenants.
	Tenant TenantRule
	// ClientClaim is the claim at the top level of the token that names the
	// client: client_id, cid (Okta), azp (Auth0, Entra ID version 2, Keycloak),
	// appid (Entra ID version 1, AD FS) or one of the issuer's own. A token in
	// which it is not a string, or empty, is refused ([BadClaims]).
	//
	// "" means client_id. Under [ProfileLegacy] a token without client_id then
	// names its client in the one of cid, azp and appid that it has; if it has
	// several that differ, the client cannot be told. [ProfileRFC9068]
	// requires client_id in tokens, so that [New] refuses any other claim.
	//
	// Set it, or ClientOnly, where routes ask for users: see [Token.HasUser].
	// With another ClientClaim than client_id and without ClientOnly, a
	// subject that is not the client's counts as a user, unless the token also
	// has client_id.
	ClientClaim string
	// ClientOnly is a marker of tokens that a client got for itself, without
	// a user: such as gty equal to client-credentials of Auth0, or idtyp equal
	// to app of Entra ID, where it has to be switched on. Tokens whose subject
	// is the client itself are such tokens in any case. The zero ClaimRule
	// adds no marker. With a rule, every other token whose client is known
	// counts as a user's. See [Token.ClientOnly].
	ClientOnly ClaimRule
	// MultiFactor are the values of amr by which this issuer tells that the
	// user authenticated by several factors, such as mfa (RFC 8176 §2). nil:
	// none does.
	MultiFactor []string
}

// Leeway is how far this host's clock may differ from the issuer's. A zero
// field means 30 s.
type Leeway struct {
	Expiry time.Duration // after exp; up to 60 s, [NoLeeway] for none
	Future time.Duration // of iat, nbf and auth_time; 10 s to 60 s
}

// NoLeeway as Leeway.Expiry refuses tokens from the second they expire.
const NoLeeway time.Duration = -1

// Defaults and bounds of the configuration.
const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 60 * time.Second
	minFutureLeeway = 10 * time.Second

	defaultTokenBytes = 16 << 10
	minTokenBytes     = 1 << 10
	maxTokenBytes     = 1 << 20

	defaultWaiters = 1000    // of one issuer; see jwkscache.Limits
	maxWaiters     = 100_000 // that jwkscache.Limits allows
	sharedWaiters  = 4       // times those of one issuer
)

var defaultAlgorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// issuer is a checked Issuer.
type issuer struct {
	url       string
	audiences []string
	allowed   [256]bool // by jose.Algorithm
	keys      *jwkscache.Keys
	location  *location
	dynamic   bool                   // by Config.Tenants
	self      weak.Pointer[issuer]   // of a dynamic one: what was judged by it refers to it without keeping it
	tenant    atomic.Pointer[tenant] // where it stands, if it is dynamic
	profile   Profile
	marker    []ClaimRule
	claims    []ClaimRule
	terms     *terms // of its tokens

	grants         bound
	mappings       []Mapping
	roles          bound
	acrs           bound
	tenantRule     TenantRule
	clientClaim    string
	clientOnly     ClaimRule
	multiFactor    []string
	derivesNothing bool // none of the above, but for clientClaim and clientOnly
}

// commonParts are what the issuers of a Validator have in common.
type commonParts struct {
	snapshotDir string
	trace       *Trace
	shared      *jwkscache.Shared
	leeway      Leeway
	sole        bool // there is one issuer, and no Config.Tenants
	dynamic     bool // the issuers are those of Config.Tenants
	accepted    bool // a token of the issuers was accepted before
}

// faults collects what is wrong with a configuration, so that all of it is
// told at once.
type faults []error

func (f *faults) addf(format string, args ...any) {
	*f = append(*f, fmt.Errorf("validator: "+format, args...))
}

func (l Leeway) checked(f *faults) Leeway {
	switch {
	case l.Expiry == 0:
		l.Expiry = defaultLeeway
	case l.Expiry == NoLeeway:
		l.Expiry = 0
	case l.Expiry < 0 || l.Expiry > maxLeeway:
		f.addf("Leeway.Expiry is %v; allowed are NoLeeway and up to %v", l.Expiry, maxLeeway)
	}
	switch {
	case l.Future == 0:
		l.Future = defaultLeeway
	case l.Future < minFutureLeeway || l.Future > maxLeeway:
		f.addf("Leeway.Future is %v; allowed are %v to %v", l.Future, minFutureLeeway, maxLeeway)
	}
	return l
}

func checkedTokenBytes(n int, f *faults) int {
	if n == 0 {
		return defaultTokenBytes
	}
	if n < minTokenBytes || n > maxTokenBytes {
		f.addf("MaxTokenBytes is %d; allowed are %d to %d, or 0 for %d", n, minTokenBytes, maxTokenBytes, defaultTokenBytes)
	}
	return n
}

func checkedMaxTenants(n int, f *faults) int {
	if n == 0 {
		return defaultTenants
	}
	if n < 1 || n > maxTenants {
		f.addf("MaxTenants is %d; allowed are 1 to %d, or 0 for %d", n, maxTenants, defaultTenants)
	}
	return n
}

// checkedShared makes the bounds over all issuers.
func (c *Config) checkedShared(f *faults) *jwkscache.Shared {
	limits := c.SharedLimits
	if limits.Waiters == 0 {
		largest := defaultWaiters
		for i := range c.Issuers {
			largest = max(largest, min(c.Issuers[i].KeyLimits.Waiters, maxWaiters)) // more is a fault of the issuer
		}
		limits.Waiters = sharedWaiters * largest
	}
	shared, err := jwkscache.NewShared(limits)
	if err != nil {
		f.addf("SharedLimits: %w", err)
	}
	return shared
}

func (c *Config) checkedIssuers(common commonParts, f *faults) []*issuer {
	if len(c.Issuers) == 0 && c.Tenants == nil {
		f.addf("Issuers is empty; list the authorization servers whose tokens this API accepts")
	}
	issuers := make([]*issuer, 0, len(c.Issuers))
	for i := range c.Issuers {
		field := fmt.Sprintf("Issuers[%d] %q", i, c.Issuers[i].URL)
		for _, earlier := range issuers {
			if earlier.url == c.Issuers[i].URL {
				f.addf("%s: listed twice; merge the entries", field)
			}
		}
		issuers = append(issuers, c.Issuers[i].checked(field, common, f))
	}
	return issuers
}

// checked checks the configuration of an issuer.
func (c *Issuer) checked(field string, common commonParts, f *faults) *issuer {
	if !common.sole {
		c.needBounds(field, f)
	}
	checkIssuerURL(c.URL, c.InsecureAllowHTTP, field, f)
	checkAudiences(c.Audiences, field, f)
	c.checkProfile(field, f)
	checkRules(c.Claims, field+": Claims", f)
	checkMappings(c.Mappings, field, f)
	c.Tenant.check(field, f)
	c.checkCaller(field, f)
	algorithms := checkedAlgorithms(c.Algorithms, field, f)
	is := &issuer{
		url:       c.URL,
		dynamic:   common.dynamic,
		audiences: slices.Clone(c.Audiences),
		profile:   c.Profile,
		marker:    slices.Clone(c.Marker),
		claims:    slices.Clone(c.Claims),

		grants:      c.checkedGrants(field, f),
		mappings:    cloneMappings(c.Mappings),
		roles:       c.checkedRoles(field, f),
		acrs:        c.checkedACRs(field, common.sole, f),
		tenantRule:  c.Tenant.clone(),
		clientClaim: c.ClientClaim,
		clientOnly:  c.ClientOnly,
		multiFactor: slices.Clone(c.MultiFactor),
	}
	is.derivesNothing = is.grants == nil && len(is.mappings) == 0 && is.acrs == nil && is.tenantRule.isZero() && len(is.multiFactor) == 0
	for _, a := range algorithms {
		is.allowed[a] = true
	}
	is.open(c, algorithms, common, field, f)
	is.holdTo(common.leeway)
	return is
}

// open binds the issuer's keys to it.
func (is *issuer) open(c *Issuer, algorithms []jose.Algorithm, common commonParts, field string, f *faults) {
	client := c.HTTPClient
	if client == nil || client.Transport == nil { // metadata and keys share their connections
		client = &http.Client{Transport: fetch.NewTransport()}
	}
	is.location = newLocation(c.URL, is.audiences, client, c.InsecureAllowHTTP)
	source := c.Keys
	if source == nil {
		source = jwkscache.Discovered()
	}
	keys, err := jwkscache.Open(source, jwkscache.Binding{
		Issuer:            c.URL,
		Algorithms:        algorithms,
		Locate:            is.location.find,
		Relocate:          is.location.findAgain,
		HTTPClient:        client,
		InsecureAllowHTTP: c.InsecureAllowHTTP,
		Limits:            c.KeyLimits,
		SnapshotDir:       common.snapshotDir,
		Forbidden:         c.ForbiddenKeys,
		Shared:            common.shared,
		Accepted:          common.accepted,
		Configured:        !common.dynamic,
		Trace:             common.trace.keys(),
	})
	if err != nil {
		f.addf("%s: Keys: %w", field, err)
	}
	is.keys = keys
}

func checkIssuerURL(text string, insecureAllowHTTP bool, field string, f *faults) {
	if text == "" {
		f.addf("%s: URL is empty; it is the exact iss of the tokens", field)
		return
	}
	if !isIssuerURL(text, insecureAllowHTTP) {
		f.addf("%s: URL must be an https URL with a host and without user, query and fragment (RFC 8414 §2); "+
			"http is for loopback hosts only", field)
	}
}

func isIssuerURL(text string, insecureAllowHTTP bool) bool {
	_, err := fetch.CheckURL(text, insecureAllowHTTP)
	return err == nil && !strings.ContainsAny(text, "?#") && !hasControl(text)
}

func checkAudiences(audiences []string, field string, f *faults) {
	if len(audiences) == 0 {
		f.addf("%s: Audiences is empty; list the identifiers this API answers to", field)
	}
	for i, audience := range audiences {
		if audience == "" || hasControl(audience) {
			f.addf("%s: Audiences[%d] is empty or has control characters", field, i)
		}
		if slices.Contains(audiences[:i], audience) {
			f.addf("%s: Audiences[%d] %q is listed twice", field, i, audience)
		}
	}
}

func checkedAlgorithms(algorithms []jose.Algorithm, field string, f *faults) []jose.Algorithm {
	if algorithms == nil {
		return defaultAlgorithms
	}
	if len(algorithms) == 0 {
		f.addf("%s: Algorithms is empty, which allows none; leave it nil for the default", field)
	}
	for i, a := range algorithms {
		if !a.Valid() {
			f.addf("%s: Algorithms[%d] is not one of package jose's constants", field, i)
		}
		if slices.Contains(algorithms[:i], a) {
			f.addf("%s: Algorithms[%d] %s is listed twice (Ed25519 and EdDSA are one algorithm)", field, i, a)
		}
	}
	return slices.Clone(algorithms)
}

// err is all faults as one error, or nil.
func (f *faults) err() error { return errors.Join(*f...) }

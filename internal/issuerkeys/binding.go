package issuerkeys

import (
	"context"
	"net/http"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Binding says for which issuer keys are opened, and within which limits.
type Binding struct {
	Issuer     string           // compared with the issuer of a snapshot, and passed to hooks
	Algorithms []jose.Algorithm // in order of preference; see [jose.ParseSet]
	KeyIssuers []string         // what the member issuer of a key may be; see [jose.KeyRules]
	// Locate returns the URL of the issuer's JWK Set, for [jwkscache.Discovered].
	// It must be safe for concurrent use.
	Locate func(context.Context) (string, error)
	// Relocate returns that URL without relying on what was found before, for
	// [jwkscache.Discovered]. It is called when the key set is gone from the URL
	// that Locate returned, when fetches have failed for a minute, and when a token
	// names a key that the set there does not have. It decides how often it asks.
	// If it is nil, only Locate is called.
	Relocate func(context.Context) (string, error)
	// HTTPClient replaces the transport of fetches. A nil HTTPClient means one that
	// refuses link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback.
	// Anyone on the path can then substitute their own keys.
	InsecureAllowHTTP bool
	// Limits bound fetching and staleness. The zero value has the defaults.
	Limits jwkscache.Limits
	// SnapshotDir is a directory for what a restart needs while the issuer is down:
	// its last keys, and the names of its forbidden keys. The directory is made if
	// it does not exist. It and every directory above must belong to this user or
	// root, and others may not write there, unless a directory above is sticky. The
	// list of forbidden keys must be readable. Otherwise tokens of the issuer are
	// neither accepted nor refused. Where a group may write, only the names of
	// forbidden keys are read and written, and [jwkscache.Status].SnapshotError says
	// so. If SnapshotDir is "", nothing is kept. Unix only.
	SnapshotDir string
	// Forbidden are keys that are forbidden from the start; see [Keys.Forbid].
	Forbidden []jwkscache.KeyName
	// Shared bounds what the keys of several issuers cost together. All of them
	// have the same Shared, made by [NewShared]. If it is nil, there is no such
	// bound.
	Shared *Shared
	// Accepted says that a token of the issuer was accepted before, which gives the
	// issuer a share of what Shared allows; see [jwkscache.SharedLimits].
	Accepted bool
	// Configured says that a configuration names the issuer, and not only a token,
	// which gives the issuer a larger share than Accepted does.
	Configured bool
	// Trace gets hooks for observation. It may be nil.
	Trace *jwkscache.Trace
}

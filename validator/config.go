package validator

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Config is the configuration of a [Validator]. [New] copies it; later changes have no
// effect.
type Config struct {
	// Issuers are the authorization servers whose tokens are accepted, each
	// with its own keys. At least one is required, unless ResolveIssuer is set.
	Issuers []Issuer
	// ResolveIssuer returns the configuration of an issuer that is not among
	// Issuers, or [ErrUnknownIssuer] if it does not know the issuer. nil means
	// that there are no other issuers. It is called before any key is fetched,
	// with the iss of a token that nobody has verified, which may be any text of up to
	// 512 bytes without control characters: look the string up, and never make a URL of
	// it. Issuer.URL of the result must be that string.
	// Return the same HTTPClient every time.
	//
	// The context has a deadline and no values of a request, since the result is
	// used for all requests. Results are used for five minutes, and for an hour
	// while ResolveIssuer fails. ErrUnknownIssuer is remembered for ten seconds.
	//
	// At most 512 calls run at once for issuers that are not known, and another
	// 512 for known ones. An issuer is known if it was resolved or if a token of it
	// was accepted before, also before a restart if there is a SnapshotDir. 1 000
	// more requests of each kind wait. A token is refused with [Unavailable] if
	// there is no room for its call, or if the call takes longer than five
	// seconds. While requests wait, only 256 calls for issuers that are not known
	// may take longer than 50 ms; the contexts of the others end. See
	// [Validator.ForgetIssuer].
	ResolveIssuer func(ctx context.Context, unverifiedIssuer string) (Issuer, error)
	// MaxResolvedIssuers is how many resolved issuers stay in memory, each with its
	// keys. 0 means 1 000; otherwise 1 to 10 000. If there are more, the issuers
	// of which no token was accepted yet are removed first.
	MaxResolvedIssuers int
	// OpaqueIssuer returns the URL of the issuer whose opaque tokens are presented to a
	// URL of this API, as the client sees it, for an API in which each customer's host
	// or path has an issuer of its own. It never sees the token. "" selects none. It is
	// asked if neither a prefix nor the route selects an issuer, must be quick, and may
	// be nil: then the only issuer with Opaque and without a prefix is selected, if
	// there is one.
	OpaqueIssuer func(ctx context.Context, request *url.URL) string
	// IntrospectionLimits bound what asking all issuers costs together. A zero field
	// means the default.
	IntrospectionLimits introspect.SharedLimits
	// SharedLimits bound what the keys of all issuers cost together. A zero field
	// means the default. The default of Waiters is at least four times the
	// largest Waiters of the issuers' KeyLimits.
	SharedLimits jwkscache.SharedLimits
	// SnapshotDir is a directory for what is needed when the process restarts
	// while an issuer is down: the last keys of each issuer, and the forbidden
	// keys. It also has the digests of the resolved issuers of which a token was
	// accepted; after a restart these count as known. The directory is created if
	// it does not exist. Only this user may have access to it, and every
	// directory above it must belong to this user or to root. "" stores nothing.
	SnapshotDir string
	// Cache bounds the cache of verified tokens. The zero value keeps 10 000
	// for at most five minutes each.
	Cache CacheConfig
	// Leeway is how far clocks may differ. The zero value allows 30 s.
	Leeway Leeway
	// MaxTokenBytes is the length of the longest token that is accepted. 0 means
	// 16 384; otherwise 1 024 to 1 048 576.
	MaxTokenBytes int
	// MaxTokenMembers is how many members all objects in the claims of a token may have
	// together, or in the answer about one. A token of Keycloak has two for each client
	// that the user has roles at. 0 means 4 096; otherwise 64 to 65 536.
	MaxTokenMembers int
	// MaxTokenDepth is how deep the claims of a token, or the answer about one, may be
	// nested. Claims of which none is an array or object have the depth 1. 0 means 64;
	// otherwise 8 to 1 024.
	MaxTokenDepth int
	// Trace has hooks for observation. It may be nil.
	Trace *Trace
	// Logger gets a line about each issuer at start-up, and lines about keys and
	// introspection that fail and recover (docs/logging.md). nil means [slog.Default] at
	// the time of each line. slog.New(slog.DiscardHandler) logs nothing.
	//
	// No request waits for the Logger. Lines are handed to it by a goroutine that runs
	// while there are some, with [context.Background].
	Logger *slog.Logger
}

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

// Source says where the keys of one issuer come from. The sources are those of
// this package.
type Source interface {
	open(binding Binding) (Keys, error)
}

// Binding is whom keys are opened for.
type Binding struct {
	Issuer     string           // for error texts
	Algorithms []jose.Algorithm // in order of preference; see [jose.ParseSet]
	// Locate finds the URL of the issuer's JWK Set, for [Discovered]. It is
	// called by one fetch at a time.
	Locate func(context.Context) (string, error)
	// HTTPClient replaces the transport of fetches. nil means one that
	// refuses link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback.
	// Anyone on the path can then substitute their own keys.
	InsecureAllowHTTP bool
	// Fetched is told of every fetch when it ended. It may be nil.
	Fetched func(Fetched)
}

// Fetched is how one fetch of an issuer's keys ended.
type Fetched struct {
	Err     error             // nil if the fetched set is now in use
	Keys    int               // usable keys in it
	Ignored []jose.IgnoredKey // and the others
}

// Keys are the keys of one issuer. They are safe for concurrent use.
type Keys interface {
	// Find returns the keys to try for a token with header h; see
	// [jose.Set.Find]. A source that can fetch may wait for that, no longer
	// than ctx; its error is [ErrUnavailable] if it could not find out.
	Find(ctx context.Context, h jose.Header) ([]*jose.Key, error)
	// Ignored tells which keys of the current set are not used, and why.
	Ignored() []jose.IgnoredKey
	// Warm fetches the keys unless they are there.
	Warm(ctx context.Context) error
	// Run keeps the keys fresh until ctx ends.
	Run(ctx context.Context)
	// Ready is nil if tokens can be judged now.
	Ready() error
}

// ErrUnavailable means that it could not be determined which keys the issuer
// has. It is no verdict on a token.
var ErrUnavailable = errors.New("jwkscache: the issuer's keys are unavailable")

var errNoSource = errors.New("jwkscache: no key source")

// Open binds source to one issuer. It does no I/O and starts no goroutine.
func Open(source Source, binding Binding) (Keys, error) {
	if source == nil {
		return nil, errNoSource
	}
	return source.open(binding)
}

// Static is a source whose keys never change: the JWK Set document given
// (RFC 7517 §5), which is copied. A key withdrawn by the issuer goes on
// verifying until the process is restarted with another document.
func Static(jwks []byte) Source { return static(slices.Clone(jwks)) }

type static []byte

func (s static) open(binding Binding) (Keys, error) {
	set, err := jose.ParseSet(s, binding.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("jwkscache: keys of %q: %w", binding.Issuer, err)
	}
	return staticKeys{set}, nil
}

type staticKeys struct{ set *jose.Set }

func (k staticKeys) Find(_ context.Context, h jose.Header) ([]*jose.Key, error) {
	return k.set.Find(h)
}

func (k staticKeys) Ignored() []jose.IgnoredKey { return k.set.Ignored() }
func (k staticKeys) Warm(context.Context) error { return nil }
func (k staticKeys) Run(ctx context.Context)    { <-ctx.Done() }
func (k staticKeys) Ready() error               { return nil }

// URL is a source that fetches the JWK Set from a URL: https, or http to a
// loopback host.
func URL(jwks string) Source { return remoteURL(jwks) }

type remoteURL string

func (u remoteURL) open(binding Binding) (Keys, error) {
	if _, err := fetch.CheckURL(string(u), binding.InsecureAllowHTTP); err != nil {
		return nil, fmt.Errorf("jwkscache: keys of %q: %w", binding.Issuer, err)
	}
	return newRemote(binding, func(context.Context) (string, error) { return string(u), nil }), nil
}

// Discovered is a source that fetches the JWK Set from where the issuer's
// metadata says: the Locate function of the binding.
func Discovered() Source { return discovered{} }

type discovered struct{}

func (discovered) open(binding Binding) (Keys, error) {
	if binding.Locate == nil {
		return nil, errNoSource
	}
	return newRemote(binding, binding.Locate), nil
}

// Package jwkscache holds the keys of one issuer. A [Source] says where an
// issuer's keys come from; [Open] binds it to that issuer and its algorithms,
// and the resulting [Keys] answer which keys to try for a token.
//
// Keys never cross issuers: each issuer's configuration opens its own Keys,
// and two issuers that use the same kid do not meet (RFC 8725 §3.8).
package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
}

// Keys are the keys of one issuer. They are safe for concurrent use.
type Keys interface {
	// Find returns the keys to try for a token with header h; see
	// [jose.Set.Find]. A source that can fetch may wait for that, no longer
	// than ctx.
	Find(ctx context.Context, h *jose.Header) ([]*jose.Key, error)
	// Ignored tells which keys of the current set are not used, and why.
	Ignored() []jose.IgnoredKey
}

var errNoSource = errors.New("jwkscache: no key source")

// Open binds source to one issuer. It does no I/O.
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

func (k staticKeys) Find(_ context.Context, h *jose.Header) ([]*jose.Key, error) {
	return k.set.Find(h)
}

func (k staticKeys) Ignored() []jose.IgnoredKey { return k.set.Ignored() }

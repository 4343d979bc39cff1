package jwkscache

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/keysource"
)

// Source says where the keys of one issuer come from. The sources are those of
// this package; nil is none of them.
type Source interface{ keysource.Source }

// Static returns a source whose keys never change: the JWK Set document given
// (RFC 7517 §5), which is copied. A key that the issuer withdraws goes on
// verifying until the process is restarted with another document, or until the
// key is forbidden.
func Static(jwks []byte) Source { return keysource.Static{JWKS: slices.Clone(jwks)} }

// File returns a source that reads the JWK Set from a file. It reads the file
// again when the file has changed: within Limits.FilePoll, while the validator
// runs or tokens come, and at once for an unknown kid. If the file is missing or
// is no JWK Set, the last keys serve as they do while an issuer is down. Replace
// the file by renaming, so that no half-written file is read.
func File(path string) Source { return keysource.File{Path: path} }

// URL returns a source that fetches the JWK Set from a URL: https, or http to a
// loopback host.
func URL(jwks string) Source { return keysource.URL{URL: jwks} }

// Discovered returns a source that fetches the JWK Set from the URL that the
// issuer's metadata names.
func Discovered() Source { return keysource.Discovered{} }

// WithFallback returns source with a JWK Set document that serves until source
// answers for the first time, and never after that: keys that the issuer has
// withdrawn since must not come back. A disk snapshot shows that source has
// answered before. There is no snapshot of a File, so its fallback serves again
// after a restart.
func WithFallback(source Source, jwks []byte) Source {
	return keysource.WithFallback{Source: source, JWKS: slices.Clone(jwks)}
}

// Package keysource has the sources of keys as values. Package jwkscache makes
// them for users, and package issuerkeys reads them. Users can neither write a
// source of their own nor look into one.
package keysource

// Source is one of the types of this package.
type Source interface{ isSource() }

// Static is a JWK Set document that never changes.
type Static struct{ JWKS []byte }

// File is the path of a JWK Set document.
type File struct{ Path string }

// URL is the URL of a JWK Set document.
type URL struct{ URL string }

// Discovered is the JWK Set document that the issuer's metadata names.
type Discovered struct{}

// WithFallback is Source with a JWK Set document that serves until the first
// time that Source answers.
type WithFallback struct {
	Source Source
	JWKS   []byte
}

func (Static) isSource()       {}
func (File) isSource()         {}
func (URL) isSource()          {}
func (Discovered) isSource()   {}
func (WithFallback) isSource() {}

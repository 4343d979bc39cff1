package issuerkeys

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/keysource"
)

var errNoSource = errors.New("is no source of keys")

const (
	sourceMend    = "use a source of package jwkscache"
	documentMend  = "give a JWK Set document (RFC 7517 §5)"
	discoveryMend = "bind it with Locate"
	fallbackMend  = "give one to URL, Discovered or File"
)

// Discovers reports whether the keys of source are at the URL that metadata name.
func Discovers(source keysource.Source) bool {
	switch source := source.(type) {
	case keysource.Discovered:
		return true
	case keysource.WithFallback:
		return Discovers(source.Source)
	default:
		return false
	}
}

// openSource sets what of s depends on source, and adds the faults of source.
func openSource(faults fault.List, s *settings, source keysource.Source) {
	switch source := source.(type) {
	case keysource.Static:
		s.source = "static"
		if err := s.setInitial(source.JWKS, "static"); err != nil {
			faults.Addf(documentMend, "has a document that cannot be used: %w", err)
		}
	case keysource.File:
		openFile(faults, s, source.Path)
	case keysource.URL:
		openURL(faults, s, source.URL)
	case keysource.Discovered:
		openDiscovered(faults, s)
	case keysource.WithFallback:
		openWithFallback(faults, s, source)
	default:
		faults.Addf(sourceMend, "%w", errNoSource)
	}
}

func openFile(faults fault.List, s *settings, path string) {
	if path == "" {
		faults.Add("has an empty path", "name the key file")
		return
	}
	path, err := filepath.Abs(path) // a later change of the working directory has no effect
	if err != nil {
		faults.Addf("name the key file by an absolute path", "has a path that cannot be used: %w", err)
		return
	}
	s.source, s.location, s.upstream = "file", path, &file{path, s.limits}
	s.maxBackoff = s.limits.FilePoll
}

func openURL(faults fault.List, s *settings, url string) {
	if _, err := fetch.CheckURL(url, s.binding.InsecureAllowHTTP); err != nil {
		faults.Addf("", "has a URL that cannot be used: %w", err)
		return
	}
	s.source, s.location, s.remembers = "url", url, true
	s.upstream = newRemote(s, func(context.Context) (string, error) { return url, nil }, nil)
}

func openDiscovered(faults fault.List, s *settings) {
	if s.binding.Locate == nil {
		faults.Addf(discoveryMend, "%w without a way to find the URL", errNoSource)
		return
	}
	s.source, s.remembers = "discovery", true
	s.longestWork += s.limits.MetadataTimeout
	s.upstream = newRemote(s, s.binding.Locate, s.binding.Relocate)
}

func openWithFallback(faults fault.List, s *settings, source keysource.WithFallback) {
	switch source.Source.(type) {
	case keysource.URL, keysource.Discovered, keysource.File:
	default:
		faults.Add("has a fallback for a source that cannot have one", fallbackMend)
		return
	}
	openSource(faults, s, source.Source)
	if err := s.setInitial(source.JWKS, "fallback"); err != nil {
		faults.Addf(documentMend, "has a fallback document that cannot be used: %w", err)
	}
}

func newRemote(s *settings, locate, relocate func(context.Context) (string, error)) *remote {
	return &remote{locate, relocate, fetch.New(fetch.Config{
		HTTPClient:        s.binding.HTTPClient,
		InsecureAllowHTTP: s.binding.InsecureAllowHTTP,
		Timeout:           s.limits.FetchTimeout,
		MaxBytes:          int64(s.limits.DocumentBytes),
	}), s.limits}
}

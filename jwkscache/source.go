package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

// Source says where the keys of one issuer come from. The sources are those of
// this package.
type Source interface {
	open(keys *Keys) error
}

// Binding is whom keys are opened for, and within which limits.
type Binding struct {
	Issuer     string           // compared with what a snapshot says, and told to hooks
	Algorithms []jose.Algorithm // in order of preference; see [jose.ParseSet]
	// Locate finds the URL of the issuer's JWK Set, for [Discovered]. It must
	// be safe for concurrent use.
	Locate func(context.Context) (string, error)
	// Relocate finds that URL anew, without relying on what was found before,
	// for [Discovered]. It is called when the key set is gone from the URL
	// that Locate found, when fetches have failed for a minute, and when a
	// token seems to be of a key that the set there does not have. It decides
	// how often it asks. nil means that only Locate is called.
	Relocate func(context.Context) (string, error)
	// HTTPClient replaces the transport of fetches. nil means one that
	// refuses link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback.
	// Anyone on the path can then substitute their own keys.
	InsecureAllowHTTP bool
	// Limits bound fetching and staleness. The zero value has the defaults.
	Limits Limits
	// SnapshotDir is a directory for what a restart needs while the issuer
	// is down: its last keys, and which of them were forbidden. It is made if
	// it is not there. It and every directory above must belong to this user
	// or root, and others may not write there, unless a directory above is
	// sticky. What it says of forbidden keys must be readable. Otherwise tokens
	// of the issuer are neither accepted nor refused. Where a group may write,
	// the names of forbidden keys alone are read and written, and
	// [Status].SnapshotError says so. "" keeps nothing. Unix only.
	SnapshotDir string
	// Forbidden are keys that are forbidden from the start; see
	// [Keys.Forbid].
	Forbidden []KeyName
	// Shared bounds what the keys of several issuers cost together, all of
	// which have the same here, made by [NewShared]. nil: there is no such
	// bound.
	Shared *Shared
	// Accepted says that a token of the issuer was accepted before, which
	// gives it a share of what Shared allows; see [SharedLimits].
	Accepted bool
	// Configured says that the issuer is named by a configuration and not by
	// a token, which gives it a larger share than Accepted does.
	Configured bool
	// Trace gets hooks for observation. It may be nil.
	Trace *Trace
}

var errNoSource = errors.New("jwkscache: no key source")

// Open binds source to one issuer. It does no I/O and starts no goroutine. The
// error tells every fault of both.
func Open(source Source, binding Binding) (*Keys, error) {
	faults := []error{binding.Limits.checked(), binding.Shared.check()}
	for _, name := range binding.Forbidden {
		faults = append(faults, name.Check())
	}
	if len(binding.Forbidden) > maxForbidden {
		faults = append(faults, fmt.Errorf("jwkscache: Forbidden names %d keys; at most %d can be forbidden", len(binding.Forbidden), maxForbidden))
	}
	if source == nil {
		return nil, errors.Join(append(faults, errNoSource)...)
	}
	k := newKeys(binding)
	if err := errors.Join(append(faults, source.open(k))...); err != nil {
		return nil, fmt.Errorf("jwkscache: keys of %q: %w", binding.Issuer, err)
	}
	k.start()
	return k, nil
}

// Static is a source whose keys never change: the JWK Set document given
// (RFC 7517 §5), which is copied. A key withdrawn by the issuer goes on
// verifying until the process is restarted with another document, or until it
// is forbidden.
func Static(jwks []byte) Source { return static(slices.Clone(jwks)) }

type static []byte

func (s static) open(k *Keys) error {
	k.source = "static"
	return k.begins(s, "static")
}

// File is a source that reads the JWK Set from a file, and again when it has
// changed: while [Keys.Run] runs or tokens come, within Limits.FilePoll, and at
// once for a kid that is not known. A file that is gone or no JWK Set leaves the
// last keys serving as an issuer that is down would. Replace the file by
// renaming, so that no half is read.
func File(path string) Source { return filePath(path) }

type filePath string

func (f filePath) open(k *Keys) error {
	if f == "" {
		return errors.New("the path of the key file is empty")
	}
	path, err := filepath.Abs(string(f)) // what a later change of directory must not change
	if err != nil {
		return err
	}
	k.source, k.location, k.origin = "file", path, &file{path, &k.limits}
	k.schedule.cap = k.limits.FilePoll
	return nil
}

// URL is a source that fetches the JWK Set from a URL: https, or http to a
// loopback host.
func URL(jwks string) Source { return remoteURL(jwks) }

type remoteURL string

func (u remoteURL) open(k *Keys) error {
	if _, err := fetch.CheckURL(string(u), k.binding.InsecureAllowHTTP); err != nil {
		return err
	}
	k.source, k.location, k.remembers = "url", string(u), true
	k.origin = k.remote(func(context.Context) (string, error) { return string(u), nil }, nil)
	return nil
}

// Discovered is a source that fetches the JWK Set from where the issuer's
// metadata says: the Locate function of the binding.
func Discovered() Source { return discovered{} }

type discovered struct{}

func (discovered) open(k *Keys) error {
	if k.binding.Locate == nil {
		return errNoSource
	}
	k.source, k.remembers = "discovery", true
	k.patience += fetch.Timeout // of the metadata
	k.origin = k.remote(k.binding.Locate, k.binding.Relocate)
	return nil
}

// WithFallback is the source given, with a JWK Set document that serves until
// the first time it answers, and never after: what the issuer has withdrawn
// since must not come back. A disk snapshot is proof that it has answered; of a
// File there is none, so that its fallback serves again after a restart.
func WithFallback(source Source, jwks []byte) Source {
	return fallback{source, slices.Clone(jwks)}
}

type fallback struct {
	source Source
	jwks   []byte
}

func (f fallback) open(k *Keys) error {
	switch f.source.(type) {
	case remoteURL, discovered, filePath:
		return errors.Join(f.source.open(k), k.begins(f.jwks, "fallback"))
	default:
		return errors.New("a fallback is for the sources URL, Discovered and File")
	}
}

func (k *Keys) remote(locate, relocate func(context.Context) (string, error)) *remote {
	return &remote{locate, relocate, fetch.New(fetch.Config{
		HTTPClient:        k.binding.HTTPClient,
		InsecureAllowHTTP: k.binding.InsecureAllowHTTP,
		Timeout:           k.limits.FetchTimeout,
		MaxBytes:          int64(k.limits.DocumentBytes),
	}), &k.limits}
}

// begins gives k keys that it has without asking anybody.
func (k *Keys) begins(document []byte, origin string) error {
	set, err := k.parse(string(document))
	if err != nil {
		return err
	}
	k.initial = &version{
		published: set, origin: origin, document: string(document),
		renewal: never, fresh: never, usable: never,
	}
	if origin == "fallback" {
		k.initial.fresh, k.initial.renewal = deadline{}, deadline{}
	}
	return nil
}

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
)

// origin is where the document comes from.
type origin interface {
	// fetch gets the document unless it is still that of the inquiry. An
	// answer may come with the error; then it has the location only. It may
	// be called while an abandoned call is still under way.
	fetch(ctx context.Context, ask inquiry) (answer, error)
}

// inquiry is what an origin is asked.
type inquiry struct {
	have    *version // what there is already, or nil
	failing bool     // fetches have failed for a while
	doubted bool     // a token suggests that have is outdated
}

// answer is what an origin says.
type answer struct {
	location  string
	unchanged bool // what the caller has still holds
	document  string
	etag      string
	fresh     time.Duration
	lifetime  lifetime
}

// remote is an origin on the network.
type remote struct {
	locate   func(context.Context) (string, error)
	relocate func(context.Context) (string, error) // nil if the location is configured
	fetcher  *fetch.Client
	limits   *Limits
}

const accept = "application/jwk-set+json, application/json"

func (r *remote) fetch(ctx context.Context, ask inquiry) (answer, error) {
	locate := r.locate
	if ask.failing && r.relocate != nil {
		locate = r.relocate
	}
	location, err := locate(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := r.get(ctx, location, ask.have)
	lacks := err == nil && ask.doubted && a.repeats(ask.have)
	if r.relocate == nil || ask.failing || !lacks && !isGone(err) {
		return a, err
	}
	moved, relocated := r.relocate(ctx)
	if relocated != nil || moved == location {
		return a, err
	}
	return r.get(ctx, moved, ask.have)
}

// isGone reports whether err says that there is no key set at a location any
// more, or that it has moved.
func isGone(err error) bool {
	status, ok := errors.AsType[*fetch.StatusError](err)
	return ok && (status.Code == http.StatusNotFound || status.Code == http.StatusGone) || errors.Is(err, fetch.ErrRedirect)
}

// repeats reports whether a is what have is already.
func (a *answer) repeats(have *version) bool {
	return have != nil && (a.unchanged || a.document == have.document)
}

func (r *remote) get(ctx context.Context, location string, have *version) (answer, error) {
	request := fetch.Request{URL: location, Accept: accept}
	if have != nil && have.location == location {
		request.IfNoneMatch = have.etag
	}
	document, err := r.fetcher.Get(ctx, request)
	if err == nil && document.NotModified && !confirms(document.Header, have.etag) {
		request.IfNoneMatch = ""
		document, err = r.fetcher.Get(ctx, request)
	}
	if err != nil {
		return answer{location: location}, err
	}
	a := answer{
		location:  location,
		unchanged: document.NotModified,
		document:  string(document.Body),
		etag:      document.Header.Get("ETag"),
	}
	stored := lifetime{}
	if a.unchanged {
		a.etag, stored = have.etag, have.lifetime
	}
	a.fresh, a.lifetime = r.limits.freshness(document.Header, time.Now(), stored)
	return a, nil
}

// confirms reports whether a 304 is about what has that tag: one that names
// another tag is about something that was never sent to us (RFC 9111 §4.3.4).
func confirms(header http.Header, tag string) bool {
	said := header.Get("ETag")
	return said == "" || strings.TrimPrefix(said, "W/") == strings.TrimPrefix(tag, "W/")
}

// file is an origin on disk. Symbolic links are followed: that is how mounted
// configuration is exchanged.
type file struct {
	path   string
	limits *Limits
}

var errNotFile = errors.New("jwkscache: not a regular file")

func (f *file) fetch(context.Context, inquiry) (answer, error) {
	a := answer{location: f.path, fresh: f.limits.FilePoll}
	document, err := f.read()
	if err != nil {
		return a, fmt.Errorf("jwkscache: %w", err)
	}
	a.document = string(document)
	return a, nil
}

func (f *file) read() ([]byte, error) {
	info, err := os.Stat(f.path) // before opening, which would wait for the writer of a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", f.path, errNotFile)
	}
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	document, err := io.ReadAll(io.LimitReader(opened, int64(f.limits.DocumentBytes)+1))
	if err != nil {
		return nil, err
	}
	if len(document) > f.limits.DocumentBytes {
		return nil, fmt.Errorf("%s: %w", f.path, fetch.ErrTooLarge)
	}
	return document, nil
}

package issuerkeys

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// remote is an upstream on the network.
type remote struct {
	locate   func(context.Context) (string, error)
	relocate func(context.Context) (string, error) // nil if the location is configured
	fetcher  *fetch.Client
	limits   *jwkscache.Limits
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
	lacks := ask.doubted && a.repeats(ask.have) // false with an error, where a has no document
	if r.relocate == nil || ask.failing || !lacks && !isGone(err) {
		return a, err
	}
	moved, relocated := r.relocate(ctx)
	if relocated != nil || moved == location {
		return a, err
	}
	return r.get(ctx, moved, ask.have)
}

// isGone reports whether err says that a location has no key set any more, or that
// the key set has moved.
func isGone(err error) bool {
	status, ok := errors.AsType[*fetch.StatusError](err)
	return ok && (status.Code == http.StatusNotFound || status.Code == http.StatusGone) || errors.Is(err, fetch.ErrRedirect)
}

// get fetches the document from location, unless it is still that of have.
func (r *remote) get(ctx context.Context, location string, have *version) (answer, error) {
	request := fetch.Request{URL: location, Accept: accept, MediaTypes: []string{fetch.AnyMediaType}}
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
		misread:   document.Misread,
		etag:      document.Header.Get("ETag"),
	}
	stored := lifetime{}
	if a.unchanged {
		a.etag, stored = have.etag, have.lifetime
	}
	a.fresh, a.lifetime = freshness(r.limits, document.Header, time.Now(), stored)
	return a, nil
}

// confirms reports whether a 304 confirms the response that has tag. A 304 with
// another tag confirms a response that we never got (RFC 9111 §4.3.4).
func confirms(header http.Header, tag string) bool {
	confirmed := header.Get("ETag")
	return confirmed == "" || strings.TrimPrefix(confirmed, "W/") == strings.TrimPrefix(tag, "W/")
}

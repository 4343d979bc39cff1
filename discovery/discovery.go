// Package discovery reads the metadata of one issuer: RFC 8414 first, then
// OpenID Connect Discovery. A document counts only if it names exactly the
// issuer that was asked for; what it advertises never widens what the
// configuration allows.
//
// signed_metadata is ignored. The documents of both kinds are not compared.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Errors of this package.
var (
	// ErrNoMetadata means that no metadata document could be used; the error
	// that wraps it says why for each URL that was tried.
	ErrNoMetadata = errors.New("discovery: no usable issuer metadata")
	// ErrDocument means that a document is not the issuer's metadata.
	ErrDocument = errors.New("discovery: not the issuer's metadata")
)

// Metadata is what is used of an issuer's metadata (RFC 8414 §2).
type Metadata struct {
	Issuer  string // equal to the issuer asked for
	JWKSURI string // jwks_uri: https, or http for an issuer that is http itself
}

// Config is what a [Client] is told.
type Config struct {
	// HTTPClient replaces the transport, for TLS roots, a client certificate
	// or a proxy; redirects stay off and the bounds stay on. nil means a
	// transport that refuses link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback.
	// Anyone on the path can then name their own key URL and mint tokens.
	InsecureAllowHTTP bool
}

// Client fetches metadata. Safe for concurrent use.
type Client struct {
	fetcher  *fetch.Client
	insecure bool
}

// New makes a Client. It does no I/O.
func New(config Config) *Client {
	return &Client{
		fetcher:  fetch.New(fetch.Config{HTTPClient: config.HTTPClient, InsecureAllowHTTP: config.InsecureAllowHTTP}),
		insecure: config.InsecureAllowHTTP,
	}
}

// metadataLimits bound the document further than its size does.
var metadataLimits = strictjson.Limits{Depth: 16, Members: 1024}

// Discover fetches the metadata of issuer, which must be an URL without query
// and fragment (RFC 8414 §2).
func (c *Client) Discover(ctx context.Context, issuer string) (*Metadata, error) {
	locations, err := Locations(issuer)
	if err != nil {
		return nil, err
	}
	failures := []error{ErrNoMetadata}
	for _, location := range locations {
		metadata, err := c.get(ctx, issuer, location)
		if err == nil {
			return metadata, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", location, err))
	}
	return nil, errors.Join(failures...)
}

// Locations are the URLs at which the metadata of issuer may stand, in the
// order in which they are tried: RFC 8414 §3.1, and for OpenID Connect both
// the inserted and the appended form (RFC 8414 §5, Discovery §4.1).
func Locations(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: the issuer is not an URL without query and fragment", ErrNoMetadata)
	}
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	inserted := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path == "" {
		return inserted, nil
	}
	return append(inserted, origin+path+"/.well-known/openid-configuration"), nil
}

func (c *Client) get(ctx context.Context, issuer, location string) (*Metadata, error) {
	document, err := c.fetcher.Get(ctx, location, "application/json")
	if err != nil {
		return nil, err
	}
	members, err := strictjson.ParseObject(string(document.Body), metadataLimits, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	var m Metadata
	for _, member := range members {
		switch member.Name {
		case "issuer":
			m.Issuer, _ = member.Value.Text()
		case "jwks_uri":
			m.JWKSURI, _ = member.Value.Text()
		}
	}
	if m.Issuer != issuer {
		return nil, fmt.Errorf("%w: its issuer is %.100q and not %q, byte for byte (RFC 8414 §3.3)", ErrDocument, m.Issuer, issuer)
	}
	if _, err := fetch.CheckURL(m.JWKSURI, c.insecure); err != nil {
		return nil, fmt.Errorf("%w: jwks_uri is missing or not allowed: %w", ErrDocument, err)
	}
	if !c.insecure && isHTTP(m.JWKSURI) && !isHTTP(issuer) {
		return nil, fmt.Errorf("%w: jwks_uri is http, and the issuer is not", ErrDocument)
	}
	return &m, nil
}

// isHTTP reports whether a checked URL is plain http, which is for issuers on
// this machine: no other may send requests to its services.
func isHTTP(target string) bool {
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "http"
}

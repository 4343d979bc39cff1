// Package discovery reads the metadata of one issuer: that of RFC 8414 and of
// OpenID Connect Discovery. A document counts only if it names exactly the
// issuer that was asked for; what it advertises never widens what the
// configuration allows. Documents that count must agree on the key URL, and the
// first in the order of [Locations] is used.
//
// signed_metadata is ignored. No member but jwks_uri is compared.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Errors of this package.
var (
	// ErrNoMetadata means that no metadata document could be used; the error
	// that wraps it says why for each URL that was tried.
	ErrNoMetadata = errors.New("discovery: no usable issuer metadata")
	// ErrDocument means that a document is not the issuer's metadata.
	ErrDocument = errors.New("discovery: not the issuer's metadata")
	// ErrDisagree means that two documents of the issuer name different key
	// URLs (RFC 9068 §4); the error that wraps it says which.
	ErrDisagree = errors.New("discovery: the issuer's documents name different key URLs; let all of them name the same jwks_uri, or configure the key URL")
)

// settleTime is how long documents that are late are waited for, once there is
// one that can be used.
const settleTime = 2 * time.Second

// Metadata is what is used of an issuer's metadata (RFC 8414 §2).
type Metadata struct {
	Issuer  string // equal to the issuer asked for
	JWKSURI string // jwks_uri: https, or http for an issuer that is http itself
	// ProtectedResources are the identifiers of the resource servers that the
	// issuer says it serves (protected_resources, RFC 9728 §4), or nil if it
	// says nothing. Nothing here judges them: whether an API is among them is
	// for the caller to see. They keep the document in memory, of up to 1 MiB;
	// the other fields are copies.
	ProtectedResources []string
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
	pending  atomic.Int64 // requests under way
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
// and fragment (RFC 8414 §2). All [Locations] are asked at once. The first of
// them, in their order, with a usable document wins; those that have not
// answered two seconds after the first usable document are not waited for. The
// error is [ErrNoMetadata], or [ErrDisagree] if usable documents differ.
//
// It takes at most five seconds, and ends with ctx, whatever the transport does:
// requests that are then still under way are cancelled, and not waited for. A nil
// ctx and a Client that [New] did not make are [ErrNoMetadata].
func (c *Client) Discover(ctx context.Context, issuer string) (*Metadata, error) {
	if c == nil || c.fetcher == nil {
		return nil, fmt.Errorf("%w: the Client was not made by New", ErrNoMetadata)
	}
	if err := hook.CheckContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMetadata, err)
	}
	locations, err := Locations(issuer)
	if err != nil {
		return nil, err
	}
	answers := c.ask(ctx, issuer, locations)
	if err := ctx.Err(); err != nil { // documents that were not waited for may disagree
		return nil, failure(answers, err)
	}
	return decide(answers)
}

// Locations are the two or three URLs at which the metadata of issuer may stand,
// the preferred one first: RFC 8414 §3.1, and for OpenID Connect both the
// inserted and the appended form (RFC 8414 §5, Discovery §4.1).
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
	document, err := c.fetcher.Get(ctx, fetch.Request{URL: location, Accept: "application/json"})
	if err != nil {
		return nil, err
	}
	members, err := strictjson.ParseObject(string(document.Body), metadataLimits, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	var m Metadata // of copies, or a piece would keep the document in memory
	listed := true
	for _, member := range members {
		switch member.Name {
		case "issuer":
			m.Issuer = copied(member.Value)
		case "jwks_uri":
			m.JWKSURI = copied(member.Value)
		case "protected_resources":
			m.ProtectedResources, listed = texts(member.Value)
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
	if !listed {
		return nil, fmt.Errorf("%w: protected_resources is not an array of strings (RFC 9728 §4)", ErrDocument)
	}
	return &m, nil
}

// copied returns a copy of a string, or "" if v is none.
func copied(v strictjson.Value) string {
	text, _ := v.Text()
	return strings.Clone(text)
}

// texts are the elements of an array of strings, or false if v is none.
func texts(v strictjson.Value) ([]string, bool) {
	elements := []string{}
	for element := range v.Elements() {
		text, ok := element.Text()
		if !ok {
			return nil, false
		}
		elements = append(elements, text)
	}
	return elements, v.Kind() == strictjson.Array
}

// isHTTP reports whether a checked URL is plain http, which is for issuers on
// this machine: no other may send requests to its services.
func isHTTP(target string) bool {
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "http"
}

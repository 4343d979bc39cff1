package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Errors of this package.
var (
	// ErrNoMetadata means that no metadata document could be used. The error
	// that wraps it has the reason for each URL.
	ErrNoMetadata = errors.New("discovery: no usable issuer metadata")
	// ErrDocument means that a document is not the issuer's metadata.
	ErrDocument = errors.New("discovery: not the issuer's metadata")
	// ErrOtherIssuer means that a document is the metadata of another issuer. It is
	// an ErrDocument. The error that wraps it has both issuers.
	ErrOtherIssuer = fmt.Errorf("%w: it is of another issuer", ErrDocument)
	// ErrMissing means that a document of the issuer does not have a member that is
	// looked for.
	ErrMissing = errors.New("discovery: incomplete metadata")
	// ErrDisagree means that two documents of the issuer name different URLs for
	// a member that is looked for (RFC 9068 §4). The error that wraps it has both,
	// without their queries.
	ErrDisagree = errors.New("discovery: the issuer's documents disagree; let all of them name the same URL, or configure it")
)

// Metadata holds the used members of an issuer's metadata (RFC 8414 §2). The URLs are
// https, or http for a document that was fetched over http itself.
type Metadata struct {
	Issuer                string // equal to the issuer that was asked for
	JWKSURI               string // jwks_uri, or ""
	IntrospectionEndpoint string // introspection_endpoint, or ""
	TokenEndpoint         string // token_endpoint, or ""
	// IntrospectionAuthMethods is introspection_endpoint_auth_methods_supported of
	// the document that has the introspection endpoint. It is nil if the member is
	// absent, is no array of strings, or has more than 4 KiB. The list of the token
	// endpoint says nothing about the introspection endpoint (RFC 8414 §2).
	IntrospectionAuthMethods []string
	// AccessTokenIssuer is access_token_issuer, or "": at AD FS, the issuer that access
	// tokens name ([MS-OIDCE] §2.2.3.2). Nothing but a warning depends on it.
	AccessTokenIssuer string
	// ProtectedResources are the identifiers of the resource servers of the
	// issuer (protected_resources, RFC 9728 §4), or nil if the member is absent or is
	// no array of strings. Nothing but a warning depends on them. They are not compared with anything here. They alias the document, which
	// has up to 1 MiB; the other fields are copies.
	ProtectedResources []string
}

// Config configures a [Client].
type Config struct {
	// HTTPClient replaces the transport, for TLS roots, a client certificate
	// or a proxy; redirects stay off and the bounds stay on. nil means a
	// transport that refuses link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback.
	// Anyone on the path can then name their own key URL and mint tokens.
	InsecureAllowHTTP bool
	// MetadataURL is where the document is, if it is not at the [Locations] of the
	// issuer. The issuer may then be any text.
	MetadataURL string
	// Timeout is how long [Client.Discover] may take. 0 means [fetch.Timeout].
	Timeout time.Duration
}

// Client fetches metadata. It is safe for concurrent use.
type Client struct {
	fetcher     *fetch.Client
	insecure    bool
	metadataURL string
	timeout     time.Duration
	pending     atomic.Int64 // requests under way
}

// New returns a Client. It does no I/O.
func New(config Config) *Client {
	timeout := cmp.Or(config.Timeout, fetch.Timeout)
	return &Client{
		fetcher:     fetch.New(fetch.Config{HTTPClient: config.HTTPClient, InsecureAllowHTTP: config.InsecureAllowHTTP, Timeout: timeout}),
		insecure:    config.InsecureAllowHTTP,
		metadataURL: config.MetadataURL,
		timeout:     timeout,
	}
}

// metadataLimits bounds a document beside its size.
var metadataLimits = strictjson.Limits{Depth: 16, Members: 1024}

// Locations returns the two or three URLs at which the metadata of issuer may be,
// the preferred one first: that of RFC 8414 §3.1, and for OpenID Connect both the
// inserted and the appended form (RFC 8414 §5, Discovery §4.1).
func Locations(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: the issuer is not a URL without query and fragment", ErrNoMetadata)
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

// locations returns the URLs at which the metadata of issuer may be.
func (c *Client) locations(issuer string) ([]string, error) {
	if c.metadataURL != "" {
		return []string{c.metadataURL}, nil
	}
	return Locations(issuer)
}

// get fetches the document at location and checks that it is the metadata of issuer. A
// document at the MetadataURL may also name issuer as access_token_issuer ([MS-OIDCE]
// §2.2.3.2): AD FS has two issuers, and that one is of its access tokens.
func (c *Client) get(ctx context.Context, issuer, location string) (*document, error) {
	fetched, err := c.fetcher.Get(ctx, fetch.Request{URL: location, Accept: fetch.JSON, MediaTypes: []string{fetch.AnyMediaType}})
	if err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(string(fetched.Body), "\ufeff") // RFC 8259 §8.1
	members, err := strictjson.ParseObject(text, metadataLimits, nil)
	if err != nil {
		return nil, fetched.Misread(fmt.Errorf("%w: %w; found %s (%d bytes)", ErrDocument, err, strictjson.Describe(text, metadataLimits), len(fetched.Body)))
	}
	var d document // of copies, because a substring would keep the document in memory
	for _, member := range members {
		switch member.Name {
		case "issuer":
			d.Issuer = copied(member.Value)
		case "access_token_issuer":
			d.AccessTokenIssuer = copied(member.Value)
		case "jwks_uri":
			d.JWKSURI = d.link(member)
		case "introspection_endpoint":
			d.IntrospectionEndpoint = d.link(member)
		case "token_introspection_endpoint":
			d.oldName = true
		case "token_endpoint":
			d.TokenEndpoint = d.link(member)
		case "introspection_endpoint_auth_methods_supported":
			d.IntrospectionAuthMethods = methods(member.Value)
		case "protected_resources":
			d.ProtectedResources = texts(member.Value)
		}
	}
	if c.metadataURL != "" && d.AccessTokenIssuer == issuer {
		d.Issuer = issuer
	}
	if d.Issuer != issuer {
		return nil, otherIssuer(d.Issuer, d.AccessTokenIssuer, issuer)
	}
	d.checkLinks(c.insecure, isHTTP(location))
	return &d, nil
}

// otherIssuer returns the error of a document that is of the issuer found, and not of the
// issuer wanted. ofAccessTokens is its access_token_issuer, or "".
func otherIssuer(found, ofAccessTokens, wanted string) error {
	mend := ""
	switch {
	case ofAccessTokens != "":
		mend = fmt.Sprintf("; its access_token_issuer is %s: set Issuer.URL to that, and Issuer.MetadataURL to the URL of the document", cause.Quote(ofAccessTokens))
	case strings.TrimSuffix(found, "/") == strings.TrimSuffix(wanted, "/"):
		mend = fmt.Sprintf("; they differ in the slash at the end: set Issuer.URL to %s", cause.Quote(found))
	}
	return fmt.Errorf("%w: its issuer is %s and not %s, byte for byte (RFC 8414 §3.3)%s", ErrOtherIssuer, cause.Quote(found), cause.Quote(wanted), mend)
}

// copied returns a copy of a string, or "" if v is not a string.
func copied(v strictjson.Value) string {
	text, _ := v.Text()
	return strings.Clone(text)
}

// texts returns the elements of an array of strings, or nil if v is not one.
func texts(v strictjson.Value) []string {
	if v.Kind() != strictjson.Array {
		return nil
	}
	elements := []string{}
	for element := range v.Elements() {
		text, ok := element.Text()
		if !ok {
			return nil
		}
		elements = append(elements, text)
	}
	return elements
}

// maxMethods bounds a list of authentication methods, in bytes of JSON.
const maxMethods = 4 << 10

// methods returns copies of the elements of an array of strings, or nil if v is not
// one or is too large. Nothing but a warning depends on them.
func methods(v strictjson.Value) []string {
	names := texts(v)
	if len(v.Raw()) > maxMethods {
		return nil
	}
	for i, name := range names {
		names[i] = strings.Clone(name)
	}
	return names
}

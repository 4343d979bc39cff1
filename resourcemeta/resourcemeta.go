// Package resourcemeta publishes the metadata of a protected resource (RFC
// 9728): which authorization servers issue tokens for this API, and which scopes
// it has. The document is made from the configuration of the validator and from the
// policies of the routes, so that it always agrees with them.
//
// Not done here: signed responses and signed_metadata (RFC 9728 §2.2), names in
// several languages (§2.1), and metadata of more than one resource in one
// [Metadata].
package resourcemeta

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/validator"
)

// Config is the configuration of a [Metadata].
type Config struct {
	// Resource is the identifier of this API (RFC 9728 §1.2): an https URL
	// without fragment, or http to a loopback host. Clients compare it with
	// the URL that they call, and ask for tokens with this audience, so it must be
	// among the Audiences of every issuer, byte for byte. Required.
	Resource string
	// Validator is the Validator of the Guard. Its issuers are the authorization
	// servers; those of Config.ResolveIssuer are not listed. Nor are issuers whose name
	// is no https URL, or http to a loopback host (RFC 8414 §2): clients would look for
	// metadata there. There is a warning for each. Required.
	Validator *validator.Validator
	// PublicURL is the PublicURL of the Guard: the scheme and host that clients call.
	// There is a warning if Resource is not below it. Empty: not compared.
	PublicURL string
	// OmitScopes are scopes of policies that the document does not list, such
	// as those for administrators.
	OmitScopes []string
	// MaxAge is how long clients may cache the document, in whole seconds up to
	// one day. 0: five minutes.
	MaxAge time.Duration

	// Name is the resource_name, for people. It is optional, as are the
	// following, which are https URLs.
	Name             string
	DocumentationURL string // resource_documentation
	PolicyURL        string // resource_policy_uri
	TermsURL         string // resource_tos_uri
}

const (
	defaultMaxAge = 5 * time.Minute
	maxMaxAge     = 24 * time.Hour

	wellKnown = "/.well-known/oauth-protected-resource"
)

// Metadata is the metadata of one protected resource. [New] makes one. It is safe
// for concurrent use.
type Metadata struct {
	url      string
	paths    []string // escaped, where the document is served
	query    string
	maxAge   time.Duration
	fixed    document // without the scopes, which follow from the policies
	omitted  []string
	warnings []string
}

// document is the JSON document (RFC 9728 §2). Empty members are left out (§3.2),
// except for bearer_methods_supported, whose absence has another meaning.
type document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	Policy               string   `json:"resource_policy_uri,omitempty"`
	Terms                string   `json:"resource_tos_uri,omitempty"`
}

// New checks config and makes a Metadata, or reports every fault of it at once.
// It does no I/O.
func New(config Config) (*Metadata, error) {
	resource, err := config.check()
	if err != nil {
		return nil, err
	}
	if config.MaxAge == 0 {
		config.MaxAge = defaultMaxAge
	}
	m := &Metadata{
		query: resource.RawQuery, maxAge: config.MaxAge, omitted: slices.Clone(config.OmitScopes),
		fixed: document{
			Resource: config.Resource, AuthorizationServers: locatable(config.Validator.Issuers()), BearerMethods: []string{"header"},
			Name: config.Name, Documentation: config.DocumentationURL, Policy: config.PolicyURL, Terms: config.TermsURL,
		},
	}
	m.place(resource)
	m.warn(&config, resource)
	return m, nil
}

// locatable returns the issuers that are URLs at which clients can look for metadata.
func locatable(issuers []string) (urls []string) {
	for _, issuer := range issuers {
		if u, ok := absolute(issuer); ok && u.RawQuery == "" && !u.ForceQuery {
			urls = append(urls, issuer)
		}
	}
	return urls
}

// place inserts the well-known string between host and path (RFC 9728 §3.1). A
// slash that ends the path is kept by some readers of that section and dropped by
// others, so both are served.
func (m *Metadata) place(resource *url.URL) {
	behind := resource.EscapedPath()
	if behind == "/" {
		behind = ""
	}
	m.paths = []string{wellKnown + behind}
	if shorter, found := strings.CutSuffix(behind, "/"); found {
		m.paths = append(m.paths, wellKnown+shorter)
	}
	m.url = resource.Scheme + "://" + resource.Host + m.paths[0]
	if m.query != "" {
		m.url += "?" + m.query
	}
}

func (m *Metadata) warn(config *Config, resource *url.URL) {
	warnf := func(format string, args ...any) {
		m.warnings = append(m.warnings, fmt.Sprintf("resourcemeta: "+format, args...))
	}
	if len(m.paths) > 1 {
		warnf("Resource %q ends with a slash, which clients may take off (RFC 9728 §3.1): the document is served with and without", config.Resource)
	}
	if m.query != "" {
		warnf("Resource %q has a query, which it should not (RFC 9728 §1.2)", config.Resource)
	}
	issuers := config.Validator.Issuers()
	for _, issuer := range issuers {
		if !slices.Contains(m.fixed.AuthorizationServers, issuer) {
			warnf("issuer %q is no https URL of an authorization server (RFC 8414 §2), so that the document does not name it; clients must know it", issuer)
		}
	}
	if len(issuers) == 0 {
		warnf("the Validator has no fixed issuers, so that the document names no authorization server; clients must know theirs")
	}
	if base := resource.Scheme + "://" + resource.Host; config.PublicURL != "" && strings.TrimSuffix(config.PublicURL, "/") != base {
		warnf("Resource %q is not below PublicURL %q: clients that compare it with what they call must refuse it (RFC 9728 §3.3)",
			config.Resource, config.PublicURL)
	}
}

// check returns the URL of Resource. The error joins all faults.
func (c *Config) check() (*url.URL, error) {
	faults := fault.In("resourcemeta")
	resource, ok := absolute(c.Resource)
	at := faults.At("Resource")
	switch {
	case c.Resource == "":
		at.Add("is empty", "give the URL under which clients know this API")
	case !ok:
		at.Addf("give an absolute https URL; http is for loopback hosts only", "%q is not an https URL without user and fragment (RFC 9728 §1.2)", c.Resource)
	case !isClean(resource.EscapedPath()):
		at.Addf("give the path as a router finds it", "%q has a path that routers would clean", c.Resource)
	}
	if c.Validator == nil {
		faults.At("Validator").Add("is nil", "give the Validator of the Guard")
	} else {
		for _, issuer := range c.Validator.Issuers() {
			if !slices.Contains(c.Validator.Audiences(issuer), c.Resource) {
				at.Addf("add it there", "%q is not among the Audiences of issuer %q, whose tokens for this resource would be refused", c.Resource, issuer)
			}
		}
	}
	for _, page := range []struct{ field, url string }{
		{"DocumentationURL", c.DocumentationURL}, {"PolicyURL", c.PolicyURL}, {"TermsURL", c.TermsURL},
	} {
		if u, ok := absolute(page.url); page.url != "" && (!ok || u.Scheme != "https") {
			faults.At(page.field).Addf("give the https URL of the page, or leave it empty", "%q is not an https URL without fragment", page.url)
		}
	}
	if !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		faults.At("Name").Addf("give text in UTF-8, on one line", "%q is not UTF-8 or has control characters", c.Name)
	}
	if c.MaxAge != 0 && (c.MaxAge < time.Second || c.MaxAge > maxMaxAge || c.MaxAge%time.Second != 0) {
		faults.At("MaxAge").Addf(fmt.Sprintf("give whole seconds up to %v, or 0 for %v", maxMaxAge, defaultMaxAge), "is %v", c.MaxAge)
	}
	return resource, faults.Err()
}

// absolute reads a URL in ASCII.
func absolute(text string) (*url.URL, bool) {
	u, err := fetch.CheckURL(text, false)
	bad := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>#`, r) }
	return u, err == nil && !strings.ContainsFunc(text, bad)
}

// isClean reports whether routers leave the path as it is.
func isClean(escaped string) bool {
	return escaped == "" || path.Clean(escaped) == escaped || path.Clean(escaped)+"/" == escaped
}

// URL returns the URL of the document, for middleware.Config.ResourceMetadata.
func (m *Metadata) URL() string {
	if m == nil {
		return ""
	}
	return m.url
}

// Warnings returns texts about a configuration that may not do what was intended, for
// logs at start-up.
func (m *Metadata) Warnings() []string {
	if m == nil {
		return nil
	}
	return slices.Clone(m.warnings)
}

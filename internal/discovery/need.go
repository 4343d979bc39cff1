package discovery

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Need is a set of members of the metadata that a caller of [Client.Discover] looks
// for.
type Need uint8

// The members that can be looked for.
const (
	Keys          Need = 1 << iota // jwks_uri
	Introspection                  // introspection_endpoint
	Token                          // token_endpoint
)

// link is a member whose value is a URL.
type link struct {
	need Need
	name string
	url  *string
}

// links returns the members that can be looked for, in a fixed order.
func (m *Metadata) links() [3]link {
	return [3]link{
		{Keys, "jwks_uri", &m.JWKSURI},
		{Introspection, "introspection_endpoint", &m.IntrospectionEndpoint},
		{Token, "token_endpoint", &m.TokenEndpoint},
	}
}

// Has reports whether m has all members of need.
func (m *Metadata) Has(need Need) bool { return need&^m.members() == 0 }

// members returns the members that m has, of those that can be looked for.
func (m *Metadata) members() Need {
	var has Need
	for _, l := range m.links() {
		if *l.url != "" {
			has |= l.need
		}
	}
	return has
}

// document is a metadata document whose issuer was checked. URLs that may not be used
// are removed from its Metadata.
type document struct {
	Metadata

	faults  [3]error // why a URL is missing, in the order of links
	oldName bool     // it has token_introspection_endpoint
	noTexts []string // the links whose value is neither a string nor null
}

// link returns the value of a member that is a link, or "" if it is not a string.
func (d *document) link(m strictjson.Member) string {
	if kind := m.Value.Kind(); kind != strictjson.String && kind != strictjson.Null {
		d.noTexts = append(d.noTexts, strings.Clone(m.Name))
	}
	return copied(m.Value)
}

// checkLinks removes the URLs that may not be used, and notes why. http says that the
// document was fetched over plain http.
func (d *document) checkLinks(insecure, http bool) {
	for at, l := range d.links() {
		d.faults[at] = d.checkLink(l, insecure, http)
		if d.faults[at] != nil {
			*l.url = ""
		}
	}
}

// checkLink returns why the URL of l may not be used. The error has no part of the URL.
func (d *document) checkLink(l link, insecure, http bool) error {
	if *l.url == "" {
		return d.missing(l)
	}
	if _, err := fetch.CheckURL(*l.url, insecure); err != nil {
		return fmt.Errorf("%w: %s is not allowed: %w", ErrDocument, l.name, err)
	}
	if !insecure && isHTTP(*l.url) && !http {
		return fmt.Errorf("%w: %s is http, and the document is not", ErrDocument, l.name)
	}
	return nil
}

// missing returns the error for a document without l.
func (d *document) missing(l link) error {
	if slices.Contains(d.noTexts, l.name) {
		return fmt.Errorf("%w: %s is not a string", ErrMissing, l.name)
	}
	hint := ""
	if l.need == Introspection && d.oldName {
		hint = "; it has token_introspection_endpoint, an old name that is not used"
	}
	return fmt.Errorf("%w: the document has no %s%s", ErrMissing, l.name, hint)
}

// lacks returns why members of need are missing, or nil if none is.
func (d *document) lacks(need Need) error {
	var faults []error
	for at, l := range d.links() {
		if need&l.need != 0 {
			faults = append(faults, d.faults[at])
		}
	}
	return errors.Join(faults...)
}

// isHTTP reports whether a checked URL is plain http. Only a document that was fetched
// over http itself may name such a URL, because it leads to services on this machine.
func isHTTP(target string) bool {
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "http"
}

// WithoutQuery returns target without its query, for messages.
func WithoutQuery(target string) string {
	before, _, _ := strings.Cut(target, "?")
	return before
}

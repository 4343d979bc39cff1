package validator

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
)

// maxIssuerBytes is the longest Issuer.URL, and the longest iss that
// Config.ResolveIssuer is called with.
const maxIssuerBytes = 512

// reservedNames are labels of metrics and records that are no issuers.
var reservedNames = []string{resolvedLabel, "none", "other"}

// isIssuerName reports whether an issuer can have that name. It need not be a URL.
func isIssuerName(text string) bool {
	return isIdentifier(text) && len(text) <= maxIssuerBytes && utf8.ValidString(text) && !slices.Contains(reservedNames, text)
}

// isIssuerURL reports whether metadata can be looked for at the well-known URLs of an
// issuer of that name (RFC 8414 §2).
func isIssuerURL(text string, insecureAllowHTTP bool) bool {
	_, err := fetch.CheckURL(text, insecureAllowHTTP)
	return err == nil && !strings.ContainsAny(text, "?#") && !jwtclaims.HasControl(text)
}

// checkURL adds the faults of Issuer.URL.
func (c *Issuer) checkURL(f fault.List) {
	discovered := c.discovered()
	switch {
	case c.URL == "":
		f.Add("is empty", "give the exact iss of the tokens")
	case slices.Contains(reservedNames, c.URL):
		f.Addf("give the exact iss of the tokens", "%q is a label of metrics that is no issuer", c.URL)
	case len(discovered) > 0 && c.MetadataURL == "" && !isIssuerURL(c.URL, c.InsecureAllowHTTP):
		f.Addf("give the issuer identifier (RFC 8414 §2), http for loopback hosts only; if the tokens have this iss, set MetadataURL, or configure "+
			strings.Join(discovered, " and "), "%.*q is not an https URL with a host and without user, query and fragment", maxIssuerBytes, c.URL)
	case !isIssuerName(c.URL):
		f.Addf("give the exact iss of the tokens", "%.*q has control characters, is not UTF-8 or has more than %d bytes", maxIssuerBytes, c.URL, maxIssuerBytes)
	}
}

// checkMetadataURL adds the faults of Issuer.MetadataURL.
func (c *Issuer) checkMetadataURL(f fault.List) {
	if c.MetadataURL == "" {
		return
	}
	if len(c.discovered()) == 0 {
		f.Add("is set, and nothing is looked for in metadata: keys and endpoints are configured", "remove it, or leave Keys nil")
	}
	if u, err := url.Parse(c.MetadataURL); err == nil && u.User != nil { // it is not shown
		f.Add("has user information", "remove it: metadata are read without credentials")
	} else if _, err := fetch.CheckURL(c.MetadataURL, c.InsecureAllowHTTP); err != nil || jwtclaims.HasControl(c.MetadataURL) {
		f.Addf("give the URL of the metadata document, http for loopback hosts only", "%.*q is not an https URL with a host and without fragment", maxIssuerBytes, c.MetadataURL)
	}
}

// discovered returns what is looked for in the metadata of the issuer, by the fields that
// would name it.
func (c *Issuer) discovered() (fields []string) {
	usesKeys := c.acceptsJWTs() || c.Opaque.Signed && c.Opaque.AnswerKeys == nil
	if usesKeys && (c.Keys == nil || issuerkeys.Discovers(c.Keys)) {
		fields = append(fields, "Keys")
	}
	if c.Opaque == nil {
		return fields
	}
	if c.Opaque.AnswerKeys != nil && issuerkeys.Discovers(c.Opaque.AnswerKeys) {
		fields = append(fields, "Opaque.AnswerKeys")
	}
	need := endpointNeed(c.Opaque)
	if need&discovery.Introspection != 0 {
		fields = append(fields, "Opaque.Endpoint")
	}
	if need&discovery.Token != 0 {
		fields = append(fields, "TokenEndpoint of Opaque.Authentication")
	}
	return fields
}

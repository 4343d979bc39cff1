package testissuer

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Endpoint is one thing that an issuer serves.
type Endpoint string

// The endpoints.
const (
	// OAuthMetadata is the document of RFC 8414, whose well-known path
	// stands between the host and the path of the issuer.
	OAuthMetadata Endpoint = "oauth-authorization-server"
	// OpenIDMetadata is the document of OpenID Connect Discovery §4, whose
	// well-known path stands behind the issuer.
	OpenIDMetadata Endpoint = "openid-configuration"
	// OpenIDInserted is the same, with the well-known path in the place of
	// RFC 8414 §5. An issuer without a path has no such endpoint.
	OpenIDInserted Endpoint = "openid-configuration-inserted"
	// JWKS is the JWK Set (RFC 7517 §5).
	JWKS Endpoint = "jwks"
)

// pathsOf says which path is which endpoint of the issuer u.
func pathsOf(u *url.URL) map[string]Endpoint {
	const wellKnown, oauth, openID = "/.well-known/", string(OAuthMetadata), string(OpenIDMetadata)
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	paths := map[string]Endpoint{
		wellKnown + oauth + path:  OAuthMetadata,
		path + wellKnown + openID: OpenIDMetadata,
		path + "/jwks.json":       JWKS,
	}
	if path != "" {
		paths[wellKnown+openID+path] = OpenIDInserted
	}
	return paths
}

func (e Endpoint) check() {
	switch e {
	case OAuthMetadata, OpenIDMetadata, OpenIDInserted, JWKS:
	default:
		panic("testissuer: there is no endpoint " + string(e))
	}
}

// Requests is how many requests the endpoint has received, those included that
// are not answered yet.
func (i *Issuer) Requests(e Endpoint) int {
	e.check()
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[e]
}

// Metadata changes one metadata document: change is called once, with the
// members of the good document, and may set, replace and delete them. Each
// endpoint has a document of its own, and nil restores it.
func (i *Issuer) Metadata(e Endpoint, change func(members map[string]any)) {
	if e.check(); e == JWKS {
		panic("testissuer: Metadata: JWKS is no metadata; see AddKey and ExtraJWKs")
	}
	members := i.members(e)
	if change != nil {
		change(members)
	}
	document := encode(members)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadata[e] = document
}

// members are those of the good metadata (RFC 8414 §2, OpenID Connect Discovery
// §3). The endpoints of logins and tokens are named because they are required,
// and not served.
func (i *Issuer) members(e Endpoint) map[string]any {
	members := map[string]any{
		"issuer":                                i.config.URL,
		"jwks_uri":                              i.JWKSURL(),
		"authorization_endpoint":                i.at("/authorize"),
		"token_endpoint":                        i.at("/token"),
		"response_types_supported":              []string{"code"},
		"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
	}
	if e != OAuthMetadata {
		members["subject_types_supported"] = []string{"public"}
		members["id_token_signing_alg_values_supported"] = []string{"RS256"}
	}
	return members
}

// tagOf is the strong entity tag of a document (RFC 9110 §8.8.3).
func tagOf(document []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(document)) }

// holds reports whether the client has what is tagged already, by its
// If-None-Match fields.
func holds(fields []string, tag string) bool {
	for _, field := range fields {
		for element := range strings.SplitSeq(field, ",") { // no tag of ours has a comma
			element = strings.TrimSpace(element)
			if element == "*" || strings.TrimPrefix(element, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// arrival is a request that was counted, and what it will be answered. An
// answer holds what was true when the request arrived, however late it is sent.
type arrival struct {
	behaviour    Behaviour
	document     []byte
	cacheControl string
	tag          string // the document's entity tag, or ""
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	endpoint, known := i.paths[r.URL.EscapedPath()]
	if !known {
		http.NotFound(w, r)
		return
	}
	a := i.arrive(endpoint)
	if a == nil {
		panic(http.ErrAbortHandler)
	}
	defer i.running.Done()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	a.answer(w, r, i.closing)
}

// arrive counts a request and keeps Close waiting for it, or answers nil if the
// issuer is closed.
func (i *Issuer) arrive(e Endpoint) *arrival {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.running.Add(1)
	i.requests[e]++
	a := &arrival{behaviour: i.takeBehaviour(e)}
	if e == JWKS {
		a.document, a.cacheControl = i.jwks(), i.config.CacheControl
		if i.config.ETag && a.behaviour.isDocument() {
			a.tag = tagOf(a.document)
		}
		return a
	}
	if a.document = i.metadata[e]; a.document == nil {
		a.document = encode(i.members(e))
	}
	return a
}

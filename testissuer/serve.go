package testissuer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Endpoint is a document that an issuer serves, or a service that takes forms.
type Endpoint string

// The endpoints.
const (
	// OAuthMetadata is the document of RFC 8414. Its well-known path is
	// between the host and the path of the issuer.
	OAuthMetadata Endpoint = "oauth-authorization-server"
	// OpenIDMetadata is the document of OpenID Connect Discovery §4. Its
	// well-known path is behind the path of the issuer.
	OpenIDMetadata Endpoint = "openid-configuration"
	// OpenIDInserted is the same document with the well-known path where RFC
	// 8414 §5 has it. An issuer without a path has no such endpoint.
	OpenIDInserted Endpoint = "openid-configuration-inserted"
	// JWKS is the JWK Set (RFC 7517 §5).
	JWKS Endpoint = "jwks"
	// TokenEndpoint issues access tokens to the clients by the client credentials
	// grant (RFC 6749 §4.4), and by no other grant.
	TokenEndpoint Endpoint = "token"
	// Introspection says whether a token is active (RFC 7662).
	Introspection Endpoint = "introspection"
	// Revocation revokes tokens (RFC 7009), whichever client asks for it.
	Revocation Endpoint = "revocation"
)

// The paths below the issuer.
const (
	jwksPath          = "/jwks.json"
	tokenPath         = "/token"
	introspectionPath = "/introspect"
	revocationPath    = "/revoke"
)

// check panics if e is not one of the constants.
func (e Endpoint) check() {
	switch e {
	case OAuthMetadata, OpenIDMetadata, OpenIDInserted, JWKS, TokenEndpoint, Introspection, Revocation:
	default:
		panic("testissuer: there is no endpoint " + string(e))
	}
}

// pathsOf returns the paths of the endpoints of the issuer u.
func pathsOf(u *url.URL) map[string]Endpoint {
	const wellKnown, oauth, openID = "/.well-known/", string(OAuthMetadata), string(OpenIDMetadata)
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	paths := map[string]Endpoint{
		wellKnown + oauth + path:  OAuthMetadata,
		path + wellKnown + openID: OpenIDMetadata,
		path + jwksPath:           JWKS,
		path + tokenPath:          TokenEndpoint,
		path + introspectionPath:  Introspection,
		path + revocationPath:     Revocation,
	}
	if path != "" {
		paths[wellKnown+openID+path] = OpenIDInserted
	}
	return paths
}

// site is what an issuer serves.
type site struct {
	url          string // the issuer identifier
	paths        map[string]Endpoint
	keys         *keyring
	tokens       *registry
	clients      []Client
	cacheControl string // of the JWK Set
	tagged       bool   // the JWK Set has an ETag
	closing      chan struct{}
	running      sync.WaitGroup // the requests

	mu         sync.Mutex // never held while waiting or in the caller's code
	closed     bool
	metadata   map[Endpoint][]byte // what replaces the good documents
	behaviours map[Endpoint]Behaviour
	requests   map[Endpoint]int
	forms      map[Endpoint][]Request // the latest
}

// close ends the requests. It returns false if it was called before.
func (s *site) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	close(s.closing)
	return true
}

// count returns how many requests of e have arrived.
func (s *site) count(e Endpoint) int {
	e.check()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[e]
}

// behave sets how e answers.
func (s *site) behave(e Endpoint, b Behaviour) {
	e.check()
	if b.Times < 0 {
		panic("testissuer: Behave: Times is negative")
	}
	if b.Status != 0 && (b.Status < 200 || b.Status > 999) {
		panic("testissuer: Behave: Status is no final HTTP status")
	}
	b.Header = maps.Clone(b.Header)
	b.Body = bytes.Clone(b.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviours[e] = b
}

// behaviour returns how e answers one more request. The caller holds the lock.
func (s *site) behaviour(e Endpoint) Behaviour {
	b := s.behaviours[e]
	switch b.Times {
	case 0:
	case 1:
		delete(s.behaviours, e)
	default:
		next := b
		next.Times--
		s.behaviours[e] = next
	}
	return b
}

// setMetadata replaces the document of e by the good one with the changes of
// change, which may be nil.
func (s *site) setMetadata(e Endpoint, change func(members map[string]any)) {
	if e.check(); e == JWKS || e.takesForms() {
		panic("testissuer: Metadata: " + string(e) + " is no metadata; see AddKey, ExtraJWKs, Answer and Behave")
	}
	members := s.members(e)
	if change != nil {
		change(members)
	}
	document := encode(members)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metadata[e] = document
}

// members returns the members of the good metadata (RFC 8414 §2, OpenID Connect
// Discovery §3). It names an endpoint for logins because that is required; the site
// does not serve it.
func (s *site) members(e Endpoint) map[string]any {
	methods, introspection, signed := s.methods()
	members := map[string]any{
		"issuer":                                        s.url,
		"jwks_uri":                                      s.below(jwksPath),
		"authorization_endpoint":                        s.below("/authorize"),
		"token_endpoint":                                s.below(tokenPath),
		"introspection_endpoint":                        s.below(introspectionPath),
		"revocation_endpoint":                           s.below(revocationPath),
		"response_types_supported":                      []string{"code"},
		"token_endpoint_auth_methods_supported":         methods,
		"introspection_endpoint_auth_methods_supported": introspection,
		"revocation_endpoint_auth_methods_supported":    methods,
	}
	if signed {
		members["introspection_signing_alg_values_supported"] = []any{s.keys.key("").algorithm}
	}
	if e != OAuthMetadata {
		members["subject_types_supported"] = []string{"public"}
		members["id_token_signing_alg_values_supported"] = []string{"RS256"}
	}
	return members
}

// below returns the URL of a path below the issuer.
func (s *site) below(path string) string { return strings.TrimSuffix(s.url, "/") + path }

// tagOf returns the strong entity tag of a document (RFC 9110 §8.8.3).
func tagOf(document []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(document)) }

// ServeHTTP answers a request as the endpoint behaves.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, known := s.paths[r.URL.EscapedPath()]
	if !known {
		http.NotFound(w, r)
		return
	}
	a := s.arrive(endpoint)
	if a == nil {
		panic(http.ErrAbortHandler)
	}
	defer s.running.Done()
	if methods := endpoint.methods(); !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if endpoint.takesForms() {
		answer, arrived := s.handle(endpoint, r)
		if !arrived {
			panic(http.ErrAbortHandler)
		}
		a.use(answer)
	}
	a.answer(w, r, s.closing)
}

// arrive counts a request and returns its answer, or nil if the issuer is closed.
// The caller must call running.Done.
func (s *site) arrive(e Endpoint) *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.running.Add(1)
	s.requests[e]++
	a := &arrival{behaviour: s.behaviour(e)}
	if e == JWKS {
		a.document, a.cacheControl = s.keys.jwks(), s.cacheControl
		if s.tagged && a.behaviour.isDocument() {
			a.tag = tagOf(a.document)
		}
		return a
	}
	if e.takesForms() {
		return a // its document depends on the form
	}
	if a.document = s.metadata[e]; a.document == nil {
		a.document = encode(s.members(e))
	}
	return a
}

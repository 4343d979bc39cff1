// Package fositeserver is an authorization server for tests, made of ory/fosite: two
// issuers below one address, with their clients, their tokens and their keys in memory.
// The tokens of "/opaque" are opaque, and those of "/jwt" are JWTs (RFC 9068); the server
// introspects and revokes both.
//
// It grants whatever a client asks for and logs in everyone, so it is for loopback
// addresses only.
package fositeserver

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

// What the clients of the server may ask for.
const (
	Audience      = "https://api.example"   // of this API
	OtherAudience = "https://other.example" // of another one
	RedirectURI   = "http://127.0.0.1/callback"
)

// Clients are the client_ids of the server. The secret of each is its name with
// "-secret" behind it. By convention "cc" gets tokens for itself, "web" for its users,
// and "rs" is the API that introspects.
func Clients() []string { return []string{"cc", "web", "rs"} }

// Secret returns the client_secret of a client.
func Secret(client string) string { return client + "-secret" }

// Server is the authorization server. [New] makes one.
type Server struct {
	mux *http.ServeMux

	mu      sync.Mutex
	keys    []*jose.JSONWebKey // the newest is the first
	lastKey int
}

// New returns a Server with the issuers base + "/opaque" and base + "/jwt".
func New(base string) (*Server, error) {
	s := &Server{mux: http.NewServeMux()}
	if err := s.Rotate(false); err != nil {
		return nil, err
	}
	for _, kind := range []string{"opaque", "jwt"} {
		if err := s.mount(base, kind); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ServeHTTP serves the endpoints of both issuers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Rotate makes a new key for JWTs. The old keys stay published if keep is set.
func (s *Server) Rotate(keep bool) error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep {
		s.keys = nil
	}
	s.lastKey++
	key := &jose.JSONWebKey{Key: private, KeyID: fmt.Sprintf("key-%d", s.lastKey), Algorithm: "RS256", Use: "sig"}
	s.keys = append([]*jose.JSONWebKey{key}, s.keys...)
	return nil
}

func (s *Server) key() *jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0]
}

func (s *Server) published() jose.JSONWebKeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range s.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// session is what the server remembers of a grant: the facts of an ID token and those of
// a JWT access token.
type session struct {
	*openid.DefaultSession

	claims *jwt.JWTClaims
	header *jwt.Headers
}

// GetJWTClaims returns the claims of the access token.
func (s *session) GetJWTClaims() jwt.JWTClaimsContainer { return s.claims }

// GetJWTHeader returns the header of the access token.
func (s *session) GetJWTHeader() *jwt.Headers { return s.header }

// Clone returns a copy.
func (s *session) Clone() fosite.Session {
	clone := *s
	if d, ok := s.DefaultSession.Clone().(*openid.DefaultSession); ok {
		clone.DefaultSession = d
	}
	return &clone
}

// newSession returns the session of a grant. fosite alone writes neither typ nor
// client_id nor the sub of a client into JWTs; RFC 9068 demands them.
func (s *Server) newSession(issuer, subject, client string) *session {
	kid := s.key().KeyID
	d := openid.NewDefaultSession()
	d.Subject, d.Username = subject, subject
	d.Claims.Subject, d.Claims.Issuer = subject, issuer
	d.Claims.AuthTime, d.Claims.RequestedAt = time.Now(), time.Now()
	d.Headers = &jwt.Headers{Extra: map[string]any{"kid": kid}}
	return &session{
		DefaultSession: d,
		claims:         &jwt.JWTClaims{Issuer: issuer, Subject: subject, Extra: map[string]any{"client_id": client}},
		header:         &jwt.Headers{Extra: map[string]any{"kid": kid, "typ": "at+jwt"}},
	}
}

// issuer is one of the two issuers.
type issuer struct {
	server   *Server
	url      string
	provider fosite.OAuth2Provider
}

// mount adds the issuer of that kind of tokens.
func (s *Server) mount(base, kind string) error {
	url := base + "/" + kind
	config := &fosite.Config{
		AccessTokenLifespan: 5 * time.Minute,
		AccessTokenIssuer:   url,
		IDTokenIssuer:       url,
		TokenURL:            url + "/token",
		EnforcePKCE:         true,
		GlobalSecret:        make([]byte, 32),
		JWTScopeClaimKey:    jwt.JWTScopeFieldString,
		RefreshTokenScopes:  []string{"offline"},
	}
	if _, err := rand.Read(config.GlobalSecret); err != nil {
		return err
	}
	store, err := newStore(config)
	if err != nil {
		return err
	}
	key := func(context.Context) (any, error) { return s.key(), nil }
	var core oauth2.CoreStrategy = compose.NewOAuth2HMACStrategy(config)
	if kind == "jwt" {
		core = compose.NewOAuth2JWTStrategy(key, compose.NewOAuth2HMACStrategy(config), config)
	}
	strategy := &compose.CommonStrategy{
		CoreStrategy:               core,
		OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(key, config),
		Signer:                     &jwt.DefaultSigner{GetPrivateKey: key},
	}
	i := &issuer{s, url, compose.Compose(config, store, strategy,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2ClientCredentialsGrantFactory,
		compose.OAuth2RefreshTokenGrantFactory, compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory,
		compose.OAuth2PKCEFactory, compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory)}
	s.mux.HandleFunc("GET /"+kind+"/.well-known/openid-configuration", i.metadata)
	s.mux.HandleFunc("GET /"+kind+"/jwks", i.jwks)
	s.mux.HandleFunc("GET /"+kind+"/authorize", i.authorize)
	s.mux.HandleFunc("POST /"+kind+"/token", i.token)
	s.mux.HandleFunc("POST /"+kind+"/introspect", i.introspect)
	s.mux.HandleFunc("POST /"+kind+"/revoke", i.revoke)
	return nil
}

// newStore returns a store with [Clients].
func newStore(config *fosite.Config) (*storage.MemoryStore, error) {
	store := storage.NewMemoryStore()
	hasher := &fosite.BCrypt{Config: &fosite.Config{HashCost: 4}}
	config.ClientSecretsHasher = hasher
	for _, id := range Clients() {
		hash, err := hasher.Hash(context.Background(), []byte(Secret(id)))
		if err != nil {
			return nil, err
		}
		store.Clients[id] = &fosite.DefaultClient{
			ID:            id,
			Secret:        hash,
			RedirectURIs:  []string{RedirectURI},
			ResponseTypes: []string{"code"},
			GrantTypes:    []string{"client_credentials", "authorization_code", "refresh_token"},
			Scopes:        []string{"openid", "offline", "read", "write"},
			Audience:      []string{Audience, OtherAudience},
		}
	}
	return store, nil
}

// metadata serves the metadata of the issuer, which fosite leaves to its user.
func (i *issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer":                                        i.url,
		"jwks_uri":                                      i.url + "/jwks",
		"authorization_endpoint":                        i.url + "/authorize",
		"token_endpoint":                                i.url + "/token",
		"introspection_endpoint":                        i.url + "/introspect",
		"revocation_endpoint":                           i.url + "/revoke",
		"response_types_supported":                      []string{"code"},
		"subject_types_supported":                       []string{"public"},
		"id_token_signing_alg_values_supported":         []string{"RS256"},
		"introspection_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	})
}

func (i *issuer) jwks(w http.ResponseWriter, _ *http.Request) { writeJSON(w, i.server.published()) }

// authorize logs in everyone as the user "alice" and grants everything.
func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := i.provider.NewAuthorizeRequest(r.Context(), r)
	if err != nil {
		i.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	grant(request)
	session := i.server.newSession(i.url, "alice", request.GetClient().GetID())
	response, err := i.provider.NewAuthorizeResponse(r.Context(), request, session)
	if err != nil {
		i.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	i.provider.WriteAuthorizeResponse(r.Context(), w, request, response)
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	client, _, _ := r.BasicAuth()
	request, err := i.provider.NewAccessRequest(r.Context(), r, i.server.newSession(i.url, client, client))
	if err != nil {
		i.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	if request.GetGrantTypes().ExactOne("client_credentials") {
		grant(request)
	}
	response, err := i.provider.NewAccessResponse(r.Context(), request)
	if err != nil {
		i.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	i.provider.WriteAccessResponse(r.Context(), w, request, response)
}

// grant grants what is asked for.
func grant(request fosite.Requester) {
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	for _, audience := range request.GetRequestedAudience() {
		request.GrantAudience(audience)
	}
}

func (i *issuer) introspect(w http.ResponseWriter, r *http.Request) {
	response, err := i.provider.NewIntrospectionRequest(r.Context(), r, i.server.newSession(i.url, "", ""))
	if err != nil {
		i.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	i.provider.WriteIntrospectionResponse(r.Context(), w, response)
}

func (i *issuer) revoke(w http.ResponseWriter, r *http.Request) {
	err := i.provider.NewRevocationRequest(r.Context(), r)
	i.provider.WriteRevocationResponse(r.Context(), w, err)
}

func writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // fails if the client is gone
}

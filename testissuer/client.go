package testissuer

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// The client of an issuer whose Config has no Clients. It authenticates by
// client_secret_basic, and gets signed answers if it asks for them.
const (
	ClientID     = "api"
	ClientSecret = "api-secret"
)

// Client is a client of the issuer, such as an API that introspects tokens. It has a
// Secret, a Key or a Certificate, and authenticates with that and nothing else at the
// endpoints for tokens, introspection and revocation. The issuer refuses requests that
// authenticate in two ways (RFC 6749 §2.3). Without or with wrong authentication it
// answers 401 with the error invalid_client.
type Client struct {
	// ID is the client_id. Required.
	ID string
	// Secret authenticates by client_secret_basic: ID and Secret are
	// form-encoded (RFC 6749 §2.3.1).
	Secret string
	// Raw compares the credentials of client_secret_basic without decoding
	// them, as some servers do.
	Raw bool
	// Post authenticates by client_secret_post, and not by
	// client_secret_basic.
	Post bool
	// Key is the public key of private_key_jwt (RFC 7523 §2.2). An assertion
	// must be signed with it, and have iss and sub equal to ID, an exp at most 5
	// minutes ahead, an iat and nbf that are not ahead, if any, and a jti that
	// was not used before.
	Key crypto.PublicKey
	// Audiences are the values that aud of an assertion may have: one string,
	// and no array. nil means the issuer's URL.
	Audiences []string
	// Ahead is how far the clock is ahead that judges assertions. A negative
	// Ahead is how far it is behind.
	Ahead time.Duration
	// Certificate authenticates by the client certificate of the connection,
	// together with client_id in the form (RFC 8705 §2): by this one, or by one
	// that it signed. It needs an issuer with TLS on a loopback address.
	Certificate *x509.Certificate
	// BearerLifetime makes the introspection endpoint take nothing but access
	// tokens that this client got at the token endpoint, as bearer tokens (RFC
	// 7662 §2.1). It is the life of these tokens. 0 means that the client
	// authenticates there as everywhere.
	BearerLifetime time.Duration
	// Signed gives the client signed answers (RFC 9701) if it asks for them in
	// Accept. Without Signed it gets JSON whatever it asks for.
	Signed bool
	// AnswerAudiences are the aud of signed answers: a string if it is one, an
	// array if there are several. nil means ID.
	AnswerAudiences []string
}

// clientsOf returns a copy of the clients of a Config, with the default.
func clientsOf(clients []Client) []Client {
	if clients == nil {
		return []Client{{ID: ClientID, Secret: ClientSecret, Signed: true}}
	}
	clients = slices.Clone(clients)
	for i := range clients {
		c := &clients[i]
		c.Audiences, c.AnswerAudiences = slices.Clone(c.Audiences), slices.Clone(c.AnswerAudiences)
	}
	return clients
}

// checkClients adds the faults of the clients. secure says whether the issuer serves
// TLS.
func checkClients(clients []Client, secure bool, faults fault.List) {
	ids := map[string]bool{}
	for i := range clients {
		c, at := &clients[i], faults.Atf("Clients[%d]", i)
		if c.ID == "" || ids[c.ID] {
			at.At("ID").Add("is empty or that of another client", "give each client its own")
		}
		ids[c.ID] = true
		c.check(secure, at)
	}
}

// check adds the faults of c.
func (c *Client) check(secure bool, at fault.List) {
	ways := 0
	for _, has := range []bool{c.Secret != "", c.Key != nil, c.Certificate != nil} {
		if has {
			ways++
		}
	}
	if ways != 1 {
		at.Add("has not exactly one way to authenticate", "set one of Secret, Key and Certificate")
	}
	if (c.Raw || c.Post) && c.Secret == "" || c.Raw && c.Post {
		at.Add("has Raw or Post without Secret, or both", "set at most one of them, with a Secret")
	}
	if (c.Audiences != nil || c.Ahead != 0) && c.Key == nil {
		at.Add("has Audiences or Ahead without Key", "they are about assertions, which need a Key")
	}
	if c.Key != nil && publicKey(c.Key) == "" {
		at.At("Key").Addf("use *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", "is a %T", c.Key)
	}
	if c.Certificate != nil && !secure {
		at.At("Certificate").Add("is set, and the issuer serves no TLS", "set Config.TLS, without InMemory")
	}
	if c.BearerLifetime < 0 {
		at.At("BearerLifetime").Add("is negative", "leave it out, or set a positive one")
	}
	if c.AnswerAudiences != nil && (!c.Signed || len(c.AnswerAudiences) == 0) {
		at.At("AnswerAudiences").Add("is empty, or set without Signed", "leave it out, or list the audiences of signed answers")
	}
}

// method returns the name of the method by which c authenticates (RFC 7591 §2, RFC
// 8705 §2).
func (c *Client) method() string {
	switch {
	case c.Key != nil:
		return "private_key_jwt"
	case c.Certificate != nil && c.Certificate.IsCA:
		return "tls_client_auth"
	case c.Certificate != nil:
		return "self_signed_tls_client_auth"
	case c.Post:
		return "client_secret_post"
	default:
		return "client_secret_basic"
	}
}

// refusal is an error answer (RFC 6749 §5.2).
type refusal struct {
	status            int
	code, description string
}

// unauthenticated returns the refusal of a request without or with wrong
// authentication.
func unauthenticated(description string) *refusal {
	return &refusal{http.StatusUnauthorized, "invalid_client", description}
}

// badRequest returns the refusal of a malformed request.
func badRequest(description string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", description}
}

// authenticate returns the client that sent a form to e.
func (s *site) authenticate(e Endpoint, r *http.Request, form url.Values) (*Client, *refusal) {
	fields := r.Header.Values("Authorization")
	ways := len(fields)
	for _, name := range []string{"client_secret", "client_assertion"} {
		if form.Has(name) {
			ways++
		}
	}
	if ways > 1 {
		return nil, badRequest("the client authenticates more than once")
	}
	client, bearer, refused := s.clientOf(r, form)
	switch {
	case refused != nil:
		return nil, refused
	case form.Has("client_id") && form.Get("client_id") != client.ID:
		return nil, unauthenticated("client_id is another client")
	case bearer != (e == Introspection && client.BearerLifetime > 0):
		return nil, unauthenticated("the client is registered for another method at this endpoint")
	}
	return client, nil
}

// clientOf returns the client that a request names and proves to be, and whether it did
// so by a bearer token.
func (s *site) clientOf(r *http.Request, form url.Values) (client *Client, bearer bool, _ *refusal) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		client = s.tokens.bearer(credentials, s.clients)
		bearer = true
	case scheme != "":
		client = s.find(func(c *Client) bool { return strings.EqualFold(scheme, "Basic") && c.hasBasic(credentials) })
	case form.Has("client_secret"):
		client = s.find(func(c *Client) bool {
			return c.Post && c.ID == form.Get("client_id") && c.Secret == form.Get("client_secret")
		})
	case form.Has("client_assertion"):
		client, refused := s.asserted(form)
		return client, false, refused
	default:
		client = s.find(func(c *Client) bool { return c.ID == form.Get("client_id") && c.hasCertificate(r.TLS) })
	}
	if client == nil {
		return nil, false, unauthenticated("the credentials are missing or wrong")
	}
	return client, bearer, nil
}

// find returns the client for which match returns true, or nil.
func (s *site) find(match func(*Client) bool) *Client {
	if i := slices.IndexFunc(s.clients, func(c Client) bool { return match(&c) }); i >= 0 {
		return &s.clients[i]
	}
	return nil
}

// hasBasic reports whether credentials of the scheme Basic are those of c.
func (c *Client) hasBasic(credentials string) bool {
	text, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil || c.Secret == "" || c.Post {
		return false
	}
	if c.Raw {
		return string(text) == c.ID+":"+c.Secret
	}
	id, secret, _ := strings.Cut(string(text), ":")
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	return idErr == nil && secretErr == nil && id == c.ID && secret == c.Secret
}

// hasCertificate reports whether the connection has the certificate of c, or one that
// it signed.
func (c *Client) hasCertificate(connection *tls.ConnectionState) bool {
	if c.Certificate == nil || connection == nil || len(connection.PeerCertificates) == 0 {
		return false
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.Certificate)
	for _, other := range connection.PeerCertificates[1:] {
		others.AddCert(other)
	}
	_, err := connection.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: others, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

// methods returns the methods that the clients use at the token and revocation
// endpoints, and those at the introspection endpoint. signed says whether a client gets
// signed answers.
func (s *site) methods() (methods, introspection []string, signed bool) {
	methods, introspection = []string{}, []string{}
	for i := range s.clients {
		c := &s.clients[i]
		at := c.method()
		methods = append(methods, at)
		if c.BearerLifetime > 0 {
			at = "Bearer" // an access token type, as RFC 8414 §2 allows
		}
		introspection = append(introspection, at)
		signed = signed || c.Signed
	}
	slices.Sort(methods)
	slices.Sort(introspection)
	return slices.Compact(methods), slices.Compact(introspection), signed
}

package introspect

import (
	"crypto"

	"github.com/sallyport-auth/sallyport/jose"
)

// Authentication is how this API authenticates at the introspection endpoint: one of
// [ClientSecretBasic], [ClientSecretPost], [PrivateKeyJWT], [TLSClientAuth] and
// [Bearer]. Each request has exactly one of them (RFC 6749 §2.3). It is configuration
// of this endpoint: the method of the token endpoint may be another one.
type Authentication interface{ authentication() }

// ClientSecretBasic sends ID and secret in the Authorization field (RFC 6749 §2.3.1).
type ClientSecretBasic struct {
	Secret Secret // required
	// Raw sends ID and secret without the form encoding that RFC 6749 demands. It is
	// for servers that do not decode them. It changes nothing if they have only
	// letters, digits and -._*. There is no second attempt in the other form.
	Raw bool
}

// ClientSecretPost sends ID and secret in the form (RFC 6749 §2.3.1).
type ClientSecretPost struct {
	Secret Secret // required
}

// PrivateKeyJWT signs an assertion for each request (RFC 7523 §2.2, OpenID Connect
// Core §9), with a jti of its own and a life of one minute.
type PrivateKeyJWT struct {
	// Key is the private key in PEM: PKCS#8, PKCS#1 or SEC 1. Either Key or Signer is
	// required.
	Key Secret
	// Signer signs in place of Key, for keys that do not leave their device.
	Signer crypto.Signer
	// KeyID is the kid of the assertion, or "" for none.
	KeyID string
	// Algorithm is what the key signs with. 0 means RS256, ES256, ES384, ES512 or
	// EdDSA, by the type of the key.
	Algorithm jose.Algorithm
	// Audience is the aud of the assertion, always as one string. "" means the URL
	// of the issuer, byte for byte. Some servers want their token endpoint.
	Audience string
}

// TLSClientAuth authenticates by the client certificate of the connection, whether its
// issuer is trusted (tls_client_auth) or the certificate itself is registered
// (self_signed_tls_client_auth); RFC 8705 §2. The form has client_id.
type TLSClientAuth struct {
	// Certificate and Key are the certificate, with its chain, and the private key in
	// PEM. If both are zero, the certificate is that of the transport of
	// Issuer.HTTPClient. A self-signed one must be in tls.Config.GetClientCertificate
	// there: one in Certificates is not sent to a server that lists the authorities it
	// knows.
	Certificate, Key Secret
}

// Bearer sends an access token in the Authorization field (RFC 7662 §2.1). The token is
// got by the client credentials grant (RFC 6749 §4.4), shared by all requests and
// renewed before it expires.
type Bearer struct {
	// TokenEndpoint is where the token is got. "" means the token_endpoint of the
	// issuer's metadata.
	TokenEndpoint string
	// Authentication is how this API authenticates there. Required, and not another
	// Bearer.
	Authentication Authentication
	Scope          string // of the token, as in the request; may be empty
	Resource       string // of the token (RFC 8707); may be empty
}

func (ClientSecretBasic) authentication() {}
func (ClientSecretPost) authentication()  {}
func (PrivateKeyJWT) authentication()     {}
func (TLSClientAuth) authentication()     {}
func (Bearer) authentication()            {}

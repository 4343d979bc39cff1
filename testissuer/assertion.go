package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// maxAssertionLife is how far exp of an assertion may be ahead.
	maxAssertionLife = 5 * time.Minute
)

// publicKey returns the JWK of a public key, or "" if it is of an unknown type.
func publicKey(key crypto.PublicKey) string {
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return string(must(json.Marshal(testkey.PublicJWK(key))))
	default:
		return ""
	}
}

// verifies reports whether a JWT is signed with a key.
func verifies(jwk string, u *jose.Unverified) bool {
	k, err := jose.ParseKey([]byte(jwk), []jose.Algorithm{u.UnverifiedHeader().Algorithm()})
	return err == nil && k.Verify(u) == nil
}

// assertion is the claims of an assertion. Audience is whatever stands there.
type assertion struct {
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  json.RawMessage `json:"aud"`
	ID        string          `json:"jti"`
	Expiry    int64           `json:"exp"`
	IssuedAt  int64           `json:"iat"`
	NotBefore int64           `json:"nbf"`
}

// asserted returns the client that an assertion proves (RFC 7523 §3).
func (s *site) asserted(form url.Values) (*Client, *refusal) {
	if form.Get("client_assertion_type") != assertionType {
		return nil, unauthenticated("client_assertion_type is not " + assertionType)
	}
	u, err := jose.ParseCompact(form.Get("client_assertion"))
	if err != nil {
		return nil, unauthenticated("the assertion is no signed JWT")
	}
	var claims assertion
	if json.Unmarshal([]byte(u.UnverifiedPayload()), &claims) != nil {
		return nil, unauthenticated("a claim of the assertion has the wrong type")
	}
	client := s.find(func(c *Client) bool { return c.Key != nil && c.ID == claims.Subject })
	if client == nil || claims.Issuer != claims.Subject || !verifies(publicKey(client.Key), &u) {
		return nil, unauthenticated("iss, sub or the signature of the assertion is wrong")
	}
	audiences := client.Audiences
	if audiences == nil {
		audiences = []string{s.url}
	}
	var audience string
	if json.Unmarshal(claims.Audience, &audience) != nil || !slices.Contains(audiences, audience) {
		return nil, unauthenticated("aud of the assertion is wrong, or no string")
	}
	if fault := claims.faultAt(time.Now().Add(client.Ahead)); fault != "" {
		return nil, unauthenticated(fault)
	}
	if claims.ID == "" || !s.tokens.firstUse(client.ID+" "+claims.ID, time.Unix(claims.Expiry, 0).Add(-client.Ahead)) {
		return nil, unauthenticated("jti of the assertion is missing, or was used before")
	}
	return client, nil
}

// faultAt returns what is wrong with the times of an assertion, or "".
func (a *assertion) faultAt(now time.Time) string {
	switch unix := now.Unix(); {
	case a.Expiry <= unix:
		return "the assertion has expired, or has no exp"
	case a.Expiry > now.Add(maxAssertionLife).Unix():
		return "exp of the assertion is more than 5 minutes ahead"
	case a.IssuedAt > unix || a.NotBefore > unix:
		return "iat or nbf of the assertion is ahead"
	default:
		return ""
	}
}

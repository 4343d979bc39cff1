package introspection

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

const (
	// assertionLife is how long an assertion is valid. Servers refuse those that are
	// valid for more than some minutes.
	assertionLife = time.Minute
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// assertion signs a JWT for each request (RFC 7523 §2.2).
type assertion struct {
	id       string
	audience string
	keyID    string
	key      *secretCache[signer]
}

// assertionHeader is the header of the JWT.
type assertionHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"typ"`
}

// assertionClaims are its claims (RFC 7523 §3). There is no nbf, because servers with
// a slow clock refuse it, and aud is one string, because some refuse an array.
type assertionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Expiry   int64  `json:"exp"`
}

func (a *assertion) authenticate(ctx context.Context, m *message) (int, error) {
	key, err := a.key.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("the private key cannot be read: %w", err)
	}
	signed, err := a.sign(key.value, time.Now())
	if err != nil {
		return 0, err
	}
	m.form.Set("client_id", a.id)
	m.form.Set("client_assertion_type", assertionType)
	m.form.Set("client_assertion", signed)
	return key.version, nil
}

// sign returns a new assertion.
func (a *assertion) sign(key signer, now time.Time) (string, error) {
	header, err := strictjson.Marshal(assertionHeader{key.algorithm.String(), a.keyID, "JWT"})
	if err != nil {
		return "", fmt.Errorf("KeyID cannot be written: %w", err)
	}
	claims, err := strictjson.Marshal(assertionClaims{
		Issuer: a.id, Subject: a.id, Audience: a.audience, ID: rand.Text(),
		IssuedAt: now.Unix(), Expiry: now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("ID and Audience cannot be written: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := key.sign(input)
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (a *assertion) renew(ctx context.Context, version int) bool { return a.key.renew(ctx, version) }

func (a *assertion) methods() []string { return []string{"private_key_jwt"} }

func (a *assertion) hint() string {
	return fmt.Sprintf("the aud of the assertion is %q: set PrivateKeyJWT.Audience if the server wants another", a.audience)
}

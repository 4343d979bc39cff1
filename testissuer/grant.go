package testissuer

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"time"
)

// grant issues an access token by the client credentials grant (RFC 6749 §4.4). Its
// scope and its aud are what the client asks for.
func (s *site) grant(c *Client, form url.Values) reply {
	if form.Get("grant_type") != "client_credentials" {
		return reply{status: http.StatusBadRequest, body: encode(map[string]any{"error": "unsupported_grant_type"})}
	}
	lifetime := c.BearerLifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	audience := form.Get("resource")
	if audience == "" {
		audience = s.url
	}
	t := Token{Scope: form.Get("scope"), Lifetime: lifetime, Claims: map[string]any{"sub": c.ID, "client_id": c.ID}}
	text := rand.Text()
	s.tokens.put(text, opaque{claims: string(encode(t.claims(s.url, audience))), client: c.ID})
	members := map[string]any{"access_token": text, tokenTypeMember: "Bearer", "expires_in": int64(lifetime / time.Second)}
	if t.Scope != "" {
		members["scope"] = t.Scope
	}
	return jsonReply(members)
}

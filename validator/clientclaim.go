package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// The claims that name a token's client, by provider: client_id by RFC 9068
// §2.2, cid at Okta, azp at Auth0, Entra ID (version 2), Keycloak and others,
// appid at Entra ID (version 1) and AD FS.
const (
	claimClientID        = "client_id"
	claimOktaClient      = "cid"
	claimAuthorizedParty = "azp"
	claimApplication     = "appid"
)

// otherClaims are registered names and names of other uses, none of which can
// be Issuer.ClientClaim.
var otherClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "act", "cnf", "events", "sid",
	"scope", "scp", "roles", "groups", "permissions", "entitlements", "typ", "tid", "oid", "uid", "email",
}

// checkClientClaim adds the fault of Issuer.ClientClaim.
func checkClientClaim(name string, profile Profile, f fault.List) {
	switch {
	case name == "" || name == claimClientID:
	case !isIdentifier(name) || slices.Contains(otherClaims, name):
		f.Addf("name the claim that has the client", "%q is a claim with another meaning, or has control characters", name)
	case profile == ProfileRFC9068:
		f.Addf("leave it empty: client_id names the client (RFC 9068 §2.2)", "%q is for ProfileLegacy only", name)
	}
}

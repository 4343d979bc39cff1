package providers

import (
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Hydra returns the issuer of the JWT access tokens of Ory Hydra and the Ory Network.
// issuer is the public URL as it is configured, often with a slash at its end, and
// audiences are what clients ask for: aud is empty otherwise, and the token refused.
// Access tokens are opaque unless the strategy jwt is set for the server or the client.
//
// An access token has client_id, and scp or scope. An ID token has rat, auth_time or
// at_hash. A logout token has events. As claims can be added to ID tokens freely, a
// token with any of these is refused.
//
// Token.ClientID is client_id, and Token.Scopes are scope and scp. A token that a client
// got for itself has the client's id as sub. Whether a JWT was revoked, only
// introspection tells; it calls refresh tokens active too, which token_use tells apart.
//
// It rests on github.com/ory/hydra (2026-07-24) and ory.com/docs (2026-07-01).
func Hydra(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	checkURL(issuer, f)
	checkAudiences(audiences, f)
	return validator.Issuer{
		URL:         issuer,
		Keys:        jwkscache.Discovered(),
		Audiences:   audiences,
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{has("client_id"), anyOf(hasList("scp"), has("scope"))},
		OtherTokens: marks("rat", "auth_time"),
		Mappings:    []validator.Mapping{scopesOf("scp")},
		Err:         f.Err(),
	}
}

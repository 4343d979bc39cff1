package providers

import (
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// FusionAuth returns the issuer of the access tokens of users of FusionAuth. issuer is
// the issuer of the tenant's JWT settings, which is any text, such as acme.com. keys is
// where the keys are, such as jwkscache.URL("https://login.example.com/.well-known/jwks.json"). Tokens are
// addressed to a client and not to an API, so clientIDs are the applications whose tokens
// are for this API.
//
// An access token has applicationId, if the user is registered for the application. ID
// tokens have not, since 1.24, and have at_hash. A lambda can add any claim to either: let
// none add applicationId to ID tokens. Tokens that a client got for itself have no
// such claim and are refused.
//
// Token.ClientID is applicationId, Token.Roles are roles, and Token.Scopes are scope.
// Tokens that are signed with a secret (HS256) are refused: give the tenant an RSA or EC
// key.
//
// It rests on fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens (read
// 2026-08) and, for where the keys are, on published integrations.
func FusionAuth(issuer string, keys jwkscache.Source, clientIDs ...string) validator.Issuer {
	f := faultsOf()
	if issuer == "" {
		f.At("URL").Add("is empty", "give the issuer of the tenant's JWT settings")
	}
	if keys == nil {
		f.At("Keys").Add("is missing, and the issuer is no address", "say where the keys are, such as with jwkscache.URL")
	}
	checkList(clientIDs, "list the ids of the applications whose tokens are for this API", f.At("Clients"))
	return validator.Issuer{
		URL:         issuer,
		Audiences:   clientIDs,
		Keys:        keys,
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{anyValue("applicationId", clientIDs...)},
		OtherTokens: ofIDTokens(),
		Mappings:    []validator.Mapping{rolesOf("roles")},
		ClientClaim: "applicationId",
		User:        has("applicationId"),
		Err:         f.Err(),
	}
}

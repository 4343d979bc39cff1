package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Keycloak returns the issuer of the access tokens of a Keycloak realm. issuer is its
// URL, such as https://login.example.com/realms/shop. audiences are what aud has for this
// API, which is often the id of a client that stands for the API. aud names the API only
// if an audience mapper adds it, or if the user has a role of that client. account is in
// most tokens and says nothing, so it is a fault.
//
// An access token has the claim typ with the value Bearer. ID tokens, refresh tokens,
// offline tokens and logout tokens of the same keys have other values, and no
// other token is accepted. Access tokens of Keycloak 24 and before may have a nonce.
//
// Token.ClientID is azp. Token.Scopes are scope. Token.Roles are the roles of the realm,
// and those of the clients that audiences name. A role of the realm and one of a client
// with the same name count as one; remove the Mapping of realm_access if realm roles are
// not meant for this API. Token.ClientOnly is true for service accounts, which have
// client_id, and Token.HasUser for other tokens with a session, sid. If a mapper adds
// client_id for users, they count as service accounts. sub may be missing in tokens of
// users since Keycloak 25: such a token is refused, so let the client have the scope basic.
//
// It rests on these files of github.com/keycloak/keycloak (read 2026-08):
// con-audience.adoc, proc-using-a-service-account.adoc, changes-25_0_0.adoc, keys.adoc,
// available-endpoints.adoc, TokenUtil.java, AccessToken.java and DefaultTokenManager, and
// on tokens of realms of version 26.
func Keycloak(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	_, path, ok := split(issuer)
	before, realm, found := strings.Cut(path, "/realms/")
	if !ok || !found || realm == "" || strings.Contains(realm, "/") || strings.HasSuffix(before, "/") {
		f.At("URL").Addf("give the URL of the realm, such as https://login.example.com/realms/shop, without a slash at its end", "%q is not the issuer of a realm", issuer)
	}
	checkAudiences(audiences, f)
	mappings := []validator.Mapping{rolesOf("realm_access", "roles")}
	for i, audience := range audiences {
		at := f.At("Audiences").Atf("[%d]", i)
		switch audience {
		case "account":
			at.Add(`"account" is in the tokens of nearly all users, for every API`, "name this API, and let an audience mapper add it to the tokens")
		case issuer:
			at.Add("is the realm itself, which is in refresh tokens", "name this API, and let an audience mapper add it to the tokens")
		}
		mappings = append(mappings, rolesOf("resource_access", audience, "roles"))
	}
	return validator.Issuer{
		URL:         issuer,
		Keys:        jwkscache.Discovered(),
		Audiences:   audiences,
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{equals("typ", "Bearer")},
		Mappings:    mappings,
		ClientClaim: "azp",
		ClientOnly:  anyOf(has("client_id"), has("clientId"), has("clientHost")),
		User:        has("sid"),
		Err:         f.Err(),
	}
}

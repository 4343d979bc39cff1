package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const entraAuthority = "https://login.microsoftonline.com/"

// EntraID returns the issuer of the access tokens of version 2 of one tenant of Microsoft
// Entra ID. tenant is its GUID, and audiences are client ids of this API, which are GUIDs
// too. The manifest of the API says which version its tokens have
// (requestedAccessTokenVersion): 2 is for EntraID, null and 1 are for [EntraIDv1],
// whichever endpoint the client called.
//
// An access token has azp and azpacr, which ID tokens have not, and scp if it is for a
// user, or roles if a client got it for itself. A token without any of scp, roles and
// idtyp permits nothing, and is refused. The claim tid must be the tenant, and each key
// must be one of the tenant or of all tenants.
//
// Token.ClientID is azp, Token.Scopes are scp, Token.Roles are roles, and Token.Tenant is
// tid. Token.HasUser is true for tokens with scp, and false for tokens without it. sub is
// another one for each API; oid and tid name the user everywhere. There is no jti; uti
// takes its place. groups is not mapped: it has object ids, and if there are too many, a
// reference.
//
// If the API has claims mapping with keys of its own, set Keys to the URL of the keys
// with its appid. Tokens for Microsoft Graph and other APIs of Microsoft are for these
// alone. Other clouds have other hosts; set URL, Keys and KeyIssuers for them.
//
// It rests on the pages access-tokens (2023-08-01), access-token-claims-reference
// (2023-05-26), id-token-claims-reference (2023-05-30), optional-claims-reference
// (2024-04-10), claims-validation (2023-04-21) and signing-key-rollover (2024-10-28) of
// learn.microsoft.com/entra/identity-platform, and on the code of
// Microsoft.IdentityModel.Validators (read 2024-10-24).
func EntraID(tenant string, audiences ...string) validator.Issuer {
	f := faultsOf()
	tenant = checkTenant(tenant, f.At("Tenant"))
	checkAudiences(audiences, f)
	for i, audience := range audiences {
		if audience != "" && !isGUID(audience) {
			f.At("Audiences").Atf("[%d]", i).Addf("give the client id of the API, or use EntraIDv1, whose tokens may name an App ID URI",
				"%q is no GUID, and tokens of version 2 have the client id of the API as aud", audience)
		}
	}
	is := entra(tenant, "azp", audiences)
	is.URL = entraAuthority + tenant + "/v2.0"
	is.Err = f.Err()
	return is
}

// EntraIDv1 returns the issuer of the access tokens of version 1 of one tenant of
// Microsoft Entra ID. tenant is its GUID. audiences are all values that aud may have: the
// client id of the API and its App ID URIs. aud has the App ID URI as the client wrote
// it, so list it with and without a slash at its end, if clients write both.
//
// It is [EntraID] with other names: the issuer is at sts.windows.net, the keys are
// those of version 1, the client is in appid, and appidacr says how it authenticated. An
// API whose clients get both versions needs both issuers, each with Grants and Roles. acr
// and amr are in tokens of version 1 only.
//
// It rests on the same documents as EntraID.
func EntraIDv1(tenant string, audiences ...string) validator.Issuer {
	f := faultsOf()
	tenant = checkTenant(tenant, f.At("Tenant"))
	checkAudiences(audiences, f)
	is := entra(tenant, "appid", audiences)
	is.URL = "https://sts.windows.net/" + tenant + "/"
	is.Keys = jwkscache.URL(entraAuthority + tenant + "/discovery/keys")
	is.Err = f.Err()
	return is
}

// entra returns what both versions have in common. The name of the claim of the client
// followed by acr is that of the claim of how it authenticated.
func entra(tenant, client string, audiences []string) validator.Issuer {
	return validator.Issuer{
		Keys:        jwkscache.Discovered(),
		Audiences:   audiences,
		Algorithms:  []jose.Algorithm{jose.RS256},
		KeyIssuers:  []string{entraAuthority + "{tenantid}/v2.0", entraAuthority + tenant + "/v2.0"},
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{anyValue(client+"acr", "0", "1", "2")},
		OtherTokens: ofIDTokens(),
		Claims:      []validator.ClaimRule{has(client), anyOf(has("scp"), hasList("roles"), equals("idtyp", "app"))},
		Mappings:    []validator.Mapping{scopesOf("scp"), rolesOf("roles")},
		Tenant:      validator.TenantRule{Claim: "tid", Owned: []string{tenant}},
		ClientClaim: client,
		User:        has("scp"),
	}
}

// checkTenant returns tenant in lower case, as Entra ID writes GUIDs, and adds a fault if
// it is no GUID.
func checkTenant(tenant string, f fault.List) string {
	const mend = "give the GUID of the tenant (Directory ID); with several tenants, give each an Issuer, or use Config.ResolveIssuer with a list of yours"
	switch strings.ToLower(tenant) {
	case "":
		f.Add("is empty", mend)
	case "common", "organizations", "consumers", personalAccounts:
		f.Addf(mend, "%q stands for every tenant, and anybody can make one", tenant)
	default:
		if !isGUID(tenant) {
			f.Addf(mend, "%q is no GUID", tenant)
		}
	}
	return strings.ToLower(tenant)
}

// personalAccounts is the tenant of personal Microsoft accounts.
const personalAccounts = "9188040d-6c67-4c5b-b112-36a304b66dad"

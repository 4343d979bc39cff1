package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Auth0 returns the issuer of the access tokens of an Auth0 tenant. domain is its domain,
// such as acme.eu.auth0.com, or that as a URL, and audiences are identifiers of APIs. iss
// has the domain that the client used. If clients use a custom domain too, that is
// another issuer.
//
// Both token profiles are accepted. A token of the RFC 9068 profile has the type at+jwt.
// A token of the Auth0 profile has one of scope, permissions and gty, which ID tokens
// have not.
//
// Token.ClientID is client_id or azp. Token.Scopes are scope, and permissions, which are in the token
// if RBAC and "Add Permissions in the Access Token" are switched on for the API.
// permissions has what the user may do, also if the client did not ask for it. A token
// that a client got for itself has gty client-credentials or the client's id as sub, with
// or without @clients. A token of an AI agent has sub_profile ai_agent.
//
// Keys of a tenant may have no alg, so the preset takes RS256. If the API signs with
// PS256, set Algorithms. Tokens that were requested without an audience are opaque, and
// good for /userinfo only. Tokens for the Management API are for Auth0 alone.
//
// It rests on these pages of auth0.com/docs (read 2026-08-20): access-token-profiles,
// access-tokens, get-access-tokens, json-web-key-sets, json-web-key-set-properties,
// id-token-structure, agent-identity-in-tokens, back-channel-logout and
// signing-algorithms.
func Auth0(domain string, audiences ...string) validator.Issuer {
	f := faultsOf()
	host, ok := hostOf(domain)
	switch {
	case !ok || strings.HasPrefix(strings.ToLower(domain), "http://"):
		f.At("URL").Addf("give the domain, such as acme.eu.auth0.com", "%q is neither a domain nor an https URL without path", domain)
	case !strings.Contains(host, "."):
		f.At("URL").Addf("give the whole domain, such as acme.eu.auth0.com", "%q is no domain", domain)
	}
	checkAudiences(audiences, f)
	for i, audience := range audiences {
		if audience == "https://"+host+"/userinfo" || audience == "https://"+host+"/api/v2/" {
			f.At("Audiences").Atf("[%d]", i).Addf("give the identifier of your API", "%q is an API of Auth0", audience)
		}
	}
	return validator.Issuer{
		URL:        "https://" + host + "/",
		Keys:       jwkscache.Discovered(),
		Audiences:  audiences,
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{anyOf(has("scope"), hasList("permissions"), has("gty"))},
		Mappings:   []validator.Mapping{scopesOf("permissions")},
		ClientOnly: equals("gty", "client-credentials"),
		Err:        f.Err(),
	}
}

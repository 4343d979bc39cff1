package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Okta returns the issuer of the access tokens of a custom authorization server of Okta.
// issuer is its URL, such as https://dev-1.okta.com/oauth2/default, and audiences are what
// is set as its audience, such as api://default. The access tokens of the org
// authorization server, whose URL has no path, are for Okta alone. They cannot be used
// for any API, so its URL is a fault.
//
// An access token has cid and scp, an array, which ID tokens have not.
//
// Token.ClientID is cid, Token.Scopes are scp. Token.Roles are groups, if a claim of that
// name was added to the authorization server. sub is the login of the user by default;
// uid is the id. A token that a client got for itself has the client's id as sub, so
// Token.HasUser and Token.ClientOnly tell the two apart. Tokens of agent chains, which
// have scope and no cid, are refused.
//
// It rests on these pages of developer.okta.com/docs (read 2026-08-21):
// concepts/auth-servers, guides/validate-access-tokens, concepts/key-rotation,
// concepts/oauth-claims, guides/customize-tokens-static, guides/ai-agent-token-exchange
// and release-notes/2024, and on github.com/okta/okta-jwt-verifier-golang (2025-06-27).
func Okta(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	const mend = "give the Issuer URI of a custom authorization server, such as https://dev-1.okta.com/oauth2/default"
	_, path, ok := split(issuer)
	id, custom := strings.CutPrefix(path, "/oauth2/")
	switch {
	case !ok:
		f.At("URL").Addf(mend, "%q is no https URL", issuer)
	case isOktaOrg(path):
		f.At("URL").Addf(mend, "%q is the org authorization server, whose access tokens are for Okta alone", issuer)
	case custom && strings.Trim(id, "/")+"/" == id:
		f.At("URL").Addf("give it without a slash at its end", "%q is not the issuer of a custom authorization server", issuer)
	case !custom || id == "" || strings.Contains(id, "/"):
		f.At("URL").Addf(mend, "%q is not the issuer of a custom authorization server", issuer)
	}
	checkAudiences(audiences, f)
	return validator.Issuer{
		URL:         issuer,
		Keys:        jwkscache.Discovered(),
		Audiences:   audiences,
		Algorithms:  []jose.Algorithm{jose.RS256},
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{has("cid"), hasList("scp")},
		Mappings:    []validator.Mapping{scopesOf("scp"), rolesOf("groups")},
		ClientClaim: "cid",
		User:        has("uid"),
		Err:         f.Err(),
	}
}

// isOktaOrg reports whether path is that of the org authorization server, or of one of its
// endpoints, such as /oauth2/v1/token.
func isOktaOrg(path string) bool {
	path = strings.Trim(path, "/")
	return path == "" || strings.HasPrefix(path+"/", "oauth2/v1/")
}

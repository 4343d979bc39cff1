package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Supabase returns the issuer of the access tokens of Supabase Auth. project is the
// reference of the project, or the issuer URL: https://{reference}.supabase.co/auth/v1,
// or that of a custom domain. Without audiences, aud must be authenticated, as it is in all
// projects, unless a hook sets another.
//
// An access token has role, session_id and aal, which ID tokens have not. The anon and
// service_role keys of the API have the issuer supabase and are signed with a secret:
// they are refused. So are all tokens of a project that signs with the legacy secret:
// create an asymmetric key for it.
//
// Every token is a user's, also without client_id, which only tokens for OAuth clients
// have: Token.HasUser is true, and Token.ClientID may be empty. Token.Roles is role, and
// Token.Scopes are scope. Anonymous users are users; to refuse them, add a rule for
// is_anonymous to Claims. amr is a list of objects and does not count: demand aal, such as
// with scopes.Claim, for several factors. Never take roles from user_metadata, which users
// write themselves.
//
// It rests on the guides auth/jwt-fields, auth/signing-keys and
// auth/oauth-server/token-security of supabase.com/docs, and on github.com/supabase/auth
// (2026-08-20).
func Supabase(project string, audiences ...string) validator.Issuer {
	f := faultsOf()
	url := project
	if project != "" && !strings.ContainsAny(project, ":/.") {
		url = "https://" + project + ".supabase.co/auth/v1"
	}
	checkURL(url, f)
	if len(audiences) == 0 {
		audiences = []string{"authenticated"}
	}
	checkAudiences(audiences, f)
	return validator.Issuer{
		URL:        url,
		Audiences:  audiences,
		Keys:       jwkscache.URL(strings.TrimSuffix(url, "/") + "/.well-known/jwks.json"),
		Algorithms: []jose.Algorithm{jose.ES256, jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{has("role"), has("session_id"), has("aal")},
		Mappings:   []validator.Mapping{rolesOf("role")},
		User:       has("session_id"),
		Err:        f.Err(),
	}
}

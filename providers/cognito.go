package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Cognito returns the issuer of the access tokens of a user pool of Amazon Cognito. pool
// is its id, such as eu-central-1_Ab1Cd2Ef3, or its issuer URL, and clientIDs are the app
// clients whose tokens are for this API. Access tokens have no aud, so the client is what
// tells the tokens for this API from others. With resource binding, aud is the resource:
// set Audiences too. A token with aud is judged by Audiences alone.
//
// An access token has token_use access. ID tokens have token_use id.
//
// Token.ClientID is client_id, Token.Scopes are scope, and Token.Roles are
// cognito:groups. The scope aws.cognito.signin.user.admin is for the profile of the user
// at Cognito; do not demand it. Tokens that were requested with an SDK have no other.
//
// Token.HasUser is true for tokens with username. The documents do not say what tells a
// token that a client got for itself: Token.ClientOnly is true if sub is the client's id.
//
// Identity pools are another issuer, whose tokens are refused.
//
// It rests on these pages of docs.aws.amazon.com/cognito/latest/developerguide (2023):
// amazon-cognito-user-pools-using-the-access-token,
// amazon-cognito-user-pools-using-tokens-verifying-a-jwt and
// cognito-user-pools-define-resource-servers, and on github.com/awslabs/aws-jwt-verify
// (2026-03-27).
func Cognito(pool string, clientIDs ...string) validator.Issuer {
	f := faultsOf()
	url := pool
	if !strings.Contains(pool, "://") {
		region, _, _ := strings.Cut(pool, "_")
		url = "https://cognito-idp." + region + ".amazonaws.com/" + pool
	}
	switch trimmed := strings.TrimSuffix(url, "/"); {
	case isUserPool(url):
	case isUserPool(trimmed):
		f.At("URL").Addf("give it without a slash at its end", "%q is no user pool", pool)
	default:
		f.At("URL").Addf("give the id of a user pool, such as eu-central-1_Ab1Cd2Ef3, or its issuer URL", "%q is no user pool", pool)
	}
	checkList(clientIDs, "list the ids of the app clients whose tokens are for this API", f.At("Clients"))
	return validator.Issuer{
		URL:        url,
		ClientIDs:  clientIDs,
		Keys:       jwkscache.URL(url + "/.well-known/jwks.json"),
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{equals("token_use", "access")},
		Mappings:   []validator.Mapping{rolesOf("cognito:groups")},
		User:       has("username"),
		Err:        f.Err(),
	}
}

// isUserPool reports whether issuer is that of a user pool: the host names the region
// with which the id of the pool begins.
func isUserPool(issuer string) bool {
	host, path, _ := split(issuer) // both are empty if issuer is no URL
	region, id, _ := strings.Cut(strings.TrimPrefix(path, "/"), "_")
	return region != "" && id != "" && !strings.ContainsAny(id, "/_") && strings.HasPrefix(host, "cognito-idp."+region+".")
}

package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Zitadel returns the issuer of the access tokens of a Zitadel instance. issuer is
// https:// and the domain, and audiences are the id of the project or the client ids in
// it. Access tokens are opaque unless the application or service user asks for JWTs.
//
// Nothing marks an access token: it has the issuer, the keys, the type and the aud of an
// ID token. An ID token is told by what only it has: auth_time, amr, acr, at_hash, nonce
// or sid, and it has no jti. Where that is too weak, ask the issuer about each token:
// set Opaque, and ActiveWithin for JWTs.
//
// Token.ClientID is client_id or azp. The JWT has no scopes, so policies that demand a
// scope refuse it. The claims of roles are objects: a Mapping with MemberNames reads
// them, for all organizations alike. Tokens of service users look like those of users, so Token.HasUser and Token.ClientOnly are both
// false, unless sub is the client. Token.HasUser is true for tokens with the claim human,
// equal to true, which no token has until an Action of yours adds it for users.
//
// It rests on claims.md, webkeys.md (2025) and opaque-tokens.md of
// github.com/zitadel/zitadel, and on the code of that and of github.com/zitadel/oidc
// (2026-08-17). They differ about azp, which may therefore be there or not.
func Zitadel(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	checkURL(issuer, f)
	checkAudiences(audiences, f)
	return validator.Issuer{
		URL:         issuer,
		Audiences:   audiences,
		Keys:        jwkscache.URL(strings.TrimSuffix(issuer, "/") + "/oauth/v2/keys"),
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{equals("iss", issuer)},
		OtherTokens: marks("auth_time", "amr", "acr", "sid"),
		Claims:      []validator.ClaimRule{has("jti"), anyOf(has("client_id"), has("azp"))},
		User:        isTrue("human"),
		Err:         f.Err(),
	}
}

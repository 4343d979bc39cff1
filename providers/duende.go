package providers

import (
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Duende returns the issuer of the access tokens of a Duende IdentityServer. issuer is
// its origin, in lower case, or its IssuerUri, and audiences are the names of API
// resources. Its access tokens follow RFC 9068: their type is at+jwt, which no other token
// of it has.
//
// scope is an array by default, and a string if EmitScopesAsSpaceDelimitedStringInJwt is
// set; both are read. A token that a client got for itself has no sub: Token.Subject is
// then empty, and Token.ClientOnly true. A token for scopes that belong to no API
// resource has no aud, and is refused: add the scopes to an API resource. An audience
// that ends with /resources is in the tokens of every API of the server.
//
// Roles are in the token only if the API resource asks for such a claim; add a Mapping
// then. Keys may be RSA or EC. For algorithms other than RS256, PS256, ES256 and EdDSA, set
// Algorithms. Reference tokens are opaque; set Opaque for them.
//
// It rests on docs.duendesoftware.com/identityserver (read 2026-08-20), and on
// github.com/DuendeSoftware/products (2026-07-23).
func Duende(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	checkURL(issuer, f)
	checkAudiences(audiences, f)
	return validator.Issuer{URL: issuer, Audiences: audiences, Keys: jwkscache.Discovered(), ScopeLists: true, SubjectOptional: true, Err: f.Err()}
}

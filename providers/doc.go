// Package providers has the configuration of the issuers that large providers run: what
// their access tokens look like, and how they are told from the other tokens that the
// same keys sign.
//
//	guard, err := middleware.For(providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders"))
//
// A preset returns a [validator.Issuer], whose fields may be changed before it is used.
// It sets URL, Keys if they are not found by metadata, Algorithms if the provider says
// which it uses, Profile, Marker, OtherTokens, ClientClaim, ClientOnly, User and
// Mappings. It sets neither Grants nor Roles. With several issuers, each needs them:
//
//	okta := providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders")
//	okta.Grants, okta.Roles = []string{"orders:read"}, []string{}
//
// An Issuer has one iss. If a provider has several, as Entra ID has for the two versions
// of its tokens, each is an Issuer of its own.
//
// A preset that was called with wrong arguments sets Issuer.Err, and validator.New
// reports it.
//
// The comment of a preset names the public documents that it rests on, with their dates
// or the date on which they were read. What these do not say, the preset does not use:
// no preset rests on a guess. The page docs/issuers.md has the same presets in YAML, the
// settings at each provider, and a table of what each preset accepts and refuses.
package providers

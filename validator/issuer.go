package validator

import (
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Issuer is one authorization server (RFC 8414) and what its access tokens
// must be.
type Issuer struct {
	// URL is the issuer identifier, compared byte for byte with iss: a
	// trailing slash matters. It has at most 512 bytes of UTF-8 and no control
	// characters. Where metadata are looked for below it, it is https without query and
	// fragment, or http to a loopback host. If nothing is discovered, or with
	// MetadataURL, it may be any name, such as accounts.google.com or a URN. Required.
	URL string
	// Audiences are the identifiers of this API, of which aud must name at
	// least one, byte for byte (RFC 9068 §4). Required, unless ClientIDs is set.
	Audiences []string
	// ClientIDs are the clients whose tokens are for this API, for an issuer whose
	// access tokens have no aud, such as Amazon Cognito. A token without aud must then
	// name one of them as its client, byte for byte. A token that has aud is judged by
	// Audiences alone. nil refuses tokens without aud. It is for ProfileLegacy only. A
	// token without aud is not for any audience that a route demands.
	ClientIDs []string
	// Algorithms are those that tokens may be signed with. nil means RS256,
	// PS256, ES256 and EdDSA; an empty list is refused. The first RSA
	// algorithm is the one RSA keys without alg are bound to; see package
	// jose.
	Algorithms []jose.Algorithm
	// Keys says where the issuer's keys come from. nil means that they are
	// discovered from URL (RFC 8414, then OpenID Connect Discovery). With Opaque,
	// nil means that JWTs are not validated, and discovery has to be set as
	// [jwkscache.Discovered].
	Keys jwkscache.Source
	// MetadataURL is where the metadata are, if not at the well-known URLs of URL, as at
	// Azure AD B2C. It is https, or http to a loopback host. The document must still be
	// of this issuer: its issuer is URL, or its access_token_issuer is, as at AD FS. It is
	// for discovered keys and endpoints only. "" means the well-known URLs.
	MetadataURL string
	// KeyIssuers are the values that the member issuer of a JWK may have, byte for byte,
	// as at Entra ID, where the keys of one JWK Set belong to several issuers. A key with
	// another value, or with a value that is not a string, is not used. A key without the
	// member is used. nil does not look at the member.
	KeyIssuers []string
	// KeyLimits bound how keys are fetched, and how long they serve while the
	// issuer is down. The zero value has the defaults.
	KeyLimits jwkscache.Limits
	// ForbiddenKeys are never used, wherever they are published; see
	// [Validator.ForbidKey].
	ForbiddenKeys []jwkscache.KeyName
	// HTTPClient replaces the transport of fetches, for TLS roots, a client
	// certificate or a proxy; redirects stay off and the bounds stay on. Start with
	// [NewTransport], which nil means: it has no environment proxy, and refuses
	// link-local and cloud metadata addresses.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits plain http to hosts other than loopback, for
	// URL and for the keys. Anyone on the path can then substitute their own
	// keys and mint tokens. For isolated test networks only.
	InsecureAllowHTTP bool
	// Profile says how an access token is told from the other JWTs that the
	// issuer signs. The zero value is strict RFC 9068.
	Profile Profile
	// Marker is what only access tokens of a [ProfileLegacy] issuer carry. All rules must
	// hold. A rule with Equals is the better one: see ProfileLegacy for the signs of an ID
	// token that it outweighs. Required there, refused elsewhere.
	Marker []ClaimRule
	// OtherTokens are what only other tokens of the issuer carry, such as its ID tokens
	// and refresh tokens. A token that matches one of the rules is refused. A rule without
	// Equals matches the claim with a value of any JSON type, also null. A rule with Equals
	// matches the string, an array that contains it, the boolean, and an object with a
	// member of that name, whatever Type says. The rules are checked before Marker, under
	// every Profile, and in answers about tokens as well.
	OtherTokens []ClaimRule
	// Claims are further claims that every token must carry.
	Claims []ClaimRule
	// Grants are the scopes that this issuer may grant: its tokens have no
	// others, whatever they say. nil means all, for an issuer that is the only
	// one. With several Issuers, or with ResolveIssuer, each needs a list, so that
	// none grants what only another may; [AllScopes] as its only member says
	// all. An empty list grants none.
	Grants []string
	// ScopeLists allows scope to be an array of scope tokens, as at Duende
	// IdentityServer, beside the string of RFC 8693 §4.2. It holds for JWTs and for
	// answers about opaque tokens. Answers.ScopeLists holds for answers only.
	ScopeLists bool
	// Mappings make scopes or roles of other claims. nil: none does. The presets of
	// package providers set those of large providers.
	Mappings []Mapping
	// Roles are the roles that this issuer may give: its tokens have no
	// others, whatever Mappings make of them. nil means all, for an issuer
	// that is the only one. With several Issuers, or with ResolveIssuer, an issuer
	// needs a list if a Mapping to roles has no Values; [AllRoles] as its only
	// member says all. An empty list gives none.
	Roles []string
	// ACRs are the values of acr that count of this issuer's tokens; the
	// others are absent from [Token.ACR], so that a policy that asks for them
	// refuses with a step-up challenge. nil means all, for an issuer that is
	// the only one, and none with several Issuers or with ResolveIssuer, since two
	// issuers may mean different things by one value.
	ACRs []string
	// Tenant says which tenant the tokens speak for. The zero rule: there are
	// no tenants.
	Tenant TenantRule
	// ClientClaim is the claim at the top level of the token that names the
	// client: client_id, cid (Okta), azp (Auth0, Entra ID version 2, Keycloak),
	// appid (Entra ID version 1, AD FS) or one of the issuer's own. A token in
	// which it is not a string, or empty, is refused ([BadClaims]).
	//
	// "" means client_id. Under [ProfileLegacy] a token without client_id then
	// names its client in the one of cid, azp and appid that it has; if it has
	// several that differ, the client cannot be told. [ProfileRFC9068]
	// requires client_id in tokens, so that [New] refuses any other claim.
	//
	// Set it, or ClientOnly, where routes ask for users: see [Token.HasUser].
	// With another ClientClaim than client_id and without ClientOnly and User, a
	// subject that is not the client's counts as a user, unless the token also
	// has client_id.
	ClientClaim string
	// ClientOnly is a marker of tokens that a client got for itself, without
	// a user: such as gty equal to client-credentials of Auth0, or idtyp equal
	// to app of Entra ID, where it has to be switched on. Tokens whose subject
	// is the client itself are such tokens as well, unless User matches. The zero ClaimRule
	// adds no marker. With a rule and without User, every other token whose client is known
	// counts as a user's. See [Token.ClientOnly].
	ClientOnly ClaimRule
	// User is a marker of tokens that were issued for a user, such as uid of Okta or
	// session_id of Supabase. A token that matches counts as a user's, also if its client
	// is not known, unless ClientOnly matches. If its subject is the client or its service
	// account, it counts neither as a user's nor as the client's own. With a rule, no other
	// token counts as a user's. The zero ClaimRule adds no marker.
	User ClaimRule
	// SubjectOptional admits tokens without sub, or with an empty one, as Duende
	// IdentityServer sends them to clients without a user. Such a token counts as one
	// that the client got for itself, whatever ClientOnly says, and [Token.Subject] is
	// empty. If it names no client either, which [ProfileLegacy] allows, or if User
	// matches, nothing is known about its caller: it has scopes and roles, and policies
	// that ask for users or for tokens without a user refuse it. A sub that is null, or of another type, is
	// refused all the same.
	SubjectOptional bool
	// Opaque says how the issuer is asked about tokens (RFC 7662). nil means that it is
	// never asked. Without Keys, all tokens that are selected for the issuer are opaque,
	// also those that look like JWTs. With Keys, JWTs of the issuer are validated
	// locally. A JWT that fails is refused, and the issuer is not asked about it. The
	// Client must not be changed. Config.ResolveIssuer must return the same one every
	// time, as with HTTPClient: another one counts as a changed configuration.
	Opaque *introspect.Client
	// Answers says what an answer about an opaque token must have, besides what the
	// rest of the configuration demands. It is allowed only with Opaque.
	Answers AnswerRules
	// ActiveWithin demands that the issuer said within that time that a JWT is active,
	// in addition to local validation. [EachRequest] asks for every request. 0 means
	// that JWTs are not asked about, unless a route demands it. It is allowed only with
	// Opaque and Keys.
	ActiveWithin time.Duration
	// MultiFactor are the values of amr by which this issuer tells that the
	// user authenticated by several factors, such as mfa (RFC 8176 §2). nil:
	// none does.
	MultiFactor []string
	// Err is what the function that made this Issuer found wrong with its arguments.
	// Presets set it, since they return no error. [New] reports it among its faults, and no
	// other fault of this Issuer. The Path of a [Fault] in it is taken to be below this
	// Issuer.
	Err error
}

// clone returns a copy of c that shares nothing that the caller may change. The
// values behind Keys and HTTPClient are not copied: a Source cannot be changed, and a
// client is in use.
func (c *Issuer) clone() Issuer {
	clone := *c
	clone.Audiences = slices.Clone(c.Audiences)
	clone.ClientIDs = slices.Clone(c.ClientIDs)
	clone.Algorithms = slices.Clone(c.Algorithms)
	clone.KeyIssuers = slices.Clone(c.KeyIssuers)
	clone.ForbiddenKeys = slices.Clone(c.ForbiddenKeys)
	clone.Marker = cloneRules(c.Marker)
	clone.OtherTokens = cloneRules(c.OtherTokens)
	clone.Claims = cloneRules(c.Claims)
	clone.Grants = slices.Clone(c.Grants)
	clone.Mappings = slices.Clone(c.Mappings)
	for i := range clone.Mappings {
		clone.Mappings[i] = c.Mappings[i].clone()
	}
	clone.Roles = slices.Clone(c.Roles)
	clone.ACRs = slices.Clone(c.ACRs)
	clone.ClientOnly = c.ClientOnly.clone()
	clone.User = c.User.clone()
	clone.Tenant = c.Tenant.clone()
	clone.Answers = c.Answers.clone()
	clone.MultiFactor = slices.Clone(c.MultiFactor)
	return clone
}

// equal reports whether two configurations are the same. Clients are compared by
// address: the fields of an HTTPClient may change while it is in use, and secrets
// cannot be compared.
func (c *Issuer) equal(other *Issuer) bool {
	a, b := *c, *other
	a.HTTPClient, b.HTTPClient = nil, nil
	a.Opaque, b.Opaque = nil, nil
	return c.HTTPClient == other.HTTPClient && c.Opaque == other.Opaque && reflect.DeepEqual(a, b)
}

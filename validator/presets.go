package validator

// EntraMappings returns the Mappings for access tokens of Microsoft Entra ID. scp, a
// string, has the delegated permissions that the user or an administrator consented to.
// It is there only if a client acts for a user. roles, an array, has the app roles of
// the user, or the application permissions of the client itself. groups is not mapped:
// it has object ids, and if a user is in too many groups, the token has a reference
// instead.
//
// Set Issuer.ClientClaim to azp, or to appid for tokens of version 1. Once the optional
// claim idtyp is switched on, set Issuer.ClientOnly to idtyp equal to app. Without idtyp,
// a token that has azpacr or appidacr and no scp counts as the client's own.
func EntraMappings() []Mapping {
	return []Mapping{{Claim: []string{"scp"}, To: ToScope}, {Claim: []string{"roles"}, To: ToRole}}
}

// OktaMappings returns the Mappings for access tokens of Okta's custom authorization
// servers. scp, an array, has the scopes. groups, an array, is there if a claim of that
// name was added to the authorization server. It has the groups that the claim's filter
// lets through.
//
// Set Issuer.ClientClaim to cid. A token that a client got for itself has the client's
// id as sub.
func OktaMappings() []Mapping {
	return []Mapping{{Claim: []string{"scp"}, To: ToScope}, {Claim: []string{"groups"}, To: ToRole}}
}

// Auth0Mappings returns the Mappings for APIs of Auth0 with RBAC and "Add Permissions in
// the Access Token" switched on. permissions, an array, has what the roles of the user
// permit, or what the client was granted. scope has what the client asked for and the
// user may do, and permissions may have more than that.
//
// For APIs with the token profile of Auth0, set Issuer.ClientClaim to azp, and
// Issuer.ClientOnly to gty equal to client-credentials. In both profiles, the sub of a
// token that a client got for itself is the client's id followed by @clients. A client
// that is linked to an agent has neither gty nor that sub. Only sub_profile shows that
// its token has no user.
func Auth0Mappings() []Mapping {
	return []Mapping{{Claim: []string{"permissions"}, To: ToScope}}
}

// KeycloakMappings returns the Mappings for access tokens of Keycloak: the roles of the
// realm, in realm_access, and the roles of the client that this API is registered as, in
// resource_access. scope needs no Mapping. A role of the realm and a role of the client
// with the same name count as one role. Use the second Mapping only if realm roles are
// not meant for this API.
//
// Set Issuer.ClientClaim to azp. The sub of a service account looks like that of a user.
// client_id tells them apart, because Keycloak adds it for service accounts only, unless
// a mapper adds it for others too. Name it in Issuer.ClientOnly. A token whose
// preferred_username is service-account- followed by the client's id has no known user.
func KeycloakMappings(clientID string) []Mapping {
	return []Mapping{
		{Claim: []string{"realm_access", "roles"}, To: ToRole},
		{Claim: []string{"resource_access", clientID, "roles"}, To: ToRole},
	}
}

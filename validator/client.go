package validator

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// The claims that name a token's client, by provider: client_id by RFC 9068
// §2.2, cid at Okta, azp at Auth0, Entra ID (version 2), Keycloak and others,
// appid at Entra ID (version 1) and AD FS.
const (
	claimClientID        = "client_id"
	claimOktaClient      = "cid"
	claimAuthorizedParty = "azp"
	claimApplication     = "appid"
)

// otherClaims are registered names and names of other uses, none of which can
// be Issuer.ClientClaim.
var otherClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "act", "cnf", "events", "sid",
	"scope", "scp", "roles", "groups", "permissions", "entitlements", "typ", "tid", "oid", "uid", "email",
}

// checkClientClaim judges which claim names the client.
func (c *Issuer) checkClientClaim(field string, f *faults) {
	switch name := c.ClientClaim; {
	case name == "" || name == claimClientID:
	case !isIdentifier(name) || slices.Contains(otherClaims, name):
		f.addf("%s: ClientClaim %q is a claim with another meaning or has control characters; name the one that has the client", field, name)
	case c.Profile == ProfileRFC9068:
		f.addf("%s: ClientClaim %q is for ProfileLegacy only: client_id names the client (RFC 9068 §2.2)", field, name)
	}
}

// clientName is a client and the claim that names it.
type clientName struct{ id, claim string }

// legacyClient returns the client of a token of a legacy issuer, with an empty id
// if it cannot be told: by ClientClaim, or else by client_id. Without client_id,
// those of the other claims that are there have to agree.
func (is *issuer) legacyClient(members []strictjson.Member) (clientName, *Error) {
	if is.clientClaim != "" {
		named := clientName{claim: is.clientClaim}
		if v := lookup(members, is.clientClaim); v.Kind() != strictjson.Absent {
			if refused := readText(&named.id, v); refused != nil {
				return named, refused
			}
		}
		return named, nil
	}
	if id := textOf(members, claimClientID); id != "" {
		return clientName{id, claimClientID}, nil
	}
	var found clientName
	for _, claim := range [...]string{claimOktaClient, claimAuthorizedParty, claimApplication} {
		switch id := textOf(members, claim); {
		case id == "" || hasControl(id) || id == found.id:
		case found.id != "":
			return clientName{}, nil
		default:
			found = clientName{id, claim}
		}
	}
	return found, nil
}

// textOf returns the claim, or "" if it is absent or of another type.
func textOf(members []strictjson.Member, claim string) string {
	text, _ := lookup(members, claim).Text()
	return text
}

func hasClaim(members []strictjson.Member, claim string) bool {
	return lookup(members, claim).Kind() != strictjson.Absent
}

// caller is who is known to be behind a token.
type caller uint8

const (
	callerUnknown caller = iota
	callerUser
	callerClient // alone
)

// tellCaller sets the client and the kind of caller. A subject other than the
// client means a user only if the provider always uses the client as subject of
// tokens without a user. For other providers, Issuer.ClientOnly or
// Issuer.ClientClaim must be configured.
func (is *issuer) tellCaller(c *claims, members []strictjson.Member) *Error {
	legacy, rule := is.profile == ProfileLegacy, is.clientOnly.Name != ""
	proven := rule || !legacy
	if legacy {
		client, refused := is.legacyClient(members)
		if refused != nil {
			return refused
		}
		proven = proven || is.provesUser(client.claim, members)
		c.clientID = client.id
	}
	switch {
	case c.clientID != "" && isOfClient(c), rule && is.clientOnly.holds(members), legacy && isMachine(members):
		c.caller = callerClient
	case c.clientID != "" && proven && !namesServiceAccount(c, members):
		c.caller = callerUser
	}
	return nil
}

// provesUser reports whether a subject that differs from the client counts as a
// user, for an issuer without ClientOnly. claim is the claim that named the client.
//
// With another ClientClaim than client_id the operator says so. The exception is a
// token that also has client_id: Keycloak adds that to the tokens of service
// accounts, whose subject is an account. Otherwise client_id proves a user, and so
// does cid if the token has uid, the user's id. Neither does beside azp or appid,
// since the tokens without a user of Keycloak, Auth0 and Entra ID have a subject of
// their own.
func (is *issuer) provesUser(claim string, members []strictjson.Member) bool {
	if is.clientClaim != "" && is.clientClaim != claimClientID {
		return !hasClaim(members, claimClientID)
	}
	if hasClaim(members, claimAuthorizedParty) || hasClaim(members, claimApplication) {
		return false
	}
	return claim == claimClientID || claim == claimOktaClient && textOf(members, "uid") != ""
}

// isOfClient reports whether the subject is the client itself: by its id (RFC
// 9068 §2.2), or by its id with the suffix of Auth0.
func isOfClient(c *claims) bool {
	id, found := strings.CutSuffix(c.subject, "@clients")
	return c.subject == c.clientID || found && id == c.clientID
}

// namesServiceAccount reports whether the user name is that of the service account
// that Keycloak makes for the client. It proves no client, since users may choose
// their name (OpenID Connect Core §5.7), but no user either.
func namesServiceAccount(c *claims, members []strictjson.Member) bool {
	id, found := strings.CutPrefix(textOf(members, "preferred_username"), "service-account-")
	return found && strings.EqualFold(id, c.clientID) // user names are in lower case there
}

// isMachine reports whether the token of a legacy issuer has what only tokens
// without a user have: at Auth0, gty; at Entra ID, idtyp, or how the client
// authenticated without scp, which every token for a user has.
func isMachine(members []strictjson.Member) bool {
	return textOf(members, "gty") == "client-credentials" || textOf(members, "idtyp") == "app" ||
		(hasClaim(members, "azpacr") || hasClaim(members, "appidacr")) && !hasClaim(members, "scp")
}

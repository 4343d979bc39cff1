package validator

import (
	"strings"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// clientName is a client and the claim that names it.
type clientName struct{ id, claim string }

// legacyClient returns the client of a token of a legacy issuer. The id is empty if
// the client is not known. ClientClaim names it, or client_id if there is no
// ClientClaim. Without client_id, the claims of the large providers name it, if
// those that the token has agree.
func (is *checkedIssuer) legacyClient(members []strictjson.Member) (clientName, *Error) {
	if is.ClientClaim != "" {
		named := clientName{claim: is.ClientClaim}
		if v := jwtclaims.Lookup(members, is.ClientClaim); v.Kind() != strictjson.Absent {
			if refused := readText(&named.id, is.ClientClaim, v); refused != nil {
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
		case id == "" || jwtclaims.HasControl(id) || id == found.id:
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
	text, _ := jwtclaims.Lookup(members, claim).Text()
	return text
}

// hasClaim reports whether the claim is there, of whatever type.
func hasClaim(members []strictjson.Member, claim string) bool {
	return jwtclaims.Lookup(members, claim).Kind() != strictjson.Absent
}

// setCaller sets the client and the kind of caller. A subject other than the
// client means a user only if Issuer.User says so, or if the provider always uses the
// client as subject of tokens without a user. For other providers, Issuer.ClientOnly or
// Issuer.ClientClaim must be configured.
func (is *checkedIssuer) setCaller(c *tokenClaims, members []strictjson.Member) *Error {
	legacy, rule := is.Profile == ProfileLegacy, !is.ClientOnly.isZero()
	isKnown := rule || !legacy
	if legacy {
		client, refused := is.legacyClient(members)
		if refused != nil {
			return refused
		}
		isKnown = isKnown || is.provesUser(client.claim, members)
		c.clientID = client.id
	}
	ofUser := !is.User.isZero() && is.User.holds(members)
	switch {
	case rule && is.ClientOnly.holds(members), legacy && isMachine(members):
		c.caller = callerClient
	case c.clientID != "" && isOfClient(c):
		if !ofUser { // a user who can choose sub could look like the client
			c.caller = callerClient
		}
	case namesServiceAccount(c, members):
		c.caller = callerUnknown
	case ofUser:
		c.caller = callerUser
	case hasClaim(members, claimSubjectProfile) && textOf(members, claimSubjectProfile) != profileUser:
		if textOf(members, claimSubjectProfile) != "" && !c.hasActor {
			c.caller = callerClient
		}
	case is.User.isZero() && c.clientID != "" && isKnown:
		c.caller = callerUser
	}
	return nil
}

// claimSubjectProfile says what the subject is. At Auth0 it is ai_agent or another value
// than user for a subject that is no user. Beside act, the subject of a token may be a
// party for which another one acts, so that it does not prove that the client got the
// token for itself.
const (
	claimSubjectProfile = "sub_profile"
	profileUser         = "user"
)

// provesUser reports whether a subject that differs from the client counts as a
// user, for an issuer without ClientOnly. claim is the claim that named the client.
//
// A ClientClaim other than client_id says that it does. The exception is a token
// that also has client_id: Keycloak adds that to the tokens of service accounts,
// whose subject is an account. Otherwise client_id proves a user, and so does cid
// if the token has uid, the user's id. Neither does beside azp or appid: Keycloak,
// Auth0 and Entra ID give tokens without a user a subject of their own.
func (is *checkedIssuer) provesUser(claim string, members []strictjson.Member) bool {
	if is.ClientClaim != "" && is.ClientClaim != claimClientID {
		return !hasClaim(members, claimClientID)
	}
	if hasClaim(members, claimAuthorizedParty) || hasClaim(members, claimApplication) {
		return false
	}
	return claim == claimClientID || claim == claimOktaClient && textOf(members, "uid") != ""
}

// isOfClient reports whether the subject is the client itself: by its id (RFC
// 9068 §2.2), or by its id with the suffix of Auth0.
func isOfClient(c *tokenClaims) bool {
	id, found := strings.CutSuffix(c.subject, "@clients")
	return c.subject == c.clientID || found && id == c.clientID
}

// namesServiceAccount reports whether the user name is that of the service account
// that Keycloak makes for the client. This does not prove that there is no user,
// since users may choose their name (OpenID Connect Core §5.7). It does not prove a
// user either.
func namesServiceAccount(c *tokenClaims, members []strictjson.Member) bool {
	id, found := strings.CutPrefix(textOf(members, "preferred_username"), "service-account-")
	return found && strings.EqualFold(id, c.clientID) // Keycloak writes user names in lower case
}

// isMachine reports whether the token of a legacy issuer has what only tokens
// without a user have. That is gty at Auth0 and idtyp at Entra ID. It is also the
// claim for how the client authenticated, at Entra ID, without scp, which every
// token for a user has.
func isMachine(members []strictjson.Member) bool {
	return textOf(members, "gty") == "client-credentials" || textOf(members, "idtyp") == "app" ||
		(hasClaim(members, "azpacr") || hasClaim(members, "appidacr")) && !hasClaim(members, "scp")
}

package providers

import (
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// PingOne returns the issuer of the access tokens for custom resources of a PingOne
// environment. issuer is the issuer of its metadata, such as
// https://auth.pingone.eu/{environment id}/as, and audiences are those of the resource. It
// is neither for PingFederate, whose token managers have no fixed claims, nor for PingAM.
//
// An access token has the type at+jwt, or scope and client_id. From 2027-03-02 on, all
// have that type; until then it may be JWT or absent.
//
// Token.ClientID is client_id, and Token.Scopes are scope. Tokens that a client got for
// itself have no acr, so Token.HasUser is true only for tokens with acr.
//
// It rests on the pages token-claims, key-rotation-policies and
// discovery-openid-configuration of developer.pingidentity.com/pingone-api (read
// 2026-08).
func PingOne(issuer string, audiences ...string) validator.Issuer {
	f := faultsOf()
	checkURL(issuer, f)
	checkAudiences(audiences, f)
	return validator.Issuer{
		URL:        issuer,
		Keys:       jwkscache.Discovered(),
		Audiences:  audiences,
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{has("scope"), has("client_id")},
		User:       has("acr"),
		Err:        f.Err(),
	}
}

package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// ADFS returns the issuer of the access tokens of Active Directory Federation Services
// 2016 and later. host is that of the federation service, such as adfs.example.com, and
// audiences are the identifiers of the web API. AD FS writes an identifier that is no URL
// as microsoft:identityserver: and the identifier, so that form is accepted for it too.
//
// The iss of access tokens is http://{host}/adfs/services/trust. It is a name, to which
// nothing connects: the metadata call it access_token_issuer. ID tokens have
// https://{host}/adfs, another issuer, and are refused. The keys are fetched from the host
// over https.
//
// Token.ClientID is appid, and Token.Scopes are scp. sub and upn are in a token if an
// issuance rule of the web API says so. A token without sub is refused, so add such a
// rule. What tells a token that a client got for itself is not documented, so
// Token.HasUser is true only for tokens with upn. A token that was requested without
// resource is for urn:microsoft:userinfo. auth_time is a text in these tokens and does not
// count, so policies that ask how long ago the user authenticated refuse them.
//
// It rests on these pages of github.com/MicrosoftDocs/windowsserverdocs,
// WindowsServerDocs/identity/ad-fs: ad-fs-openid-connect-oauth-concepts (2023-05-25),
// ad-fs-logout-openid-connect (2017-11-17) and AD-FS-Scenarios-for-Developers, and on
// tokens in public repositories (2020 to 2024).
func ADFS(host string, audiences ...string) validator.Issuer {
	f := faultsOf()
	host, ok := hostOf(host, "/adfs")
	if !ok {
		f.At("URL").Addf("give the host of the federation service, such as adfs.example.com", "%q is neither a host nor its URL", host)
	}
	checkAudiences(audiences, f)
	var all []string
	for i, audience := range audiences {
		if audience == "urn:microsoft:userinfo" {
			f.At("Audiences").Atf("[%d]", i).Addf("give the identifier of the web API, and let clients ask for it with resource", "%q is in tokens for AD FS itself", audience)
		}
		all = append(all, audience)
		if audience != "" && !strings.Contains(audience, ":") {
			all = append(all, "microsoft:identityserver:"+audience)
		}
	}
	url := "http://" + host + "/adfs/services/trust"
	return validator.Issuer{
		URL:         url,
		Audiences:   all,
		Keys:        jwkscache.URL("https://" + host + "/adfs/discovery/keys"),
		Algorithms:  []jose.Algorithm{jose.RS256},
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{equals("iss", url)},
		Claims:      []validator.ClaimRule{has("appid")},
		Mappings:    []validator.Mapping{scopesOf("scp")},
		ClientClaim: "appid",
		User:        has("upn"),
		Err:         f.Err(),
	}
}

package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Google returns the issuer of the ID tokens of Google service accounts, which are how
// programs on Google Cloud authenticate to an API. Google has no access tokens that are
// JWTs. audience is what the caller has to ask for, such as the URL of this API, and
// accounts are the e-mail addresses of the service accounts that may call. Both are
// required: the same issuer and keys sign the ID tokens of every Google account, for
// every audience.
//
// A token needs email, one of accounts, and email_verified. Ask for it with the address
// (format=full at the metadata server, includeEmail at the API). Token.ClientOnly is
// always true. Token.Subject is the number of the account. There are no scopes and no
// roles: let policies ask for subjects.
//
// Some tokens of Google have the issuer accounts.google.com without https://. For them,
// make a second Issuer:
//
//	short := providers.Google(audience, accounts...)
//	short.URL = "accounts.google.com"
//	short.Keys = jwkscache.URL("https://www.googleapis.com/oauth2/v3/certs")
//
// JWTs that a service account signs itself have the account as issuer, and those of
// Identity-Aware Proxy have another issuer and other keys: both are refused.
//
// It rests on docs.cloud.google.com/docs/authentication/token-types,
// developers.google.com/identity/sign-in/web/backend-auth (read 2026-08), and
// github.com/googleapis/google-auth-library-nodejs (2025-11-20).
func Google(audience string, accounts ...string) validator.Issuer {
	f := faultsOf()
	checkAudience(audience, f)
	at := f.At("Accounts")
	checkList(accounts, "list the e-mail addresses of the service accounts that may call", at)
	for i, account := range accounts {
		if account != "" && !strings.HasSuffix(account, ".gserviceaccount.com") {
			at.Atf("[%d]", i).Addf("name a service account; for users, let them sign in at an issuer with access tokens", "%q is no service account", account)
		}
	}
	return validator.Issuer{
		URL:        "https://accounts.google.com",
		Keys:       jwkscache.Discovered(),
		Audiences:  []string{audience},
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{isTrue("email_verified")},
		Claims:     []validator.ClaimRule{isTrue("email_verified"), anyValue("email", accounts...)},
		ClientOnly: isTrue("email_verified"),
		Err:        f.Err(),
	}
}

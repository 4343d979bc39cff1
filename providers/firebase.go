package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const firebaseIssuer = "https://securetoken.google.com/"

// Firebase returns the issuer of the tokens of Firebase Authentication. project is the id
// of the project, or the issuer URL with it. Firebase has one kind of token, which it
// calls ID token and which is meant for APIs. All projects share the keys, so iss and aud
// must both name the project.
//
// A token must have the claim firebase, an object with sign_in_provider. Custom
// tokens, which service accounts sign, and session cookies have other issuers and are
// refused, and so are the unsigned tokens of the emulator.
//
// Token.HasUser is always true; there is neither a client nor scopes nor roles. Add
// Mappings for custom claims. Anonymous users are users: sign_in_provider, inside firebase,
// is then anonymous. Token.AuthTime is auth_time. Revocation can be seen only by a call of
// the Firebase API.
//
// It rests on auth/token_verifier.go and auth/auth.go of
// github.com/firebase/firebase-admin-go (2026-07-08). The URL of the keys as a JWK Set is
// that of published verifiers.
func Firebase(project string) validator.Issuer {
	f := faultsOf()
	project = strings.TrimPrefix(project, firebaseIssuer)
	if project == "" || strings.ContainsAny(project, "/:") {
		f.At("URL").Addf("give the id of the project", "%q is no project id", project)
	}
	return validator.Issuer{
		URL:        firebaseIssuer + project,
		Audiences:  []string{project},
		Keys:       jwkscache.URL("https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"),
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{hasMember("firebase", "sign_in_provider")},
		User:       hasMember("firebase", "sign_in_provider"),
		Err:        f.Err(),
	}
}

package validator

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/introspection"
)

// Warnings returns what in the configuration works and may still be a mistake:
// legacy profiles, published keys that are not used. It also names each issuer of which no
// token can be judged now because something could not be fetched, with the last error. It
// is for start-up logs, after Warm.
func (v *Validator) Warnings() []string {
	if v == nil {
		return nil
	}
	var all []string
	for _, is := range v.issuers {
		all = append(all, is.warnings()...)
		if err := is.ready(); err != nil && is.fetchFailed() {
			all = append(all, fmt.Sprintf("issuer %q: its tokens cannot be judged now, and are answered with 503: %v", is.URL, err))
		}
	}
	return all
}

// warnings returns what in the configuration works and may still be a mistake.
func (is *checkedIssuer) warnings() []string {
	var all []string
	if is.Profile == ProfileLegacy {
		all = append(all, fmt.Sprintf("issuer %q: ProfileLegacy tells access tokens by their claims only; "+
			"prefer at+jwt (RFC 9068) as soon as the issuer can send it", is.URL))
	}
	if (is.ClientClaim == claimAuthorizedParty || is.ClientClaim == claimApplication) && is.ClientOnly.isZero() && is.User.isZero() {
		all = append(all, fmt.Sprintf("issuer %q: ClientClaim is %s and there is no ClientOnly and no User: tokens that a client got for itself "+
			"count as a user's if their subject is not the client; name in ClientOnly what only they have, or in User what only users' tokens have", is.URL, is.ClientClaim))
	}
	if len(is.ClientIDs) > 0 {
		all = append(all, fmt.Sprintf("issuer %q: tokens without aud are accepted by their client (ClientIDs): those that the listed clients get for other APIs "+
			"of the issuer pass, too; let routes ask for scopes that only this API has", is.URL))
	}
	all = append(all, is.opaqueWarnings()...)
	for _, key := range is.keys.Ignored() {
		all = append(all, fmt.Sprintf("issuer %q: keys[%d] (kid %q) is not used: %v", is.URL, key.Index, key.KeyID, key.Reason))
	}
	if other := is.location.issuerOfAccessTokens(); other != "" {
		all = append(all, fmt.Sprintf("issuer %q: its metadata say that access tokens name %s as their issuer (access_token_issuer), so that they are refused; "+
			"set URL to that, and MetadataURL to the URL of the metadata", is.URL, cause.Quote(other)))
	}
	if !is.location.listsAudience() {
		all = append(all, fmt.Sprintf("issuer %q: its metadata lists protected_resources, and none of Audiences is one (RFC 9728 §4); "+
			"the issuer may not know this API", is.URL))
	}
	return all
}

// fetchFailed reports whether something that the issuer needs could not be fetched.
func (is *checkedIssuer) fetchFailed() bool {
	if is.keys.Status().LastError != nil {
		return true
	}
	o := is.opaque
	if o == nil {
		return false
	}
	lost := o.asker.Ready()
	// answerKeys may be nil, and its Status has no error then.
	return lost != nil && !errors.Is(lost, introspection.ErrNotSought) || o.answerKeys.Status().LastError != nil
}

// opaqueWarnings returns what in the configuration of introspection works and may still be
// a mistake.
func (is *checkedIssuer) opaqueWarnings() []string {
	if is.opaque == nil {
		return nil
	}
	var all []string
	if slices.Contains(is.Audiences, is.Opaque.ID) {
		all = append(all, fmt.Sprintf("issuer %q: %q is in Audiences and is the Opaque.ID of this API: a server that fills aud with the client that asks "+
			"makes every one of its tokens pass; list the identifier of the API, or set Answers.FiltersAudience if the server filters", is.URL, is.Opaque.ID))
	}
	if n := is.opaque.jwts.neverActive(); n > 0 {
		all = append(all, fmt.Sprintf("issuer %q: it was asked about %d JWTs that are valid and called none of them active: some servers do not introspect "+
			"their own JWTs; see how this API is registered there, or ask for no answers about JWTs", is.URL, n))
	}
	for _, warning := range is.opaque.asker.Warnings() {
		all = append(all, fmt.Sprintf("issuer %q: %s", is.URL, warning))
	}
	return all
}

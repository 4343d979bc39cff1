package providers

import (
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// GitLabCI returns the issuer of the ID tokens of GitLab CI jobs, for jobs of the
// projects of these ids. instance is the URL of the GitLab instance, such as
// https://gitlab.com. audience is the aud that the job sets in id_tokens, and must be one
// that only this API has. Project ids are numbers and required, because an instance
// serves the projects of all its users.
//
// A token must have project_id, one of projects, and job_id and pipeline_id.
// Token.ClientOnly is always true, and there is neither a client nor scopes nor roles.
// The user who started the job is named in the token and is not its subject. Flags are
// strings: let policies ask for ref_protected with scopes.Claim and the value "true".
//
// It rests on docs.gitlab.com/ci/secrets/id_token_authentication (the text of 16.0; the
// current page was read in extracts, 2026-08).
func GitLabCI(instance, audience string, projects ...string) validator.Issuer {
	f := faultsOf()
	checkURL(instance, f)
	checkAudience(audience, f)
	if audience == instance && audience != "" {
		f.At("Audiences").Addf("give one of your own, such as the URL of this API, and set it in id_tokens of the job", "%q is GitLab itself", audience)
	}
	at := f.At("Projects")
	checkList(projects, "list the ids of the projects whose jobs may call", at)
	checkIDs(projects, "project", at)
	return validator.Issuer{
		URL:        instance,
		Keys:       jwkscache.Discovered(),
		Audiences:  []string{audience},
		Algorithms: []jose.Algorithm{jose.RS256},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{has("project_id"), has("job_id"), has("pipeline_id")},
		Claims:     []validator.ClaimRule{anyValue("project_id", projects...)},
		ClientOnly: has("job_id"),
		Err:        f.Err(),
	}
}

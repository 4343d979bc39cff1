package providers

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// GitHubActions returns the issuer of the OIDC tokens of GitHub Actions, which workflows
// of the repositories of these ids may use here. audience is what a workflow asks for,
// and must be one that only this API has. Repository ids are numbers: gh api
// repos/OWNER/NAME --jq .id. Both are required, because the issuer serves every
// repository in the world. [GitHubActionsOf] admits all repositories of an owner.
//
// A token must have repository_id, one of repositories, and run_id. Token.ClientOnly is
// always true, and there is neither a client nor scopes nor roles: let policies ask for
// the claims of the workflow, such as ref or environment, with scopes.Claim. All are
// strings. sub has one of several forms, which change when a repository is moved and can
// be configured, so do not compare it.
//
// With an enterprise setting, with data residency and on self-hosted servers, the issuer
// is another: set URL.
//
// It rests on content/actions/reference/security/oidc.md of github.com/github/docs
// (2026).
func GitHubActions(audience string, repositories ...string) validator.Issuer {
	f := faultsOf()
	checkList(repositories, "list the ids of the repositories whose workflows may call", f.At("Repositories"))
	return gitHub(audience, repositories, nil, f)
}

// GitHubActionsOf is [GitHubActions] for all repositories of owners, which are ids of
// organizations or users: gh api users/NAME --jq .id.
func GitHubActionsOf(audience string, owners ...string) validator.Issuer {
	f := faultsOf()
	checkList(owners, "list the ids of the owners whose workflows may call", f.At("Owners"))
	return gitHub(audience, nil, owners, f)
}

// gitHub returns the issuer for workflows of repositories and of all repositories of
// owners.
func gitHub(audience string, repositories, owners []string, f fault.List) validator.Issuer {
	checkAudience(audience, f)
	if strings.HasPrefix(audience, "https://github.com/") {
		f.At("Audiences").Addf("give one of your own, such as the URL of this API, and let workflows ask for it",
			"%q is what workflows get if they ask for none, for whichever API", audience)
	}
	checkIDs(repositories, "repository", f.At("Repositories"))
	checkIDs(owners, "owner", f.At("Owners"))
	return validator.Issuer{
		URL:        "https://token.actions.githubusercontent.com",
		Keys:       jwkscache.Discovered(),
		Audiences:  []string{audience},
		Profile:    validator.ProfileLegacy,
		Marker:     []validator.ClaimRule{has("repository_id"), has("run_id")},
		Claims:     []validator.ClaimRule{anyOf(append(anyValue("repository_id", repositories...).AnyOf, anyValue("repository_owner_id", owners...).AnyOf...)...)},
		ClientOnly: has("run_id"),
		Err:        f.Err(),
	}
}

package providers

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// Parameters are the arguments of a preset, for programs that have them from a file. A
// parameter that the preset does not take must be left empty.
type Parameters struct {
	// URL is the first argument of the function: the URL of the issuer, or what else the
	// function takes, such as the domain at Auth0 and the id of the pool at Cognito. For
	// github-actions it is the issuer of an enterprise, and may be empty.
	URL string
	// Tenant is the GUID of the tenant, for entra-id and entra-id-v1.
	Tenant string
	// Audiences are the identifiers of this API.
	Audiences []string
	// Clients are client ids, for cognito and fusionauth.
	Clients []string
	// Accounts are service accounts, for google.
	Accounts []string
	// Repositories are ids of repositories, for github-actions.
	Repositories []string
	// Owners are ids of owners of repositories, for github-actions.
	Owners []string
	// Projects are ids of projects, for gitlab-ci.
	Projects []string
	// Keys says where the keys are. It is required for kubernetes and fusionauth. For
	// others it replaces the keys of the preset.
	Keys jwkscache.Source
}

// preset is a preset under its name.
type preset struct {
	name  string
	takes []string // parameters besides Keys, which all take
	make  func(p *Parameters) validator.Issuer
}

// single is the parameter Audiences of a preset that takes one audience only.
const single = "Audiences[0]"

// withURL returns the preset of a function with an issuer and audiences.
func withURL(name string, of func(issuer string, audiences ...string) validator.Issuer) preset {
	return preset{name, []string{"URL", "Audiences"}, func(p *Parameters) validator.Issuer { return of(p.URL, p.Audiences...) }}
}

// withTenant returns the preset of a function with a tenant and audiences.
func withTenant(name string, of func(tenant string, audiences ...string) validator.Issuer) preset {
	return preset{name, []string{"Tenant", "Audiences"}, func(p *Parameters) validator.Issuer { return of(p.Tenant, p.Audiences...) }}
}

// presets returns all presets, sorted by name.
func presets() []preset {
	return []preset{
		withURL("adfs", ADFS),
		withURL("auth0", Auth0),
		{"cognito", []string{"URL", "Clients", "Audiences"}, func(p *Parameters) validator.Issuer {
			is := Cognito(p.URL, p.Clients...)
			is.Audiences = p.Audiences
			return is
		}},
		withURL("duende", Duende),
		withTenant("entra-id", EntraID),
		withTenant("entra-id-v1", EntraIDv1),
		{"firebase", []string{"URL"}, func(p *Parameters) validator.Issuer { return Firebase(p.URL) }},
		{"fusionauth", []string{"URL", "Clients"}, func(p *Parameters) validator.Issuer { return FusionAuth(p.URL, p.Keys, p.Clients...) }},
		{"github-actions", []string{"URL", "Repositories", "Owners", single}, gitHubOf},
		{"gitlab-ci", []string{"URL", "Projects", single}, func(p *Parameters) validator.Issuer {
			return GitLabCI(p.URL, p.audience(), p.Projects...)
		}},
		{"google", []string{"Accounts", single}, func(p *Parameters) validator.Issuer { return Google(p.audience(), p.Accounts...) }},
		withURL("hydra", Hydra),
		withURL("keycloak", Keycloak),
		{"kubernetes", []string{"URL", "Audiences"}, func(p *Parameters) validator.Issuer { return Kubernetes(p.URL, p.Keys, p.Audiences...) }},
		withURL("okta", Okta),
		withURL("pingone", PingOne),
		withURL("supabase", Supabase),
		withURL("zitadel", Zitadel),
	}
}

// gitHubOf returns the issuer of github-actions.
func gitHubOf(p *Parameters) validator.Issuer {
	f := faultsOf()
	if len(p.Repositories)+len(p.Owners) == 0 {
		f.At("Repositories").Add("is empty", "list the ids of the repositories whose workflows may call, or those of their owners in Owners")
	}
	is := gitHub(p.audience(), p.Repositories, p.Owners, f)
	if p.URL != "" {
		is.URL = p.URL
	}
	return is
}

// audience returns the only audience, or "".
func (p *Parameters) audience() string {
	if len(p.Audiences) == 0 {
		return ""
	}
	return p.Audiences[0]
}

// Names returns the names of the presets that [New] knows, sorted.
func Names() []string {
	var names []string
	for _, known := range presets() {
		names = append(names, known.name)
	}
	return names
}

// New returns the issuer of the preset of that name. The error joins all faults, whose
// paths are fields of [Parameters], or empty if there is no such preset.
func New(name string, p Parameters) (validator.Issuer, error) {
	f := faultsOf()
	for _, known := range presets() {
		if known.name != name {
			continue
		}
		p.checkTaken(&known, f)
		is := known.make(&p)
		if p.Keys != nil {
			is.Keys = p.Keys
		}
		f.Merge(is.Err)
		is.Err = f.Err()
		return is, is.Err
	}
	f.Addf(near(name)+"take one of "+strings.Join(Names(), ", "), "there is no preset %q", name)
	return validator.Issuer{Err: f.Err()}, f.Err()
}

// near returns a question about the first preset whose name begins with name, in any case
// and with any separators, or "".
func near(name string) string {
	letters := func(text string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(text))
	}
	for _, known := range Names() {
		if letters(name) != "" && strings.HasPrefix(letters(known), letters(name)) {
			return "did you mean " + known + "? "
		}
	}
	return ""
}

// checkTaken adds a fault for each parameter that is set and that the preset does not
// take.
func (p *Parameters) checkTaken(known *preset, f fault.List) {
	one := slices.Contains(known.takes, single)
	for _, parameter := range [...]struct {
		name  string
		isSet bool
	}{
		{"URL", p.URL != ""},
		{"Tenant", p.Tenant != ""},
		{"Audiences", p.Audiences != nil && !one},
		{"Clients", p.Clients != nil},
		{"Accounts", p.Accounts != nil},
		{"Repositories", p.Repositories != nil},
		{"Owners", p.Owners != nil},
		{"Projects", p.Projects != nil},
	} {
		if parameter.isSet && !slices.Contains(known.takes, parameter.name) {
			f.At(parameter.name).Add("is set", "remove it; the preset "+known.name+" does not take it")
		}
	}
	if one && len(p.Audiences) > 1 {
		f.At("Audiences").Add("has several", "give one")
	}
}

package providers_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestArguments gives presets arguments with one fault.
func TestArguments(t *testing.T) {
	keys := jwkscache.URL("https://a.test/keys")
	for _, row := range []struct {
		name   string
		issuer validator.Issuer
		path   string
		text   string // of the problem and its mend
	}{
		{"Entra ID, no tenant", providers.EntraID("", apiID), "Tenant", "is empty; give the GUID"},
		{"Entra ID, common", providers.EntraID("common", apiID), "Tenant", `"common" stands for every tenant`},
		{"Entra ID, organizations", providers.EntraID("Organizations", apiID), "Tenant", `stands for every tenant`},
		{"Entra ID, consumers", providers.EntraID("consumers", apiID), "Tenant", `stands for every tenant`},
		{"Entra ID, a domain", providers.EntraID("acme.onmicrosoft.com", apiID), "Tenant", "is no GUID"},
		{"Entra ID, a short GUID", providers.EntraID(tenant[1:], apiID), "Tenant", "is no GUID"},
		{"Entra ID, other characters", providers.EntraID("g"+tenant[1:], apiID), "Tenant", "is no GUID"},
		{"Entra ID, four groups", providers.EntraID("11111111-1111-4111-8111", apiID), "Tenant", "is no GUID"},
		{"Entra ID, no audience", providers.EntraID(tenant), "Audiences", "is empty; list the identifiers"},
		{"Entra ID, an App ID URI", providers.EntraID(tenant, "api://orders"), "Audiences[0]", "use EntraIDv1"},
		{"Entra ID, personal accounts", providers.EntraID("9188040D-6c67-4c5b-b112-36a304b66dad", apiID), "Tenant", "anybody can make one"},
		{"Entra ID version 1, common", providers.EntraIDv1("common", "api://orders"), "Tenant", "stands for every tenant"},
		{"Entra ID version 1, no audience", providers.EntraIDv1(tenant), "Audiences", "is empty"},
		{"Okta, the org server", providers.Okta("https://dev-1.okta.com", "a"), "URL", "are for Okta alone; give the Issuer URI"},
		{"Okta, the org server with a slash", providers.Okta("https://dev-1.okta.com/", "a"), "URL", "are for Okta alone"},
		{"Okta, no server", providers.Okta("https://dev-1.okta.com/oauth2/", "a"), "URL", "not the issuer of a custom"},
		{"Okta, a slash at the end", providers.Okta("https://dev-1.okta.com/oauth2/default/", "a"), "URL", "without a slash at its end"},
		{"Okta, the endpoints of the org server", providers.Okta("https://dev-1.okta.com/oauth2/v1", "a"), "URL", "are for Okta alone"},
		{"Okta, an endpoint of the org server", providers.Okta("https://dev-1.okta.com/oauth2/v1/token", "a"), "URL", "are for Okta alone"},
		{"Okta, an endpoint", providers.Okta("https://dev-1.okta.com/oauth2/default/v1/token", "a"), "URL", "not the issuer of a custom"},
		{"Okta, another path", providers.Okta("https://dev-1.okta.com/oauth/default", "a"), "URL", "not the issuer of a custom"},
		{"Okta, a domain", providers.Okta("dev-1.okta.com", "a"), "URL", "is no https URL"},
		{"Okta, a query", providers.Okta("https://dev-1.okta.com/oauth2/default?a", "a"), "URL", "is no https URL"},
		{"Okta, a user", providers.Okta("https://a@dev-1.okta.com/oauth2/default", "a"), "URL", "is no https URL"},
		{"Okta, no audience", providers.Okta("https://dev-1.okta.com/oauth2/default"), "Audiences", "is empty"},
		{"Okta, an empty audience", providers.Okta("https://dev-1.okta.com/oauth2/default", "a", ""), "Audiences[1]", "is empty"},
		{"Auth0, a path", providers.Auth0("https://acme.eu.auth0.com/a", "a"), "URL", "neither a domain"},
		{"Auth0, a tenant", providers.Auth0("acme", "a"), "URL", "give the whole domain, such as acme.eu.auth0.com"},
		{"Auth0, http", providers.Auth0("http://acme.eu.auth0.com", "a"), "URL", "neither a domain"},
		{"Auth0, http in upper case", providers.Auth0("HTTP://acme.eu.auth0.com", "a"), "URL", "neither a domain"},
		{"Auth0, nothing", providers.Auth0("", "a"), "URL", "neither a domain"},
		{"Auth0, no audience", providers.Auth0("acme.eu.auth0.com"), "Audiences", "is empty"},
		{"Auth0, userinfo", providers.Auth0("acme.eu.auth0.com", "https://acme.eu.auth0.com/userinfo"), "Audiences[0]", "is an API of Auth0"},
		{"Auth0, the Management API", providers.Auth0("acme.eu.auth0.com", "https://acme.eu.auth0.com/api/v2/"), "Audiences[0]", "is an API of Auth0"},
		{"Keycloak, no realm", providers.Keycloak("https://login.example.com", "a"), "URL", "not the issuer of a realm"},
		{"Keycloak, an empty realm", providers.Keycloak("https://login.example.com/realms/", "a"), "URL", "not the issuer of a realm"},
		{"Keycloak, a slash at the end", providers.Keycloak("https://login.example.com/realms/a/", "a"), "URL", "not the issuer of a realm"},
		{"Keycloak, two slashes", providers.Keycloak("https://login.example.com//realms/a", "a"), "URL", "not the issuer of a realm"},
		{"Keycloak, no URL", providers.Keycloak("login.example.com/realms/a", "a"), "URL", "not the issuer of a realm"},
		{"Keycloak, account", providers.Keycloak("https://login.example.com/realms/a", "account"), "Audiences[0]", "for every API; name this API"},
		{"Keycloak, the realm", providers.Keycloak("https://login.example.com/realms/a", "b", "https://login.example.com/realms/a"), "Audiences[1]", "is in refresh tokens"},
		{"Keycloak, no audience", providers.Keycloak("https://login.example.com/realms/a"), "Audiences", "is empty"},
		{"Cognito, an identity pool", providers.Cognito("https://cognito-identity.amazonaws.com", "a"), "URL", "is no user pool"},
		{"Cognito, no region", providers.Cognito("Ab1Cd2Ef3", "a"), "URL", "is no user pool"},
		{"Cognito, no id", providers.Cognito("eu-central-1_", "a"), "URL", "is no user pool"},
		{"Cognito, an empty region", providers.Cognito("https://cognito-idp..amazonaws.com/_A", "a"), "URL", "is no user pool"},
		{"Cognito, another scheme", providers.Cognito("ftp://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A", "a"), "URL", "is no user pool"},
		{"Cognito, no URL", providers.Cognito("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A%zz", "a"), "URL", "is no user pool"},
		{"Cognito, another region", providers.Cognito("https://cognito-idp.eu-west-1.amazonaws.com/eu-central-1_A", "a"), "URL", "is no user pool"},
		{"Cognito, an endpoint", providers.Cognito("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A/token", "a"), "URL", "is no user pool"},
		{"Cognito, a slash at the end", providers.Cognito("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A/", "a"), "URL", "without a slash at its end"},
		{"Cognito, no client", providers.Cognito("eu-central-1_A"), "Clients", "is empty; list the ids of the app clients"},
		{"Google, no audience", providers.Google("", "a@b.iam.gserviceaccount.com"), "Audiences", "is empty"},
		{"Google, no account", providers.Google("a"), "Accounts", "is empty; list the e-mail addresses"},
		{"Google, a user", providers.Google("a", "user@gmail.com"), "Accounts[0]", "is no service account"},
		{"Google, a lookalike", providers.Google("a", "user@evilgserviceaccount.com"), "Accounts[0]", "is no service account"},
		{"Duende, no URL", providers.Duende("identity.example.com", "a"), "URL", "is no https URL"},
		{"Duende, no audience", providers.Duende("https://identity.example.com"), "Audiences", "is empty"},
		{"Zitadel, no URL", providers.Zitadel("acme.zitadel.cloud", "a"), "URL", "is no https URL"},
		{"Zitadel, no audience", providers.Zitadel("https://acme.zitadel.cloud"), "Audiences", "is empty"},
		{"AD FS, no host", providers.ADFS("", "a"), "URL", "neither a host"},
		{"AD FS, the issuer of access tokens", providers.ADFS("http://adfs.example.com/adfs/services/trust", "a"), "URL", "neither a host"},
		{"AD FS, userinfo", providers.ADFS("adfs.example.com", "urn:microsoft:userinfo"), "Audiences[0]", "for AD FS itself"},
		{"AD FS, no audience", providers.ADFS("adfs.example.com"), "Audiences", "is empty"},
		{"Supabase, no project", providers.Supabase(""), "URL", "is no https URL"},
		{"Supabase, a host", providers.Supabase("a.supabase.co"), "URL", "is no https URL"},
		{"Supabase, an empty audience", providers.Supabase("a", ""), "Audiences[0]", "is empty"},
		{"GitHub, no audience", providers.GitHubActions("", "1"), "Audiences", "is empty"},
		{"GitHub, the default audience", providers.GitHubActions("https://github.com/acme", "1"), "Audiences", "for whichever API"},
		{"GitHub, no repository", providers.GitHubActions("a"), "Repositories", "is empty; list the ids"},
		{"GitHub, a name", providers.GitHubActions("a", "acme/orders"), "Repositories[0]", "is no number"},
		{"GitHub, no owner", providers.GitHubActionsOf("a"), "Owners", "is empty; list the ids"},
		{"GitHub, a name of an owner", providers.GitHubActionsOf("a", "acme"), "Owners[0]", "is no number; give the number of the owner"},
		{"Kubernetes, no issuer", providers.Kubernetes("", keys, "a"), "URL", "is empty"},
		{"Kubernetes, no keys", providers.Kubernetes("https://a.test", nil, "a"), "Keys", "many clusters have the same issuer"},
		{"Kubernetes, no audience", providers.Kubernetes("https://a.test", keys), "Audiences", "is empty"},
		{"Kubernetes, the issuer", providers.Kubernetes("https://a.test", keys, "https://a.test"), "Audiences[0]", "is the API server"},
		{"Kubernetes, the API server", providers.Kubernetes("https://a.test", keys, "b", "https://kubernetes.default.svc"), "Audiences[1]", "is the API server"},
		{"GitLab, no URL", providers.GitLabCI("gitlab.com", "a", "1"), "URL", "is no https URL"},
		{"GitLab, no audience", providers.GitLabCI("https://gitlab.com", "", "1"), "Audiences", "is empty"},
		{"GitLab, the instance", providers.GitLabCI("https://gitlab.com", "https://gitlab.com", "1"), "Audiences", "is GitLab itself"},
		{"GitLab, no project", providers.GitLabCI("https://gitlab.com", "a"), "Projects", "is empty; list the ids"},
		{"GitLab, a path", providers.GitLabCI("https://gitlab.com", "a", "acme/orders"), "Projects[0]", "is no number"},
		{"PingOne, no URL", providers.PingOne("a", "a"), "URL", "is no https URL"},
		{"PingOne, no audience", providers.PingOne("https://a.test"), "Audiences", "is empty"},
		{"Hydra, no URL", providers.Hydra("a", "a"), "URL", "is no https URL"},
		{"Hydra, no audience", providers.Hydra("https://a.test"), "Audiences", "is empty"},
		{"FusionAuth, no issuer", providers.FusionAuth("", keys, "a"), "URL", "is empty"},
		{"FusionAuth, no keys", providers.FusionAuth("a", nil, "a"), "Keys", "is missing"},
		{"FusionAuth, no client", providers.FusionAuth("a", keys), "Clients", "is empty"},
		{"Firebase, no project", providers.Firebase(""), "URL", "is no project id"},
		{"Firebase, another URL", providers.Firebase("https://session.firebase.google.com/acme"), "URL", "is no project id"},
		{"Firebase, the issuer without project", providers.Firebase("https://securetoken.google.com/"), "URL", "is no project id"},
	} {
		expectFault(t, row.name, row.issuer.Err, row.path, row.text)
	}
}

// expectFault reports an error that is not one Fault with that path and text.
func expectFault(t *testing.T, name string, err error, path, text string) {
	t.Helper()
	faults := validator.Faults(err)
	if len(faults) != 1 || faults[0].Path != path || !strings.Contains(faults[0].Problem+"; "+faults[0].Mend, text) {
		t.Errorf("%s: %v, want %s %s", name, err, path, text)
	}
}

// TestForms gives presets the other forms of their first argument.
func TestForms(t *testing.T) {
	for _, row := range []struct {
		got  validator.Issuer
		want string
	}{
		{providers.EntraID(strings.ToUpper("abcdefab"+tenant[8:]), apiID), "https://login.microsoftonline.com/abcdefab" + tenant[8:] + "/v2.0"},
		{providers.Auth0("https://acme.eu.auth0.com", "a"), "https://acme.eu.auth0.com/"},
		{providers.Auth0("https://acme.eu.auth0.com/", "a"), "https://acme.eu.auth0.com/"},
		{providers.Keycloak("https://login.example.com/auth/realms/shop", "a"), "https://login.example.com/auth/realms/shop"},
		{providers.Keycloak("http://127.0.0.1:8080/realms/shop", "a"), "http://127.0.0.1:8080/realms/shop"},
		{providers.Cognito("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_A", "a"), "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_A"},
		{providers.Cognito("us-gov-west-1_A", "a"), "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_A"},
		{providers.ADFS("https://adfs.example.com", "a"), "http://adfs.example.com/adfs/services/trust"},
		{providers.ADFS("https://adfs.example.com/adfs", "a"), "http://adfs.example.com/adfs/services/trust"},
		{providers.Supabase("https://auth.example.com/auth/v1"), "https://auth.example.com/auth/v1"},
		{providers.Firebase("https://securetoken.google.com/acme"), "https://securetoken.google.com/acme"},
	} {
		if row.got.Err != nil || row.got.URL != row.want {
			t.Errorf("%q, %v; want %q", row.got.URL, row.got.Err, row.want)
		}
	}
	if got := fmt.Sprint(providers.ADFS("a", "orders", "https://a.test/", "microsoft:identityserver:b").Audiences); got != "[orders microsoft:identityserver:orders https://a.test/ microsoft:identityserver:b]" {
		t.Error(got)
	}
}

// TestNewFaults gives New parameters with one fault.
func TestNewFaults(t *testing.T) {
	keys := jwkscache.URL("https://a.test/keys")
	of := func(change func(*providers.Parameters)) providers.Parameters {
		p := providers.Parameters{URL: "https://a.test/oauth2/a", Audiences: []string{"a"}}
		change(&p)
		return p
	}
	for _, row := range []struct {
		preset     string
		parameters providers.Parameters
		path, text string
	}{
		{"octa", providers.Parameters{}, "", `there is no preset "octa"; take one of adfs, auth0,`},
		{"entra", providers.Parameters{}, "", `there is no preset "entra"; did you mean entra-id? take one of adfs,`},
		{"EntraID_v1", providers.Parameters{}, "", "did you mean entra-id-v1?"},
		{"", providers.Parameters{}, "", `there is no preset ""; take one of`},
		{"okta", of(func(p *providers.Parameters) { p.URL = "https://a.test" }), "URL", "for Okta alone"},
		{"okta", of(func(p *providers.Parameters) { p.Tenant = "a" }), "Tenant", "is set; remove it; the preset okta does not take it"},
		{"okta", of(func(p *providers.Parameters) { p.Clients = []string{"a"} }), "Clients", "is set"},
		{"okta", of(func(p *providers.Parameters) { p.Accounts = []string{"a"} }), "Accounts", "is set"},
		{"okta", of(func(p *providers.Parameters) { p.Repositories = []string{"1"} }), "Repositories", "is set"},
		{"okta", of(func(p *providers.Parameters) { p.Owners = []string{"1"} }), "Owners", "is set"},
		{"okta", of(func(p *providers.Parameters) { p.Projects = []string{"1"} }), "Projects", "is set"},
		{"entra-id", providers.Parameters{URL: "a", Tenant: tenant, Audiences: []string{apiID}}, "URL", "is set"},
		{"firebase", providers.Parameters{URL: "a", Audiences: []string{"a"}}, "Audiences", "is set"},
		{"fusionauth", providers.Parameters{URL: "a", Clients: []string{"a"}, Keys: keys, Audiences: []string{"a"}}, "Audiences", "is set"},
		{"fusionauth", providers.Parameters{URL: "a", Clients: []string{"a"}}, "Keys", "is missing"},
		{"kubernetes", providers.Parameters{URL: "a", Audiences: []string{"b"}}, "Keys", "is missing"},
		{"github-actions", providers.Parameters{Audiences: []string{"a"}}, "Repositories", "is empty"},
		{"github-actions", providers.Parameters{Repositories: []string{"1"}}, "Audiences", "is empty"},
		{"github-actions", providers.Parameters{Repositories: []string{"1"}, Audiences: []string{"a", "b"}}, "Audiences", "has several; give one"},
		{"gitlab-ci", providers.Parameters{URL: "https://a.test", Projects: []string{"1"}}, "Audiences", "is empty"},
	} {
		is, err := providers.New(row.preset, row.parameters)
		expectFault(t, row.preset, err, row.path, row.text)
		if is.Err == nil || is.Err.Error() != err.Error() {
			t.Errorf("%s: Err is %v, not %v", row.preset, is.Err, err)
		}
	}
}

// TestNewKeys shows that Keys replaces the keys of a preset, and URL the issuer of GitHub
// Actions.
func TestNewKeys(t *testing.T) {
	keys := jwkscache.URL("https://a.test/keys")
	is, err := providers.New("okta", providers.Parameters{URL: "https://a.test/oauth2/a", Audiences: []string{"a"}, Keys: keys})
	if err != nil || is.Keys != keys {
		t.Errorf("%v, %v", is.Keys, err)
	}
	is, err = providers.New("cognito", providers.Parameters{URL: "eu-central-1_A", Clients: []string{"c"}, Audiences: []string{"a"}})
	if err != nil || len(is.Audiences) != 1 || len(is.ClientIDs) != 1 {
		t.Errorf("%+v, %v", is, err)
	}
	is, err = providers.New("github-actions", providers.Parameters{URL: "https://ghe.test/_services/token", Audiences: []string{"a"}, Repositories: []string{"1"}, Owners: []string{"2"}})
	if err != nil || is.URL != "https://ghe.test/_services/token" || len(is.Claims[0].AnyOf) != 2 {
		t.Errorf("%+v, %v", is, err)
	}
}

// TestNew shows that the presets have the names that Names returns, and that New makes
// the same issuer as the function.
func TestNew(t *testing.T) {
	var names []string
	for _, p := range all() {
		names = append(names, p.name)
		got, err := providers.New(p.name, p.parameters)
		if err != nil || !reflect.DeepEqual(got, p.issuer) {
			t.Errorf("%s: %+v, %v\nwant %+v", p.name, got, err, p.issuer)
		}
	}
	slices.Sort(names)
	if got := providers.Names(); !slices.Equal(got, names) {
		t.Errorf("%v, want %v", got, names)
	}
}

// TestKeys shows where presets look for keys. Those that are not here
// discover them, and say so, so that JWTs are still validated when Opaque is added.
func TestKeys(t *testing.T) {
	urls := map[string]string{
		"adfs":        "https://adfs.example.com/adfs/discovery/keys",
		"cognito":     "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3/.well-known/jwks.json",
		"entra-id-v1": "https://login.microsoftonline.com/" + tenant + "/discovery/keys",
		"firebase":    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
		"fusionauth":  "https://login.example.com/.well-known/jwks.json", // its argument
		"supabase":    "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
		"zitadel":     "https://acme.zitadel.cloud/oauth/v2/keys",
	}
	for _, p := range all() {
		want := jwkscache.Discovered()
		switch url, found := urls[p.name]; {
		case found:
			want = jwkscache.URL(url)
		case p.name == "kubernetes":
			want = p.parameters.Keys
		}
		if !reflect.DeepEqual(p.issuer.Keys, want) {
			t.Errorf("%s: %v, want %v", p.name, p.issuer.Keys, want)
		}
	}
}

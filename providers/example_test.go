package providers_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

// exampleToken returns a token with these claims.
func exampleToken(c claims) string {
	payload, err := strictjson.Marshal(map[string]any(c))
	if err != nil {
		log.Fatal(err)
	}
	return testkey.Of(jose.RS256, "provider").Sign(`{"alg":"RS256","kid":"provider","typ":"JWT"}`, payload)
}

func Example() {
	guard, err := middleware.For(providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(guard.Validator().Issuers())
	// Output: [https://dev-1.okta.com/oauth2/default]
}

// With several issuers, each says what it may give.
func Example_severalIssuers() {
	okta := providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders")
	okta.Grants, okta.Roles = []string{"orders:read", "orders:write"}, []string{"clerk"}
	jobs := providers.GitHubActions("https://api.example.com", "123456789")
	jobs.Grants, jobs.Roles = []string{}, []string{}
	guard, err := middleware.For(okta, jobs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(guard.Validator().Issuers())
	// Output: [https://dev-1.okta.com/oauth2/default https://token.actions.githubusercontent.com]
}

// Wrong arguments are faults of the configuration.
func Example_fault() {
	_, err := middleware.For(providers.Okta("https://dev-1.okta.com", "api://orders"))
	for _, f := range validator.Faults(err) {
		fmt.Println(f.Problem)
		fmt.Println(f.Mend)
	}
	// Output:
	// "https://dev-1.okta.com" is the org authorization server, whose access tokens are for Okta alone
	// give the Issuer URI of a custom authorization server, such as https://dev-1.okta.com/oauth2/default
}

// An API for the customers' tenants of Entra ID. The list of customers decides, and
// nothing that a token says: anybody can make a tenant.
func ExampleEntraID_tenants() {
	const customer, stranger = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	customers := map[string]bool{customer: true}
	v, err := validator.New(validator.Config{
		ResolveIssuer: func(_ context.Context, unverifiedIssuer string) (validator.Issuer, error) {
			tenant, found := strings.CutPrefix(unverifiedIssuer, "https://login.microsoftonline.com/")
			tenant, ofVersion2 := strings.CutSuffix(tenant, "/v2.0")
			if !found || !ofVersion2 || !customers[tenant] {
				return validator.Issuer{}, validator.ErrUnknownIssuer
			}
			is := providers.EntraID(tenant, "33333333-3333-4333-8333-333333333333")
			is.Grants, is.Roles = []string{"Orders.Read"}, []string{"Orders.Approver"}
			is.Keys = jwkscache.Static([]byte(keySet(nil, "provider"))) // of this example; leave it out for those of Entra ID
			return is, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, tenant := range []string{customer, stranger} {
		signed := exampleToken(claims{
			"iss": "https://login.microsoftonline.com/" + tenant + "/v2.0", "aud": "33333333-3333-4333-8333-333333333333", "exp": now + 3600,
			"sub": "user-1", "tid": tenant, "azp": "app-1", "azpacr": "0", "scp": "Orders.Read Mail.Read",
		})
		token, err := v.Validate(context.Background(), validator.Presentation{Scheme: validator.Bearer, Token: signed})
		fmt.Printf("%q %q %q\n", token.Tenant(), token.Scopes(), validator.ReasonOf(err))
	}
	// Output:
	// "11111111-1111-4111-8111-111111111111" ["Orders.Read"] ""
	// "" [] "unknown_issuer"
}

// A program that has the name of the preset and its parameters from a file.
func ExampleNew() {
	issuer, err := providers.New("okta", providers.Parameters{
		URL:       "https://dev-1.okta.com/oauth2/default",
		Audiences: []string{"api://orders"},
	})
	fmt.Println(issuer.URL, err)
	_, err = providers.New("okta", providers.Parameters{URL: "https://dev-1.okta.com/oauth2/default"})
	fmt.Println(err)
	// Output:
	// https://dev-1.okta.com/oauth2/default <nil>
	// providers: Audiences is empty; list the identifiers this API answers to, as they are in aud
}

func ExampleNames() {
	fmt.Println(strings.Join(providers.Names(), " "))
	// Output: adfs auth0 cognito duende entra-id entra-id-v1 firebase fusionauth github-actions gitlab-ci google hydra keycloak kubernetes okta pingone supabase zitadel
}

// Some tokens of Google have an iss without https://. They are another issuer.
func ExampleGoogle_withoutScheme() {
	const audience, account = "https://api.example.com", "batch@acme.iam.gserviceaccount.com"
	long := providers.Google(audience, account)
	short := providers.Google(audience, account)
	short.URL = "accounts.google.com"
	short.Keys = jwkscache.URL("https://www.googleapis.com/oauth2/v3/certs")
	long.Grants, short.Grants = []string{}, []string{}
	guard, err := middleware.For(long, short)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(guard.Validator().Issuers())
	// Output: [https://accounts.google.com accounts.google.com]
}

func ExampleEntraID() {
	issuer := providers.EntraID("11111111-1111-4111-8111-111111111111", "33333333-3333-4333-8333-333333333333")
	older := providers.EntraIDv1("11111111-1111-4111-8111-111111111111", "api://orders")
	fmt.Println(issuer.URL, older.URL, issuer.Err == nil && older.Err == nil)
	// Output: https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0 https://sts.windows.net/11111111-1111-4111-8111-111111111111/ true
}

func ExampleEntraIDv1() {
	issuer := providers.EntraIDv1("11111111-1111-4111-8111-111111111111", "api://orders", "api://orders/")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://sts.windows.net/11111111-1111-4111-8111-111111111111/ true
}

func ExampleOkta() {
	issuer := providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://dev-1.okta.com/oauth2/default true
}

func ExampleAuth0() {
	issuer := providers.Auth0("acme.eu.auth0.com", "https://api.example.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://acme.eu.auth0.com/ true
}

func ExampleKeycloak() {
	issuer := providers.Keycloak("https://login.example.com/realms/shop", "orders-api")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://login.example.com/realms/shop true
}

func ExampleCognito() {
	issuer := providers.Cognito("eu-central-1_Ab1Cd2Ef3", "1example23456789")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3 true
}

func ExampleGoogle() {
	issuer := providers.Google("https://api.example.com", "batch@acme.iam.gserviceaccount.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://accounts.google.com true
}

func ExampleDuende() {
	issuer := providers.Duende("https://identity.example.com", "orders")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://identity.example.com true
}

func ExampleZitadel() {
	issuer := providers.Zitadel("https://acme.zitadel.cloud", "260000000000000001")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://acme.zitadel.cloud true
}

func ExampleADFS() {
	issuer := providers.ADFS("adfs.example.com", "https://api.example.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: http://adfs.example.com/adfs/services/trust true
}

func ExampleSupabase() {
	issuer := providers.Supabase("abcdefghijklmnopqrst")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://abcdefghijklmnopqrst.supabase.co/auth/v1 true
}

func ExampleGitHubActions() {
	issuer := providers.GitHubActions("https://api.example.com", "123456789")
	everywhere := providers.GitHubActionsOf("https://api.example.com", "987654")
	fmt.Println(issuer.URL, everywhere.URL, issuer.Err == nil && everywhere.Err == nil)
	// Output: https://token.actions.githubusercontent.com https://token.actions.githubusercontent.com true
}

func ExampleGitHubActionsOf() {
	issuer := providers.GitHubActionsOf("https://api.example.com", "987654")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://token.actions.githubusercontent.com true
}

func ExampleKubernetes() {
	issuer := providers.Kubernetes("https://kubernetes.default.svc.cluster.local", jwkscache.File("/etc/orders/cluster-keys.json"), "https://api.example.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://kubernetes.default.svc.cluster.local true
}

func ExampleGitLabCI() {
	issuer := providers.GitLabCI("https://gitlab.com", "https://api.example.com", "12345")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://gitlab.com true
}

func ExamplePingOne() {
	issuer := providers.PingOne("https://auth.pingone.eu/11111111-1111-4111-8111-111111111111/as", "https://api.example.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://auth.pingone.eu/11111111-1111-4111-8111-111111111111/as true
}

func ExampleHydra() {
	issuer := providers.Hydra("https://hydra.example.com/", "https://api.example.com")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://hydra.example.com/ true
}

func ExampleFusionAuth() {
	issuer := providers.FusionAuth("acme.com", jwkscache.URL("https://login.example.com/.well-known/jwks.json"), "44444444-4444-4444-8444-444444444444")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: acme.com true
}

func ExampleFirebase() {
	issuer := providers.Firebase("acme-shop")
	fmt.Println(issuer.URL, issuer.Err == nil)
	// Output: https://securetoken.google.com/acme-shop true
}

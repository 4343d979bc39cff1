package main

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

// presetConfigs are the issuers of the recorded tokens, in the lines that a preset needs.
var presetConfigs = map[string]string{
	"adfs":           "url: adfs.example.com\naudiences: [orders]\n",
	"auth0":          "url: acme.eu.auth0.com\naudiences: [https://api.example.com]\n",
	"cognito":        "url: eu-central-1_Ab1Cd2Ef3\nclient_ids: [web, batch]\n",
	"duende":         "url: https://identity.example.com\naudiences: [orders]\n",
	"entra-id":       "tenant_id: 11111111-1111-4111-8111-111111111111\naudiences: [33333333-3333-4333-8333-333333333333]\n",
	"entra-id-v1":    "tenant_id: 11111111-1111-4111-8111-111111111111\naudiences: [api://orders, api://orders/]\n",
	"firebase":       "url: acme\n",
	"fusionauth":     "url: acme.com\nclient_ids: [44444444-4444-4444-8444-444444444444]\n",
	"github-actions": "audiences: [https://api.example.com]\nrepositories: [101, 102]\n",
	"gitlab-ci":      "url: https://gitlab.com\naudiences: [https://api.example.com]\nprojects: [20]\n",
	"google":         "audiences: [https://api.example.com]\naccounts: [batch@acme.iam.gserviceaccount.com]\n",
	"hydra":          "url: https://hydra.example.com/\naudiences: [https://api.example.com]\n",
	"keycloak":       "url: https://login.example.com/realms/shop\naudiences: [orders-api]\n",
	"kubernetes":     "url: https://kubernetes.default.svc.cluster.local\naudiences: [https://api.example.com]\n",
	"okta":           "url: https://dev-1.okta.com/oauth2/default\naudiences: [api://default]\n",
	"pingone":        "url: https://auth.pingone.eu/11111111-1111-4111-8111-111111111111/as\naudiences: [https://api.example.com]\n",
	"supabase":       "url: abcdefghijklmnopqrst\n",
	"zitadel":        "url: https://acme.zitadel.cloud\naudiences: [orders-project]\n",
}

// withPreset returns a configuration with one issuer, of that preset.
func withPreset(name, more string) string {
	return "issuers:\n  - preset: " + name + "\n    " + strings.ReplaceAll(strings.TrimSpace(more), "\n", "\n    ") + "\n"
}

// presetToken is a line of the file of package providers' tests. It has a token or a key.
type presetToken struct {
	Preset, Kind, Opaque    string
	Key                     map[string]any
	Header, Claims          json.RawMessage
	Want                    validator.Reason
	Subject, Client, Scopes string
}

// presetTokens returns the tokens of each provider, and its JWK Set, as the tests of package
// providers have them.
func presetTokens(t *testing.T) (tokens map[string][]presetToken, sets map[string]string) {
	t.Helper()
	tokens, keys := make(map[string][]presetToken), make(map[string][]string)
	for text := range strings.Lines(read(t, "../../providers/testdata/tokens.ndjson")) {
		var token presetToken
		if err := json.Unmarshal([]byte(text), &token); err != nil {
			t.Fatal(err)
		}
		if token.Key == nil {
			tokens[token.Preset] = append(tokens[token.Preset], token)
			continue
		}
		kid, _ := token.Key["kid"].(string)
		for name, value := range testkey.Of(jose.RS256, kid).Members() {
			token.Key[name] = value
		}
		keys[token.Preset] = append(keys[token.Preset], marshal(t, token.Key))
	}
	sets = make(map[string]string)
	for preset := range tokens {
		sets[preset] = string(testkey.Set(testkey.Of(jose.RS256, "provider")))
		if all := keys[preset]; all != nil {
			sets[preset] = `{"keys":[` + strings.Join(all, ",") + `]}`
		}
	}
	return tokens, sets
}

// text returns the token.
func (p *presetToken) text(t *testing.T) string {
	t.Helper()
	if p.Header == nil {
		return p.Opaque
	}
	var header struct{ Alg, Kid string }
	if err := json.Unmarshal(p.Header, &header); err != nil {
		t.Fatal(err)
	}
	algorithm, err := jose.ParseAlgorithm(header.Alg)
	if err != nil {
		t.Fatal(err)
	}
	return testkey.Of(algorithm, header.Kid).Sign(string(p.Header), string(p.Claims))
}

// TestPresets judges tokens of each provider by the few lines that its preset needs: with
// and without --explain, they get what the preset gives them in Go.
func TestPresets(t *testing.T) {
	tokens, sets := presetTokens(t)
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			if len(tokens[name]) < 4 {
				t.Fatalf("%d tokens", len(tokens[name]))
			}
			dir := folder(t, map[string]string{"sallyport.yaml": withPreset(name, presetConfigs[name]), "jwks.json": sets[name]})
			var in strings.Builder
			for _, token := range tokens[name] {
				in.WriteString(line(t, map[string]any{"name": token.Kind, "token": token.text(t)}))
			}
			args := []string{"verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--jwks", filepath.Join(dir, "jwks.json"), "--at", "1800000000"}
			got := invoke(t, in.String(), args...)
			verdicts := strings.Split(strings.TrimSpace(got.out), "\n")
			if got.status != exitDone || len(verdicts) != len(tokens[name]) {
				t.Fatalf("status %d, %d verdicts: %s", got.status, len(verdicts), got.err)
			}
			for i, token := range tokens[name] {
				token.check(t, verdicts[i])
			}
			checkNoGoNames(t, got.err)
			explained := invoke(t, in.String(), append(args, "--explain")...)
			checkNoGoNames(t, explained.out)
			for _, token := range tokens[name] {
				text := token.text(t)
				if piece := issuertest.Shows(explained.out, issuertest.SecretsOf(text)...); piece != "" {
					t.Errorf("%s: the explanation shows %q", token.Kind, piece)
				}
				if want := token.Kind + ": refused: " + string(token.Want) + ", "; token.Want != "" && !strings.Contains(explained.out, want) {
					t.Errorf("%s is not explained as %s", token.Kind, token.Want)
				}
			}
		})
	}
}

// check compares a verdict with what the token has to get.
func (p *presetToken) check(t *testing.T, text string) {
	t.Helper()
	var got struct {
		Accept   bool
		Reason   validator.Reason
		Subject  string
		ClientID string `json:"client_id"`
		Scopes   []string
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Accept != (p.Want == "") || got.Reason != p.Want {
		t.Errorf("%s: %s, want %q", p.Kind, text, p.Want)
		return
	}
	if got.Accept && (got.Subject != p.Subject || got.ClientID != p.Client || !slices.Equal(got.Scopes, strings.Fields(p.Scopes))) {
		t.Errorf("%s: %s, want the subject %q, the client %q and the scopes %q", p.Kind, text, p.Subject, p.Client, p.Scopes)
	}
}

// checkNoGoNames checks that a text for people has no names of fields of Go.
func checkNoGoNames(t *testing.T, text string) {
	t.Helper()
	for _, name := range goNames() {
		if unmistakable.MatchString(name) && strings.Contains(text, name) || strings.Contains(text, "Issuer."+name) || strings.Contains(text, "Config."+name) {
			t.Errorf("%s is a name of Go:\n%s", name, text)
		}
	}
}

// TestPresetKeys checks that each key of an issuer is a parameter of presets, or one of those
// that are allowed or refused beside a preset.
func TestPresetKeys(t *testing.T) {
	var known []string
	for _, key := range parameters {
		known = append(known, key)
	}
	known = append(append(append(known, ofPreset...), besidePreset...), "preset")
	slices.Sort(known)
	all := keysOf(reflect.TypeFor[issuerFile]())
	slices.Sort(all)
	if !slices.Equal(known, all) {
		t.Errorf("the lists have the keys\n%q, and an issuer has\n%q", known, all)
	}
	for field := range reflect.TypeFor[providers.Parameters]().Fields() {
		if parameters[field.Name] == "" {
			t.Errorf("the parameter %s has no key", field.Name)
		}
	}
}

// TestBesidePreset checks what keys beside a preset add to it, and that they do not replace
// what the preset demands.
func TestBesidePreset(t *testing.T) {
	config := withPreset("google", presetConfigs["google"]) + `    claims: [{name: hd, equals: example.com}]
    grants: [read]
    mappings: [{claim: groups, to: role}]
    roles: [admin]
    acrs: [gold]
    tenant: {fixed: acme}
    multi_factor: [mfa]
    key_limits: {stale: 13s}
    forbidden_keys: [{kid: a}]
    ca_file: cert.pem
    algorithms: [ES256]
`
	got := *converted(t, opaqueFolder(t), config, "")
	want := providers.Google("https://api.example.com", "batch@acme.iam.gserviceaccount.com")
	if got.HTTPClient == nil {
		t.Error("ca_file is not used")
	}
	got.HTTPClient = nil
	want.Claims = append(want.Claims, validator.ClaimRule{Name: "hd", Equals: "example.com"})
	want.Grants, want.Roles, want.ACRs, want.MultiFactor = []string{"read"}, []string{"admin"}, []string{"gold"}, []string{"mfa"}
	want.Mappings = append(want.Mappings, validator.Mapping{Claim: []string{"groups"}, To: validator.ToRole})
	want.Tenant.Fixed, want.KeyLimits.Stale, want.ForbiddenKeys = "acme", 13e9, got.ForbiddenKeys
	want.Algorithms = []jose.Algorithm{jose.ES256}
	if !reflect.DeepEqual(got, want) || len(got.ForbiddenKeys) != 1 {
		t.Errorf("the issuer is\n%+v, want\n%+v", got, want)
	}

	asked := converted(t, opaqueFolder(t), withPreset("okta", presetConfigs["okta"])+"    opaque: {client: {id: api, secret_file: secret.txt}}\n    active_within: 30s\n", "")
	if asked.Keys == nil || asked.Opaque == nil || asked.ActiveWithin == 0 || asked.Profile != validator.ProfileLegacy {
		t.Errorf("an issuer that is asked about its JWTs is %+v", asked)
	}
}

// TestPresetFaults covers R-OP-01 for presets: it checks the places of faults, and what to do.
func TestPresetFaults(t *testing.T) {
	const at = "issuers[0]."
	okta := withPreset("okta", presetConfigs["okta"])
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"unknown", withPreset("octa", "url: x\n"), []string{`2:5: issuers[0].preset: is "octa", which is no preset; did you mean okta? known here: adfs, auth0, `}},
		{"empty", withPreset("''", "url: x\n"), []string{`2:5: issuers[0].preset: is "", which is no preset; known here: adfs, `}},
		{"no parameters", "issuers:\n  - preset: entra-id\n", []string{"2:5: " + at + "tenant_id: is empty; give the GUID of the tenant", "2:5: " + at + "audiences: is empty; "}},
		{"parameters", withPreset("entra-id", "tenant_id: common\naudiences:\n  - api://orders\n  - ''\n"), []string{
			`3:5: ` + at + `tenant_id: "common" stands for every tenant`, `5:9: ` + at + `audiences[0]: "api://orders" is no GUID`, "6:9: " + at + "audiences[1]: is empty",
		}},
		{"parameter of another preset", okta + "    client_ids: [a]\n    tenant_id: b\n", []string{
			"5:5: " + at + "client_ids: is set; remove it; the preset okta does not take it", "6:5: " + at + "tenant_id: is set; remove it",
		}},
		{"parameter without a preset", minimal + "    tenant_id: a\n    repositories: [b]\n", []string{"5:5: " + at + "tenant_id: is for presets; give preset, or leave it out", "6:5: " + at + "repositories: is for presets"}},
		{"what the preset says", okta + "    profile: rfc9068\n    marker: []\n    other_tokens: []\n    client_claim: azp\n    client_only: {name: a}\n    user: {name: a}\n    scope_lists: false\n    subject_optional: true\n    key_issuers: [a]\n", []string{
			"5:5: " + at + "profile: is what the preset okta says; leave out preset or this key", "6:5: " + at + "marker: is what", "7:5: " + at + "other_tokens: is what",
			"8:5: " + at + "client_claim: is what", "9:5: " + at + "client_only: is what", "10:5: " + at + "user: is what", "11:5: " + at + "scope_lists: is what",
			"12:5: " + at + "subject_optional: is what", "13:5: " + at + "key_issuers: is what",
		}},
		{"tenant in place of tenant_id", withPreset("entra-id", presetConfigs["entra-id"]) + "    tenant: 11111111-1111-4111-8111-111111111111\n", []string{"5:5: " + at + `tenant: is the string "11111111-1111-4111-8111-111111111111"; give a mapping; with a preset, did you mean tenant_id?`}},
		{"issuer in place of url", okta + "    issuer: a\n    domain: b\n    pool: c\n", []string{"5:5: " + at + "issuer: is not a known key; did you mean url?", "6:5: " + at + "domain: is not a known key; did you mean url?", "7:5: " + at + "pool: is not a known key; did you mean url?"}},
		{"tenant of the preset", withPreset("entra-id", presetConfigs["entra-id"]) + "    tenant: {fixed: acme}\n", []string{"5:5: " + at + "tenant: is what the preset entra-id says; leave out preset or this key"}},
		{"faults beside it", okta + "    grants: ['a b']\n    mappings: [{claim: a, to: b}]\n    roles: ['']\n", []string{
			`5:14: ` + at + `grants[0]: "a b" is not a scope token`, `6:27: ` + at + `mappings[0].to: is "b"; give scope or role`, "7:13: " + at + "roles[0]: ",
		}},
		{"faults beside an unknown one", withPreset("octa", "grants: ['a b']\n"), []string{"2:5: " + at + "preset: is", `3:14: ` + at + `grants[0]: "a b" is not a scope token`}},
		{"two without grants", okta + strings.TrimPrefix(withPreset("octa", "url: x\n"), "issuers:\n"), []string{
			"2:5: " + at + "grants: is missing", "2:5: " + at + "mappings[1]: makes a role of every value", "5:5: issuers[1].preset: is ", "5:5: issuers[1].grants: is missing",
		}},
		{"keys are missing", withPreset("kubernetes", presetConfigs["kubernetes"]), []string{"2:5: " + at + "keys: is missing, and many clusters have the same issuer; say where the keys of this cluster are"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkGoNames(t, checkFaults(t, test.config, test.want))
		})
	}
}

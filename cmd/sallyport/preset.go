package main

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/validator"
)

// parameters are the keys of the parameters of presets, by their names in Go.
var parameters = map[string]string{
	"URL":          "url",
	"Tenant":       "tenant_id",
	"Audiences":    "audiences",
	"Clients":      "client_ids",
	"Accounts":     "accounts",
	"Repositories": "repositories",
	"Owners":       "owners",
	"Projects":     "projects",
	"Keys":         "keys",
}

var (
	// presetOnly are the keys that only presets have.
	presetOnly = []string{"tenant_id", "accounts", "repositories", "owners", "projects"}

	// ofPreset are the keys that say which tokens are access tokens of users and of
	// clients, which is what a preset is for. Beside it they are faults, because each
	// could make tokens pass that the preset refuses.
	ofPreset = []string{"profile", "marker", "other_tokens", "client_claim", "client_only", "user", "scope_lists", "subject_optional", "key_issuers"}

	// besidePreset are the keys that replace what the preset says or leaves open. The
	// rules in claims and mappings are added to those of the preset.
	besidePreset = []string{
		"algorithms", "metadata_url", "key_limits", "forbidden_keys", "ca_file", "proxy", "client_certificate", "insecure_allow_http", "claims", "grants", "mappings", "roles", "acrs",
		"tenant", "multi_factor", "opaque", "active_within",
	}
)

// presetIssuer returns the issuer of a preset with what the file says beside it.
func (c converter) presetIssuer(index int, file *issuerFile, has func(key string) bool) validator.Issuer {
	made, ok := c.preset(file)
	if !ok {
		made = standIn(index)
	}
	for _, key := range ofPreset {
		if has(key) {
			c.at(key).faults.Addf("leave out preset or this key", "is what the preset %s says", file.Preset)
		}
	}
	if ok && has("tenant") && !reflect.ValueOf(made.Tenant).IsZero() {
		c.at("tenant").faults.Addf("leave out preset or this key", "is what the preset %s says", file.Preset)
	}
	own := c.ownIssuer(file)
	into, from := reflect.ValueOf(&made).Elem(), reflect.ValueOf(own)
	for field := range reflect.TypeFor[validator.Issuer]().Fields() {
		key := fileFields["Issuers[]."+field.Name].key
		if !slices.Contains(besidePreset, key) || !has(key) {
			continue
		}
		to, value := into.FieldByIndex(field.Index), from.FieldByIndex(field.Index)
		if key == "claims" || key == "mappings" {
			value = reflect.AppendSlice(to, value)
		}
		to.Set(value)
	}
	if own.HTTPClient != nil {
		made.HTTPClient = own.HTTPClient
	}
	return made
}

// standIn returns an issuer in which the library finds no fault, in place of the one with
// that index.
func standIn(index int) validator.Issuer {
	return validator.Issuer{URL: fmt.Sprintf("https://issuer%d.invalid", index), Audiences: []string{"https://api.invalid"}}
}

// preset returns the issuer of the preset that the file names. ok is false after a fault.
func (c converter) preset(file *issuerFile) (made validator.Issuer, ok bool) {
	names := providers.Names()
	if !slices.Contains(names, file.Preset) {
		c.at("preset").faults.Addf(suggestion(file.Preset, names), "is %q, which is no preset", file.Preset)
		return validator.Issuer{}, false
	}
	given := providers.Parameters{
		URL: file.URL, Tenant: file.TenantID, Audiences: file.Audiences, Clients: file.ClientIDs,
		Accounts: file.Accounts, Repositories: file.Repositories, Owners: file.Owners, Projects: file.Projects,
	}
	if file.Keys != nil || c.jwks != "" {
		given.Keys = c.at("keys").issuerKeys(file)
	}
	made, err := providers.New(file.Preset, given)
	for _, f := range fault.All(err) {
		c.at(parameterPath(f.Path)).faults.Add(inWords(f.Problem, parameters), inWords(f.Mend, parameters))
	}
	return made, err == nil
}

// parameterPath returns the path of a parameter that the path of a fault names, below the
// issuer.
func parameterPath(path string) string {
	below := ""
	for _, step := range goSteps(path) {
		below = step.elements(parameters[step.name])
	}
	return below
}

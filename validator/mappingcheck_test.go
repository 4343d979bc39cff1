package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMappingsThatCannotMatch: a path that leads to no values in any token is a fault, by
// the specification of the claim or by its provider.
func TestMappingsThatCannotMatch(t *testing.T) {
	const end, through = "leads to ", "goes through "
	for _, row := range []struct {
		path  string // names with / between them
		names bool
		want  string // of the problem; "" for none
		mend  string
	}{
		{"realm_access", false, end + `"realm_access", which is an object in every token, and not a string or an array of strings`, "name the member of it"},
		{"resource_access", false, end + `"resource_access", which is an object`, "such as roles, or set MemberNames"},
		{"resource_access/app", false, end + `"resource_access.app", which is an object`, "name the member of it"},
		{"resource_access/app/roles", false, "", ""},
		{"resource_access/realm_access.x/roles", false, "", ""},
		{"realm_access/roles", false, "", ""},
		{"realm_access/other", false, "", ""},
		{"kubernetes.io", false, end + `"kubernetes.io", which is an object`, ""},
		{"kubernetes.io/serviceaccount", false, end + `"kubernetes.io.serviceaccount", which is an object`, ""},
		{"kubernetes.io/serviceaccount/name", false, "", ""},
		{"kubernetes.io/namespace", false, "", ""},
		{"kubernetes.io/namespace/x", false, through + `"kubernetes.io.namespace", which is a string`, ""},
		{"kubernetes.io/warnafter", false, end + `"kubernetes.io.warnafter", which is a number`, "name the claim that has the values"},
		{"cnf", false, end + `"cnf", which is an object`, ""},
		{"act", false, end + `"act", which is an object`, ""},
		{"act/act", false, end + `"act.act", which is an object`, ""},
		{"act/sub", false, "", ""},
		{"address", false, end + `"address", which is an object`, ""},
		{"address/country", false, "", ""},
		{"app_metadata", false, end + `"app_metadata", which is an object`, ""},
		{"app_metadata/roles", false, "", ""},
		{"exp", false, end + `"exp", which is a number`, "name the claim that has the values"},
		{"iat", false, end + `"iat", which is a number`, ""},
		{"auth_time", false, end + `"auth_time", which is a number`, ""},
		{"updated_at", false, end + `"updated_at", which is a number`, ""},
		{"email_verified", false, end + `"email_verified", which is a boolean`, ""},
		{"phone_number_verified", false, end + `"phone_number_verified", which is a boolean`, ""},
		{"is_anonymous", false, end + `"is_anonymous", which is a boolean`, ""},
		{"authorization_details", false, end + `"authorization_details", which is an array of objects`, ""},
		{"sub/roles", false, through + `"sub", which is a string in every token and has no members`, "name the claim"},
		{"scope/x", false, through + `"scope", which is a string or an array of strings`, ""},
		{"aud/x", false, through + `"aud"`, ""},
		{"exp/x", false, through + `"exp", which is a number`, ""},
		{"email_verified/x", false, through + `"email_verified", which is a boolean`, ""},
		{"realm_access/roles/x", false, through + `"realm_access.roles", which is an array of strings`, ""},
		{"realm_access.roles", false, `has the name "realm_access.roles", which is a path`, "give the names one by one"},
		{"resource_access.app.roles", false, `has the name "resource_access.app.roles", which is a path`, ""},
		{"https://app.example/roles", false, "", ""},
		{"sub", false, "", ""},
		{"scp", false, "", ""},
		{"groups", false, "", ""},
		{"aud", false, "", ""},
		{"amr", false, "", ""},
		{"cognito:groups", false, "", ""},

		{"urn:zitadel:iam:org:project:roles", true, "", ""},
		{"resource_access", true, "", ""},
		{"authorization_details", true, "", ""},
		{"exp", true, end + `"exp", which is a number in every token and has no members`, "leave MemberNames out"},
		{"scope", true, end + `"scope", which is a string or an array of strings`, ""},
		{"realm_access/roles", true, end + `"realm_access.roles", which is an array of strings`, ""},
		{"sub/x", true, through + `"sub"`, ""},
	} {
		t.Run(row.path, func(t *testing.T) {
			path := strings.Split(row.path, "/")
			if strings.HasPrefix(row.path, "https:") {
				path = []string{row.path}
			}
			_, err := validator.New(mappedConfig(validator.Mapping{Claim: path, To: validator.ToRole, MemberNames: row.names}))
			faults := validator.Faults(err)
			if row.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if len(faults) != 1 || faults[0].Path != "Issuers[0].Mappings[0].Claim" || !strings.HasPrefix(faults[0].Problem, row.want) || !strings.Contains(faults[0].Mend, row.mend) {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

// TestMappingsWithoutEffect: a Mapping that changes nothing is a fault.
func TestMappingsWithoutEffect(t *testing.T) {
	type values = map[string][]string
	of := func(claim string, to validator.Attribute, v values) validator.Mapping {
		return validator.Mapping{Claim: []string{claim}, To: to, Values: v}
	}
	scope := func(claim string, v values) validator.Mapping { return of(claim, validator.ToScope, v) }
	role := func(claim string, v values) validator.Mapping { return of(claim, validator.ToRole, v) }
	names := role("a", nil)
	names.MemberNames = true
	const same, outside = "makes nothing that Mappings[%] does not make", "makes nothing that % lists, so that it changes nothing"
	for _, row := range []struct {
		name          string
		mappings      []validator.Mapping
		grants, roles []string
		at            string // of the fault, after Issuers[0].; "" for none
		want          string
	}{
		{"scope as it is", []validator.Mapping{scope("scope", nil)}, nil, nil, "Mappings[0]", "makes scopes of scope as they are, which changes nothing"},
		{"scope, value by value", []validator.Mapping{scope("scope", values{"a": {"a"}, "b": {"b"}})}, nil, nil, "Mappings[0]", "makes scopes of scope as they are"},
		{"scope, and one value as another", []validator.Mapping{scope("scope", values{"a": {"a"}, "b": {"c"}})}, nil, nil, "", ""},
		{"scope, and one value as two", []validator.Mapping{scope("scope", values{"a": {"a", "b"}})}, nil, nil, "", ""},
		{"scope as roles", []validator.Mapping{role("scope", nil)}, nil, nil, "", ""},
		{"another claim as scopes", []validator.Mapping{scope("scp", nil)}, nil, nil, "", ""},
		{"another claim, value by value", []validator.Mapping{scope("scp", values{"a": {"a"}})}, nil, nil, "", ""},
		{"scope in another claim", []validator.Mapping{{Claim: []string{"x", "scope"}, To: validator.ToScope}}, nil, nil, "", ""},

		{"twice", []validator.Mapping{scope("a", nil), role("b", nil), scope("a", nil)}, nil, nil, "Mappings[2]", strings.ReplaceAll(same, "%", "0")},
		{"twice with values", []validator.Mapping{role("a", values{"x": {"y", "z"}}), role("a", values{"x": {"z", "y"}})}, nil, nil, "Mappings[1]", strings.ReplaceAll(same, "%", "0")},
		{"some of the values", []validator.Mapping{role("a", values{"x": {"y", "z"}, "b": {"c"}}), role("a", values{"x": {"z"}})}, nil, nil, "Mappings[1]", strings.ReplaceAll(same, "%", "0")},
		{"some of the values before all", []validator.Mapping{role("a", values{"x": {"z"}}), role("a", values{"x": {"y", "z"}})}, nil, nil, "Mappings[0]", strings.ReplaceAll(same, "%", "1")},
		{"a value as it is beside all", []validator.Mapping{role("a", nil), role("a", values{"x": {"x"}})}, nil, nil, "Mappings[1]", strings.ReplaceAll(same, "%", "0")},
		{"a value as another beside all", []validator.Mapping{role("a", nil), role("a", values{"x": {"y"}})}, nil, nil, "", ""},
		{"another value", []validator.Mapping{role("a", values{"x": {"y"}}), role("a", values{"z": {"y"}})}, nil, nil, "", ""},
		{"another meaning", []validator.Mapping{role("a", values{"x": {"y"}}), role("a", values{"x": {"z"}})}, nil, nil, "", ""},
		{"to scopes and to roles", []validator.Mapping{role("a", nil), scope("a", nil)}, nil, nil, "", ""},
		{"of two claims", []validator.Mapping{role("a", nil), role("b", nil)}, nil, nil, "", ""},
		{"of names and of values", []validator.Mapping{role("a", nil), names}, nil, nil, "", ""},

		{"scopes that are not granted", []validator.Mapping{scope("a", values{"x": {"y", "z"}})}, []string{"x"}, nil, "Mappings[0]", strings.ReplaceAll(outside, "%", "Grants")},
		{"one scope that is granted", []validator.Mapping{scope("a", values{"x": {"y", "z"}})}, []string{"z"}, nil, "", ""},
		{"scopes, and none is granted", []validator.Mapping{scope("a", nil)}, []string{}, nil, "", ""},
		{"any scopes of those that are granted", []validator.Mapping{scope("a", nil)}, []string{"x"}, nil, "", ""},
		{"scopes, and all are granted", []validator.Mapping{scope("a", values{"x": {"y"}})}, allScopes, nil, "", ""},
		{"roles, and other grants", []validator.Mapping{role("a", values{"x": {"y"}})}, []string{"z"}, nil, "", ""},
		{"roles that are not given", []validator.Mapping{role("a", values{"x": {"y"}})}, nil, []string{"x"}, "Mappings[0]", strings.ReplaceAll(outside, "%", "Roles")},
		{"roles, and none is given", []validator.Mapping{role("a", nil)}, nil, []string{}, "", ""},
		{"roles of values, and none is given", []validator.Mapping{role("a", values{"x": {"y"}})}, nil, []string{}, "", ""},
		{"roles, and all are given", []validator.Mapping{role("a", values{"x": {"y"}})}, nil, []string{validator.AllRoles}, "", ""},
		{"one role that is given", []validator.Mapping{role("a", values{"x": {"y"}, "z": {"w"}})}, nil, []string{"w"}, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := mappedConfig(row.mappings...)
			config.Issuers[0].Grants, config.Issuers[0].Roles = row.grants, row.roles
			_, err := validator.New(config)
			faults := validator.Faults(err)
			switch {
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want != "" && (len(faults) != 1 || faults[0].Path != "Issuers[0]."+row.at || !strings.HasPrefix(faults[0].Problem, row.want) || faults[0].Mend == ""):
				t.Errorf("%v, want %s %s", err, row.at, row.want)
			}
		})
	}
}

// TestMemberNames (R-SC-07, R-CL-14): the names of members count if their values are
// objects that are not empty. Anything else is refused.
func TestMemberNames(t *testing.T) {
	const claim = "urn:zitadel:iam:org:project:roles"
	for _, row := range []struct {
		name string
		raw  string // "" for an absent claim
		want []string
		// cause is of the refusal; "" if the token is accepted
		cause string
	}{
		{"absent", "", nil, ""},
		{"an object", `{"admin":{"2301":"acme.example"},"order clerk":{"2301":"acme.example","7":"b"}}`, []string{"admin", "order clerk"}, ""},
		{"an array of objects", `[{"admin":{"1":"a"}},{"clerk":{"1":"a"},"admin":{"2":"b"}}]`, []string{"admin", "clerk"}, ""},
		{"an escape", `{"\u0061dmin":{"1":"a"}}`, []string{"admin"}, ""},
		{"no members", `{}`, nil, ""},
		{"no elements", `[]`, nil, ""},
		{"an empty object in an array", `[{}]`, nil, ""},
		{"a role without an organization", `{"admin":{},"clerk":{"1":"a"}}`, []string{"clerk"}, ""},
		{"true", `{"admin":true}`, nil, "an object with a member that is no object; wanted an object, or an array of objects, whose members are objects"},
		{"false", `{"admin":false}`, nil, "an object with a member that is no object"},
		{"null", `{"admin":null}`, nil, "an object with a member that is no object"},
		{"a string inside", `{"admin":"1"}`, nil, "an object with a member that is no object"},
		{"an array inside", `{"admin":["1"]}`, nil, "an object with a member that is no object"},
		{"one that is no object", `{"clerk":{"1":"a"},"admin":0}`, nil, "an object with a member that is no object"},
		{"a string", `"admin"`, nil, "a string of 5 bytes; wanted an object"},
		{"an array of strings", `["admin"]`, nil, "if the values are strings in the claim, leave Mapping.MemberNames out"},
		{"an object and a string", `[{"admin":{"1":"a"}},"clerk"]`, nil, "wanted an object"},
		{"a number", `1`, nil, "which is a number"},
		{"null alone", `null`, nil, "which is null"},
		{"an empty name", `{"":{"1":"a"}}`, nil, "no scope token (RFC 6749 §3.3), or no role"},
		{"a control character", `{"a\n":{"1":"a"}}`, nil, "or no role"},
	} {
		t.Run(row.name, func(t *testing.T) {
			claims := baseClaims
			if row.raw != "" {
				claims = claims.with(claim, row.raw)
			}
			v := issuertest.Validator(t, mappedConfig(validator.Mapping{Claim: []string{claim}, To: validator.ToRole, MemberNames: true}))
			p := bearer(testKey.token(claims))
			if row.cause != "" {
				expect(t, v, p, 0, validator.BadClaims, row.cause)
				return
			}
			compareGrants(t, cached(at(0), t, v, p), []string{"read", "write"}, row.want)
		})
	}
	listed := mappedConfig(validator.Mapping{Claim: []string{"x", "roles"}, To: validator.ToScope, MemberNames: true, Values: map[string][]string{"admin": {"a", "b"}}})
	token := cached(at(0), t, issuertest.Validator(t, listed), bearer(testKey.token(baseClaims.with("x", `{"roles":{"admin":{"1":"a"},"other one":{"1":"a"}}}`))))
	compareGrants(t, token, []string{"read", "write", "a", "b"}, nil)
}

// TestMappedTypeMends (R-CL-14): the cause of a mapped claim of a wrong type says what leads
// there, and what to do.
func TestMappedTypeMends(t *testing.T) {
	config := mappedConfig(validator.Mapping{Claim: []string{"x", "roles"}, To: validator.ToRole})
	v := issuertest.Validator(t, config)
	for raw, want := range map[string]string{
		`"a"`:                  "found x, a string of 1 bytes; wanted an object; name another claim in Mapping.Claim, or let the issuer write this one so",
		`[]`:                   "found x, which is an array; wanted an object",
		`{"roles":1}`:          "found x.roles, which is a number; wanted a string or an array of strings; name another claim in Mapping.Claim, or let the issuer write this one so",
		`{"roles":{"a":{}}}`:   "found x.roles, which is an object; wanted a string or an array of strings; name the member that has the values in Mapping.Claim, or set Mapping.MemberNames",
		`{"roles":[{"a":{}}]}`: "found x.roles, an array with something else than strings; wanted a string or an array of strings; let the issuer write strings only; if the names of members are the values, set Mapping.MemberNames",
	} {
		expect(t, v, bearer(testKey.token(baseClaims.with("x", raw))), 0, validator.BadClaims, want)
	}
}

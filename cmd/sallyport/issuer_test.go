package main

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// fieldsWithoutKey are the fields that a file cannot set, and why.
var fieldsWithoutKey = map[string]string{
	"Config.ResolveIssuer":       "a function",
	"Config.MaxResolvedIssuers":  "is for ResolveIssuer",
	"Config.OpaqueIssuer":        "a function; a route has opaque_issuer",
	"Config.IntrospectionLimits": "bounds requests that come at once, and verify takes one token after the other",
	"Config.SharedLimits":        "bounds requests that come at once, and verify takes one token after the other",
	"Config.Cache":               "verify presents a token once",
	"Config.SnapshotDir":         "is for restarts of a process that serves requests",
	"Config.Trace":               "functions",
	"Config.Logger":              "the output has the verdicts",
	"Issuer.Err":                 "a fault of Go code that made the Issuer",
	"Client.Store":               "an implementation in Go",
	"Client.StoreSecret":         "is for Store",
}

// TestEveryFieldHasAKey checks that a file can set each field of an issuer, or that there is
// a reason why it cannot. A rule inside AnyOf has the keys of a rule.
func TestEveryFieldHasAKey(t *testing.T) {
	stale := make(map[string]bool)
	for name := range fieldsWithoutKey {
		stale[name] = true
	}
	for path, of := range map[string]reflect.Type{
		"":                            reflect.TypeFor[validator.Config](),
		"Leeway.":                     reflect.TypeFor[validator.Leeway](),
		"Issuers[].":                  reflect.TypeFor[validator.Issuer](),
		"Issuers[].KeyLimits.":        reflect.TypeFor[jwkscache.Limits](),
		"Issuers[].ForbiddenKeys[].":  reflect.TypeFor[jwkscache.KeyName](),
		"Issuers[].Marker[].":         reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].OtherTokens[].":    reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].Claims[].":         reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].ClientOnly.":       reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].User.":             reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].Mappings[].":       reflect.TypeFor[validator.Mapping](),
		"Issuers[].Tenant.":           reflect.TypeFor[validator.TenantRule](),
		"Issuers[].Answers.":          reflect.TypeFor[validator.AnswerRules](),
		"Issuers[].Answers.Marker[].": reflect.TypeFor[validator.ClaimRule](),
		"Issuers[].Opaque.":           reflect.TypeFor[introspect.Client](),
		"Issuers[].Opaque.Cache.":     reflect.TypeFor[introspect.Cache](),
		"Issuers[].Opaque.Limits.":    reflect.TypeFor[introspect.Limits](),
	} {
		for field := range of.Fields() {
			name := of.Name() + "." + field.Name
			delete(stale, name)
			_, known := fileFields[path+field.Name]
			if without := fieldsWithoutKey[name] != ""; known == without && field.Name != "AnyOf" {
				t.Errorf("%s: a key %t, said to have none %t", path+field.Name, known, without)
			}
		}
	}
	for name := range stale {
		t.Errorf("there is no field %s", name)
	}
	if reflect.TypeFor[ruleFile]().NumField() != reflect.TypeFor[validator.ClaimRule]().NumField() {
		t.Error("a rule of a file has other fields than validator.ClaimRule")
	}
	if _, has := reflect.TypeFor[middleware.Config]().FieldByName("Hierarchy"); !has {
		t.Error("there is no field Hierarchy")
	}
}

// everyKey is a configuration with every key of an issuer.
const everyKey = `issuers:
  - url: http://issuer.example
    audiences: [https://api.example]
    client_ids: [web]
    algorithms: [ES256, RS256]
    keys: {}
    metadata_url: http://issuer.example/metadata
    key_issuers: [http://issuer.example]
    key_limits:
      fetch_timeout: 2s
      metadata_timeout: 3s
      document_bytes: 2048
      keys: 7
      rsa_bits: 3072
      rsa_exponent: 65539
      min_fresh: 11s
      max_fresh: 2m
      default_fresh: 12s
      stale: 13s
      max_age: 3m
      max_backoff: 14s
      max_retry_after: 15s
      file_poll: 16s
      unknown_interval: 2s
      fruitless_interval: 3s
      fruitless: 8
      waiters: 9
    forbidden_keys: [{kid: a, thumbprint: b}, {kid: c}]
    ca_file: cert.pem
    insecure_allow_http: true
    profile: legacy
    marker:
      - any_of: [{name: a, type: object, equals: b}, {any_of: [{name: c}, {name: d, type: strings}]}]
    other_tokens: [{name: token_use, equals: id}]
    claims: [{name: f, type: boolean, equals: "true"}]
    grants: [read]
    scope_lists: true
    mappings:
      - {claim: scp, to: scope}
      - {claim: [realm_access, roles], to: role, values: {admin: [a, b], 'x y': [c]}}
      - {claim: 'urn:zitadel:iam:org:project:roles', to: role, values: {admin: [a]}, member_names: true}
    roles: [a]
    acrs: [gold]
    tenant: {fixed: f, claim: g, owned: [h]}
    client_claim: azp
    client_only: {name: idtyp, equals: app}
    user: {any_of: [{name: uid}, {name: session_id}]}
    subject_optional: true
    multi_factor: [mfa]
    opaque:
      client: {id: api, secret_file: secret.txt}
      limits: {timeout: 2s, concurrency: 3, queue: 4, queue_timeout: 5s, answer_bytes: 2048, max_hold: 6s}
      scope_lists: true
    active_within: 30s
`

// TestEveryKey checks that each key of an issuer sets its field and no other.
func TestEveryKey(t *testing.T) {
	rule := func(name string, of validator.ClaimType, equals string) validator.ClaimRule {
		return validator.ClaimRule{Name: name, Type: of, Equals: equals}
	}
	type rules = []validator.ClaimRule
	got := *converted(t, opaqueFolder(t), everyKey, "")
	for name := range reflect.TypeFor[validator.Issuer]().Fields() {
		if value := reflect.ValueOf(got).FieldByIndex(name.Index); value.IsZero() && fieldsWithoutKey["Issuer."+name.Name] == "" {
			t.Errorf("%s is not set", name.Name)
		}
	}
	for field, value := range reflect.ValueOf(got.KeyLimits).Fields() {
		if value.IsZero() {
			t.Errorf("KeyLimits.%s is not set", field.Name)
		}
	}
	if all := converted(t, opaqueFolder(t), minimal+"    roles: all roles\n", ""); !reflect.DeepEqual(all.Roles, []string{validator.AllRoles}) {
		t.Errorf("all roles are %q", all.Roles)
	}
	if limits := (introspect.Limits{Timeout: 2 * time.Second, Concurrency: 3, Queue: 4, QueueTimeout: 5 * time.Second, AnswerBytes: 2048, MaxHold: 6 * time.Second}); got.Opaque.Limits != limits {
		t.Errorf("the limits of introspection are %+v", got.Opaque.Limits)
	}
	if client := got.HTTPClient; client == nil || client.Transport.(*http.Transport).TLSClientConfig == nil {
		t.Error("ca_file is not used")
	}
	got.HTTPClient, got.Opaque = nil, nil
	want := validator.Issuer{
		URL:           "http://issuer.example",
		Audiences:     []string{"https://api.example"},
		ClientIDs:     []string{"web"},
		Algorithms:    []jose.Algorithm{jose.ES256, jose.RS256},
		Keys:          jwkscache.Discovered(),
		MetadataURL:   "http://issuer.example/metadata",
		KeyIssuers:    []string{"http://issuer.example"},
		ForbiddenKeys: []jwkscache.KeyName{{KeyID: "a", Thumbprint: "b"}, {KeyID: "c"}},
		KeyLimits: jwkscache.Limits{
			FetchTimeout: 2 * time.Second, MetadataTimeout: 3 * time.Second, DocumentBytes: 2048, Keys: 7, RSABits: 3072, RSAExponent: 65539,
			MinFresh: 11 * time.Second, MaxFresh: 2 * time.Minute, DefaultFresh: 12 * time.Second, Stale: 13 * time.Second, MaxAge: 3 * time.Minute,
			MaxBackoff: 14 * time.Second, MaxRetryAfter: 15 * time.Second, FilePoll: 16 * time.Second,
			UnknownInterval: 2 * time.Second, FruitlessInterval: 3 * time.Second, Fruitless: 8, Waiters: 9,
		},
		InsecureAllowHTTP: true,
		Profile:           validator.ProfileLegacy,
		Marker: rules{{AnyOf: rules{
			rule("a", validator.ClaimObject, "b"),
			{AnyOf: rules{rule("c", validator.ClaimString, ""), rule("d", validator.ClaimStrings, "")}},
		}}},
		OtherTokens: rules{rule("token_use", validator.ClaimString, "id")},
		Claims:      rules{rule("f", validator.ClaimBoolean, "true")},
		Grants:      []string{"read"},
		ScopeLists:  true,
		Mappings: []validator.Mapping{
			{Claim: []string{"scp"}, To: validator.ToScope},
			{Claim: []string{"realm_access", "roles"}, To: validator.ToRole, Values: map[string][]string{"admin": {"a", "b"}, "x y": {"c"}}},
			{Claim: []string{"urn:zitadel:iam:org:project:roles"}, To: validator.ToRole, Values: map[string][]string{"admin": {"a"}}, MemberNames: true},
		},
		Roles:           []string{"a"},
		ACRs:            []string{"gold"},
		Tenant:          validator.TenantRule{Fixed: "f", Claim: "g", Owned: []string{"h"}},
		ClientClaim:     "azp",
		ClientOnly:      rule("idtyp", validator.ClaimString, "app"),
		User:            validator.ClaimRule{AnyOf: rules{rule("uid", validator.ClaimString, ""), rule("session_id", validator.ClaimString, "")}},
		SubjectOptional: true,
		MultiFactor:     []string{"mfa"},
		Answers:         validator.AnswerRules{ScopeLists: true},
		ActiveWithin:    30 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the issuer is\n%+v, want\n%+v", got, want)
	}
}

// TestIssuerFaults covers R-OP-01 for the keys of an issuer: it checks the places and the words of faults of the keys of an issuer.
func TestIssuerFaults(t *testing.T) {
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"metadata URL that is a list", minimal + "    metadata_url: [a]\n", []string{"5:5: issuers[0].metadata_url: is a list; give a string"}},
		{"forbidden key without a name", minimal + "    forbidden_keys:\n      - {}\n      - {thumbprint: short}\n", []string{"6:9: issuers[0].forbidden_keys[0]", "7:10: issuers[0].forbidden_keys[1]"}},
		{"limits", minimal + "    key_limits:\n      fetch_timeout: 31s\n      keys: 1001\n      rsa_bits: 1024\n", []string{
			"6:7: issuers[0].key_limits.fetch_timeout: is 31s; allowed are 1s to 30s", "7:7: issuers[0].key_limits.keys: is 1001; allowed are 1 to 1000",
			"8:7: issuers[0].key_limits.rsa_bits: is 1024; allowed are 2048 to 8192",
		}},
		{"limits that are zero", minimal + "    key_limits: {stale: 0s, waiters: 0}\nlimits: {token: 0}\n", []string{
			"5:18: issuers[0].key_limits.stale: is 0s; give more, or leave it out for the default",
			"5:29: issuers[0].key_limits.waiters: is 0; give more, or leave it out for the default",
			"6:10: limits.token: is 0; give more, or leave it out for the default",
		}},
		{"limits without a unit", minimal + "    key_limits: {stale: 30}\n", []string{`5:18: issuers[0].key_limits.stale: is "30", which is not a duration; give one such as 30s`}},
		{"limits that exclude each other", minimal + "    key_limits: {min_fresh: 1h, max_fresh: 1m}\n", []string{
			"5:18: issuers[0].key_limits.min_fresh: is 1h0m0s and exceeds max_fresh, which is 1m0s; raise max_fresh or lower min_fresh",
		}},
		{"number that is too large", minimal + "    key_limits: {keys: 99999999999999999999}\n", []string{"5:18: issuers[0].key_limits.keys: is the number 99999999999999999999; give a whole number"}},
		{"mappings", minimal + "    mappings:\n      - {claim: [], to: scope}\n      - {claim: scp}\n      - {claim: groups, to: group}\n      - {claim: {a: b}, to: role}\n", []string{
			"6:10: issuers[0].mappings[0].claim: is empty or has an empty name", "7:9: issuers[0].mappings[1].to: is missing; give scope or role",
			`8:25: issuers[0].mappings[2].to: is "group"; give scope or role`, "9:10: issuers[0].mappings[3].claim: is a mapping; give the name of a claim, or a list of the names that lead to it",
		}},
		{"roles that are no list", minimal + "    roles: admin\n", []string{`5:5: issuers[0].roles: is the string "admin"; give a list, or the words all roles`}},
		{"all roles and another", minimal + "    roles: [\"all roles\\n\", a]\n", []string{`5:13: issuers[0].roles[0]: "all roles" is listed beside others`}},
		{"values of a mapping", minimal + "    mappings:\n      - claim: roles\n        to: scope\n        values:\n          admin: ['a b']\n          \"a.b[0]\": []\n          'x y': [c, \"\"]\n", []string{
			`9:19: issuers[0].mappings[0].values.admin[0]: "a b" is not a scope token`,
			`10:11: issuers[0].mappings[0].values["a.b[0]"]: maps an empty value, or maps to nothing; remove it`,
			`11:22: issuers[0].mappings[0].values["x y"][1]: "" is not a scope token`,
		}},
		{"no values", minimal + "    mappings: [{claim: a, to: role, values: {}}]\n", []string{"5:37: issuers[0].mappings[0].values: is empty, which maps nothing; leave it out for the values as they are"}},
		{"roles of one of two", minimal + all + "    mappings: [{claim: a, to: role}]\n" + second(all), []string{
			"6:16: issuers[0].mappings[0]: makes a role of every value, and there are other issuers",
		}},
		{"tenant", minimal + "    tenant: {fixed: a, claim: b, owned: [c, c]}\n", []string{"5:5: issuers[0].tenant: has fixed beside claim or owned; give one or the other", `5:45: issuers[0].tenant.owned[1]: "c" is listed twice`}},
		{"tenant without owned", minimal + "    tenant: {claim: org}\n", []string{`5:5: issuers[0].tenant.owned: is empty, and the claim "org" names a tenant; list the tenants`}},
		{"owned without claim", minimal + "    tenant: {owned: [a]}\n", []string{"5:5: issuers[0].tenant.claim: is empty, and owned is not; name the claim that has one of owned"}},
		{"empty tenant", minimal + "    tenant: {}\n", []string{"5:5: issuers[0].tenant: names no tenant; give fixed, or claim and owned, or leave it out"}},
		{"empty rules", minimal + "    client_only: {}\n    user: {}\n", []string{
			"5:5: issuers[0].client_only: has no claim; give name or any_of, or leave it out", "6:5: issuers[0].user: has no claim; give name or any_of",
		}},
		{"rule without a name", minimal + "    client_only: {equals: app}\n", []string{"5:5: issuers[0].client_only.name: is empty; name the claim"}},
		{"no alternatives", minimal + "    client_only: {name: a, any_of: []}\n", []string{"5:28: issuers[0].client_only.any_of: is empty; list the alternatives"}},
		{"type of an alternative", minimal + "    client_only:\n      any_of:\n        - {name: a}\n        - {name: b, type: number}\n", []string{`8:21: issuers[0].client_only.any_of[1].type: is "number"; give string, strings, boolean or object`}},
		{"name beside alternatives", minimal + "    client_only: {name: a, any_of: [{name: b}, {type: boolean, name: c}]}\n", []string{
			"5:28: issuers[0].client_only.any_of: ", "5:48: issuers[0].client_only.any_of[1].equals: ",
		}},
		{"client claim of the strict profile", minimal + "    client_claim: azp\n", []string{`5:5: issuers[0].client_claim: `}},
		{"factors", minimal + "    multi_factor: []\n", []string{"5:5: issuers[0].multi_factor: is empty; leave it out if no value of amr counts"}},
		{"values of acr", minimal + "    acrs: [a, a]\n    roles: ['']\n", []string{`5:15: issuers[0].acrs[1]: "a" is listed twice`, `6:13: issuers[0].roles[0]: `}},
		{"hierarchy", minimal + "hierarchy:\n  admin: [read, 'a b', read]\n  'orders:admin': ['orders:admin']\n", []string{
			`6:17: hierarchy.admin[1]: "a b" is not a scope token`, `6:24: hierarchy.admin[2]: "read" is listed twice`,
			`7:3: hierarchy["orders:admin"]: is in a cycle: orders:admin ⊃ orders:admin; remove one of these scopes`,
		}},
		{"near keys", minimal + "    scopeLists: true\n    client-claim: azp\n    acr: [a]\n    colour: red\n", []string{
			"5:5: issuers[0].scopeLists: is not a known key; did you mean scope_lists? known here: preset, url, ", "6:5: issuers[0].client-claim: is not a known key; did you mean client_claim? ",
			"7:5: issuers[0].acr: is not a known key; did you mean acrs? ", "8:5: issuers[0].colour: is not a known key; known here: preset, url, ",
		}},
		{"rules that are too deep", minimal + "    user: " + strings.Repeat("{any_of: [", 15) + "{name: a}" + strings.Repeat("]}", 15) + "\n", []string{
			"5:22: issuers[0].user.any_of[0].any_of: is inside another any_of",
			"5:151: issuers[0].user" + strings.Repeat(".any_of[0]", 14) + ": has more than 32 levels above it; write it with fewer levels",
		}},
		{"rule in itself", minimal + "    user: &a {any_of: [*a]}\n", []string{"5:15: issuers[0].user.any_of[0].any_of: is inside another any_of", "5:24: issuers[0].user" + strings.Repeat(".any_of[0]", 14) + ": has more than 32 levels above it"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkGoNames(t, checkFaults(t, test.config, test.want))
		})
	}
}

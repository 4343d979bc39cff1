package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const minimal = `issuers:
  - url: https://issuer.example
    audiences: [https://api.example]
    keys: {file: jwks.json}
`

// TestConfigFaults covers R-OP-01 for files: all faults of a file are reported, in
// the order of its lines, each with the line, the column and the path, and no
// token is verified. A row names how each line begins.
func TestConfigFaults(t *testing.T) {
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		// The text.
		{"empty", "", []string{"1:1: the file is empty; issuers is required"}},
		{"comments only", "# none\n", []string{"1:1: the file is empty"}},
		{"not YAML", minimal + "leeway: [\n", []string{"5:1: is not YAML: "}},
		{"not YAML in the first line", "}\n", []string{"1:1: is not YAML: "}},
		{"two documents", minimal + "---\n" + minimal, []string{"5:1: a second YAML document begins here; give one"}},
		{"broken second document", minimal + "---\n[\n", []string{"6:1: is not YAML: "}},
		{"broken JSON", "{\n\n]", []string{"3:1: is not JSON: invalid character ']'"}},
		{"JSON that ends early", "{\"issuers\":\n[", []string{"2:2: is not JSON: unexpected end"}},
		{"text behind JSON", "{\"issuers\":[]} {}", []string{"1:16: is not JSON: text follows"}},
		{"JSON with another encoding", "{\"issuers\":\n\"\xff\"}", []string{"2:2: is not JSON: invalid UTF-8"}},
		// Keys.
		{"unknown keys", minimal + "    audience: x\nleway: {}\n", []string{
			"5:5: issuers[0].audience: is not a known key; did you mean audiences? known here: preset, url, tenant_id, audiences, client_ids, ",
			"6:1: leway: is not a known key; did you mean leeway? known here: issuers, leeway, limits, hierarchy, routes",
		}},
		{"unknown key in a route", minimal + "routes:\n  \"GET /\": {scope: {all: [a]}}\n", []string{
			`6:13: routes["GET /"].scope: is not a known key; did you mean scopes? known here: scopes, optional, active_within, opaque_issuer`,
		}},
		{"unknown key with spaces", minimal + "    'a b.c': x\n", []string{`5:5: issuers[0]["a b.c"]: is not a known key`}},
		{"duplicate key", minimal + "issuers: []\n", []string{"5:1: issuers: is given twice, first on line 1; keep one"}},
		{"duplicate key below", minimal + "    url: https://issuer.example\n", []string{"5:5: issuers[0].url: is given twice, first on line 2"}},
		{"duplicate route", minimal + "routes:\n  GET /: {scopes: {all: [a]}}\n  'GET /': {scopes: {all: [b]}}\n", []string{
			`7:3: routes["GET /"]: is given twice, first on line 6`,
		}},
		{"faults in what is given twice", minimal + "leeway: {expiry: soon,\n  future: 0s}\nleeway: {expiry: 30s}\n    \nlimits: {token: 5}\nlimits: {}\nlimits: {token: 7}\n", []string{
			"5:10: leeway.expiry: is \"soon\"", "6:3: leeway.future: is 0s", "7:1: leeway: is given twice, first on line 5",
			"9:10: limits.token: is 5; give 1024", "10:1: limits: is given twice, first on line 9", "11:1: limits: is given twice, first on line 9",
		}},
		{"fault of a key that is given twice", strings.Replace(minimal, "https://issuer.example", "none", 1) + "    url: https://issuer.example\n", []string{
			`2:5: issuers[0].url: "none" is a label of metrics`, "5:5: issuers[0].url: is given twice, first on line 2",
		}},
		{"key that is a list", minimal + "? [a]\n: b\n", []string{`5:3: [""]: is a key without a name`}},
		{"key that is null", minimal + "routes: {~: {scopes: {all: [a]}}}\n", []string{`5:10: routes[""]: is a key without a name; write one`}},
		// Types.
		{"list of issuers", "issuers: 7\n", []string{"1:1: issuers: is the number 7; give a list"}},
		{"whole file", "- a\n", []string{"1:1: is a list; give a mapping; if this is a list of issuers, put it under issuers:"}},
		{"types", "issuers:\n  - url: {a: b}\n    audiences: x\n    grants: [[]]\n    claims: [a]\nlimits: {token: 16k}\nroutes: []\n", []string{
			"2:5: issuers[0].url: is a mapping; give a string", `3:5: issuers[0].audiences: is the string "x"; give a list; write [x]`,
			"4:14: issuers[0].grants[0]: is a list; give a string", `5:14: issuers[0].claims[0]: is the string "a"; give a mapping`,
			`6:10: limits.token: is the string "16k"; give a whole number`, "7:1: routes: is a list; give a mapping",
		}},
		{"numbers", minimal + "limits: {token: 4096.5}\n", []string{"5:10: limits.token: is the number 4096.5; give a whole number"}},
		{"large number", minimal + "limits: {token: 99999999999999999999}\n", []string{"5:10: limits.token: is the number 99999999999999999999; give a whole"}},
		{"truth", minimal + "limits: {token: true}\n", []string{"5:10: limits.token: is true; give a whole number"}},
		{"tags", minimal + "    grants: !!seq\n    claims: !odd\n    profile: !!binary AAAA\n", []string{
			`5:5: issuers[0].grants: is "" with the tag !!seq; give a list`, `6:5: issuers[0].claims: is "" with the tag !odd; give a list`,
			`7:5: issuers[0].profile: is "AAAA" with the tag !!binary; give a string`,
		}},
		{"list and mapping with a tag", minimal + "    grants: !foo [x]\n    claims: !!map [x]\nleeway: !foo {expiry: 30s}\n", []string{
			`5:5: issuers[0].grants: is a list with the tag !foo; give a list`, `6:5: issuers[0].claims: is a list with the tag !!map; give a list`,
			`7:1: leeway: is a mapping with the tag !foo; give a mapping`,
		}},
		{"long value", minimal + "    grants: " + strings.Repeat("a", 100) + "\n", []string{
			`5:5: issuers[0].grants: is the string "` + strings.Repeat("a", maxShown) + `…"; give a list`,
		}},
		{"number in JSON where a string is expected", inJSON(`"grants":["a",` + "\n1]"), []string{"4:1: issuers[0].grants[1]: is the number 1; give a string"}},
		{"JSON, many", "{\"issuers\":[{\"ur\":\"x\",\n\"audiences\":3,\"url\":\"https://a.example\",\"url\":\"\"}],\n\"limits\":{\"token\":\"a\"}}", []string{
			"1:14: issuers[0].ur: is not a known key", "2:1: issuers[0].audiences: is the number 3; give a list",
			"2:41: issuers[0].url: is given twice, first on line 2", `3:11: limits.token: is the string "a"; give a whole number`,
		}},
		// Merged mappings.
		{"merge of a scalar", minimal + "    <<: x\n", []string{`5:5: issuers[0]["<<"]: is the string "x"; give a mapping or a list of mappings`}},
		{"merge of itself", strings.Replace(minimal, "url", "&a\n    url", 1) + "    <<: *a\n", []string{`6:5: issuers[0]["<<"]: contains itself`}},
		{"merge by a tag", minimal + "routes:\n  GET /a: {!!merge other: {scopes: {all: [x]}}}\n", []string{`6:12: routes["GET /a"].other: is not a known key`}},
		{"key that is quoted in a merged mapping", minimal + "    <<: {'<<': {}}\n", []string{`5:10: issuers[0]["<<"]: is not a known key`}},
		{"fault in a merged mapping", "issuers:\n  - &a\n    url: https://a.example\n    audiences: [x]\n    grants: a\n  - <<: [*a]\n    url: https://b.example\n", []string{
			`5:5: issuers[0].grants: is the string "a"; give a list`, `5:5: issuers[1].grants: is the string "a"; give a list`,
		}},
		// Values.
		{"algorithms", minimal + "    algorithms: [none, RS256,\n      HS256, RS256]\n", []string{
			`5:18: issuers[0].algorithms[0]: is "none"; give one of RS256, `, `6:7: issuers[0].algorithms[2]: is "HS256"; give one of RS256, `,
			"6:14: issuers[0].algorithms[3]: RS256 is listed twice; leave out one",
		}},
		{"no algorithm", minimal + "    algorithms: [none]\n", []string{`5:18: issuers[0].algorithms[0]: is "none"; give one of RS256, `}},
		{"one algorithm by two names", minimal + "    algorithms: [EdDSA, Ed25519]\n", []string{"5:25: issuers[0].algorithms[1]: Ed25519 is listed twice"}},
		{"profile", minimal + "    profile: odd\n", []string{`5:5: issuers[0].profile: is "odd"; give rfc9068 or legacy`}},
		{"type of a claim", minimal + "    claims:\n      - name: a\n        type: number\n", []string{
			`7:9: issuers[0].claims[0].type: is "number"; give string, strings, boolean or object`,
		}},
		{"durations", minimal + "leeway:\n  expiry: soon\n  future: 0s\n", []string{
			`6:3: leeway.expiry: is "soon", which is not a duration; give one such as 30s`, "7:3: leeway.future: is 0s; give at least 10s, or leave it out for 30s",
		}},
		{"keys empty", strings.Replace(minimal, "{file: jwks.json}", "{}", 1), []string{"4:5: issuers[0].keys: needs either file or url; leave keys out for discovery"}},
		{"file and URL", strings.Replace(minimal, "jwks.json", "jwks.json, url: https://issuer.example/jwks", 1), []string{"4:5: issuers[0].keys: needs either file or url"}},
		{"key file missing", strings.Replace(minimal, "jwks.json", "other.json", 1), []string{"4:12: issuers[0].keys.file: cannot be read: stat "}},
		// Routes.
		{"no policy", minimal + "routes:\n  GET /a: {}\n  GET /b: {scopes: {}}\n", []string{
			`6:3: routes["GET /a"]: has no policy; give scopes: {all: […]} or scopes: {any: […]}`, `7:12: routes["GET /b"].scopes: needs either all or any`,
		}},
		{"both all and any", minimal + "routes:\n  GET /: {scopes: {all: [a], any: [b]}}\n", []string{`6:11: routes["GET /"].scopes: needs either all or any`}},
		{"no scopes", minimal + "routes:\n  GET /: {scopes: {all: []}}\n", []string{`6:20: routes["GET /"].scopes.all: is empty; list the scopes that the route needs`}},
		{"bad scopes", minimal + "routes:\n  GET /: {scopes: {any: [a, 'a b',\n    '']}}\n", []string{
			`6:29: routes["GET /"].scopes.any[1]: "a b" is not a scope token`, `7:5: routes["GET /"].scopes.any[2]: "" is not a scope token`,
		}},
		{"optional", minimal + "routes:\n  GET /: {scopes: {all: [a]}, optional: 'true'}\n", []string{
			`6:31: routes["GET /"].optional: is the string "true"; give true or false`,
		}},
		{"bad pattern", minimal + "routes:\n  \"GET b c d\": {scopes: {all: [x]}}\n", []string{`6:3: routes["GET b c d"]: is not a pattern: parsing "GET b c d": `}},
		{"conflicting routes", minimal + "routes:\n  \"GET /{a}/x\": {scopes: {all: [a]}}\n  \"GET /y/{b}\": {scopes: {all: [a]}}\n", []string{
			`7:3: routes["GET /y/{b}"]: conflicts with pattern "GET /{a}/x": `,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkFaults(t, test.config, test.want)
		})
	}
}

// TestLibraryFaults checks the faults that the library finds: they have their place,
// and the names of the file.
func TestLibraryFaults(t *testing.T) {
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"no issuer", "issuers: []\n", []string{"1:1: issuers: is empty; list the authorization servers"}},
		{"no issuers", "leeway: {expiry: 30s}\n", []string{"1:1: issuers: is empty"}},
		{"URL and audiences missing", "issuers:\n  - keys: {file: jwks.json}\n", []string{
			"2:5: issuers[0].url: is empty; give the exact iss of the tokens", "2:5: issuers[0].audiences: is empty; list the identifiers this API answers to",
		}},
		{"URL", strings.Replace(minimal, "https://issuer.example", "none", 1), []string{`2:5: issuers[0].url: "none" is a label of metrics`}},
		{"URL with discovery", strings.Replace(strings.Replace(minimal, "https:", "http:", 1), "    keys: {file: jwks.json}\n", "", 1), []string{`2:5: issuers[0].url: "http://issuer.example" is not an https URL`}},
		{"two issuers with one URL", minimal + all + minimal[len("issuers:\n"):] + all, []string{`6:5: issuers[1].url: "https://issuer.example" is the URL of `}},
		{"audiences", strings.Replace(minimal, "[https://api.example]", "[a, '',\n      a]", 1), []string{
			"3:20: issuers[0].audiences[1]: ", "4:7: issuers[0].audiences[2]: \"a\" is listed twice",
		}},
		{"algorithms empty", minimal + "    algorithms: []\n", []string{
			"5:5: issuers[0].algorithms: is empty, which allows none; list some, or leave it out for RS256, PS256, ES256 and EdDSA",
		}},
		{"grants", minimal + "    grants: [a b, c, all scopes, c]\n", []string{
			`5:14: issuers[0].grants[0]: "a b" is not a scope token`, `5:22: issuers[0].grants[2]: "all scopes" is listed beside others; give it alone or not at all`,
			`5:34: issuers[0].grants[3]: "c" is listed twice`,
		}},
		{"two issuers without grants", minimal + second(""), []string{
			"2:5: issuers[0].grants: is missing, and this issuer is not the only one; list the scopes that this issuer may grant; [all scopes] is all",
			"5:5: issuers[1].grants: is missing",
		}},
		{"one of two issuers without grants", minimal + all + second(""), []string{"6:5: issuers[1].grants: is missing"}},
		{"marker on the strict profile", minimal + "    marker: [{name: token_use, equals: access}]\n", []string{
			"5:5: issuers[0].marker: is for the legacy profile only; declare it as a further claim",
		}},
		{"legacy without marker", minimal + "    profile: legacy\n", []string{"2:5: issuers[0].marker: is empty, and the legacy profile needs one; name a claim"}},
		{"marker of ID tokens", minimal + "    profile: legacy\n    marker:\n      - {name: nonce}\n", []string{
			`7:9: issuers[0].marker[0]: is satisfied by the presence of "nonce"`,
		}},
		{"claims", minimal + "    claims:\n      - {name: ''}\n      - {name: a, type: boolean, equals: 'yes'}\n", []string{
			"6:10: issuers[0].claims[0].name: is empty; name the claim", `7:34: issuers[0].claims[1].equals: "yes" is not a value of the boolean claim "a"`,
		}},
		{"key URL not https", strings.Replace(minimal, "file: jwks.json", "url: http://issuer.example/jwks", 1), []string{"4:"}},
		{"key file no JWKS", strings.Replace(minimal, "jwks.json", "broken.json", 1), []string{"4:"}},
		{"leeway", minimal + "leeway:\n  expiry: 61s\n  future: 90s\n", []string{
			"6:3: leeway.expiry: is 1m1s; give 0s to 60s", "7:3: leeway.future: is 1m30s; give 10s to 1m0s",
		}},
		{"limits", minimal + "limits: {token: 5}\n", []string{"5:10: limits.token: is 5; give 1024 to 1048576"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := checkFaults(t, test.config, test.want)
			checkGoNames(t, text)
		})
	}
}

// checkGoNames checks that faults of a file have no names of Go.
func checkGoNames(t *testing.T, text string) {
	t.Helper()
	for _, name := range goNames() {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
			t.Errorf("%s is a name of Go:\n%s", name, text)
		}
	}
}

// goNames returns names of Go that no fault of a file may have.
func goNames() []string {
	names := []string{"nil", "validator", "jwkscache", "introspect", "AllScopes", "NoLeeway", "NoCache", "NoHint", "EachRequest", "ProfileLegacy", "ProfileRFC9068", "ToScope", "ToRole", "AllRoles", "ClaimString", "ClaimStrings", "ClaimBoolean", "ClaimObject"}
	for _, t := range []reflect.Type{
		reflect.TypeFor[validator.Config](), reflect.TypeFor[validator.Issuer](), reflect.TypeFor[validator.Leeway](), reflect.TypeFor[validator.ClaimRule](),
		reflect.TypeFor[introspect.Client](), reflect.TypeFor[introspect.Cache](), reflect.TypeFor[introspect.ClientSecretBasic](),
		reflect.TypeFor[introspect.PrivateKeyJWT](), reflect.TypeFor[introspect.TLSClientAuth](), reflect.TypeFor[validator.AnswerRules](),
		reflect.TypeFor[validator.Mapping](), reflect.TypeFor[validator.TenantRule](), reflect.TypeFor[jwkscache.Limits](), reflect.TypeFor[jwkscache.KeyName](),
		reflect.TypeFor[introspect.Limits](),
	} {
		for field := range t.Fields() {
			if name := field.Name; name != "URL" && name != "ID" {
				names = append(names, name)
			}
		}
	}
	return names
}

// TestFileFields checks that every row of fileFields, and of what goes with it, is a field of
// the library's configuration.
func TestFileFields(t *testing.T) {
	for path := range fileFields {
		if fieldAt(path) == nil && path != "Hierarchy" { // which is one of the Guard
			t.Errorf("%s: there is no such field", path)
		}
	}
	for path := range mends {
		if _, known := fileFields[strings.TrimSuffix(path, "[]")]; !known {
			t.Errorf("a mend of %s, which is no row of fileFields", path)
		}
	}
}

// fieldAt returns the type of the field of validator.Config at a path of fileFields, or nil.
func fieldAt(path string) reflect.Type {
	of := []reflect.Type{reflect.TypeFor[validator.Config]()}
	for step := range strings.SplitSeq(path, ".") {
		name, indexes, _ := strings.Cut(step, "[")
		if of = fieldsOf(of, name); len(of) == 0 {
			return nil
		}
		for range strings.Count(indexes, "]") {
			of = []reflect.Type{of[0].Elem()}
		}
	}
	return of[0]
}

// fieldsOf returns the types of the field with this name in structs, in what pointers
// point to, and in the ways to authenticate.
func fieldsOf(of []reflect.Type, name string) []reflect.Type {
	var found []reflect.Type
	for _, t := range of {
		switch {
		case t.Kind() == reflect.Pointer:
			found = append(found, fieldsOf([]reflect.Type{t.Elem()}, name)...)
		case t == reflect.TypeFor[introspect.Authentication]():
			found = append(found, fieldsOf([]reflect.Type{
				reflect.TypeFor[introspect.ClientSecretBasic](), reflect.TypeFor[introspect.PrivateKeyJWT](), reflect.TypeFor[introspect.TLSClientAuth](),
			}, name)...)
		default:
			if field, ok := t.FieldByName(name); ok {
				found = append(found, field.Type)
			}
		}
	}
	return found
}

// checkFaults checks that verify reports these faults of a configuration, and returns
// the report.
func checkFaults(t *testing.T, config string, want []string) (text string) {
	t.Helper()
	return checkFaultsIn(t, folder(t, map[string]string{
		"jwks.json":   read(t, samples+"/jwks.json"),
		"broken.json": "<html>",
	}), config, want)
}

// checkFaultsIn is checkFaults with the files of dir beside the configuration.
func checkFaultsIn(t *testing.T, dir, config string, want []string) (text string) {
	t.Helper()
	file := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	got := invoke(t, line(t, map[string]any{"token": token(t, "good, RS256")}), "verify", "--config", file)
	if got.status != exitConfig || got.out != "" {
		t.Errorf("status %d, output %q, want %d and none", got.status, got.out, exitConfig)
	}
	lines := strings.Split(strings.TrimSuffix(got.err, "\n"), "\n")
	last := fmt.Sprintf("sallyport: %d faults in %s", len(want), file)
	if len(want) == 1 {
		last = "sallyport: 1 fault in " + file
	}
	if lines[len(lines)-1] != last {
		t.Errorf("the last line is not %q", last)
	}
	for i, begin := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], file+":"+begin) {
			t.Errorf("line %d does not begin with FILE:%s", i+1, begin)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", config, strings.ReplaceAll(got.err, file, "FILE"))
	}
	return strings.ReplaceAll(got.err, file, "FILE")
}

// inJSON returns a configuration in JSON whose issuer has one more member, on line
// 3.
func inJSON(member string) string {
	return `{"issuers":[{"url":"https://issuer.example","audiences":["https://api.example"],` + "\n" + `"keys":{"file":"jwks.json"},` + "\n" + member + "}]}"
}

// TestNoValue checks that a key or a list element without a value is a fault in
// whatever form: it could mean that the key is left out, or that the list is empty.
func TestNoValue(t *testing.T) {
	for _, test := range []struct {
		config string
		want   []string // places and paths
	}{
		{minimal + "    grants:\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: # none\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: null\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: ~\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: NULL\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: !!null ''\n", []string{"5:5: issuers[0].grants"}},
		{minimal + "    grants: [null]\n", []string{"5:14: issuers[0].grants[0]"}},
		{minimal + "    claims:\n    marker:\n    algorithms:\n", []string{"5:5: issuers[0].claims", "6:5: issuers[0].marker", "7:5: issuers[0].algorithms"}},
		{minimal + "    claims:\n      -\n      - {name: a, equals: }\n", []string{"6:8: issuers[0].claims[0]", "7:19: issuers[0].claims[1].equals"}},
		{minimal + "    profile:\nleeway:\nlimits: {token: }\n", []string{"5:5: issuers[0].profile", "6:1: leeway", "7:10: limits.token"}},
		{strings.Replace(minimal, " [https://api.example]", "", 1), []string{"3:5: issuers[0].audiences"}},
		{strings.Replace(minimal, " {file: jwks.json}", "", 1), []string{"4:5: issuers[0].keys"}},
		{minimal + "routes:\n", []string{"5:1: routes"}},
		{minimal + "routes:\n  \"GET /\":\n", []string{`6:3: routes["GET /"]`}},
		{minimal + "routes:\n  GET /: {scopes: }\n  GET /a: {scopes: {all: }}\n", []string{`6:11: routes["GET /"].scopes`, `7:21: routes["GET /a"].scopes.all`}},
		{minimal + "routes:\n  GET /: {scopes: {all: [a], any: }}\n", []string{`6:30: routes["GET /"].scopes.any`}},
		{"issuers:\n", []string{"1:1: issuers"}},
		{minimal + "    grants: &none\n    claims: *none\n", []string{"5:5: issuers[0].grants", "6:5: issuers[0].claims"}},
		{inJSON(`"grants":null`), []string{"3:1: issuers[0].grants"}},
		{inJSON(`"claims":[null,{"name":null}]`), []string{"3:11: issuers[0].claims[0]", "3:17: issuers[0].claims[1].name"}},
		{inJSON(`"\u0067rants": null`), []string{"3:1: issuers[0].grants"}},
	} {
		for i := range test.want {
			test.want[i] += ": has no value; give it one ([] for an empty list), or leave it out"
		}
		checkFaults(t, test.config, test.want)
	}
	checkFaults(t, "~\n", []string{"1:1: has no value"})
}

// TestConfigForms checks configurations without faults.
func TestConfigForms(t *testing.T) {
	jwks := read(t, samples+"/jwks.json")
	accepted := `"accept":true`
	for _, test := range []struct {
		name, config string
		args         []string
		at           string
		want         string
	}{
		{"YAML", minimal, nil, sampleTime, accepted},
		{"JSON", `{"issuers":[{"url":"https://issuer.example","audiences":["https://api.example"],"keys":{"file":"jwks.json"}}]}`, nil, sampleTime, accepted},
		{"JWKS of the command line", strings.Replace(minimal, "    keys: {file: jwks.json}\n", "", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"JWKS in place of a missing file", strings.Replace(minimal, "jwks.json", "other.json", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"JWKS in place of a URL", strings.Replace(minimal, "file: jwks.json", "url: https://issuer.example/jwks", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"default leeway, inside", minimal, nil, "1700000629", accepted},
		{"default leeway, outside", minimal, nil, "1700000630", `"expired"`},
		{"more leeway", minimal + "leeway: {expiry: 60s, future: 60s}\n", nil, "1700000659", accepted},
		{"no leeway, inside", minimal + "leeway: {expiry: 0s}\n", nil, "1700000599", accepted},
		{"no leeway, outside", minimal + "leeway: {expiry: 0s}\n", nil, "1700000600", `"expired"`},
		{"algorithm left out", minimal + "    algorithms: [ES256]\n", nil, sampleTime, `"algorithm_not_allowed"`},
		{"claim declared", minimal + "    claims: [{name: scope, equals: 'orders:read'}]\n", nil, sampleTime, accepted},
		{"claim declared and missing", minimal + "    claims: [{name: tenant}]\n", nil, sampleTime, `"bad_claims"`},
		{"grants of one issuer", minimal + "    grants: [orders:read, other]\n", nil, sampleTime, `"scopes":["orders:read"]`},
		{"grants of all scopes", minimal + "    grants: [all scopes]\n", nil, sampleTime, `"scopes":["orders:read"`},
		{"no grants", minimal + "    grants: []\n", nil, sampleTime, `"scopes":[]`},
		{"grants of another scope", minimal + "    grants: [other]\n", nil, sampleTime, `"scopes":[]`},
		{"two issuers", minimal + all + second(all), nil, sampleTime, `"scopes":["orders:read"`},
		{"two issuers, the other grants", minimal + "    grants: []\n" + second(all), nil, sampleTime, `"scopes":[]`},
		{"legacy", minimal + "    profile: legacy\n    marker: [{name: client_id}]\n", nil, sampleTime, accepted},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"sallyport.yaml": test.config, "jwks.json": jwks})
			args := []string{"verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", test.at}
			for _, arg := range test.args {
				args = append(args, strings.Replace(arg, "JWKS", filepath.Join(dir, "jwks.json"), 1))
			}
			got := invoke(t, line(t, map[string]any{"token": token(t, "good, RS256")}), args...)
			if got.status != exitDone || !strings.Contains(got.out, test.want) {
				t.Errorf("status %d, %s, want %s\n%s", got.status, got.out, test.want, got.err)
			}
		})
	}
}

// TestHierarchy checks that a scope meets a policy that asks for one that it includes.
func TestHierarchy(t *testing.T) {
	const route = "routes: {GET /: {scopes: {all: [orders:list]}}}\n"
	for hierarchy, want := range map[string]string{
		"": `"insufficient_scope"`,
		"hierarchy: {orders:read: [orders:show], orders:show: [orders:list]}\n": `"accept":true`,
	} {
		dir := folder(t, map[string]string{"sallyport.yaml": minimal + route + hierarchy, "jwks.json": read(t, samples+"/jwks.json")})
		got := invoke(t, line(t, map[string]any{"token": token(t, "good, RS256"), "route": "GET /"}), "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
		if got.status != exitDone || !strings.Contains(got.out, want) {
			t.Errorf("%q: status %d, %s, want %s\n%s", hierarchy, got.status, got.out, want, got.err)
		}
	}
}

// all is a key by which an issuer grants every scope.
const all = "    grants: [all scopes]\n"

// second returns an issuer that can follow the one of minimal.
func second(more string) string {
	return strings.Replace(minimal[len("issuers:\n"):], "issuer.example", "second.example", 1) + more
}

// TestJWKSFaults checks that a fault of the key file names that file, once, whatever
// faults the configuration has.
func TestJWKSFaults(t *testing.T) {
	dir := folder(t, map[string]string{
		"sallyport.yaml": minimal,
		"bad.yaml":       minimal + "    keys: {}\n    grant: []\n",
		"two.yaml":       minimal + all + second(all),
		"name.yaml":      strings.Replace(minimal, "[https://api.example]", "['']", 1),
		"broken.json":    "<html>",
	})
	const notKeys, missing = "has a document that cannot be used: jose: not a JWK Set", "cannot be read: open "
	for _, test := range []struct {
		config, jwks string
		want         []string // beginnings of lines
	}{
		{"sallyport.yaml", "broken.json", []string{"broken.json:1:1: " + notKeys, "sallyport: 1 fault in broken.json"}},
		{"sallyport.yaml", "none.json", []string{"none.json:1:1: " + missing, "sallyport: 1 fault in none.json"}},
		{"bad.yaml", "broken.json", []string{
			"bad.yaml:5:5: issuers[0].keys: is given twice", "bad.yaml:6:5: issuers[0].grant: is not", "broken.json:1:1: " + notKeys,
			"sallyport: 2 faults in bad.yaml", "sallyport: 1 fault in broken.json",
		}},
		{"name.yaml", "broken.json", []string{
			"name.yaml:3:17: issuers[0].audiences[0]: ", "broken.json:1:1: " + notKeys, "sallyport: 1 fault in name.yaml", "sallyport: 1 fault in broken.json",
		}},
		{"two.yaml", "none.json", []string{
			"two.yaml:1:1: issuers: has 2 elements, and --jwks gives the keys of one", "none.json:1:1: " + missing,
			"sallyport: 1 fault in two.yaml", "sallyport: 1 fault in none.json",
		}},
	} {
		got := invoke(t, "", "verify", "--config", filepath.Join(dir, test.config), "--jwks", filepath.Join(dir, test.jwks))
		lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(got.err, dir+string(filepath.Separator), ""), "\n"), "\n")
		match := got.status == exitConfig && len(lines) == len(test.want)
		for i := range test.want {
			match = match && strings.HasPrefix(lines[i], test.want[i])
		}
		if !match {
			t.Errorf("%s, %s: status %d,\n%s\nwant\n%s", test.config, test.jwks, got.status, strings.Join(lines, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestJWKSNeedsOneIssuer(t *testing.T) {
	dir := folder(t, map[string]string{"sallyport.yaml": minimal + all + second(all), "jwks.json": read(t, samples+"/jwks.json")})
	config := filepath.Join(dir, "sallyport.yaml")
	in := line(t, map[string]any{"token": token(t, "good, RS256")})
	got := invoke(t, in, "verify", "--config", config, "--jwks", filepath.Join(dir, "jwks.json"))
	if got.status != exitConfig || !strings.Contains(got.err, "issuers: has 2 elements, and --jwks gives the keys of one") {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	got = invoke(t, in, "verify", "--config", config, "--at", sampleTime)
	if got.status != exitDone || !strings.Contains(got.out, `"accept":true`) {
		t.Errorf("two issuers without --jwks: status %d, %s%s", got.status, got.out, got.err)
	}
}

// TestFetchedKeys verifies tokens with keys by URL and by discovery.
func TestFetchedKeys(t *testing.T) {
	jwks := read(t, samples+"/jwks.json")
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/jwks":
			_, _ = io.WriteString(w, jwks)
		case "/.well-known/oauth-authorization-server":
			_, _ = io.WriteString(w, `{"issuer":"`+server.URL+`","jwks_uri":"`+server.URL+`/jwks"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	byURL := strings.Replace(minimal, "file: jwks.json", "url: "+server.URL+"/jwks", 1)
	discovered := strings.Replace(strings.Replace(minimal, "https://issuer.example", server.URL, 1), "    keys: {file: jwks.json}\n", "", 1)
	for name, test := range map[string]struct{ config, want string }{
		"by URL":       {byURL, `"accept":true`},
		"URL down":     {strings.Replace(byURL, "/jwks", "/other", 1), `"reason":"unavailable","status":503,"challenges":[]`},
		"by discovery": {discovered, `"reason":"unknown_issuer"`}, // the samples have another iss
		"both of them": {byURL + all + discovered[len("issuers:\n"):] + all, `"accept":true`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"sallyport.yaml": test.config})
			in := line(t, map[string]any{"token": token(t, "good, ES256")})
			got := invoke(t, in, "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
			if got.status != exitDone || !strings.Contains(got.out, test.want) {
				t.Errorf("status %d, %s, want %s\n%s", got.status, got.out, test.want, got.err)
			}
			told := strings.Contains(got.err, `sallyport: validator: issuer "https://issuer.example": `) && strings.Contains(got.err, "/other answered 404")
			if told != (name == "URL down") {
				t.Errorf("standard error: %s", got.err)
			}
		})
	}
}

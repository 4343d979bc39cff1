package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestExplainIssuers has a golden file of what --explain says about the keys of an issuer:
// the checks that are not as for an issuer of RFC 9068, accepted and refused.
func TestExplainIssuers(t *testing.T) {
	const legacy = "profile: legacy\nmarker: [{any_of: [{name: scope}, {name: scp, type: strings}]}]\n"
	key := testkey.Of(jose.ES256, "one")
	set := func(members string) string {
		return `{"keys":[` + strings.Replace(key.JWK(), "{", "{"+members, 1) + `]}`
	}
	var b strings.Builder
	for _, row := range []struct {
		what, config, claims string
		without              string // the usual claim that the token has not
		header, member       string // further members of the header, and of the key
		checks               string // whose lines are in the golden file
	}{
		{what: "marker", config: legacy, claims: `"scope":"read"`, checks: "kind of token"},
		{what: "marker that is missing", config: legacy, claims: `"scp":"read"`, checks: "kind of token"},
		{what: "marker of an object", config: "profile: legacy\nmarker: [{name: ext, type: object, equals: roles}]\n", claims: `"ext":{}`, checks: "kind of token"},
		{what: "other token", config: legacy + "other_tokens: [{name: token_use, equals: id}]\n", claims: `"scope":"read","token_use":"id"`, checks: "kind of token"},
		{what: "other token of RFC 9068", config: "other_tokens: [{name: token_use, equals: id}]\n", claims: `"scope":"read","token_use":"id"`, header: `,"typ":"at+jwt"`, checks: "kind of token"},
		{what: "required claim", config: legacy + "claims: [{any_of: [{name: a, equals: b}, {name: c, type: boolean, equals: 'true'}]}]\n", claims: `"scope":"read","a":"x"`, checks: "declared claims"},
		{what: "client in place of aud", config: legacy + "client_ids: [web]\n", without: "aud", claims: `"scope":"read","client_id":"web"`, checks: "audience"},
		{what: "another client in place of aud", config: legacy + "client_ids: [web]\n", without: "aud", claims: `"scope":"read","client_id":"other"`, checks: "audience"},
		{what: "key of the issuer", config: legacy + "key_issuers: [https://issuer.example]\n", claims: `"scope":"read"`, member: `"issuer":"https://issuer.example",`, checks: "key signature"},
		{what: "key of another issuer", config: legacy + "key_issuers: [https://issuer.example]\n", claims: `"scope":"read"`, member: `"issuer":"https://other.example",`, checks: "key signature"},
		{what: "scope that is a list", config: legacy, claims: `"scope":["read"]`, checks: "claims"},
		{what: "scope that may be a list", config: "profile: legacy\nmarker: [{name: scope, type: strings}]\nscope_lists: true\n", claims: `"scope":["read"]`, checks: "claims kind of token mapped claims policy"},
		{what: "no sub", config: legacy, claims: `"scope":"read"`, without: "sub", checks: "required claims"},
		{what: "sub may be missing", config: legacy + "subject_optional: true\n", without: "sub", claims: `"scope":"read","client_id":"web"`, checks: "required claims"},
		{what: "tenant", config: legacy + "tenant: {claim: org, owned: [acme]}\n", claims: `"scope":"read","org":"acme"`, checks: "mapped claims"},
		{what: "another tenant", config: legacy + "tenant: {claim: org, owned: [acme]}\n", claims: `"scope":"read","org":"umbrella"`, checks: "mapped claims"},
		{what: "mapping of another type", config: legacy + "mappings: [{claim: groups, to: role}]\n", claims: `"scope":"read","groups":{}`, checks: "mapped claims"},
		{what: "mapped value that is no scope", config: legacy + "mappings: [{claim: groups, to: scope}]\n", claims: `"scope":"read","groups":["a b"]`, checks: "mapped claims"},
		{what: "scopes that no mapping reads", config: legacy, claims: `"scp":["read"]`, checks: "mapped claims policy"},
		{what: "scopes that the issuer may not grant", config: legacy + "grants: []\n", claims: `"scope":"read"`, checks: "mapped claims policy"},
		{what: "user", config: legacy + "user: {name: uid}\n", claims: `"scope":"read","uid":"1"`, checks: "mapped claims"},
		{what: "no user", config: legacy + "client_only: {name: gty, equals: client-credentials}\n", claims: `"scope":"read","gty":"client-credentials"`, checks: "mapped claims"},
		{what: "a user or none", config: legacy + "user: {name: uid}\n", claims: `"scope":"read"`, checks: "mapped claims"},
		{what: "step-up", config: legacy + "acrs: [gold]\nmulti_factor: [mfa]\n", claims: `"scope":"read","acr":"gold","amr":["pwd","mfa"]`, checks: "mapped claims"},
		{what: "step-up that does not count", config: legacy + "acrs: [gold]\nmulti_factor: [mfa]\n", claims: `"scope":"read","acr":"silver","amr":["pwd"]`, checks: "mapped claims"},
		{what: "roles", config: legacy + "mappings: [{claim: groups, to: role}]\nroles: [a, b]\n", claims: `"scope":"read","groups":["a","b","c"]`, checks: "mapped claims"},
		{what: "client claim of another type", config: legacy + "client_claim: cid\n", claims: `"scope":"read","cid":1`, checks: "claims required claims mapped claims"},
	} {
		config := "issuers:\n  - url: https://issuer.example\n    audiences: [https://api.example]\n    keys: {file: jwks.json}\n    " +
			strings.ReplaceAll(strings.TrimSpace(row.config), "\n", "\n    ") + "\nroutes: {GET /: {scopes: {all: [read]}}}\n"
		dir := folder(t, map[string]string{"sallyport.yaml": config, "jwks.json": set(row.member)})
		claims := `"iss":"https://issuer.example","exp":1700000600,"iat":1700000000`
		for name, usual := range usualClaims {
			if name != row.without && !strings.Contains(row.claims, `"`+name+`"`) {
				claims += fmt.Sprintf(`,%q:%q`, name, usual)
			}
		}
		token := key.Sign(`{"alg":"ES256","kid":"one"`+row.header+`}`, "{"+claims+","+row.claims+"}")
		got := invoke(t, line(t, map[string]any{"name": row.what, "token": token, "route": "GET /"}), "verify", "--explain", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
		if got.status != exitDone {
			t.Errorf("%s: status %d: %s", row.what, got.status, got.err)
		}
		checkNoGoNames(t, got.out+got.err)
		b.WriteString(onlyChecks(got.out, row.checks) + "\n")
	}
	golden(t, "issuers.golden", b.String())
}

// usualClaims are the claims of the tokens of TestExplainIssuers, unless a row has others.
var usualClaims = map[string]string{"sub": "user-1", "aud": "https://api.example", "client_id": "shop", "jti": "1"}

// onlyChecks returns the first line of an explanation, and the lines of the checks with these
// names.
func onlyChecks(text, checks string) string {
	var b strings.Builder
	kept := true
	for i, line := range strings.SplitAfter(text, "\n") {
		fields := strings.SplitN(strings.TrimLeft(line, " "), " ", 2)
		switch {
		case i == 0:
			b.WriteString(line)
			continue
		case strings.HasPrefix(line, "   "): // of the check before
		case len(fields) == 2:
			name := strings.TrimSpace(fields[1][:min(nameWidth, len(fields[1]))])
			kept = strings.Contains(" "+checks+" ", " "+name+" ") || fields[0] == "✗"
		}
		if kept {
			b.WriteString(line)
		}
	}
	return b.String()
}

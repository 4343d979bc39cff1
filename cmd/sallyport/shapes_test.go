package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// shapesDir holds the tokens of real servers, decoded, as they were recorded, and the
// verdicts that they should get: verdicts.json, with several where the standards allow so.
const shapesDir = "../../interop/testdata/shapes"

// recordedToken is a token of a real server: a JWT whose parts a file has, or an opaque one
// of which a file has the length and the form of the prefix.
type recordedToken struct {
	Parts       int
	Header      map[string]any
	Claims      json.RawMessage
	Opaque      bool
	Bytes       int
	Prefix      string
	claims      map[string]any
	LogoutToken *recordedToken `json:"logout_token"`
}

func readToken(t *testing.T, server, name string) *recordedToken {
	t.Helper()
	r := new(recordedToken)
	if err := json.Unmarshal([]byte(read(t, filepath.Join(shapesDir, server, name+".json"))), r); err != nil {
		t.Fatal(err)
	}
	if r.LogoutToken != nil {
		r = r.LogoutToken
	}
	if r.Parts == 3 {
		decoder := json.NewDecoder(strings.NewReader(string(r.Claims)))
		decoder.UseNumber()
		if err := decoder.Decode(&r.claims); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// key returns the key of a test in place of the one that signed the token.
func (r *recordedToken) key(t *testing.T) testkey.Key {
	t.Helper()
	algorithm, err := jose.ParseAlgorithm(r.Header["alg"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return testkey.Of(algorithm, "shapes of "+algorithm.String()).WithID(r.Header["kid"].(string))
}

// text returns a token of this shape.
func (r *recordedToken) text(t *testing.T) string {
	t.Helper()
	switch {
	case r.Opaque:
		return r.Prefix + strings.Repeat("a", r.Bytes-len(r.Prefix))
	case r.Parts == 5:
		return strings.Join([]string{testkey.Encode([]byte(marshal(t, r.Header))), "", "YQ", "YQ", "YQ"}, ".")
	}
	return r.key(t).Sign(marshal(t, r.Header), marshal(t, r.claims))
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	return strings.TrimSuffix(line(t, map[string]any{"": v})[len(`{"":`):], "}\n")
}

// issued returns when the token was issued.
func (r *recordedToken) issued() string {
	if at, ok := r.claims["iat"].(json.Number); ok {
		return at.String()
	}
	return "1795823440"
}

// jwks returns the keys of all recorded tokens of a server.
func jwks(t *testing.T, server string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shapesDir, server, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]testkey.Key)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if name != "backchannel-logout" && !strings.Contains(name, "token-") || strings.HasPrefix(name, "introspect") {
			continue
		}
		if r := readToken(t, server, name); r.Parts == 3 {
			keys[r.Header["kid"].(string)] = r.key(t)
		}
	}
	return string(testkey.Set(slices.Collect(maps.Values(keys))...))
}

// shapeRow is a recorded token and what verify says about it.
type shapeRow struct {
	what   string // the name in verdicts.json
	token  string // the file
	config string // keys of the issuer beside url
	route  string
	want   string // the reason, or "" if the token is accepted
	// other says why want is not what verdicts.json says.
	other  string
	scheme string
	cert   bool
	edit   func(r *recordedToken)
}

// serverShapes are the recorded tokens of one server.
type serverShapes struct {
	folder, url string
	rows        []shapeRow
}

// shapesOfServers returns all recorded tokens, in the order of verdicts.json.
func shapesOfServers() []serverShapes {
	return []serverShapes{
		djangoShapes(), fositeShapes(), glewlwydShapes(), hydraShapes(), mockShapes(), oidcProviderShapes(),
	}
}

const (
	ofAPI    = "audiences: [https://api.example]\n"
	ofClient = "audiences: [web]\n"
	byScope  = "profile: legacy\nmarker: [{name: scope}]\n"
	byClient = "profile: legacy\nmarker: [{name: client_id}]\n"
)

func djangoShapes() serverShapes {
	return serverShapes{"django-oauth-toolkit", "http://127.0.0.1:4700/o", []shapeRow{
		{what: "access token (opaque)", config: ofAPI, want: "malformed_token"},
		{what: "id, audience = client", token: "token-id", config: ofClient, want: "wrong_type"},
		{what: "id, legacy, audience = client, keys by URL", token: "token-id", config: ofClient + byScope + "keys: {url: 'http://127.0.0.1:4700/o/.well-known/jwks.json'}\n", want: "wrong_type"},
		{what: "id, legacy, discovery", token: "token-id", config: ofAPI + byScope, want: "wrong_type"},
	}}
}

func fositeShapes() serverShapes {
	other := "audiences: [https://other.example]\n"
	legacy := byScope + "subject_optional: true\n" // its tokens for clients have no sub
	var rows []shapeRow
	for _, profile := range []struct{ prefix, strict, otherAudience string }{
		{"plain-", "wrong_type", "wrong_type"},
		{"rfc9068-", "", "wrong_audience"},
	} {
		cc, code, id := profile.prefix+"token-cc", profile.prefix+"token-code", profile.prefix+"token-id"
		rows = append(rows,
			shapeRow{what: "cc, rfc9068 profile", token: cc, config: ofAPI, want: profile.strict},
			shapeRow{what: "code, rfc9068 profile", token: code, config: ofAPI, want: profile.strict},
			shapeRow{what: "id", token: id, config: ofAPI, want: "wrong_type"},
			shapeRow{what: "refresh", config: ofAPI, want: "malformed_token"},
			shapeRow{what: "opaque", config: ofAPI, want: "malformed_token"},
			shapeRow{what: "other audience", token: cc, config: other, want: profile.otherAudience},
			shapeRow{what: "cc, legacy, marker scope", token: cc, config: ofAPI + legacy, route: "GET /read"},
			shapeRow{what: "code, legacy, marker scope", token: code, config: ofAPI + legacy, route: "GET /read"},
			shapeRow{what: "id, legacy", token: id, config: ofAPI + legacy, want: "wrong_type"},
			shapeRow{what: "other audience, legacy", token: cc, config: other + legacy, want: "wrong_audience"},
			shapeRow{what: "id, legacy, audience = client", token: id, config: ofClient + legacy, want: "wrong_type"},
		)
	}
	return serverShapes{"fosite", "http://127.0.0.1:4310/jwt", rows}
}

func glewlwydShapes() serverShapes {
	return serverShapes{"glewlwyd", "http://127.0.0.1:4593/api/oidc", []shapeRow{
		{what: "cc", token: "token-cc", config: ofAPI, route: "GET /read"},
		{what: "code", token: "token-code", config: ofAPI, route: "GET /read"},
		{what: "refreshed", token: "token-code", config: ofAPI},
		{what: "cc without resource (aud = scopes)", token: "token-cc-noresource", config: ofAPI, other: "the recorded token has this API as aud"},
		{what: "other audience", token: "token-other", config: ofAPI, want: "wrong_audience"},
		{what: "ID token", token: "token-id", config: ofAPI, want: "wrong_type"},
		{what: "refresh token", token: "token-refresh", config: ofAPI, want: "malformed_token"},
		{what: "DPoP-bound as Bearer", token: "token-dpop", config: ofAPI, want: "binding_mismatch"},
		{what: "DPoP-bound as DPoP", token: "token-dpop", config: ofAPI, scheme: "DPoP", want: "binding_mismatch"},
		{what: "mTLS-bound", token: "token-mtls", config: ofAPI, want: "binding_mismatch"},
		{what: "revoked JWT (no introspection yet)", token: "token-cc", config: ofAPI},
		{what: "logout token", token: "backchannel-logout", config: ofClient, want: "wrong_type"},
		{what: "logout token, legacy", token: "backchannel-logout", config: ofClient + byScope, want: "wrong_type"},
	}}
}

// hydraShapes are the tokens of Ory Hydra, which has the scopes in scp, an array, and
// by configuration also in scope.
func hydraShapes() serverShapes {
	const mapped = "mappings: [{claim: scp, to: scope}]\n"
	rows := []shapeRow{
		{what: "cc, rfc9068 profile", token: "token-cc", config: ofAPI, want: "wrong_type"},
		{what: "code, rfc9068 profile", token: "token-code", config: ofAPI, want: "wrong_type"},
		{what: "id", token: "token-id", config: ofAPI, want: "wrong_type"},
	}
	for _, by := range []struct{ name, config string }{
		{"scope", byScope},
		{"scp", "profile: legacy\nmarker: [{name: scp, type: strings}]\n" + mapped},
		{"client_id", byClient},
		{"ext", "profile: legacy\nmarker: [{name: ext, type: object}]\n"},
	} {
		marker := ", legacy, marker " + by.name
		rows = append(rows,
			shapeRow{what: "cc" + marker, token: "token-cc", config: ofAPI + by.config},
			shapeRow{what: "code" + marker, token: "token-code", config: ofAPI + by.config},
			shapeRow{what: "refreshed" + marker, token: "token-code", config: ofAPI + by.config},
			shapeRow{what: "cc without audience" + marker, token: "token-cc-noaud", config: ofAPI + by.config, want: "wrong_audience"},
			shapeRow{what: "other audience" + marker, token: "token-cc-other", config: ofAPI + by.config, want: "wrong_audience"},
			shapeRow{what: "id" + marker, token: "token-id", config: ofAPI + by.config, want: "wrong_type"},
			shapeRow{what: "refresh" + marker, token: "token-refresh", config: ofAPI + by.config, want: "malformed_token"},
			shapeRow{what: "opaque" + marker, token: "token-cc-opaque", config: ofAPI + by.config, want: "malformed_token"},
			shapeRow{what: "read route" + marker, token: "token-cc", config: ofAPI + by.config, route: "GET /read"},
		)
	}
	const preset = "preset: hydra\n"
	rows = append(rows,
		shapeRow{token: "token-cc", config: preset + ofAPI, route: "GET /read"},
		shapeRow{token: "token-code", config: preset + ofAPI, route: "GET /read"},
		shapeRow{token: "token-cc-default-scope-claim", config: preset + ofAPI, route: "GET /write"},
		shapeRow{token: "token-cc-noaud", config: preset + ofAPI, want: "wrong_audience"},
		shapeRow{token: "token-cc-other", config: preset + ofAPI, want: "wrong_audience"},
		shapeRow{token: "token-id", config: preset + ofClient, want: "wrong_type"},
		shapeRow{token: "token-refresh", config: preset + ofAPI, want: "malformed_token"},
		shapeRow{token: "backchannel-logout", config: preset + ofClient, want: "wrong_type"},
		shapeRow{what: "id, legacy, audience = client", token: "token-id", config: ofClient + byClient, want: "wrong_type"},
		shapeRow{what: "logout token, legacy, audience = client", token: "backchannel-logout", config: ofClient + byClient, want: "wrong_type"},
		shapeRow{token: "token-cc-default-scope-claim", config: ofAPI + byClient, route: "GET /read", want: "insufficient_scope"},
		shapeRow{token: "token-cc-default-scope-claim", config: ofAPI + byClient + mapped, route: "GET /read"},
		shapeRow{token: "token-cc-default-scope-claim", config: ofAPI + "profile: legacy\nmarker: [{name: scp, type: strings}]\n" + mapped, route: "GET /write"},
	)
	return serverShapes{"hydra", "http://127.0.0.1:4444", rows}
}

func mockShapes() serverShapes {
	legacy := byScope + "subject_optional: true\n"
	return serverShapes{"oauth2-mock-server", "http://localhost:4320", []shapeRow{
		{what: "cc with aud, rfc9068", token: "token-cc-aud", config: ofAPI, want: "wrong_type"},
		{what: "cc without aud, legacy scope", token: "token-cc", config: ofAPI + legacy, want: "wrong_audience"},
		{what: "cc with aud, legacy scope", token: "token-cc-aud", config: ofAPI + legacy},
		{what: "code, legacy scope", token: "token-code", config: ofAPI + byScope, want: "wrong_audience", other: "the recorded token has no aud, and no client that client_ids could name"},
		{what: "id, legacy scope", token: "token-id", config: ofClient + byScope, want: "wrong_type"},
		{what: "cc, hook makes at+jwt", token: "token-cc-aud", config: ofAPI, route: "GET /read", edit: func(r *recordedToken) {
			r.Header["typ"] = "at+jwt"
			r.claims["client_id"], r.claims["sub"], r.claims["jti"] = "cc", "cc", "1"
		}},
	}}
}

func oidcProviderShapes() serverShapes {
	of := func(resource string) string { return "audiences: [https://api.example/" + resource + "]\n" }
	return serverShapes{"oidc-provider", "http://127.0.0.1:4100", []shapeRow{
		{what: "cc jwt RS256", token: "token-cc-jwt", config: of("jwt")},
		{what: "cc jwt on route read", token: "token-cc-jwt", config: of("jwt"), route: "GET /read"},
		{what: "cc jwt on route write", token: "token-cc-jwt", config: of("jwt"), route: "GET /write", want: "insufficient_scope"},
		{what: "code jwt", token: "token-code", config: of("jwt")},
		{what: "refreshed jwt", token: "token-code", config: of("jwt")},
		{what: "private_key_jwt client", token: "token-pkjwt", config: of("jwt")},
		{what: "ID token", token: "token-id", config: of("jwt"), want: "wrong_type"},
		{what: "refresh token", token: "token-refresh", config: of("jwt"), want: "malformed_token"},
		{what: "opaque", token: "token-cc-opaque", config: of("jwt"), want: "malformed_token"},
		{what: "JWE", token: "token-cc-jwe", config: of("jwt"), want: "malformed_token"},
		{what: "other audience (es256)", token: "token-cc-es256", config: of("jwt"), want: "wrong_audience"},
		{what: "other audience (es384 not allowed)", token: "token-cc-es384", config: of("jwt"), want: "algorithm_not_allowed"},
		{what: "DPoP-bound as Bearer", token: "token-dpop", config: of("jwt"), want: "binding_mismatch"},
		{what: "DPoP-bound as DPoP", token: "token-dpop", config: of("jwt"), scheme: "DPoP", want: "binding_mismatch"},
		{what: "mTLS-bound without cert", token: "token-mtls", config: of("jwt"), want: "binding_mismatch"},
		{what: "mTLS-bound with cert", token: "token-mtls-pki", config: of("jwt"), cert: true, want: "binding_mismatch"},
		{what: "tampered", token: "token-cc-jwt", config: of("jwt"), want: "bad_signature"},
		{what: "cc ps256, defaults", token: "token-cc-ps256", config: of("ps256")},
		{what: "cc es256, defaults", token: "token-cc-es256", config: of("es256")},
		{what: "cc eddsa, defaults", token: "token-cc-eddsa", config: of("eddsa")},
		{what: "cc es384, algorithms [ES384]", token: "token-cc-es384", config: of("es384") + "algorithms: [ES384]\n"},
		{what: "RS256 token with [ES384]", token: "token-cc-jwt", config: of("jwt") + "algorithms: [ES384]\n", want: "algorithm_not_allowed"},
		{what: "issuer configured with trailing slash", token: "token-cc-jwt", config: "url: http://127.0.0.1:4100/\n" + of("jwt"), want: "unknown_issuer"},
		{what: "logout token, audience = client", token: "backchannel-logout", config: ofClient, want: "wrong_type"},
		{what: "ID token, audience = client", token: "token-id", config: ofClient, want: "wrong_type"},
	}}
}

// judge returns the reason with which verify refuses the token of a row, or "".
func (s *serverShapes) judge(t *testing.T, row *shapeRow) string {
	t.Helper()
	r := &recordedToken{Opaque: true, Bytes: 40}
	if row.token != "" {
		r = readToken(t, s.folder, row.token)
	}
	if row.edit != nil {
		row.edit(r)
	}
	config := row.config
	if !strings.Contains(config, "url: http") || strings.Contains(config, "keys: {url") {
		config = "url: " + s.url + "\n" + config
	}
	config = "issuers:\n  - " + strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n    ") + "\nroutes:\n  GET /read: {scopes: {all: [read]}}\n  GET /write: {scopes: {all: [write]}}\n"
	dir := folder(t, map[string]string{"sallyport.yaml": config, "jwks.json": jwks(t, s.folder)})
	text := r.text(t)
	if row.what == "tampered" {
		text = text[:len(text)-4] + "AAAA"
	}
	members := map[string]any{"token": text}
	if row.route != "" {
		members["route"] = row.route
	}
	if row.scheme != "" {
		members["scheme"] = row.scheme
	}
	if row.cert {
		members["cert"] = selfSigned(testkey.NewPrivate(jose.ES256))
	}
	args := []string{"verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--jwks", filepath.Join(dir, "jwks.json"), "--at", r.issued()}
	got := invoke(t, line(t, members), args...)
	var verdict struct {
		Accept bool
		Reason string
	}
	if err := json.Unmarshal([]byte(got.out), &verdict); err != nil || got.status != exitDone || verdict.Accept != (verdict.Reason == "") {
		t.Fatalf("%s, %s: status %d, %v\n%s%s\n%s", s.folder, row.what, got.status, err, got.out, got.err, config)
	}
	explained := invoke(t, line(t, members), append(args, "--explain")...)
	if verdict.Accept == strings.Contains(explained.out, "✗") || !verdict.Accept && !strings.Contains(explained.out, "refused: "+verdict.Reason) {
		t.Errorf("%s, %s: %s explained\n%s", s.folder, row.what, got.out, explained.out)
	}
	return verdict.Reason
}

// TestShapes (R-AT-01, R-AT-03, R-AT-04) judges recorded tokens of six real servers by a configuration for each, and
// compares with the verdicts that were recorded with them. The tokens are signed again.
func TestShapes(t *testing.T) {
	for _, server := range shapesOfServers() {
		t.Run(server.folder, func(t *testing.T) {
			var verdicts []struct {
				What string
				Want json.RawMessage
			}
			if err := json.Unmarshal([]byte(read(t, filepath.Join(shapesDir, server.folder, "verdicts.json"))), &verdicts); err != nil {
				t.Fatal(err)
			}
			judged := 0
			for _, row := range server.rows {
				if got := server.judge(t, &row); got != row.want {
					t.Errorf("%s: %q, want %q\n%s", row.what, got, row.want, row.config)
				}
				if row.what == "" {
					continue
				}
				if judged++; judged > len(verdicts) || verdicts[judged-1].What != row.what {
					t.Fatalf("%s is not the verdict %d of verdicts.json", row.what, judged)
				}
				want := row.want
				if want == "" {
					want = "accept"
				}
				if recorded := string(verdicts[judged-1].Want); strings.Contains(recorded, strconv.Quote(want)) == (row.other != "") {
					t.Errorf("%s: %s, and verdicts.json says %s", row.what, want, recorded)
				}
			}
			if judged < len(verdicts) {
				t.Errorf("%d verdicts of verdicts.json have no row", len(verdicts)-judged)
			}
		})
	}
}

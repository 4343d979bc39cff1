package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// shapesDir holds what real servers answered: a folder for each server, and a file for each
// answer. Tokens and secrets in them are replaced.
const shapesDir = "testdata/shapes"

// recorded is an answer as a file has it. Body is a text, or the JSON of the answer, or,
// for a signed one, its header and claims.
type recorded struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func readRecorded(t *testing.T, file string) *recorded {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := new(recorded)
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return r
}

// body returns the body as it was sent. A signed answer is signed again, with the key of
// these tests.
func (r *recorded) body(t *testing.T) []byte {
	t.Helper()
	var text string
	if json.Unmarshal(r.Body, &text) == nil {
		return []byte(text)
	}
	var signed struct {
		Parts          int
		Header, Claims json.RawMessage
	}
	if err := json.Unmarshal(r.Body, &signed); err != nil {
		t.Fatal(err)
	}
	if signed.Parts != 3 {
		return r.Body
	}
	return []byte(answerKey().Sign(compact(t, signed.Header), compact(t, signed.Claims)))
}

func answerKey() testkey.Key { return testkey.Of(jose.RS256, "answers") }

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// replay answers as the server of a folder did: with its metadata, and with one recorded
// answer to every introspection request. It returns a client that reaches it under every
// address.
func replay(t *testing.T, dir string, answer *recorded) *http.Client {
	t.Helper()
	write := func(w http.ResponseWriter, r *recorded) {
		for name, value := range r.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(r.Status)
		_, _ = w.Write(r.body(t))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := filepath.Join(dir, "discovery.json")
		if strings.Contains(r.URL.Path, "oauth-authorization-server") {
			file = filepath.Join(dir, "discovery-rfc8414.json")
		}
		_, err := os.Stat(file)
		switch {
		case r.Method == http.MethodPost:
			write(w, answer)
		case strings.Contains(r.URL.Path, "jwks"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(testkey.Set(answerKey().WithID(signedBy(answer))))
		case err == nil && strings.Contains(r.URL.Path, "/.well-known/"):
			write(w, readRecorded(t, file))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// signedBy returns the kid of a signed answer.
func signedBy(answer *recorded) string {
	var signed struct {
		Header struct{ Kid string }
	}
	if json.Unmarshal(answer.Body, &signed) != nil {
		return ""
	}
	return signed.Header.Kid
}

// shape is one recorded answer, and what it has to be judged as.
type shape struct {
	file   string // without .json
	strict want   // with the configuration that has only what is required
	set    want   // with the configuration of README.md
	token  string // that is presented, if it makes a difference
}

// same is a shape that is judged alike by both configurations.
func same(file string, w want) shape { return shape{file: file, strict: w, set: w} }

// shapes are the recorded answers of one server. A new server is a folder and a value of
// this type.
type shapes struct {
	folder string
	issuer validator.Issuer               // what is required to ask
	set    func(issuer *validator.Issuer) // what README.md says beyond that
	at     int64                          // when the answers were recorded
	rows   []shape
}

var (
	inactive     = want{reason: validator.Inactive}
	wrongType    = want{reason: validator.WrongType}
	wrongAud     = want{reason: validator.WrongAudience}
	unselected   = want{reason: validator.UnknownIssuer}
	bound        = want{reason: validator.BindingMismatch}
	refusedUs    = want{reason: validator.Unavailable, kind: introspect.CredentialsRefused}
	refusedOther = want{reason: validator.Unavailable, kind: introspect.RequestRefused}
	notAnAnswer  = want{reason: validator.Unavailable, kind: introspect.NotAnAnswer}
	untrusted    = want{reason: validator.Unavailable, kind: introspect.UntrustedAnswer}
	olderJWT     = want{reason: validator.Unavailable, kind: introspect.UntrustedAnswer, cause: "application/jwt"}
)

// asking returns the configuration that is required to ask a server.
func asking(issuer, audience, endpoint string) validator.Issuer {
	return validator.Issuer{URL: issuer, Audiences: []string{audience}, Opaque: &introspect.Client{
		ID: "rs", Authentication: introspect.ClientSecretBasic{Secret: secret("rs")}, Endpoint: endpoint,
	}}
}

func recordedServers() []shapes {
	marked := []validator.ClaimRule{{Name: "client_id"}}
	return []shapes{
		{
			folder: "oidc-provider", at: 1795823440,
			issuer: asking("http://127.0.0.1:4100", opaqueAPI, ""),
			rows: []shape{
				same("introspect-opaque", want{}),
				same("introspect-opaque-code", wrongAud), // of a token that was got without resource
				same("introspect-opaque-dpop", bound),
				same("introspect-opaque-mtls", bound),
				same("introspect-refresh", wrongType),
				same("introspect-revoked", inactive),
				same("introspect-garbage", inactive),
				same("introspect-nosy-client", inactive),
				same("introspect-empty", refusedOther),
				same("introspect-id-token", refusedOther),
				same("introspect-jwt-access", refusedOther),
				same("introspect-no-auth", refusedOther),
				same("introspect-wrong-secret", refusedUs),
				same("introspect-rfc9701-no-accept", want{}),
				same("introspect-rfc9701", notAnAnswer),
				same("introspect-rfc9701-inactive", notAnAnswer),
				same("introspect-rfc9701-rs-without-alg", notAnAnswer),
			},
		},
		{
			folder: "oidc-provider", at: 1795823440,
			issuer: signed(asking("http://127.0.0.1:4100", opaqueAPI, "")),
			set:    func(issuer *validator.Issuer) { issuer.Opaque.ID = "rs-jwt" },
			rows: []shape{
				{file: "introspect-rfc9701", strict: untrusted, set: want{}}, // it was made for rs-jwt
				{file: "introspect-rfc9701-inactive", strict: untrusted, set: inactive},
				{file: "introspect-rfc9701-rs-without-alg", strict: want{}, set: untrusted},
				same("introspect-rfc9701-no-accept", untrusted),
				same("introspect-revoked", untrusted),
				same("introspect-wrong-secret", refusedUs),
				same("introspect-jwt-access", refusedOther),
			},
		},
		{
			folder: "fosite", at: 1795823820,
			issuer: asking("http://127.0.0.1:4310/opaque", "https://api.example", "http://127.0.0.1:4310/opaque/introspect"),
			set: func(issuer *validator.Issuer) {
				issuer.Opaque.Prefix, issuer.Answers.Marker = "ory_at_", marked
			},
			rows: []shape{
				{file: "introspect-opaque", strict: wrongType},
				{file: "introspect-code", strict: wrongType},
				{file: "introspect-jwt", strict: wrongType},
				{file: "introspect-jwt-again", strict: wrongType},
				{file: "introspect-refresh", strict: wrongType, set: unselected, token: "ory_rt_token"},
				same("introspect-opaque-revoked", inactive),
				same("introspect-jwt-revoked", inactive),
				same("introspect-opaque-at-jwt-issuer", inactive),
				same("introspect-garbage", inactive),
				same("introspect-empty", inactive),
				same("introspect-id", inactive),
				same("introspect-no-auth", refusedUs),
				same("introspect-wrong-secret", refusedUs),
			},
		},
		{
			folder: "hydra", at: 1795824090,
			issuer: asking("http://127.0.0.1:4444", "https://api.example", "http://127.0.0.1:4445/admin/oauth2/introspect"),
			set: func(issuer *validator.Issuer) {
				issuer.Opaque.Prefix = "ory_at_"
				issuer.Answers.Marker = []validator.ClaimRule{{Name: "token_use", Equals: "access_token"}}
			},
			rows: []shape{
				same("introspect-cc-opaque", want{}),
				same("introspect-code-opaque", want{}),
				same("introspect-cc", want{}),
				same("introspect-refresh", wrongType),
				same("introspect-no-audience", wrongAud),
				same("introspect-access-after-refresh-revoked", inactive),
				same("introspect-code", inactive),
				same("introspect-empty", inactive),
				same("introspect-garbage", inactive),
				same("introspect-id", inactive),
				same("introspect-jwt-revoked", inactive),
				same("introspect-opaque-revoked", inactive),
				same("introspect-scope-not-granted", inactive),
			},
		},
		{
			folder: "glewlwyd", at: 1795824030,
			issuer: asking("http://127.0.0.1:4593/api/oidc", "https://api.example", ""),
			rows: []shape{
				same("introspect-bearer-cc", want{}),
				same("introspect-cc-by-own-client", want{}),
				same("introspect-bearer-code", want{}),
				same("introspect-bearer-code-hint", want{}),
				same("introspect-bearer-code-after-refresh-revoked", want{}),
				same("introspect-bearer-accept-application-token-introspection-jwt-application-json", want{}),
				same("introspect-bearer-dpop", bound),
				same("introspect-bearer-id", wrongType),
				same("introspect-bearer-id-hint", wrongType),
				same("introspect-bearer-refresh", wrongType),
				same("introspect-bearer-own-token-as-auth", wrongAud),
				same("introspect-bearer-garbage", inactive),
				same("introspect-bearer-revoked", inactive),
				same("introspect-cc", inactive),
				same("introspect-code", inactive),
				same("introspect-dpop", inactive),
				same("introspect-mtls", inactive),
				same("introspect-refresh", inactive),
				same("introspect-revoked", inactive),
				same("introspect-garbage", inactive),
				same("introspect-id", inactive),
				same("introspect-id-hint", inactive),
				same("introspect-empty", refusedOther),
				same("introspect-accept-jwt", refusedOther),
				same("introspect-no-auth", refusedUs),
				same("introspect-wrong-secret", refusedUs),
			},
		},
		{
			folder: "glewlwyd", at: 1795824030,
			issuer: signed(asking("http://127.0.0.1:4593/api/oidc", "https://api.example", "")),
			set: func(issuer *validator.Issuer) {
				issuer.Opaque.AnswerAudiences, issuer.Opaque.InactiveErrors = []string{"https://api.example"}, []string{""}
			},
			rows: []shape{
				{file: "introspect-bearer-9701-own-client", strict: untrusted},
				{file: "introspect-bearer-accept-application-token-introspection-jwt", strict: untrusted},
				{file: "introspect-bearer-9701-inactive", strict: refusedOther, set: inactive},
				{file: "introspect-rfc9701", strict: refusedOther, set: inactive},
				{file: "introspect-rfc9701-inactive", strict: refusedOther, set: inactive},
				same("introspect-bearer-accept-application-jwt", olderJWT),
				same("introspect-bearer-cc", untrusted),
				same("introspect-wrong-secret", refusedUs),
			},
		},
		{
			folder: "django-oauth-toolkit", at: 1795824500,
			issuer: asking("http://127.0.0.1:4700/o", "https://api.example", "http://127.0.0.1:4700/o/introspect/"),
			set: func(issuer *validator.Issuer) {
				issuer.Answers.FiltersAudience, issuer.Answers.Marker = true, marked
			},
			rows: []shape{
				{file: "introspect-cc", strict: wrongType},
				{file: "introspect-cc-by-client-auth", strict: wrongType},
				{file: "introspect-code", strict: wrongType},
				same("introspect-refresh", inactive),
				same("introspect-id", inactive),
				same("introspect-revoked", inactive),
				same("introspect-garbage", inactive),
				same("introspect-empty", inactive),
				same("introspect-bearer-without-scope", refusedUs),
				same("introspect-no-auth", refusedUs),
				same("introspect-wrong-secret", refusedUs),
			},
		},
		{
			folder: "oauth2-mock-server", at: 1795824500,
			issuer: asking("http://localhost:4320", "https://api.example", ""),
			set: func(issuer *validator.Issuer) {
				issuer.Answers.FiltersAudience, issuer.Answers.Marker = true, marked
			},
			rows: []shape{ // it calls everything active and says nothing else, so that no configuration may help
				same("introspect-cc", wrongType),
				same("introspect-garbage", wrongType),
				same("introspect-revoked", wrongType),
			},
		},
	}
}

// signed returns the configuration with signed answers.
func signed(issuer validator.Issuer) validator.Issuer {
	issuer.Opaque.Signed = true
	return issuer
}

// judge judges a recorded answer through the public API.
func (s *shapes) judge(t *testing.T, row *shape, configure func(*validator.Issuer)) (int, want) {
	t.Helper()
	dir := filepath.Join(shapesDir, s.folder)
	issuer, client := s.issuer, *s.issuer.Opaque
	issuer.Opaque = &client
	if configure != nil {
		configure(&issuer)
	}
	issuer.HTTPClient = replay(t, dir, readRecorded(t, filepath.Join(dir, row.file+".json")))
	token := row.token
	if token == "" {
		token = "ory_at_token"
	}
	status, d := newAPI(t, issuer).getAt(clock.At(t.Context(), time.Unix(s.at, 0)), "/read", token)
	return status, verdictOf(d)
}

// TestShapes covers R-IN-04 to R-IN-09, R-IN-11, R-IN-12, R-IN-16 and R-IN-17: what six real
// servers answered is judged with the least configuration, and with the one of README.md.
func TestShapes(t *testing.T) {
	for _, server := range recordedServers() {
		for _, row := range server.rows {
			check := func(name string, configure func(*validator.Issuer), w want) {
				status, got := server.judge(t, &row, configure)
				if got.reason != w.reason || got.kind != w.kind || !strings.Contains(got.cause, w.cause) || status != statusOf(w.reason) {
					t.Errorf("%s/%s, %s: status %d, %q %q, want %q %q; cause: %s",
						server.folder, row.file, name, status, got.reason, got.kind, w.reason, w.kind, got.cause)
				}
			}
			check("strict", nil, row.strict)
			check("configured", server.set, row.set)
		}
	}
}

// TestShapesAreJudged sees that each recorded answer has a row.
func TestShapesAreJudged(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shapesDir, "*", "introspect*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	servers := recordedServers()
	for _, file := range files {
		folder, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), ".json")
		if !slices.ContainsFunc(servers, func(s shapes) bool {
			return s.folder == folder && slices.ContainsFunc(s.rows, func(row shape) bool { return row.file == name })
		}) {
			t.Errorf("%s has no row", file)
		}
	}
}

// TestShapesOfAnotherIssuer covers R-IN-06: an answer whose iss is another issuer than the one
// that was asked is refused.
func TestShapesOfAnotherIssuer(t *testing.T) {
	server := shapes{folder: "oidc-provider", at: 1795823440, issuer: asking("http://127.0.0.1:4101", opaqueAPI, "http://127.0.0.1:4101/introspect")}
	if _, got := server.judge(t, &shape{file: "introspect-opaque"}, nil); got.reason != validator.UnknownIssuer {
		t.Errorf("%q: %s", got.reason, got.cause)
	}
}

// TestShapesOfMetadata covers R-DI-07 and R-IN-11: the endpoint is found in the metadata of
// the servers that name one, and for the others the cause says what to set.
func TestShapesOfMetadata(t *testing.T) {
	for _, server := range recordedServers() {
		file := filepath.Join(shapesDir, server.folder, "discovery.json")
		if _, err := os.Stat(file); err != nil || server.issuer.Opaque.Signed {
			continue
		}
		named := bytes.Contains(readRecorded(t, file).Body, []byte(`"introspection_endpoint": "`))
		status, got := server.judge(t, &server.rows[0], func(issuer *validator.Issuer) { issuer.Opaque.Endpoint = "" })
		if named && (status != statusOf(server.rows[0].strict.reason) || got.reason != server.rows[0].strict.reason) {
			t.Errorf("%s: status %d, %q: %s", server.folder, status, got.reason, got.cause)
		}
		if !named && (got.kind != introspect.NoEndpoint || !strings.Contains(got.cause, "Issuer.Opaque.Endpoint")) {
			t.Errorf("%s: %q: %s", server.folder, got.kind, got.cause)
		}
	}
}

// TestShapesOfTokenErrors covers R-IN-12: a token endpoint that refuses this API's own
// credentials is no fault of the token that was to be asked about.
func TestShapesOfTokenErrors(t *testing.T) {
	for _, server := range recordedServers() {
		row := shape{file: "error-bad-client"}
		if _, err := os.Stat(filepath.Join(shapesDir, server.folder, row.file+".json")); err != nil {
			continue
		}
		status, got := server.judge(t, &row, func(issuer *validator.Issuer) {
			endpoint := issuer.URL + "/token"
			issuer.Opaque.Endpoint = issuer.URL + "/introspect"
			issuer.Opaque.Authentication = introspect.Bearer{TokenEndpoint: endpoint, Authentication: issuer.Opaque.Authentication}
		})
		if status != http.StatusServiceUnavailable || got.kind != introspect.NoCredentials {
			t.Errorf("%s: status %d, %q: %s", server.folder, status, got.kind, got.cause)
		}
	}
}

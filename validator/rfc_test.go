package validator_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// vectorFile is a file of shared/vectors/rfc.
type vectorFile struct {
	Count int
	Cases []vectorCase
}

type vectorCase struct {
	Name, Layer, Token string
	Expect             string
	RSExpect           string `json:"rs_expect"`
	Header             struct{ Typ, Kid *string }
	Claims             json.RawMessage
	Validator          *struct{ Issuer, Audience string }
}

// readVectors reads one file, or skips where the folder is absent, as on a
// user's machine.
func readVectors(t *testing.T, name string) vectorFile {
	t.Helper()
	dir := os.Getenv("SALLYPORT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "shared", "vectors")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir) // relative to the repository's root
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no third-party vectors in %s; set SALLYPORT_VECTORS", dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "rfc", name))
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != file.Count || file.Count == 0 {
		t.Fatalf("%s has %d cases and says %d", name, len(file.Cases), file.Count)
	}
	return file
}

// header is the case's header for the test key s; alg is always s's.
func (c *vectorCase) header(s *signer) object {
	h := s.header().without("typ", "kid")
	if c.Header.Typ != nil {
		h = h.with("typ", asJSON(*c.Header.Typ))
	}
	return h.with("kid", asJSON(s.ID))
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// vectorClaims are the claims of a case that set it up.
type vectorClaims struct {
	Iss      string
	Aud      json.RawMessage
	Iat, Exp int64
}

func (c *vectorCase) setting(t *testing.T) vectorClaims {
	t.Helper()
	var claims vectorClaims
	if err := json.Unmarshal(c.Claims, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// vectorValidator accepts tokens of issuer for audience under key, under the
// strict and the legacy profile.
func vectorValidator(t *testing.T, issuer string, audiences []string, key *signer) map[string]*validator.Validator {
	t.Helper()
	config := validator.Config{Issuers: []validator.Issuer{{URL: issuer, Audiences: audiences, Keys: keysOf(key)}}}
	strict := issuertest.Validator(t, config)
	config.Issuers[0].Profile = validator.ProfileLegacy
	config.Issuers[0].Marker = []validator.ClaimRule{{Name: "client_id"}, {Name: "scope"}}
	return map[string]*validator.Validator{"strict": strict, "legacy": issuertest.Validator(t, config)}
}

// TestRFCClaims9068 judges the example of RFC 9068 §3 and its derivations
// (R-AT-01, R-AT-06, R-AT-10).
func TestRFCClaims9068(t *testing.T) {
	file := readVectors(t, "rfc9068.json")
	example := file.Cases[0]
	if example.Validator == nil || example.Expect != "accept" || example.Header.Kid == nil {
		t.Fatal("the first case is not the example of §3")
	}
	key := rsaSigner(jose.RS256, *example.Header.Kid)
	v := vectorValidator(t, example.Validator.Issuer, []string{example.Validator.Audience}, key)["strict"]
	times := example.setting(t)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.Layer != "claims" {
				t.Fatalf("layer %s", c.Layer)
			}
			token := key.Sign(c.header(key).text(), string(c.Claims))
			for _, now := range []int64{times.Iat, times.Exp - 1} {
				_, err := v.Validate(clock.At(t.Context(), time.Unix(now, 0)), bearer(token))
				if accepted := err == nil; accepted != (c.Expect == "accept") {
					t.Errorf("at %d: %v, want %s", now, causeOf(err), c.Expect)
				}
			}
		})
	}
	token := key.Sign(example.header(key).text(), string(example.Claims))
	for now, want := range map[int64]validator.Reason{times.Iat - 31: validator.NotYetValid, times.Exp + 30: validator.Expired} {
		if _, err := v.Validate(clock.At(t.Context(), time.Unix(now, 0)), bearer(token)); !errors.Is(err, want) {
			t.Errorf("at %d: %v, want %q", now, err, string(want))
		}
	}
	t.Logf("vectors: rfc/rfc9068.json %d of %d claims cases", len(file.Cases), len(file.Cases))
}

// TestRFCClaimsEvents judges security event tokens and logout tokens, which
// are never access tokens, under both profiles (R-AT-02, R-AT-03).
func TestRFCClaimsEvents(t *testing.T) {
	file := readVectors(t, "set-and-logout.json")
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.RSExpect == "" {
				c.RSExpect = c.Expect // no example of this file is an access token
			}
			if c.Layer != "claims" || c.RSExpect != "reject" {
				t.Fatalf("layer %s, expected %s", c.Layer, c.RSExpect)
			}
			claims := c.setting(t)
			issuer, audiences := "https://server.example.com", []string{"s6BhdRkqt3"} // of the file's logout token
			if claims.Iss != "" {
				issuer = claims.Iss
			}
			if strings.HasPrefix(string(claims.Aud), "[") {
				if err := json.Unmarshal(claims.Aud, &audiences); err != nil {
					t.Fatal(err)
				}
			}
			for profile, v := range vectorValidator(t, issuer, audiences, testKey) {
				want := validator.WrongType
				if claims.Iss == "" {
					want = validator.UnknownIssuer
				}
				ctx := clock.At(t.Context(), time.Unix(claims.Iat, 0))
				if claims.Iat == 0 {
					ctx = clock.At(t.Context(), time.Unix(claims.Exp-1, 0))
				}
				_, err := v.Validate(ctx, bearer(testKey.Sign(c.header(testKey).text(), string(c.Claims))))
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %q", profile, causeOf(err), string(want))
				}
				// The type is not what alone keeps it out: no typ, and legacy.
				h := c.header(testKey).without("typ")
				if _, err := v.Validate(ctx, bearer(testKey.Sign(h.text(), string(c.Claims)))); !errors.Is(err, want) {
					t.Errorf("%s, no typ: %v, want %q", profile, causeOf(err), string(want))
				}
			}
		})
	}
	t.Logf("vectors: rfc/set-and-logout.json %d of %d claims cases", len(file.Cases), len(file.Cases))
}

// TestRFCClaimsBound judges the bound tokens of RFC 9449 §6.1 and RFC 8705
// §3.1. Both examples lack what RFC 9068 requires; completed they are refused
// for their binding alone, which no part of this version can check.
func TestRFCClaimsBound(t *testing.T) {
	otherLayers := map[string]string{
		"dpop-proof":         "waits for dpop",
		"cnf-x5t":            "waits for certificate-bound tokens",
		"introspection-json": "an answer of introspection with cnf; waits for certificate-bound tokens",
	}
	for _, name := range []string{"rfc9449.json", "rfc8705.json"} {
		file := readVectors(t, name)
		ran, notYet := 0, map[string]int{}
		for _, c := range file.Cases {
			if why := otherLayers[c.Layer]; why != "" {
				notYet[why]++
				continue
			}
			ran++
			t.Run(c.Name, func(t *testing.T) {
				if c.Layer != "claims" || c.Expect != "info" {
					t.Fatalf("layer %s, expected %s", c.Layer, c.Expect)
				}
				judgeBound(t, &c)
			})
		}
		if ran != 1 {
			t.Errorf("%s has %d claims cases, want 1", name, ran)
		}
		t.Logf("vectors: rfc/%s %d claims case of %d; not applicable: %v", name, ran, len(file.Cases), notYet)
	}
}

func judgeBound(t *testing.T, c *vectorCase) {
	t.Helper()
	claims := c.setting(t)
	v := vectorValidator(t, claims.Iss, []string{testAudience}, testKey)["strict"]
	ctx := clock.At(t.Context(), time.Unix(claims.Exp-1, 0))
	judge := func(token string, want validator.Reason) {
		t.Helper()
		if _, err := v.Validate(ctx, bearer(token)); validator.ReasonOf(err) != want {
			t.Errorf("%v, want %q", causeOf(err), string(want))
		}
	}
	if c.Token != "" { // as printed; its key is not published, so ES256 only has to be allowed
		judge(c.Token, validator.WrongType)
	}
	judge(testKey.Sign(c.header(testKey).text(), string(c.Claims)), validator.WrongType)

	typed := testKey.header().text()
	judge(testKey.Sign(typed, string(c.Claims)), validator.BadClaims)
	var completed map[string]any
	if err := json.Unmarshal(c.Claims, &completed); err != nil {
		t.Fatal(err)
	}
	completed["client_id"], completed["jti"], completed["iat"] = "client-1", "jti-1", claims.Exp-3600
	judge(testKey.Sign(typed, asJSON(completed)), validator.WrongAudience)
	completed["aud"] = testAudience
	judge(testKey.Sign(typed, asJSON(completed)), validator.BindingMismatch)
	delete(completed, "cnf")
	judge(testKey.Sign(typed, asJSON(completed)), "")
}

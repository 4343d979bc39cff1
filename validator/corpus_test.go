package validator_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// corpus is testdata/cases-public.json.
type corpus struct {
	Configs map[string]corpusConfig
	Cases   []corpusCase
	JWKS    map[string]struct{ Document string }
	DPoP    struct{ Cases []json.RawMessage }
	Answers struct{ Cases []json.RawMessage } `json:"introspection"`
}

type corpusConfig struct {
	Algorithms []jose.Algorithm `json:"algs"`
	Audience   string
	Issuers    []struct{ Issuer, JWKS string }
	MaxBytes   int `json:"max_token_bytes"`
	Now        int64
	Required   []string `json:"required_scopes"`
	Skew       int64    `json:"skew_seconds"`
}

type corpusCase struct {
	ID, Name, Config, JWKS          string
	Expect, Strength, Reason, Token string
	ReasonAlso                      []string     `json:"reason_also"`
	Recipe                          []corpusPart `json:"token_recipe"`
	Length                          int          `json:"token_len"`
	SHA256                          string       `json:"token_sha256"`
}

type corpusPart struct {
	S string
	N *int
}

// text is the token; a recipe is a concatenation of repeated strings.
func (c *corpusCase) text() string {
	if c.Recipe == nil {
		return c.Token
	}
	var b strings.Builder
	for _, part := range c.Recipe {
		n := 1
		if part.N != nil {
			n = *part.N
		}
		b.WriteString(strings.Repeat(part.S, n))
	}
	return b.String()
}

// corpusDeviations are the cases of strength "should" that we judge otherwise,
// with the argument. There are none.
var corpusDeviations = map[string]string{}

// corpusPolicies is our verdict on the cases where either is defensible, and
// why.
var corpusPolicies = map[string]struct {
	accept bool
	why    string
}{
	"alg-037":    {true, "EdDSA and Ed25519 name one algorithm once the key's curve decides (docs/adr/0003)"},
	"claims-005": {false, "a token from the future is a clock fault or a forgery; iat is held to the leeway (R-CL-08)"},
	"claims-006": {false, "above 2^53 JSON readers differ (R-CL-10)"},
	"claims-022": {false, "the token's identity is (iss, jti), and an empty one names nothing (R-CL-12)"},
	"json-044":   {false, "a lone surrogate is no Unicode string; what others substitute for it differs (R-JS-15)"},
	"key-037":    {false, "the private key is public, so that anyone can sign; the operator is told (R-JK-07)"},
	"key-056":    {true, "a leading zero changes neither the value nor the thumbprint; libraries whose integers have a sign write one (docs/adr/0049)"},
	"nbf-016":    {false, "present, and not a NumericDate: no coercion of null to absent (R-CL-10, R-CL-14)"},
	"scope-006":  {false, "not the grammar of RFC 6749 §3.3; one spelling for one scope list (R-SC-01)"},
	"scope-007":  {false, "RFC 9068 §2.2.3 has a string; a non-string scope is refused (R-SC-01)"},
	"scope-027":  {false, "scp is another claim and grants nothing unless somebody maps it"},
	"size-009":   {false, "deeper than Config.MaxTokenDepth (R-OP-07, docs/adr/0047)"},
}

// corpusReasons are cases whose class differs from our reason's, and why.
var corpusReasons = map[string]struct {
	want validator.Reason
	why  string
}{
	"key-026": {validator.AlgorithmNotAllowed, "HS256 is refused before any key is looked for: the class asked for needs a look-up first"},
}

// classes are the corpus' names of our reasons.
var classes = map[validator.Reason][]string{
	validator.NoCredentials:       {"malformed"},
	validator.MalformedRequest:    {"malformed"},
	validator.MalformedToken:      {"malformed", "crit"}, // crit is refused while parsing
	validator.TooLarge:            {"size"},
	validator.AlgorithmNotAllowed: {"alg"},
	validator.UnknownKey:          {"kid", "key"}, // a key that cannot be used is not in the set
	validator.BadSignature:        {"signature"},
	validator.WrongType:           {"typ"},
	validator.UnknownIssuer:       {"iss"},
	validator.WrongAudience:       {"aud"},
	validator.Expired:             {"exp"},
	validator.NotYetValid:         {"nbf"},
	validator.BadClaims:           {"claims"},
	validator.BindingMismatch:     {"binding"},
	validator.InsufficientScope:   {"scope"},
}

func readCorpus(tb testing.TB) *corpus {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "cases-public.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var c corpus
	if err := json.Unmarshal(text, &c); err != nil {
		tb.Fatal(err)
	}
	return &c
}

// config is the configuration of a case.
func (c *corpus) config(tb testing.TB, of *corpusCase) validator.Config {
	tb.Helper()
	given, ok := c.Configs[of.Config]
	if !ok {
		tb.Fatalf("no config %q", of.Config)
	}
	config := validator.Config{
		Leeway:        validator.Leeway{Expiry: time.Duration(given.Skew) * time.Second, Future: time.Duration(given.Skew) * time.Second},
		MaxTokenBytes: given.MaxBytes,
	}
	for _, issuer := range given.Issuers {
		name := issuer.JWKS
		if strings.HasPrefix(name, "<") { // "<jwks of the case>"
			name = of.JWKS
		}
		keys, ok := c.JWKS[name]
		if !ok {
			tb.Fatalf("no JWKS %q", name)
		}
		config.Issuers = append(config.Issuers, validator.Issuer{
			URL:        issuer.Issuer,
			Audiences:  []string{given.Audience},
			Algorithms: given.Algorithms,
			Keys:       jwkscache.Static([]byte(keys.Document)),
			Grants:     allScopes,
		})
	}
	return config
}

// judge is the verdict on a case: a reason, or "" for accepted.
func (c *corpus) judge(tb testing.TB, of *corpusCase) validator.Reason {
	tb.Helper()
	v, err := validator.New(c.config(tb, of))
	if errors.Is(err, jose.ErrNotJWKS) {
		return validator.UnknownKey // refused already at start-up
	}
	if err != nil {
		tb.Fatal(err)
	}
	given := c.Configs[of.Config]
	token, err := v.Validate(clock.At(tb.Context(), time.Unix(given.Now, 0)), bearer(of.text()))
	if err != nil {
		if text := of.text(); len(text) > 20 && strings.Contains(err.Error(), text) {
			tb.Errorf("the error shows the token")
		}
		return validator.ReasonOf(err)
	}
	for _, scope := range given.Required {
		if !token.HasScope(scope) {
			return validator.InsufficientScope
		}
	}
	return ""
}

// TestCorpus runs the attack corpus.
func TestCorpus(t *testing.T) {
	corpus := readCorpus(t)
	counts := map[string]int{}
	seen := map[string]bool{}
	for i := range corpus.Cases {
		of := &corpus.Cases[i]
		counts[of.Strength]++
		seen[of.ID] = true
		t.Run(of.ID, func(t *testing.T) {
			text := of.text()
			if sum := sha256.Sum256([]byte(text)); len(text) != of.Length || hex.EncodeToString(sum[:]) != of.SHA256 {
				t.Fatalf("the copy is damaged: %d bytes, SHA-256 %x", len(text), sum)
			}
			got := corpus.judge(t, of)
			corpusVerdict(t, of, got)
			if got != "" && of.Expect == "reject" {
				corpusReason(t, of, got)
			}
		})
	}
	if n := len(corpus.Cases); n != 270 || len(seen) != n {
		t.Errorf("%d cases with %d ids, want 270", n, len(seen))
	}
	for _, id := range slices.Concat(slices.Collect(maps.Keys(corpusDeviations)),
		slices.Collect(maps.Keys(corpusPolicies)), slices.Collect(maps.Keys(corpusReasons))) {
		if !seen[id] {
			t.Errorf("the corpus has no case %s", id)
		}
	}
	t.Logf("vectors: corpus: %d cases: must %d, should %d (%d deviations), policy %d; %d argued reasons",
		len(corpus.Cases), counts["must"], counts["should"], len(corpusDeviations), counts["policy"], len(corpusReasons))
	t.Logf("not here: %d cases wait for dpop; TestPublicIntrospection of cmd/sallyport has %d", len(corpus.DPoP.Cases), len(corpus.Answers.Cases))
	if len(corpus.DPoP.Cases) != 69 || len(corpus.Answers.Cases) != 33 {
		t.Error("the copy of the corpus is not whole")
	}
}

// corpusVerdict compares accept and reject.
func corpusVerdict(t *testing.T, of *corpusCase, got validator.Reason) {
	t.Helper()
	right := (got == "") == (of.Expect == "accept")
	switch of.Strength {
	case "must":
		if !right {
			t.Errorf("%s: reason %q, want %s", of.Name, string(got), of.Expect)
		}
	case "should":
		why, deviates := corpusDeviations[of.ID]
		switch {
		case right == deviates:
			t.Errorf("%s: reason %q, want %s; deviation argued: %q", of.Name, string(got), of.Expect, why)
		case deviates && why == "":
			t.Error("a deviation without argument")
		}
	case "policy":
		policy, decided := corpusPolicies[of.ID]
		if !decided || policy.why == "" || policy.accept != (got == "") {
			t.Errorf("%s: reason %q; decided: %t, accept %t because %q", of.Name, string(got), decided, policy.accept, policy.why)
		}
	default:
		t.Errorf("strength %q is not known", of.Strength)
	}
}

// corpusReason compares why a case was refused.
func corpusReason(t *testing.T, of *corpusCase, got validator.Reason) {
	t.Helper()
	if len(classes[got]) == 0 {
		t.Fatalf("no class for %q", got)
	}
	fits := slices.ContainsFunc(classes[got], func(class string) bool {
		return class == of.Reason || slices.Contains(of.ReasonAlso, class)
	})
	argued, exception := corpusReasons[of.ID]
	switch {
	case fits == exception:
		t.Errorf("%s: refused as %q, want class %s or one of %v; exception argued: %q", of.Name, string(got), of.Reason, of.ReasonAlso, argued.why)
	case exception && (got != argued.want || argued.why == ""):
		t.Errorf("%s: refused as %q, argued is %q: %s", of.Name, string(got), string(argued.want), cmp.Or(argued.why, "nothing"))
	}
}

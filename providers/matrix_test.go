package providers_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/issuers.md")

// policies are the policies that judge each token that a preset accepts.
func (p *provider) policies() []struct {
	name    string
	policy  scopes.Policy
	refused validator.Reason
} {
	return []struct {
		name    string
		policy  scopes.Policy
		refused validator.Reason
	}{
		{"scope", scopes.All(p.scope), validator.InsufficientScope},
		{"user", scopes.UserOnly(), validator.Forbidden},
		{"role", scopes.Roles(p.role), validator.Forbidden},
		{"client", scopes.Clients(p.issuer.URL, p.client), validator.Forbidden},
		{"age", scopes.MaxAuthAge(time.Hour), validator.StepUpRequired},
		{"acr", scopes.ACR(p.acr), validator.StepUpRequired},
	}
}

// guard returns the Guard of the preset, with the keys of the test.
func (p *provider) guard(t *testing.T) *middleware.Guard {
	t.Helper()
	is := p.issuer
	keys := p.keys
	if keys == "" {
		keys = keySet(nil, "provider")
	}
	for _, algorithm := range []jose.Algorithm{jose.ES256, jose.PS512} {
		keys = strings.TrimSuffix(keys, "]}") + "," + testkey.Of(algorithm, algorithm.String()).JWK() + "]}"
	}
	is.Keys = jwkscache.Static([]byte(keys))
	return issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is}})})
}

// check presents a token to a route of policy.
func check(t *testing.T, guard *middleware.Guard, policy scopes.Policy, token string) middleware.Verdict {
	t.Helper()
	route, err := guard.Route("GET /orders", policy)
	if err != nil {
		t.Fatal(err)
	}
	return route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{})
}

// TestShapes presents the tokens of each provider to routes of its preset.
func TestShapes(t *testing.T) {
	for _, p := range all() {
		t.Run(p.name, func(t *testing.T) {
			guard := p.guard(t)
			for i := range p.shapes {
				t.Run(p.shapes[i].kind, func(t *testing.T) { p.shapes[i].test(t, &p, guard) })
			}
		})
	}
}

func (s *shape) test(t *testing.T, p *provider, guard *middleware.Guard) {
	token := s.sign(t)
	verdict := check(t, guard, scopes.Authenticated(), token)
	if denial := verdict.Denial(); denial != nil {
		if denial.Reason != s.want {
			t.Errorf("%q, want %q: %v", denial.Reason, s.want, denial.Cause())
		}
		return
	}
	if s.want != "" {
		t.Fatalf("accepted, want %q", s.want)
	}
	got := verdict.Token()
	answers := shape{
		subject: got.Subject(), client: got.ClientID(), scopes: strings.Join(got.Scopes(), " "), roles: strings.Join(got.Roles(), ","), caller: callerOf(got),
	}
	var permits []string
	for _, row := range p.policies() {
		switch denial := check(t, guard, row.policy, token).Denial(); {
		case denial == nil:
			permits = append(permits, row.name)
		case denial.Reason != row.refused:
			t.Errorf("%v: %q, want %q: %v", row.policy, denial.Reason, row.refused, denial.Cause())
		}
	}
	answers.permits = strings.Join(permits, " ")
	if want := (shape{subject: s.subject, client: s.client, scopes: s.scopes, roles: s.roles, caller: s.caller, permits: s.permits}); !reflect.DeepEqual(answers, want) {
		t.Errorf("%+v\nwant %+v", answers, want)
	}
}

func callerOf(token *validator.Token) string {
	switch {
	case token.HasUser():
		return "user"
	case token.ClientOnly():
		return "client"
	default:
		return "unknown"
	}
}

// TestAlgorithms shows that each preset refuses a token that is signed with its public
// key as a secret or not at all, and one under a published key of an algorithm that the
// provider does not use.
func TestAlgorithms(t *testing.T) {
	for _, p := range all() {
		t.Run(p.name, func(t *testing.T) {
			guard, s := p.guard(t), p.shapes[0]
			for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256","kid":"provider"}`} {
				token := strings.Split(s.sign(t), ".")
				token[0] = testkey.Encode([]byte(header))
				if d := check(t, guard, scopes.Authenticated(), strings.Join(token, ".")).Denial(); d == nil || d.Reason != validator.AlgorithmNotAllowed {
					t.Errorf("%s: %v", header, d)
				}
			}
			for _, algorithm := range []jose.Algorithm{jose.ES256, jose.PS512} {
				s.alg, s.key = algorithm, algorithm.String()
				isAllowed := slices.Contains(p.issuer.Algorithms, algorithm) || p.issuer.Algorithms == nil && algorithm == jose.ES256
				if d := check(t, guard, scopes.Authenticated(), s.sign(t)).Denial(); isAllowed != (d == nil) {
					t.Errorf("%s: %v", algorithm, d)
				}
			}
		})
	}
}

const document = "../docs/issuers.md"

// TestTables compares the tables of docs/issuers.md with the rows of TestShapes. With
// -update it writes them.
func TestTables(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"summary": summary(), "tokens": tokens()} {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok := strings.Cut(want, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no %q with its end", document, begin)
		}
		want = before + begin + table + end + after
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Errorf("the tables of %s are not those of the tests: go test ./providers -update", document)
		return
	}
	if err := os.WriteFile(document, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// verdict returns the verdict on a shape for the tables.
func (s *shape) verdict() string {
	if s.want == "" {
		return "accepted"
	}
	return "`" + string(s.want) + "`"
}

// summary returns the table of providers and kinds of tokens.
func summary() string {
	kinds := []string{user, machine, idToken, foreign, refresh, logout}
	var b strings.Builder
	fmt.Fprintf(&b, "| preset | %s |\n|%s\n", strings.Join(kinds, " | "), strings.Repeat("---|", len(kinds)+1))
	for _, p := range all() {
		fmt.Fprintf(&b, "| `%s` |", p.name)
		for _, kind := range kinds {
			cell := "–"
			if i := slices.IndexFunc(p.shapes, func(s shape) bool { return s.kind == kind }); i >= 0 {
				cell = p.shapes[i].verdict()
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// tokens returns the table of all tokens.
func tokens() string {
	var b strings.Builder
	b.WriteString("| preset | token | verdict | caller | permitted by |\n|---|---|---|---|---|\n")
	for _, p := range all() {
		for _, s := range p.shapes {
			caller, permits := s.caller, strings.ReplaceAll(s.permits, " ", ", ")
			if caller == "" {
				caller = "–"
			}
			if permits == "" {
				permits = "–"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", p.name, s.kind, s.verdict(), caller, permits)
		}
	}
	return b.String()
}

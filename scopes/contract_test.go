package scopes_test

import (
	"context"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestContract covers R-SC-10: the contract has everything that a route demands, as
// data.
func TestContract(t *testing.T) {
	write := scopes.Hierarchy{"write": {"read"}}
	hook := scopes.Check("owner", 0, func(context.Context, *validator.Token, scopes.Operation) error { return nil })
	one := func(names ...string) scopes.Requirement { return scopes.Requirement{Scopes: names} }
	for _, row := range []struct {
		policy scopes.Policy
		want   scopes.Requirement
	}{
		{scopes.Authenticated(), scopes.Requirement{}},
		{scopes.All("a", "b"), one("a", "b")},
		{scopes.Any("a"), one("a")},
		{scopes.Any("a", "b"), scopes.Requirement{Alternatives: [][]scopes.Requirement{{one("a"), one("b")}}}},
		{scopes.Or(scopes.All("a", "b")), one("a", "b")},
		{scopes.And(scopes.All("a", "b"), scopes.All("c", "a")), one("a", "b", "c")},
		{
			scopes.All("read", "x").Under(write),
			scopes.Requirement{Scopes: []string{"read", "x"}, ImpliedBy: map[string][]string{"read": {"write"}}},
		},
		{
			scopes.And(scopes.All("read").Under(write), scopes.All("x").Under(scopes.Hierarchy{"y": {"x"}})),
			scopes.Requirement{Scopes: []string{"read", "x"}, ImpliedBy: map[string][]string{"read": {"write"}, "x": {"y"}}},
		},
		{scopes.And(scopes.All("read").Under(write), scopes.All("read")), one("read")}, // the second list is under no hierarchy
		{
			scopes.And(scopes.ACR("gold", "silver"), scopes.ACR("silver", "gold", "x"), scopes.MaxAuthAge(time.Hour), scopes.MaxAuthAge(time.Minute)),
			scopes.Requirement{ACRValues: []string{"gold", "silver"}, MaxAuthAge: 60},
		},
		{ // no token has both, and And does not look into an Or
			scopes.And(scopes.Or(scopes.ACR("gold")), scopes.ACR("silver")),
			scopes.Requirement{ACRValues: []string{"gold"}, Alternatives: [][]scopes.Requirement{{{ACRValues: []string{"silver"}}}}},
		},
		{
			scopes.And(scopes.Audience("https://b"), scopes.SenderConstrained(), scopes.MaxLifetime(time.Minute), scopes.MaxTokenAge(1500*time.Millisecond)),
			scopes.Requirement{Audiences: []string{"https://b"}, MaxLifetime: 60, MaxTokenAge: 1.5, SenderConstrained: true},
		},
		{
			scopes.And(scopes.FreshlyActive(time.Minute), scopes.FreshlyActive(1500*time.Millisecond), scopes.OpaqueIssuer("https://as.example"), scopes.OpaqueIssuer("https://as.example")),
			scopes.Requirement{ActiveWithin: 1.5, OpaqueIssuer: "https://as.example"},
		},
		{scopes.And(scopes.FreshlyActive(0), scopes.FreshlyActive(1)), scopes.Requirement{ActiveWithin: -1}},
		{
			scopes.And(scopes.MFA("gold"), scopes.UserOnly(), hook, scopes.UserOnly(), scopes.ConsentWithin("c", time.Hour)),
			scopes.Requirement{Others: []string{`MFA("gold")`, "UserOnly()", `Check("owner", 1s)`, `ConsentWithin("c", 1h0m0s)`}},
		},
		{
			scopes.And(scopes.All("a"), scopes.Or(scopes.ACR("x"), scopes.And(scopes.All("b"), scopes.Roles("r")))),
			scopes.Requirement{Scopes: []string{"a"}, Alternatives: [][]scopes.Requirement{
				{{ACRValues: []string{"x"}}, {Scopes: []string{"b"}, Others: []string{`Roles("r")`}}},
			}},
		},
	} {
		contract := scopes.NewContract(route("GET /", row.policy))
		want := scopes.RouteContract{Route: "GET /", Method: "GET", Requires: row.want, Policy: row.policy.String()}
		if got := contract.Routes[0]; !sameJSON(t, got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestRequirementOfFaults shows that a policy with a fault has no requirement.
func TestRequirementOfFaults(t *testing.T) {
	for _, policy := range []scopes.Policy{{}, scopes.All(), scopes.And(scopes.All("a"), scopes.Any())} {
		if r := policy.Requirement(); !reflect.DeepEqual(r, scopes.Requirement{}) {
			t.Errorf("%v requires %+v", policy.Err(), r)
		}
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	left, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	right, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(left) == string(right)
}

// TestContractIsACopy shows that a change of a contract does not change the policy.
func TestContractIsACopy(t *testing.T) {
	policy := scopes.And(scopes.Any("a"), scopes.ACR("gold"), scopes.Audience("https://api.example"))
	text := policy.String()
	c := scopes.NewContract(route("", policy)).Routes[0]
	c.Requires.Scopes[0], c.Requires.ACRValues[0], c.Requires.Audiences[0] = "b", "silver", "https://else.example"
	refusal := decide(policy, mint(t, claims{"scope": "a", "acr": "silver"}))
	if policy.String() != text || refusal == nil || !slices.Equal(refusal.ACRValues, []string{"gold"}) ||
		!slices.Equal(policy.Needs(), []string{"a"}) || !slices.Equal(policy.Demands().Audiences, []string{"https://api.example"}) {
		t.Errorf("%v: %+v", policy, refusal)
	}
}

type namedPolicy struct {
	Name   string
	Policy scopes.Policy
}

// routesOf returns the routes as [scopes.NewContract] takes them.
func routesOf(all []namedPolicy) iter.Seq2[string, scopes.Policy] {
	return func(yield func(string, scopes.Policy) bool) {
		for _, r := range all {
			if !yield(r.Name, r.Policy) {
				return
			}
		}
	}
}

var published = []namedPolicy{
	{Name: "POST /b", Policy: scopes.Privileged(scopes.Sensitive(scopes.And(scopes.All("a"), scopes.ACR("x"), scopes.MaxAuthAge(time.Minute))))},
	{Name: "/a/", Policy: scopes.Public()},
	{Name: "GET /b", Policy: scopes.All("read").Under(scopes.Hierarchy{"write": {"read"}})},
	{Name: "/orders.v1.Orders/Get", Policy: scopes.Policy{}},
}

const document = `{
  "audiences": [
    "https://api.test"
  ],
  "routes": [
    {
      "route": "/a/",
      "public": true,
      "policy": "Public()"
    },
    {
      "route": "GET /b",
      "method": "GET",
      "requires": {
        "scopes": [
          "read"
        ],
        "implied_by": {
          "read": [
            "write"
          ]
        }
      },
      "policy": "All(\"read\").Under(Hierarchy{\"write\": {\"read\"}})"
    },
    {
      "route": "POST /b",
      "method": "POST",
      "privileged": true,
      "sensitive": true,
      "requires": {
        "scopes": [
          "a"
        ],
        "acr_values": [
          "x"
        ],
        "max_age": 60
      },
      "policy": "Privileged(Sensitive(And(All(\"a\"), ACR(\"x\"), MaxAuthAge(1m0s))))"
    },
    {
      "route": "/orders.v1.Orders/Get",
      "denied": true,
      "policy": "Policy{}"
    }
  ]
}
`

// TestContractDocument covers R-SC-10: equal contracts give equal documents, and
// encoding/json writes and reads the same contract.
func TestContractDocument(t *testing.T) {
	contract := scopes.NewContract(routesOf(published))
	contract.Audiences = []string{"https://api.test"}
	if tabbed := scopes.NewContract(route("GET\t/b", scopes.Public())); tabbed.Routes[0].Method != "GET" {
		t.Errorf("%+v", tabbed)
	}
	text, err := contract.JSON()
	if err != nil || string(text) != document {
		t.Errorf("%v\n%s", err, text)
	}
	var read scopes.Contract
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, contract) {
		t.Errorf("%v: %+v", err, read)
	}
	compact, err := json.Marshal(contract)
	if err != nil || contract.Drift(compact) != nil {
		t.Errorf("%v: %s: %v", err, compact, contract.Drift(compact))
	}
	if text, err := scopes.NewContract(route("\xff", scopes.Policy{})).JSON(); err == nil {
		t.Errorf("%q is written", text)
	}
}

// TestDrift covers R-SC-10: the error names each change, and what was committed.
func TestDrift(t *testing.T) {
	contract := scopes.NewContract(routesOf(published))
	contract.Audiences = []string{"https://api.test"}
	if err := contract.Drift([]byte(document)); err != nil {
		t.Error(err)
	}
	if err := scopes.NewContract(routesOf(slices.Concat(published[2:], published[:2]))).Drift([]byte(strings.Replace(document, `"https://api.test"`, "", 1))); err != nil {
		t.Errorf("another order: %v", err)
	}
	spaced, err := scopes.NewContract(route("GET /b", scopes.Roles("a  b"))).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := scopes.NewContract(route("GET /b", scopes.Roles("a b"))).Drift(spaced); err == nil {
		t.Error("a space less is not seen")
	}
	unwritable := scopes.NewContract(route("GET /b", scopes.Audience("\xff")))
	if err := unwritable.Drift([]byte(document)); err == nil || !strings.Contains(err.Error(), "~ GET /b: strictjson: ") {
		t.Errorf("an audience that cannot be written: %v", err)
	}
	for _, row := range []struct {
		from, to string
		want     []string
	}{
		{`"https://api.test"`, `"https://other.test"`, []string{`~ audiences: ["https://api.test"], committed is ["https://other.test"]`}},
		{`"route": "/a/"`, `"route": "/c"`, []string{"+ /a/: Public()", "- /c: Public()"}},
		{`"public": true,`, ``, []string{`~ /a/: {"route":"/a/","public":true,"policy":"Public()"}`, `committed is {"route":"/a/","policy"`}},
		{`"method": "GET",`, ``, []string{"~ GET /b: "}},
		{`"privileged": true,`, ``, []string{"~ POST /b: "}},
		{`"sensitive": true,`, ``, []string{"~ POST /b: "}},
		{`"denied": true,`, ``, []string{"~ /orders.v1.Orders/Get: "}},
		{`"max_age": 60`, `"max_age": 61`, []string{`~ POST /b: `, `"max_age":61`}},
		{`"x"`, `"y"`, []string{`~ POST /b: `, `"acr_values":["y"]`}},
		{`"write"` + "\n", `"admin"` + "\n", []string{"~ GET /b: "}},
		{`"scopes": [`, `"audiences": ["z"], "scopes": [`, []string{"~ GET /b: "}},
		{`"scopes": [`, `"max_lifetime": 0.5, "scopes": [`, []string{`~ GET /b: `, `"max_lifetime":0.5`}},
		{`"scopes": [`, `"max_token_age": 1, "scopes": [`, []string{"~ GET /b: "}},
		{`"scopes": [`, `"sender_constrained": true, "scopes": [`, []string{"~ GET /b: "}},
		{`"scopes": [`, `"active_within": -1, "scopes": [`, []string{`~ GET /b: `, `"active_within":-1`}},
		{`"scopes": [`, `"opaque_issuer": "https://as.example", "scopes": [`, []string{`~ GET /b: `, `"opaque_issuer":"https://as.example"`}},
		{`"scopes": [`, `"others": ["UserOnly()"], "scopes": [`, []string{"~ GET /b: "}},
		{`"scopes": [`, `"alternatives": [[{}]], "scopes": [`, []string{"~ GET /b: "}},
		{`1m0s`, `2m0s`, []string{"~ POST /b: "}},
		{`"POST /b"`, `"GET /b"`, []string{"+ POST /b: Privileged(", "- GET /b: Privileged("}}, // GET /b is in the document twice
		{`{` + "\n" + `      "route": "/a/"`, `{"route": "/a/", "policy": "x"}, {"route": "/a/"`, []string{"- /a/: Public()", `"policy":"x"`}},
		{`"public": true`, `"pubic": true`, []string{"cannot be read: line 8: ", "pubic"}},
		{`"routes"`, `"Routes"`, []string{"cannot be read: line 5: "}},
		{document, ``, []string{"cannot be read"}},
	} {
		err := contract.Drift([]byte(strings.Replace(document, row.from, row.to, 1)))
		for _, want := range row.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s for %s: %v, want %q in it", row.to, row.from, err, want)
			}
		}
	}
}

// TestContractAgrees covers R-SC-10: a decision by the Requirement alone is the same
// as that of the policy. Others are decided by the facts of the scene.
func TestContractAgrees(t *testing.T) {
	others := map[string]func(*scene) bool{}
	r := rand.New(rand.NewPCG(9, 9))
	for range 20_000 {
		clause := randomClause(r)
		others[clause.policy.String()] = func(s *scene) bool { return clause.permits(s, nil) }
	}
	eachLaw(t, func(r *rand.Rand, p, _ sample, s *scene) {
		policy := p.policy.Under(randomHierarchy(r))
		silver := scopes.And(policy, scopes.Or(scopes.ACR("silver"))) // policy may ask for another acr
		for _, policy := range []scopes.Policy{policy, silver} {
			contract := scopes.NewContract(route("GET /", policy)).Routes[0]
			if met := meetsAll(t, &contract.Requires, s, others); met != permits(policy, s) {
				t.Errorf("%v of %+v: the contract says %t: %+v", policy, *s, met, contract)
			}
		}
	})
}

// meetsAll decides by a Requirement, as its documentation says.
func meetsAll(t *testing.T, r *scopes.Requirement, s *scene, others map[string]func(*scene) bool) bool {
	t.Helper()
	met := len(r.ACRValues) == 0 || slices.Contains(r.ACRValues, s.acr)
	met = met && (r.MaxAuthAge == 0 || s.authAge > 0 && int64(s.authAge) <= r.MaxAuthAge)
	for _, scope := range r.Scopes {
		met = met && slices.ContainsFunc(append([]string{scope}, r.ImpliedBy[scope]...), func(does string) bool {
			return slices.Contains(s.scopes, does)
		})
	}
	for _, text := range r.Others {
		if others[text] == nil {
			t.Fatalf("the test does not know %s", text)
		}
		met = met && others[text](s)
	}
	for _, list := range r.Alternatives {
		met = met && slices.ContainsFunc(list, func(one scopes.Requirement) bool { return meetsAll(t, &one, s, others) })
	}
	return met
}

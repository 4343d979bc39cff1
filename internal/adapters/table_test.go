package adapters

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// notYet names the part that will produce a Reason, or says why no client sees it.
var notYet = map[validator.Reason]string{
	validator.Canceled:      "nobody: the caller has left; each adapter tests it by itself",
	validator.Revoked:       "waits for revocation",
	validator.BadProof:      "waits for dpop",
	validator.ProofReplayed: "waits for dpop",
	validator.NonceRequired: "waits for dpop",
}

// elsewhere says why a form of policy is in no row.
var elsewhere = map[string]string{
	"TenantFrom": "compares with a value of the operation, which Connect has not",
}

// decisions are the Decisions of a Guard.
type decisions struct {
	mu  sync.Mutex
	all []middleware.Decision
}

func (d *decisions) trace() *middleware.Trace {
	return &middleware.Trace{Decided: func(_ context.Context, decision middleware.Decision) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all = append(d.all, decision)
	}}
}

// taken returns the Decisions since the last call.
func (d *decisions) taken() []middleware.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.all
	d.all = nil
	return all
}

// TestSameAnswer covers R-GR-01, R-GR-02, R-GR-03, R-GR-04, R-GR-05 and R-GR-06: whatever is presented under whatever policy, every adapter makes the same one
// Decision with the same Reason, and its client sees the same class and the same challenge.
func TestSameAnswer(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"with metadata": {ResourceMetadata: "https://api.test/.well-known/oauth-protected-resource", Realm: `a "quoted\ realm`},
		"hidden scopes": {HideScopes: true},
	} {
		t.Run(name, func(t *testing.T) {
			issuers, told := newIssuers(t), new(decisions)
			config.Trace = told.trace()
			guard, rows := issuers.guard(t, config), issuers.rows()
			fronts := fronts(t, guard, rows)
			for i := range rows {
				var first *middleware.Denial
				for _, f := range fronts {
					got := f.call(t, i, rows[i].fields())
					all := told.taken()
					if len(all) != 1 || all[0].Transport != f.transport {
						t.Errorf("%s, %s: the decisions are %+v, want one of %s", rows[i].name, f.name, all, f.transport)
						continue
					}
					denial := all[0].Denial
					if first == nil {
						first = denial
					}
					if why := differs(&rows[i], got, denial, first); why != "" {
						t.Errorf("%s, %s: %s\n%+v", rows[i].name, f.name, why, got)
					}
				}
			}
		})
	}
}

// differs says how an answer differs from the row, from the Denial of its adapter, or
// from the Denial of the first adapter; empty if it does not.
func differs(r *row, got seen, denial, first *middleware.Denial) string {
	switch {
	case r.want == "":
		if !got.passed || denial != nil {
			return "is refused"
		}
		if anonymous := r.policy.IsPublic() || len(r.authorization) == 0; (got.subject == "none") != anonymous || got.subject == "" {
			return "the handler saw the wrong token"
		}
		return ""
	case got.passed || denial == nil:
		return "is permitted"
	case denial.Reason != r.want:
		return "the reason is " + string(denial.Reason) + ", want " + string(r.want) + ": " + denial.Cause().Error()
	case denial.Class != first.Class || !slices.Equal(denial.Challenges, first.Challenges):
		return "the class is " + string(denial.Class) + ", not " + string(first.Class) + ", or the challenges differ from " + strings.Join(first.Challenges, "|")
	case !slices.Equal(got.challenges, first.Challenges):
		return "the client does not see the challenges " + strings.Join(first.Challenges, "|")
	case got.retryAfter != denial.RetryAfter:
		return "the client is not told to wait " + denial.RetryAfter.String()
	case got.status != 0 && got.status != denial.Status, got.code != 0 && got.code != denial.Class.GRPC(), got.status == 0 && got.code == 0:
		return "the status is not that of " + string(denial.Class)
	case got.code != 0 && (got.denial == nil || got.denial.Class != denial.Class || !slices.Equal(got.denial.Challenges, first.Challenges)):
		return "the details are not those of " + string(denial.Class)
	default:
		return ""
	}
}

// TestEveryReason shows that every Reason that can be produced has a row.
func TestEveryReason(t *testing.T) {
	tested := map[validator.Reason]bool{}
	for _, row := range newIssuers(t).rows() {
		tested[row.want] = true
	}
	delete(tested, "")
	for reason, part := range notYet {
		if tested[reason] {
			t.Errorf("%s is tested, but should be left to %s", reason, part)
		}
		tested[reason] = true
	}
	var declared []validator.Reason
	for _, found := range regexp.MustCompile(`(?m)^const \w+ Reason = "(\w+)"$`).FindAllStringSubmatch(api(t, "validator"), -1) {
		declared = append(declared, validator.Reason(found[1]))
	}
	slices.Sort(declared)
	if got := slices.Sorted(maps.Keys(tested)); !slices.Equal(got, declared) {
		t.Errorf("rows have %q, declared are %q", got, declared)
	}
}

// TestEveryPolicy shows that every form of policy has a row.
func TestEveryPolicy(t *testing.T) {
	var used strings.Builder
	for _, row := range newIssuers(t).rows() {
		used.WriteString(" " + row.policy.String())
	}
	constructors := regexp.MustCompile(`(?m)^func (\w+)\(.*\) Policy$`).FindAllStringSubmatch(api(t, "scopes"), -1)
	if len(constructors) == 0 {
		t.Fatal("package scopes has no policies")
	}
	for _, found := range constructors {
		if form := found[1]; elsewhere[form] == "" && !regexp.MustCompile(`\b`+form+`\(`).MatchString(used.String()) {
			t.Errorf("no row has a policy of %s", form)
		}
	}
}

// api returns the exported API of a package of the root module.
func api(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../archtest/testdata/api/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

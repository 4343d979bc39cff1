package metrics_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// everything returns a registry in which each family has a series.
func everything(t *testing.T) *prometheus.Registry {
	t.Helper()
	trace, registry := switchOn(t)
	keys, asked := issuertest.At(t, "https://keys.test"), issuertest.At(t, "https://asked.test")
	guard := issuertest.Guard(t, middleware.Config{Trace: trace, Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{keys.Config(keys.Fetched, all), asked.OpaqueConfig(all)},
		ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
			return validator.Issuer{}, validator.ErrUnknownIssuer
		},
	})})
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	route, err := guard.Route("GET /orders/{id}", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	if denial := route.Check(t.Context(), keys.Bearer(nil), scopes.Operation{}).Denial(); denial != nil {
		t.Fatal(denial.Cause())
	}
	keep(t, guard)
	return registry
}

// TestLint checks the names, types and help texts by the rules of Prometheus.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestPromtool checks the same by promtool.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; it comes with Prometheus, on Debian in the package prometheus")
	}
	command := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	command.Stdin = strings.NewReader(string(scrape(t, everything(t))))
	if out, err := command.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) != 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTable checks that the table of docs/metrics.md has each family with its type and
// labels, and no other.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(sallyport_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		told[row[1]] = row[2] + " " + strings.ReplaceAll(strings.TrimSpace(row[3]), "`", "")
	}
	families, err := everything(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		var labels []string
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		kind := strings.ToLower(family.GetType().String())
		found, ok := told[family.GetName()]
		delete(told, family.GetName())
		if kindTold, labelsTold, _ := strings.Cut(found, " "); !ok || kindTold != kind || !sameSet(labelsTold, labels) {
			t.Errorf("%s is a %s with %q; docs/metrics.md says %q", family.GetName(), kind, labels, found)
		}
	}
	for name := range told {
		t.Errorf("docs/metrics.md has %s, which does not exist", name)
	}
}

func sameSet(list string, names []string) bool {
	n := 0
	for name := range strings.SplitSeq(list, ", ") {
		if name == "" {
			continue
		}
		n++
		found := false
		for _, other := range names {
			found = found || other == name
		}
		if !found {
			return false
		}
	}
	return n == len(names)
}

// TestIssuersThatAreNoURLs: whatever the name of an issuer is, its series can be scraped and
// have the name as their label.
func TestIssuersThatAreNoURLs(t *testing.T) {
	for _, name := range []string{"accounts.google.com", "http://sts.example.com/adfs/services/trust", "urn:example:issuer", `a "quoted" \name`, "Schlüsselamt", "{issuer}", "unknown"} {
		trace, registry := switchOn(t)
		is := issuertest.New(t)
		guard := is.Guard(t, middleware.Config{Trace: trace}, func(c *validator.Issuer) { c.URL = name })
		keep(t, guard)
		route, err := guard.Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		if denial := route.Check(t.Context(), is.Bearer(issuertest.Claims{"iss": name}), scopes.Operation{}).Denial(); denial != nil {
			t.Errorf("%s: %v", name, denial.Cause())
		}
		page := scrape(t, registry)
		label := "issuer=" + strconv.Quote(name)
		if page.sum("sallyport_decisions_total", label, `outcome="allowed"`) != 1 || page.sum("sallyport_keys_in_use", label) != 1 {
			t.Errorf("%s: %v decisions", name, page.sum("sallyport_decisions_total", label))
		}
	}
}

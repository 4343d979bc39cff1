package alertrules_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root  = "../.."
	rules = root + "/alerts/sallyport.rules.yaml"
)

// cases are the files with the tests of the rules.
var cases = []string{root + "/alerts/sallyport.test.yaml", root + "/alerts/sallyport-days.test.yaml"}

// read returns a file as text.
func read(tb testing.TB, file string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// promtool runs promtool with stdin, and fails the test if it fails. Without promtool,
// the test is skipped; .ci/run installs it.
func promtool(t *testing.T, stdin string, arguments ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; it is in the package prometheus of Debian")
	}
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Stdin = strings.NewReader(stdin)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}

// TestPromtoolRules covers R-OB-09 and situations A7, A11, A15, A16 and A17: the rules can be
// loaded, and fire in the cases in which they should and in no other.
func TestPromtoolRules(t *testing.T) {
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", append([]string{"test", "rules"}, cases...)...)
}

// alertNames returns the names of the alerts.
func alertNames(tb testing.TB) []string {
	tb.Helper()
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(tb, rules), -1) {
		names = append(names, match[1])
	}
	if len(names) < 5 {
		tb.Fatalf("only the alerts %v were found", names)
	}
	return names
}

// TestEveryAlertHasCases covers R-OB-09: every alert has a case that fires it and one that
// does not.
func TestEveryAlertHasCases(t *testing.T) {
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, match := range regexp.MustCompile(`(?m)^ +alertname: (\w+)\n +exp_alerts:(.*)$`).FindAllStringSubmatch(read(t, cases[0])+read(t, cases[1]), -1) {
		if strings.TrimSpace(match[2]) == "[]" {
			silent[match[1]] = true
		} else {
			fires[match[1]] = true
		}
	}
	for _, name := range alertNames(t) {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: a case fires it: %t; a case does not: %t", name, fires[name], silent[name])
		}
	}
}

// TestAggregated covers situation A15: no expression names a label of single instances or
// routes.
func TestAggregated(t *testing.T) {
	for _, name := range []string{"instance", "pod", "route", "node"} {
		if regexp.MustCompile(`\b(by|on|without|ignoring) \([^)]*\b` + name + `\b`).MatchString(read(t, rules)) {
			t.Errorf("a rule keeps the label %s", name)
		}
	}
}

// usage is what an expression needs of the metrics.
type usage struct {
	labels map[string]bool     // of any series
	values map[string][]string // of the labels in selectors, with = or =~, by series and label
	others map[string]bool     // labels with the values that selectors leave out, as in a series
	series map[string]bool
}

var (
	seriesPattern   = regexp.MustCompile(`(?:^|[^:\w])(sallyport_\w+)(?:\{([^}]*)\})?`) // not those of recording rules, which have a colon
	selectorPattern = regexp.MustCompile(`(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"`)
	groupingPattern = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)`)
)

// usageOf reads the names out of expressions.
func usageOf(text string) usage {
	u := usage{labels: make(map[string]bool), values: make(map[string][]string), others: make(map[string]bool), series: make(map[string]bool)}
	for _, match := range seriesPattern.FindAllStringSubmatch(text, -1) {
		u.series[match[1]] = true
		for _, selector := range selectorPattern.FindAllStringSubmatch(match[2], -1) {
			values := strings.Split(selector[3], "|")
			if strings.HasPrefix(selector[2], "!") {
				for _, value := range values {
					u.others[selector[1]+`="`+value+`"`] = true
				}
				continue
			}
			key := match[1] + " " + selector[1]
			u.values[key] = append(u.values[key], values...)
		}
	}
	for _, match := range groupingPattern.FindAllStringSubmatch(text, -1) {
		for name := range strings.SplitSeq(match[1], ",") {
			if name = strings.TrimSpace(name); name != "" {
				u.labels[name] = true
			}
		}
	}
	return u
}

// TestUsage checks that usageOf finds the names.
func TestUsage(t *testing.T) {
	u := usageOf(`job:sallyport_c:share5m > 0 and sum by (job, issuer) (rate(sallyport_a_total{outcome=~"x|y", issuer!="none"}[5m])) / on (job) group_left () sallyport_b > 0`)
	if got := slices.Sorted(maps.Keys(u.series)); !slices.Equal(got, []string{"sallyport_a_total", "sallyport_b"}) {
		t.Errorf("series %v", got)
	}
	if got := slices.Sorted(maps.Keys(u.labels)); !slices.Equal(got, []string{"issuer", "job"}) {
		t.Errorf("labels %v", got)
	}
	if got := u.values["sallyport_a_total outcome"]; !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("values %v", u.values)
	}
	if !u.others[`issuer="none"`] || len(u.values) != 1 {
		t.Errorf("values %v, others %v", u.values, u.others)
	}
}

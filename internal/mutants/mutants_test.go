package main

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
		mutated    string // part of the first mutant's source
	}{
		{name: "guard", body: "if a > 0 { return }", want: []string{"if a > 0"}, mutated: "if (a > 0) && false { return }"},
		{name: "init statement", body: "if err := f(); err != nil { return }", want: []string{"if err != nil"}, mutated: "if err := f(); (err != nil) && false { return }"},
		{name: "continue", body: "for { if a > 0 { continue } }", want: []string{"if a > 0"}},
		{name: "noted error", body: "if a > 0 { err = f() }", want: []string{"if a > 0"}},
		{name: "noted error by call", body: "if a > 0 { p.fault(1) }", want: []string{"if a > 0"}},
		{name: "no guard", body: "if a > 0 && b { a++ }"},
		{name: "return of a literal within", body: "if a > 0 { g = func() int { return 1 } }"},
		{name: "and", body: "if a > 0 && b { return }", want: []string{"if a > 0 && b", "drop a > 0 of a > 0 && b", "drop b of a > 0 && b"}},
		{name: "or", body: "if a > 0 || b { return }", want: []string{"drop a > 0 of a > 0 || b", "drop b of a > 0 || b"}, mutated: "((a > 0) && false) || b"},
		{name: "chain", body: "return b && c && d", want: []string{"drop b of b && c && d", "drop c of b && c && d", "drop d of b && c && d"}, mutated: "((b) || true) && c && d"},
		{name: "mixed", body: "return b && (c || d)", want: []string{"drop b of b && (c || d)", "drop (c || d) of b && (c || d)", "drop c of c || d", "drop d of c || d"}},
		{name: "accepting if", body: "if a > 0 { return nil }", want: []string{"if a > 0", "always a > 0"}},
		{name: "refusing else", body: "if a > 0 { a++ } else { return }", want: []string{"always a > 0"}, mutated: "if (a > 0) || true {"},
		{name: "loop condition", body: "for a > 0 && b { a++ }"},
		{name: "switch without a tag", body: "switch { case a > 0: return\ncase b: a++ }", want: []string{"case a > 0"}, mutated: "case (a > 0) && false:"},
		{name: "switch with a tag", body: "switch a { case 1, 2: return\ndefault: a++ }", want: []string{"skip case 1, 2:"}, mutated: "case 1, 2: if false { return\n}"},
		{name: "default", body: "switch a { case 1: a++\ndefault: // why\nreturn }", want: []string{"skip default:"}},
		{name: "type switch", body: "switch x.(type) { case int: return }", want: []string{"skip case int:"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := find("x/x.go", []byte("package x\n\nfunc f() {\n"+tt.body+"\n}\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range found {
				got = append(got, m.what)
				if _, err := format.Source(m.source()); err != nil {
					t.Errorf("mutant %s does not parse: %v\n%s", m, err, m.source())
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found\n%q, want\n%q", got, tt.want)
			}
			if tt.mutated != "" && !slices.ContainsFunc(found, func(m mutant) bool { return strings.Contains(string(m.source()), tt.mutated) }) {
				t.Errorf("no mutant holds %s", tt.mutated)
			}
		})
	}
}

// The gate of a made-up module: one guard that its tests ask for, one that
// another package's test asks for, one that nothing asks for, and one whose
// mutant does not compile.
const gateSource = `package gate

import "errors"

var errShut = errors.New("shut")

func Open(key string, day int) error {
	if key == "" {
		return errShut
	}
	if day == 7 {
		return errShut
	}
	if len(key) > 64 {
		return errShut
	}
	return nil
}

func Name(day int) string {
	switch day {
	case 7:
		return "Sunday"
	default:
		return "workday"
	}
}
`

func module(t *testing.T, equivalent string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GOWORK", "off")
	for name, text := range map[string]string{
		"go.mod":            "module example.com/m\n\ngo 1.26.0\n",
		"gate/gate.go":      gateSource,
		"gate/gate_test.go": "package gate\n\nimport \"testing\"\n\nfunc Test(t *testing.T) {\n\tif Open(\"\", 1) == nil || Open(\"k\", 1) != nil || Name(7) != \"Sunday\" {\n\t\tt.Fail()\n\t}\n}\n",
		"use/use_test.go":   "package use\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/gate\"\n)\n\nfunc Test(t *testing.T) {\n\tif gate.Open(\"k\", 7) == nil {\n\t\tt.Fail()\n\t}\n}\n",
		"equivalent.txt":    equivalent,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mutate(t *testing.T, dir string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"-tests", "./gate ./use ./gone", "-equivalent", "equivalent.txt"}, args...)
	code = run(t.Context(), dir, append(args, "./gate"), &out, &out)
	return code, out.String()
}

func TestRun(t *testing.T) {
	code, out := mutate(t, module(t, ""))
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{
		"/5 killed gate/gate.go:8 if key == \"\"\n",
		"/5 killed gate/gate.go:11 if day == 7\n",
		"/5 survived gate/gate.go:14 if len(key) > 64\n",
		"/5 not built gate/gate.go:22 skip case 7:\n",
		"/5 not built gate/gate.go:24 skip default:\n",
		"\n5 mutants, 2 killed, 1 survived (0 of them listed as equivalent), 2 not built\nsurvived gate/gate.go:14 if len(key) > 64\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestRunFilteredAndAllowed(t *testing.T) {
	dir := module(t, "# none\n\ngate/gate.go | if len(key) > 64 | made up\n")
	code, out := mutate(t, dir, "-run", ":14 ")
	if code != 0 || !strings.Contains(out, "1 mutants, 0 killed, 1 survived (1 of them listed as equivalent)") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

func TestRunStaleEquivalent(t *testing.T) {
	dir := module(t, "gate/gate.go | if gone || away | made up\n")
	code, out := mutate(t, dir, "-run", ":8 ")
	if code != 1 || !strings.Contains(out, "no such mutant: gate/gate.go | if gone || away") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

func TestRunMalformedEquivalent(t *testing.T) {
	if code, out := mutate(t, module(t, "gate/gate.go | no reason\n")); code != 2 || !strings.Contains(out, "equivalent.txt:1") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

func TestRunFailingBaseline(t *testing.T) {
	dir := module(t, "")
	if err := os.WriteFile(filepath.Join(dir, "gate", "red_test.go"), []byte("package gate\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Fail() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := mutate(t, dir); code != 2 || !strings.Contains(out, "fail without a mutant") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// A run in which the tests judge nothing is a failure.
func TestRunNothing(t *testing.T) {
	dir := module(t, "")
	if code, out := mutate(t, dir, "-run", "gone"); code != 2 || !strings.Contains(out, "no mutant is to be tested") {
		t.Errorf("no mutant: exit code %d and\n%s", code, out)
	}
	if code, out := mutate(t, dir, "-run", " skip "); code != 2 || !strings.Contains(out, "no mutant was built") {
		t.Errorf("mutants that are not built: exit code %d and\n%s", code, out)
	}
}

func TestList(t *testing.T) {
	code, out := mutate(t, module(t, ""), "-list")
	if code != 0 || strings.Count(out, "\n") != 5 || !strings.HasPrefix(out, "gate/gate.go:8 if key") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

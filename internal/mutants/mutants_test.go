package main

import (
	"bytes"
	"context"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
		mutated    string // part of the first mutant's source
	}{
		{name: "guard", body: "if a > 0 { return }", want: []string{"if a > 0"}, mutated: "if ((a > 0) && false) { return }"},
		{name: "init statement", body: "if err := f(); err != nil { return }", want: []string{"if err != nil"}, mutated: "if err := f(); ((err != nil) && false) { return }"},
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
		{name: "refusing else", body: "if a > 0 { a++ } else { return }", want: []string{"always a > 0"}, mutated: "if ((a > 0) || true) {"},
		{name: "loop condition", body: "for a > 0 && b { a++ }"},
		{name: "switch without a tag", body: "switch { case a > 0: return\ncase b: a++ }", want: []string{"case a > 0"}, mutated: "case ((a > 0) && false):"},
		{name: "switch with a tag", body: "switch a { case 1, 2: return\ndefault: a++ }", want: []string{"skip case 1, 2:"}, mutated: "case 1, 2: if false { return }"},
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

// All mutants of a file are written into it at once: those that enclose others
// stand outside, and each calls the switch with its number.
func TestWithSwitches(t *testing.T) {
	const head = "package x\n\nfunc f(a, b, c bool) error {\n"
	tests := []struct{ name, body, want string }{
		{
			name: "operands within a condition",
			body: "if a && b { return e }",
			want: "if ((((a) || mutantIs(1)) && ((b) || mutantIs(2))) && !mutantIs(0)) { return e }",
		},
		{
			name: "two of one condition",
			body: "if a { return nil }",
			want: "if ((((a) || mutantIs(1))) && !mutantIs(0)) { return nil }",
		},
		{
			name: "a guard in a clause",
			body: "switch x { case 1: if a { return e }; return d }",
			want: "switch x { case 1: if !mutantIs(0) { if ((a) && !mutantIs(1)) { return e }; return d } }",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := find("x/x.go", []byte(head+tt.body+"\nreturn nil\n}\n"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				found[i].number = i
			}
			got := string(withSwitches(found))
			if _, err := format.Source([]byte(got)); err != nil {
				t.Error(err)
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// A clause that cannot be skipped because the function would end without a
// return is known before anything is built.
func TestFindBroken(t *testing.T) {
	for body, want := range map[string]bool{
		"switch a { case 1: return 1\ndefault: panic(fmt.Sprint(a)) }":           true,
		"switch a { case 1: return 1\ndefault: panic(fmt.Sprint(a)) }\nreturn 2": false,
		"switch a { case 1: a++; fallthrough\ndefault: return 1 }":               true,
	} {
		found, err := find("x/x.go", []byte("package x\n\nimport \"fmt\"\n\nfunc f(a int) int {\n"+body+"\n}\n"))
		if err != nil || len(found) != 2 {
			t.Fatalf("%s: %d mutants, error %v", body, len(found), err)
		}
		for _, m := range found {
			if m.broken != want {
				t.Errorf("%s: broken is %t, want %t", m, m.broken, want)
			}
		}
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
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
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
		" left) killed gate/gate.go:8 if key == \"\"\n",
		" left) killed gate/gate.go:11 if day == 7\n",
		" left) survived gate/gate.go:14 if len(key) > 64\n",
		" left) not built gate/gate.go:22 skip case 7:\n",
		" left) not built gate/gate.go:24 skip default:\n",
		"\n5/5 (0s left) ",
		"\nsurvived: gate/gate.go:14: gate.Open | if len(key) > 64\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if counts := row(out, "gate"); !slices.Equal(counts, []string{"5", "2", "0", "1", "2"}) || !slices.Equal(counts, row(out, "all")) {
		t.Errorf("counts %q in\n%s", counts, out)
	}
}

// row returns the counts of a room in the summary: mutants, killed, killed by
// the time limit, survived, not built.
func row(out, room string) []string {
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 7 && fields[0] == room {
			return fields[1:6]
		}
	}
	return nil
}

// A guard that ends a loop is killed by the time limit.
func TestRunTimeLimit(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "gate/gate.go", gateSource+"\nfunc Count(n int) int {\n\tfor {\n\t\tn--\n\t\tif n < 0 && n > -5 {\n\t\t\treturn n\n\t\t}\n\t}\n}\n")
	write(t, dir, "gate/count_test.go", "package gate\n\nimport \"testing\"\n\nfunc TestCount(t *testing.T) {\n\tCount(1)\n}\n")
	code, out := mutate(t, dir, "-run", "if n < 0", "-timeout", "1s")
	if counts := row(out, "gate"); code != 0 || !slices.Equal(counts, []string{"1", "0", "1", "0", "0"}) {
		t.Errorf("exit code %d, counts %q and\n%s", code, counts, out)
	}
}

// Fuzz seeds and examples judge as tests do.
func TestRunFuzzAndExample(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "gate/more_test.go", `package gate

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzOpen(f *testing.F) {
	f.Add(100)
	f.Fuzz(func(t *testing.T, n int) {
		if n >= 100 && n < 200 && Open(strings.Repeat("k", n), 1) == nil {
			t.Fail()
		}
	})
}

func ExampleOpen() {
	fmt.Println(Open("k", 7))
	// Output: shut
}
`)
	if code, out := mutate(t, dir, "-tests", ""); code != 0 {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// A test that fails only because the mutants are built in judges a build of
// each mutant alone.
func TestRunUnfit(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "gate/unfit_test.go", `package gate

import (
	"os"
	"strings"
	"testing"
)

func TestUnfit(t *testing.T) {
	if os.Getenv("MUTANTS_REACHED") != "" || os.Getenv("MUTANTS_ACTIVE") != "" {
		t.Fatal("the mutants are built in")
	}
	if Open(strings.Repeat("k", 65), 1) == nil {
		t.Error("too long")
	}
}
`)
	if code, out := mutate(t, dir, "-run", ":1[14] "); code != 0 || !strings.Contains(out, "killed gate/gate.go:14") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// Tests of one name in a package and in its package of tests count as one test.
func TestRunTwoPackages(t *testing.T) {
	dir := module(t, "")
	for _, name := range []string{"gate", "gate_test"} {
		write(t, dir, "gate/"+name+"_twice_test.go", "package "+name+"\n\nimport \"testing\"\n\nfunc TestTwice(*testing.T) {}\n")
	}
	if code, out := mutate(t, dir, "-run", ":8 "); code != 0 || !strings.Contains(out, "killed gate/gate.go:8") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// A mutant that does not compile as a switch is built alone.
func TestRunAlone(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "gate/constant.go", "package gate\n\nconst early, late = true, true\n\nconst both = early && late\n")
	write(t, dir, "gate/constant_test.go", "package gate\n\nimport \"testing\"\n\nfunc TestBoth(t *testing.T) {\n\tif !both {\n\t\tt.Fail()\n\t}\n}\n")
	code, out := mutate(t, dir, "-tests", "", "-run", "drop|if key")
	if counts := row(out, "gate"); code != 1 || !slices.Equal(counts, []string{"3", "1", "0", "2", "0"}) {
		t.Errorf("exit code %d, counts %q and\n%s", code, counts, out)
	}
}

// The tests that reach a mutant run the fastest first, in batches.
func TestBatches(t *testing.T) {
	m := mutant{file: "gate/gate.go", number: 3}
	reached := map[string]bool{"gate 3": true}
	s := suite{tests: []measured{
		{name: "a", took: 60 * time.Millisecond, reached: reached},
		{name: "b", took: 70 * time.Millisecond, reached: reached},
		{name: "other", took: 80 * time.Millisecond, reached: map[string]bool{"gate 30": true, "gates 3": true}},
		{name: "c", took: 900 * time.Millisecond, reached: reached},
		{name: "d", took: 9 * time.Second, reached: reached},
	}}
	var got []string
	for _, batch := range s.batches(m) {
		var names []string
		for _, test := range batch {
			names = append(names, test.name)
		}
		got = append(got, strings.Join(names, "|"))
	}
	if want := []string{"a", "b|c", "d"}; !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
}

// Without rooms, all packages but programs and those of -skip are tried.
func TestRunEveryRoom(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "shut/shut.go", gateSource)
	write(t, dir, "program/main.go", "package main\n\nfunc main() {\n\tif len(\"\") > 0 {\n\t\treturn\n\t}\n}\n")
	for args, want := range map[string]int{"": 10, "./...": 10, "-skip=shut": 5, "./shut": 5} {
		var out bytes.Buffer
		code := run(t.Context(), dir, append([]string{"-list"}, strings.Fields(args)...), &out, &out)
		if n := strings.Count(out.String(), "\n"); code != 0 || n != want {
			t.Errorf("%s: exit code %d and %d mutants, want %d\n%s", args, code, n, want, out.String())
		}
	}
}

func TestRunFilteredAndAllowed(t *testing.T) {
	dir := module(t, "# none\n\ngate.Open | if len(key) > 64 | made up\n")
	code, out := mutate(t, dir, "-run", ":14 ")
	if code != 0 || !strings.Contains(out, " 1 (1 ok) ") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// An entry of the list that matches no mutant fails the run: of a room that was
// asked for, and with all rooms, of any.
func TestRunStaleEquivalent(t *testing.T) {
	tests := []struct {
		entry string
		every bool
		want  int
	}{
		{entry: "gate.Open | if gone || away", want: 1},
		{entry: "gate.Shut | if len(key) > 64", want: 1},
		{entry: "gate.Open | if len(key) > 64 #2", want: 1},
		{entry: "gates.Open | if len(key) > 64", want: 0},
		{entry: "gates.Open | if len(key) > 64", every: true, want: 1},
		{entry: "gate/low.Open | if len(key) > 64", want: 0},
	}
	for _, tt := range tests {
		dir := module(t, tt.entry+" | made up\n")
		args := []string{"-run", ":8 ", "-tests", "", "-equivalent", "equivalent.txt", "./gate"}
		if tt.every {
			args[len(args)-1] = everyRoom
		}
		var out bytes.Buffer
		code := run(t.Context(), dir, args, &out, &out)
		if code != tt.want || (code == 1) != strings.Contains(out.String(), "there is no such mutant: "+tt.entry+"\n") {
			t.Errorf("%s: exit code %d, want %d, and\n%s", tt.entry, code, tt.want, out.String())
		}
	}
}

// An entry of the list whose mutant is killed fails the run.
func TestRunKilledEquivalent(t *testing.T) {
	dir := module(t, "gate.Open | if key == \"\" | made up\n")
	code, out := mutate(t, dir, "-run", ":8 ")
	if code != 1 || !strings.Contains(out, "a test kills it: gate.Open | if key == \"\"\n") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// A mutant that is listed is judged by the tests of its own package alone.
func TestRunEquivalentOwnTests(t *testing.T) {
	dir := module(t, "gate.Open | if day == 7 | made up\n")
	if code, out := mutate(t, dir, "-run", ":11 "); code != 0 {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// With -state, a second run tries those that survived and those of changed
// rooms only.
func TestRunState(t *testing.T) {
	dir := module(t, "")
	file := filepath.Join(t.TempDir(), "new", "state")
	for i, want := range []int{5, 1, 5} {
		if i == 2 {
			write(t, dir, "gate/new_test.go", "package gate\n")
		}
		code, out := mutate(t, dir, "-state", file)
		if n := strings.Count(out, " left) "); code != 1 || n != want {
			t.Errorf("run %d: exit code %d and %d mutants tried, want %d\n%s", i, code, n, want, out)
		}
		if counts := row(out, "gate"); !slices.Equal(counts, []string{"5", "2", "0", "1", "2"}) {
			t.Errorf("run %d: counts %q in\n%s", i, counts, out)
		}
	}
}

// A run that is stopped says how far it came, and fails.
func TestRunStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	stop := writerFunc(func(p []byte) (int, error) {
		cancel()
		return out.Write(p)
	})
	code := run(ctx, module(t, ""), []string{"-p", "1", "-tests", "", "-equivalent", "equivalent.txt", "./gate"}, stop, &out)
	if code != 2 || !strings.Contains(out.String(), "stopped after 1 of 5 mutants") {
		t.Errorf("exit code %d and\n%s", code, out.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRunMalformedEquivalent(t *testing.T) {
	for _, text := range []string{"gate.Open | no reason\n", "gate.Open | if a | one\ngate.Open | if a | two\n"} {
		if code, out := mutate(t, module(t, text)); code != 2 || !strings.Contains(out, "equivalent.txt:") {
			t.Errorf("%s: exit code %d and\n%s", text, code, out)
		}
	}
}

func TestRunFailingBaseline(t *testing.T) {
	dir := module(t, "")
	write(t, dir, "gate/red_test.go", "package gate\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Fail() }\n")
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
	if code, out := mutate(t, dir, "./gone"); code != 2 || !strings.Contains(out, "gone has no Go files") {
		t.Errorf("room that does not exist: exit code %d and\n%s", code, out)
	}
}

func TestList(t *testing.T) {
	code, out := mutate(t, module(t, ""), "-list")
	if code != 0 || strings.Count(out, "\n") != 5 || !strings.HasPrefix(out, "gate/gate.go:8: gate.Open | if key") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
}

// A mutant's key has its function, and a number if the function has several
// alike.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/b.go", "package a\n\nfunc (t *T[K]) F() {\n\tif x {\n\t\treturn\n\t}\n\tif x {\n\t\treturn\n\t}\n}\n\n"+
		"func G() {\n\tif x {\n\t\treturn\n\t}\n}\n\nvar h = func() {\n\tif x {\n\t\treturn\n\t}\n}\n")
	found, err := findAll(dir, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.key())
	}
	if want := []string{"a.T.F | if x", "a.T.F | if x #2", "a.G | if x", "a. | if x"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

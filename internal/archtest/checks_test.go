package archtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// files is a repository as path → text.
type files map[string]string

// sound is a repository in which no check finds anything. Each test breaks one
// thing in a copy of it.
var sound = files{
	"go.work":               "go 1.26.0\n\nuse (\n\t.\n\t./tool // the binary\n)\n",
	"go.mod":                "module example.com/m\n\ngo 1.26.0\n\nrequire example.net/dep v1.0.0 // indirect\n",
	"tool/go.mod":           "module example.com/m/tool\n\ngo 1.26.0\n\nrequire example.com/m v0.0.0\n\nreplace example.com/m => ../\n",
	"tool/main.go":          "// Command tool does things.\npackage main\n\nimport (\n\t\"os\"\n\n\t_ \"example.com/m/gate\"\n)\n\nfunc main() { os.Exit(0) }\n",
	"lock/lock.go":          "// Package lock locks.\npackage lock\n\nimport _ \"example.net/dep/v2/sub\"\n",
	"gate/gate.go":          "// Package gate opens.\npackage gate\n\nimport (\n\t_ \"strings\"\n\n\t_ \"example.com/m/lock\"\n)\n",
	"gate/gate_test.go":     "package gate\n\nimport _ \"unsafe\"\n\n// Covers R-ZZ-01.\nfunc example() {\n\tx := 1\n\tif x > 0 {\n\t\t_ = x\n\t}\n}\n",
	"gate/testdata/bad.go":  "package util",
	"README.md":             "See [the gate](gate/gate.go#L1), [a site](https://example.com/x) and [below](#below).\n\n```go\nx := 1\nif x > 0 {\n\t_ = x\n}\n```\n\n```sh\nls [a](nowhere)\n```\n",
	"docs/more.md":          "[up](../README.md)\n",
	"bin/junk.go":           "not Go",
	"gate/.hidden/also.go":  "not Go",
	"lock/_unused/files.go": "not Go",
}

var soundRooms = []Room{
	{Dir: "lock", Why: "w", External: []string{"example.net/dep"}},
	{Dir: "gate", Why: "w", Rooms: []string{"lock"}},
	{Dir: "tool", Why: "w", Rooms: []string{"gate"}, Std: []string{"os"}},
}

// with returns the sound repository with some files changed.
func with(changed files) fstest.MapFS {
	fsys := fstest.MapFS{}
	all := maps.Clone(sound)
	maps.Copy(all, changed)
	for name, text := range all {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func loadFrom(t *testing.T, fsys fstest.MapFS) *Repo {
	t.Helper()
	repo, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// expect fails unless there is exactly one finding and it holds want, or none
// where want is empty.
func expect(t *testing.T, findings []string, want string) {
	t.Helper()
	if want == "" {
		if len(findings) > 0 {
			t.Errorf("found %q, want nothing", findings)
		}
		return
	}
	if len(findings) != 1 || !strings.Contains(findings[0], want) {
		t.Errorf("found %q, want one that holds %q", findings, want)
	}
}

func gate(body string) files {
	return files{"gate/gate.go": "// Package gate opens.\npackage gate\n\n" + body}
}

func TestCheckImports(t *testing.T) {
	leaf := slices.Clone(soundRooms)
	leaf[0].Leaf = true
	helper := "package helper\n"
	useHelper := "package main\n\nimport _ \"example.com/m/helper\"\n"
	forTests := append(slices.Clone(soundRooms), Room{Dir: "helper", Why: "it helps", Leaf: true, Tests: true})
	tests := []struct {
		name    string
		changed files
		rooms   []Room
		want    string
	}{
		{name: "sound"},
		{name: "room that the row does not name", changed: files{"lock/up.go": "package lock\n\nimport _ \"example.com/m/gate\"\n"}, want: "lock/up.go:3: lock must not import example.com/m/gate"},
		{name: "room below", changed: files{"lock/low/x.go": "package low\n\nimport _ \"example.com/m/gate\"\n"}, want: "lock/low/x.go:3"},
		{name: "own room", changed: files{"lock/low/x.go": "package low\n\nimport _ \"example.com/m/lock\"\n"}},
		{name: "across modules", changed: files{"tool/x.go": "package main\n\nimport _ \"example.com/m/lock\"\n"}, want: "tool must not import example.com/m/lock"},
		{name: "leaf", changed: files{"tool/x.go": "package main\n\nimport _ \"example.com/m/lock\"\n"}, rooms: leaf},
		{name: "room of tests", changed: files{"helper/x.go": helper, "tool/x.go": useHelper}, rooms: forTests, want: "only tests may (helper: it helps)"},
		{name: "room of tests in a test", changed: files{"helper/x.go": helper, "tool/x_test.go": useHelper}, rooms: forTests},
		{name: "third party", changed: gate("import _ \"example.net/dep\"\n"), want: "gate must not import example.net/dep"},
		{name: "third party with a longer name", changed: files{"lock/x.go": "package lock\n\nimport _ \"example.net/depot\"\n"}, want: "lock must not import example.net/depot"},
		{name: "restricted standard package", changed: gate("import _ \"encoding/json\"\n"), want: "keeps the last duplicate"},
		{name: "unsafe", changed: gate("import _ \"unsafe\"\n"), want: "memory safety"},
		{name: "cgo", changed: gate("import \"C\"\n"), want: "cgo"},
		{name: "folder without a row", changed: files{"yard/yard.go": "package yard\n"}, want: "yard: has no row"},
		{name: "import of a folder without a row", changed: gate("import _ \"example.com/m/yard\"\n"), want: "yard has no row"},
		{name: "row without a folder", rooms: append(slices.Clone(soundRooms), Room{Dir: "yard", Why: "w"}), want: "yard: has a row in the import table and does not exist"},
		{name: "row without a reason", rooms: append(slices.Clone(soundRooms), Room{Dir: "docs"}), want: "gives no reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := with(tt.changed)
			rooms := tt.rooms
			if rooms == nil {
				rooms = soundRooms
			}
			expect(t, CheckImports(fsys, loadFrom(t, fsys), rooms), tt.want)
		})
	}
}

// TestCheckAdapters shows that an adapter cannot decide by itself.
func TestCheckAdapters(t *testing.T) {
	adapter := func(dir string, rooms ...string) []Room {
		return append(slices.Clone(soundRooms), Room{Dir: dir, Why: "w", Adapter: true, Rooms: rooms})
	}
	source := func(body string) files {
		return files{"middleware/wireauth/x.go": "// Package wireauth adapts.\npackage wireauth\n\nfunc serve(r route) { " + body + " }\n"}
	}
	for _, tt := range []struct {
		name    string
		changed files
		rooms   []Room
		want    string
	}{
		{"sound", source("r.Check()"), adapter("middleware/wireauth", "middleware", "validator", "scopes"), ""},
		{"imports what decides", source("r.Check()"), adapter("middleware/wireauth", "middleware", "jose"), "must not import jose, which decides"},
		{"imports the keys", source("r.Check()"), adapter("tool/serve", "internal/issuerkeys"), "must not import internal/issuerkeys, which decides"},
		{"validates", source("r.Validate()"), adapter("middleware/wireauth", "middleware"), "middleware/wireauth/x.go:4: an adapter must not call Validate"},
		{"decides", source("r.policy.Decide()"), adapter("middleware/wireauth", "middleware"), "must not call Decide"},
		{"not marked", source("r.Check()"), append(slices.Clone(soundRooms), Room{Dir: "middleware/wireauth", Why: "w"}), "does not say that it is an Adapter"},
		{"another room", source("r.Validate()"), append(slices.Clone(soundRooms), Room{Dir: "middleware", Why: "w"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, CheckAdapters(loadFrom(t, with(tt.changed)), tt.rooms), tt.want)
		})
	}
}

func TestCheckModules(t *testing.T) {
	tests := []struct {
		name    string
		changed files
		want    string
	}{
		{name: "sound"},
		{name: "replace in the root", changed: files{"go.mod": sound["go.mod"] + "replace example.net/dep v1.0.0 => ../dep\n"}, want: "go.mod: replaces example.net/dep"},
		{name: "replace in a block", changed: files{"go.mod": sound["go.mod"] + "replace (\n\texample.net/dep => ../dep\n)\n"}, want: "go.mod: replaces example.net/dep"},
		{name: "replace in go.work", changed: files{"go.work": sound["go.work"] + "replace example.net/dep => ../dep\n"}, want: "go.work: replaces"},
		{name: "replace of a third party", changed: files{"tool/go.mod": "module example.com/m/tool\ngo 1.26.0\nreplace example.net/dep => ../dep\n"}, want: "only our own modules"},
		{name: "replace by a fork", changed: files{"tool/go.mod": "module example.com/m/tool\ngo 1.26.0\nreplace example.com/m => example.org/m v1.0.0\n"}, want: "only our own modules"},
		{name: "denied", changed: files{"go.mod": sound["go.mod"] + "require example.org/heavy/v3 v3.0.0\n"}, want: "example.org/heavy/v3 must not be a dependency: too heavy"},
		{name: "denied, in another module", changed: files{"tool/go.mod": "module example.com/m/tool\ngo 1.26.0\nrequire example.org/heavy v1.0.0\n"}},
		{name: "Go version of a module", changed: files{"tool/go.mod": "module example.com/m/tool\ngo 1.25.0\n"}, want: "tool/go.mod: says go 1.25.0"},
		{name: "Go version of go.work", changed: files{"go.work": "go 1.26\nuse .\nuse ./tool\n"}, want: "go.work: says go 1.26,"},
		{name: "module outside go.work", changed: files{"go.work": "go 1.26.0\nuse .\n"}, want: "tool/go.mod: is not used"},
		{name: "use without a module", changed: files{"go.work": sound["go.work"] + "use ./gone\n"}, want: "uses gone"},
		{name: "module path that is not the folder", changed: files{"tool/go.mod": "module example.com/tool\ngo 1.26.0\n"}, want: "not example.com/m/tool"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := loadFrom(t, with(tt.changed))
			expect(t, CheckModules(repo, map[string]string{"example.org/heavy": "too heavy"}), tt.want)
		})
	}
}

func TestCheckPackages(t *testing.T) {
	tests := []struct {
		name    string
		changed files
		want    string
	}{
		{name: "sound"},
		{name: "no comment", changed: files{"gate/gate.go": "package gate\n"}, want: `gate: no package comment that begins "Package gate"`},
		{name: "another name", changed: files{"gate/gate.go": "// Package gates opens.\npackage gate\n"}, want: "no package comment"},
		{name: "name only", changed: files{"gate/gate.go": "// Package gate\npackage gate\n"}, want: "no package comment"},
		{name: "command", changed: files{"tool/main.go": "// Package main does things.\npackage main\n"}, want: `"Command tool"`},
		{name: "empty name", changed: files{"gate/x/x.go": "// Package util helps.\npackage util\n"}, want: "name a package for what it holds"},
		{name: "empty folder name", changed: files{"gate/common/x.go": "// Package wide helps.\npackage wide\n"}, want: "name a package for what it holds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, CheckPackages(loadFrom(t, with(tt.changed))), tt.want)
		})
	}
}

func TestCheckDocComments(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{name: "function", body: "func Open() {}", want: "Open has no comment"},
		{name: "documented function", body: "// Open opens.\nfunc Open() {}"},
		{name: "method", body: "// T is.\ntype T[K any] struct{}\n\nfunc (t *T[K]) Open() {}", want: "T.Open has no comment"},
		{name: "method that everyone knows", body: "// T is.\ntype T struct{}\n\nfunc (T) Error() string { return \"\" }"},
		{name: "function with such a name", body: "func Error() {}", want: "Error has no comment"},
		{name: "method of an unexported type", body: "type t struct{}\n\nfunc (t) Open() {}"},
		{name: "type", body: "type T int", want: "T has no comment"},
		{name: "type in a group", body: "// All.\ntype (\n\tT int\n)", want: "T has no comment"},
		{name: "field", body: "// T is.\ntype T struct {\n\tA int // a\n\tB int\n\tc int\n}", want: "T.B has no comment"},
		{name: "field that its type names", body: "// T is. With B it does.\ntype T struct {\n\tB int\n}"},
		{name: "interface method", body: "// T is.\ntype T interface {\n\tOpen()\n}", want: "T.Open has no comment"},
		{name: "field of an unexported type", body: "type t struct{ A int }"},
		{name: "constant", body: "const A = 1", want: "A has no comment"},
		{name: "constants", body: "// All.\nconst (\n\tA = 1\n\tB = 2\n)"},
		{name: "variable in a group", body: "var (\n\tA = 1 // a\n\tB = 2\n)", want: "B has no comment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := loadFrom(t, with(gate(tt.body)))
			pkg := Public(repo)[0]
			expect(t, CheckDocComments(repo, pkg), tt.want)
		})
	}
}

func TestCheckDocWords(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{name: "function", body: "// It opens.\nfunc open() {}", want: "gate/gate.go:5: the comment of open does not start with its name"},
		{name: "longer word", body: "// Opening is what it does.\nfunc Open() {}", want: "comment of Open does"},
		{name: "documented function", body: "// open opens.\nfunc open() {}"},
		{name: "name and nothing else", body: "// Open\nfunc Open() {}"},
		{name: "function after an article", body: "// The Open opens.\nfunc Open() {}", want: "comment of Open does"},
		{name: "method", body: "type t int\n\n// closes it.\nfunc (*t) close() {}", want: "comment of t.close does"},
		{name: "type", body: "// What opens.\ntype T int", want: "comment of T does"},
		{name: "type after an article", body: "// An Opener opens.\ntype Opener int"},
		{name: "type with the name of an article", body: "// A opens.\ntype A int"},
		{name: "another type after an article", body: "// The thing opens.\ntype T int", want: "comment of T does"},
		{name: "type in a group", body: "// All.\ntype (\n\t// what opens.\n\tt int\n)", want: "gate/gate.go:7: the comment of t does"},
		{name: "field", body: "type T struct {\n\t// what opens.\n\ta int\n}", want: "comment of T.a does"},
		{name: "one of two fields", body: "type T struct {\n\t// b and a open.\n\ta, b int\n}"},
		{name: "embedded field", body: "type T struct {\n\t// what opens.\n\tio.Reader\n}"},
		{name: "interface method", body: "type T interface {\n\t// opens.\n\tOpen()\n}", want: "comment of T.Open does"},
		{name: "constant", body: "// The first.\nconst a = 1", want: "comment of a does"},
		{name: "constant in a group", body: "// All.\nconst (\n\t// what is first.\n\ta = 1\n)", want: "comment of a does"},
		{name: "group", body: "// All.\nconst (\n\ta = 1 // the first\n\tb = 2\n)"},
		{name: "blank variable", body: "// It is a reader.\nvar _ io.Reader = T{}"},
		{name: "no comment", body: "func open() {}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := loadFrom(t, with(gate(tt.body)))
			expect(t, CheckDocWords(repo, Public(repo)[0]), tt.want)
		})
	}
}

func TestCheckRetiredNames(t *testing.T) {
	for body, want := range map[string]string{
		"func f() { mercy := 1; _ = mercy }": "gate/gate.go:4: mercy is called grace",
		"func f() { _ = x.mercy }":           "mercy is called grace",
		"// mercy\nvar merciful int":         "",
	} {
		repo := loadFrom(t, with(gate(body)))
		expect(t, CheckRetiredNames(repo, Public(repo)[0], map[string]string{"mercy": "grace"}), want)
	}
}

func TestCheckForeignTypes(t *testing.T) {
	const imports = "import (\n\t\"net/http\"\n\t\"example.net/dep/v2\"\n\tother \"example.org/x\"\n\t\"example.com/m/lock\"\n)\n\n"
	tests := []struct {
		name, body string
		want       string
		allowed    map[string]string
	}{
		{name: "own and standard", body: "func Open(http.Handler) lock.T { dep.Use(); return lock.T{} }"},
		{name: "parameter", body: "func Open(dep.T) {}", want: "mentions dep.T of example.net/dep/v2"},
		{name: "result of a method", body: "type T struct{}\n\nfunc (T) Open() *other.T { return nil }", want: "other.T"},
		{name: "field", body: "type T struct{ A []dep.T }", want: "dep.T"},
		{name: "unexported field", body: "type T struct{ a []dep.T }"},
		{name: "alias", body: "type T = dep.T", want: "dep.T"},
		{name: "variable by its value", body: "var A = dep.New()", want: "dep.New"},
		{name: "unexported function", body: "func open(dep.T) {}"},
		{name: "unexported constant", body: "const a = dep.A"},
		{name: "method of an unexported type", body: "type t int\n\nfunc (t) Open(dep.T) {}"},
		{name: "allowed", body: "func Open(dep.T) {}", allowed: map[string]string{"example.net/dep": "a reason"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pkg := Public(loadFrom(t, with(gate(imports+tt.body))))[0]
			findings, err := CheckForeignTypes(pkg, tt.allowed)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, tt.want)
		})
	}
}

func TestPublic(t *testing.T) {
	fsys := with(files{
		"internal/x/x.go":      "package x\n",
		"gate/internal/y/y.go": "package y\n",
		"gate/cmd/main.go":     "package main\n",
		"tool/lib/lib.go":      "package lib\n",
	})
	var dirs []string
	for _, pkg := range Public(loadFrom(t, fsys)) {
		dirs = append(dirs, pkg.Dir)
	}
	if want := []string{"gate", "lock"}; !slices.Equal(dirs, want) {
		t.Errorf("public packages %q, want %q", dirs, want)
	}
}

func TestRenderedAPI(t *testing.T) {
	body := `import "time"

// Open opens.
func Open(a, b int) (n int, err error) { return 0, nil }

func hidden() {}

// T is.
type T struct {
	// A is.
	A    int

	LongName time.Duration // is
	b    int
}

func (t *T) Close() {}
func (t *T) hide()  {}

type local struct{}

func (local) Close() {}

type I interface {
	Do()
	do()
}

type R string

const (
	First  R = "first"
	Second R = "second"
	third  R = "third"
)

const (
	X K = 1 << iota
	y
	Y
)

type K int

var ErrX = newError("x")
var D time.Duration = 5
`
	want := `const First R = "first"
const Second R = "second"
const X K = 1 << 0
const Y K = 1 << 2
var D time.Duration
var ErrX = newError("x")
type I interface {
	Do()
	// contains filtered or unexported methods
}
type K int
type R string
type T struct {
	A int
	LongName time.Duration
	// contains filtered or unexported fields
}
func (t *T) Close()
func Open(a, b int) (n int, err error)
`
	pkg := Public(loadFrom(t, with(gate(body))))[0]
	got, err := API(pkg)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("rendered\n%s\nwant\n%s\ndifference\n%s", got, want, DiffAPI(want, got))
	}
	n, err := ExportedNames(pkg)
	if err != nil {
		t.Fatal(err)
	}
	if n != 9 { // Open, T, I, R, K, ErrX, D, and a group each of R and K
		t.Errorf("%d exported names, want 9", n)
	}
}

func TestExportedNames(t *testing.T) {
	tests := []struct {
		name, body string
		want       int
	}{
		{"untyped group", "const (\n\tA = 1\n\tB = 2\n)", 2},
		{"group of two types", "const (\n\tA T = 1\n\tB U = 2\n)", 2},
		{"typed group with an untyped member", "const (\n\tA T = 1\n\tB = 2\n)", 2},
		{"group by conversion", "const (\n\tA = T(1)\n\tB = T(2)\n)", 1},
		{"repeated", "const (\n\tA T = iota\n\tB\n\tC\n)", 1},
		{"variables", "var (\n\tA T = 1\n\tB T = 2\n)", 2},
		{"methods", "func (T) A() {}\n\nfunc (T) B() {}", 0},
		{"unexported", "const a T = 1", 0},
		{"unexported beside exported", "const (\n\ta T = iota\n\tB\n)", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ExportedNames(Public(loadFrom(t, with(gate(tt.body))))[0])
			if err != nil || n != tt.want {
				t.Errorf("%d names and %v, want %d", n, err, tt.want)
			}
		})
	}
}

func TestDiffAPI(t *testing.T) {
	const old = "const A = 1\ntype T struct {\n\tA int\n\tB int\n}\nfunc F()\n"
	const updated = "const A = 1\ntype T struct {\n\tA int\n}\nfunc F()\nfunc G()\n"
	want := "- type T struct {\n- \tA int\n- \tB int\n- }\n+ type T struct {\n+ \tA int\n+ }\n+ func G()\n"
	if got := DiffAPI(old, updated); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckSnippets(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{name: "indented in the document", doc: "1. Do:\n\n   ```go\n   if x > 0 {\n   \t_ = x\n   }\n   ```\n"},
		{name: "changed", doc: "text\n\n```go\nif x > 1 {\n\t_ = x\n}\n```\n", want: "docs/more.md:3"},
		{name: "other indentation within", doc: "```go\nif x > 0 {\n_ = x\n}\n```\n", want: "docs/more.md:1"},
		{name: "tilde fence with attributes", doc: "~~~~go title=x\ny := 1\n~~~~\n", want: "docs/more.md:1"},
		{name: "other language", doc: "```yaml\na: 1\n```\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings, err := CheckSnippets(with(files{"docs/more.md": tt.doc}))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, tt.want)
		})
	}
}

func TestCheckConfigurations(t *testing.T) {
	const (
		marked  = "package run\n\nfunc f() {\n\t// snippet\n\tv, err := validator.New(validator.Config{\n\t\tIssuers: x,\n\t})\n\t// end of snippet\n\tx()\n\tmiddleware.New(middleware.Config{})\n}\n"
		snippet = "v, err := validator.New(validator.Config{\n\tIssuers: x,\n})\n"
	)
	tests := []struct{ name, doc, want string }{
		{name: "marked", doc: "```go\n" + snippet + "```\n"},
		{name: "changed", doc: "```go\n" + strings.Replace(snippet, "x", "y", 1) + "```\n", want: "docs/more.md:1"},
		{name: "part of a marked one", doc: "text\n\n```go\nv, err := validator.New(validator.Config{\n```\n", want: "docs/more.md:3"},
		{name: "outside the marks", doc: "```go\nmiddleware.New(middleware.Config{})\n```\n", want: "docs/more.md:1"},
		{name: "no language", doc: "```\nmiddleware.For(issuer)\n```\n", want: "docs/more.md:1"},
		{name: "issuer alone", doc: "```go\nissuer := validator.Issuer{}\n```\n", want: "docs/more.md:1"},
		{name: "metadata", doc: "```go\nmeta, err := resourcemeta.New(config)\n```\n", want: "docs/more.md:1"},
		{name: "configures nothing", doc: "```go\nerr := guard.Validator().ForbidKey(ctx, validator.KeyName{})\n```\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings, err := CheckConfigurations(with(files{
				"docs/more.md": tt.doc, "run/run_test.go": marked,
				"gate/x_test.go": "// snippet\nmiddleware.New(middleware.Config{})\n// end of snippet\n", // in another folder
			}), "run")
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, tt.want)
		})
	}
}

func TestCheckCommentCode(t *testing.T) {
	const comment = "// Package gate opens.\n//\n//\tv, err := validator.New(\n//\t\tconfig,\n//\t)\n//\n//\tx()\n//\n// More.\npackage gate\n"
	const test = "package gate\n\nfunc f() {\n\tv, err := validator.New(\n\t\tconfig,\n\t)\n\n\tx()\n}\n"
	tests := []struct {
		name    string
		changed files
		want    string
	}{
		{name: "tested", changed: files{"gate/gate.go": comment, "gate/x_test.go": test}},
		{name: "tested elsewhere", changed: files{"gate/gate.go": comment, "lock/x_test.go": test}, want: "gate/gate.go:3"},
		{name: "changed", changed: files{"gate/gate.go": comment, "gate/x_test.go": strings.Replace(test, "x()", "y()", 1)}, want: "gate/gate.go:3"},
		{name: "in a comment of a function", changed: gate("// F is.\n//\n//    guard, err := middleware.For(issuer)\nfunc F() {}\n"), want: "gate/gate.go:6"},
		{name: "configures nothing", changed: gate("// F is.\n//\n//\tx()\nfunc F() {}\n")},
		{name: "code and no comment", changed: gate("var v = validator.New(config)\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings, err := CheckCommentCode(with(tt.changed))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, tt.want)
		})
	}
}

func TestCheckLinks(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{name: "sound", doc: "[a](../gate/gate.go), [b](../docs), [c](mailto:x@example.com)"},
		{name: "missing", doc: "one\n[a](../gate/gone.go#L3)", want: "docs/more.md:2: ../gate/gone.go#L3 leads nowhere"},
		{name: "outside", doc: "[a](../../shared/x.md)", want: "leads nowhere"},
		{name: "absolute", doc: "[a](/gate/gate.go)", want: "leads nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings, err := CheckLinks(with(files{"docs/more.md": tt.doc}))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, tt.want)
		})
	}
}

func TestTrace(t *testing.T) {
	ids := Catalogue("| id | text |\n|---|---|\n| R-ZZ-01 | see R-ZZ-09 |\n| R-ZZ-02 | x |\n")
	if want := []string{"R-ZZ-01", "R-ZZ-02"}; !slices.Equal(ids, want) {
		t.Fatalf("catalogue %q, want %q", ids, want)
	}
	fsys := with(files{
		"internal/archtest/x_test.go": "// R-ZZ-07",
		"gate/other.go":               "package gate // R-ZZ-02\n",
		"lock/lock_test.go":           "package lock\n\n// R-ZZ-03 R-ZZ-01 R-ZZ-01, not XR-ZZ-04 or R-ZZ-055\n",
	})
	traced, err := Traced(fsys)
	if err != nil {
		t.Fatal(err)
	}
	want := "R-ZZ-01  tested   gate/gate_test.go:5, lock/lock_test.go:3\nR-ZZ-02  not yet\n1 of 2 requirements are named by a test\n"
	if got := Report(ids, traced); got != want {
		t.Errorf("report\n%s\nwant\n%s", got, want)
	}
	expect(t, CheckKnown(ids, traced), "lock/lock_test.go:3: R-ZZ-03 is not in the catalogue")
	expect(t, CheckTraced([]string{"R-ZZ-01", "R-ZZ-03"}, traced), "")
	expect(t, CheckTraced([]string{"R-ZZ-01"}, traced), "R-ZZ-03: is new, in lock/lock_test.go:3")
	expect(t, CheckTraced([]string{"R-ZZ-01", "R-ZZ-02", "R-ZZ-03"}, traced), "R-ZZ-02: was named by a test and is no longer")
}

package archtest

import (
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func load(t *testing.T) (fs.FS, *Repo) {
	t.Helper()
	fsys := os.DirFS(root)
	repo, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return fsys, repo
}

// report fails with one line for each finding.
func report(t *testing.T, findings []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		t.Error(finding)
	}
}

// TestImports covers R-OB-10 too: no room imports what serves profiles or variables.
func TestImports(t *testing.T) {
	fsys, repo := load(t)
	report(t, CheckImports(fsys, repo, Rooms), nil)
}

func TestAdapters(t *testing.T) {
	_, repo := load(t)
	report(t, CheckAdapters(repo, Rooms), nil)
}

func TestModules(t *testing.T) {
	_, repo := load(t)
	report(t, CheckModules(repo, DeniedModules), nil)
}

// TestUserDependencies shows that who imports the public packages of the root builds no
// package of a denied module.
func TestUserDependencies(t *testing.T) {
	_, repo := load(t)
	var others []string
	for _, pkg := range Public(repo) {
		if pkg.Dir != "metrics" {
			others = append(others, "./"+pkg.Dir)
		}
	}
	withoutMetrics := dependenciesOf(t, others)
	report(t, CheckDependencies(withoutMetrics, DeniedPackages), nil)
	report(t, CheckDependencies(slices.Concat(withoutMetrics, dependenciesOf(t, []string{"./metrics"})), DeniedModules), nil)
}

// dependenciesOf returns all packages that these packages of the root build.
func dependenciesOf(t *testing.T, packages []string) []string {
	t.Helper()
	args := append([]string{"list", "-deps"}, packages...)
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = root
	command.Env = append(os.Environ(), "GOWORK=off")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	dependencies := strings.Fields(string(out))
	if !slices.Contains(dependencies, "github.com/lestrrat-go/jwx/v3/jwk") {
		t.Errorf("%d packages, and jwx is not among them", len(dependencies))
	}
	return dependencies
}

func TestPackages(t *testing.T) {
	_, repo := load(t)
	report(t, CheckPackages(repo), nil)
}

func TestDocComments(t *testing.T) {
	_, repo := load(t)
	for _, pkg := range Public(repo) {
		report(t, CheckDocComments(repo, pkg), nil)
	}
}

func TestDocWords(t *testing.T) {
	_, repo := load(t)
	for _, pkg := range repo.Packages {
		report(t, slices.Concat(CheckDocWords(repo, pkg), CheckRetiredNames(repo, pkg, RetiredNames)), nil)
	}
}

func TestForeignTypes(t *testing.T) {
	_, repo := load(t)
	for _, pkg := range Public(repo) {
		findings, err := CheckForeignTypes(pkg, ForeignTypes)
		report(t, findings, err)
	}
}

func TestExportedCount(t *testing.T) {
	_, repo := load(t)
	total := 0
	for _, pkg := range Public(repo) {
		n, err := ExportedNames(pkg)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%3d %s", n, pkg.Dir)
		total += n
	}
	t.Logf("%3d exported names of at most %d", total, MaxExported)
	if total > MaxExported {
		t.Errorf("the root module exports %d names; the bound is %d", total, MaxExported)
	}
}

func TestAPI(t *testing.T) {
	_, repo := load(t)
	dir := filepath.Join("testdata", "api")
	stale := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stale[file] = true
	}
	for _, pkg := range Public(repo) {
		api, err := API(pkg)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, GoldenName(pkg))
		delete(stale, file)
		golden, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if string(golden) == api {
			continue
		}
		if *update {
			write(t, file, api)
			continue
		}
		t.Errorf("the exported API of %s changed; if that is meant: go test ./internal/archtest -update\n%s",
			pkg.Dir, DiffAPI(string(golden), api))
	}
	for file := range stale {
		if !*update {
			t.Errorf("%s: its package is gone; if that is meant: go test ./internal/archtest -update", file)
		} else if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func TestSnippets(t *testing.T) {
	findings, err := CheckSnippets(os.DirFS(root))
	report(t, findings, err)
}

func TestConfigurations(t *testing.T) {
	findings, err := CheckConfigurations(os.DirFS(root), "examples/snippets", "examples/routers", "benchmarks/migrating")
	report(t, findings, err)
	if findings, _ = CheckConfigurations(os.DirFS(root), "docs"); len(findings) == 0 { // it holds no snippets
		t.Error("the documents configure nothing, so that this test says nothing")
	}
}

func TestCommentCode(t *testing.T) {
	findings, err := CheckCommentCode(os.DirFS(root))
	report(t, findings, err)
}

func TestLinks(t *testing.T) {
	findings, err := CheckLinks(os.DirFS(root))
	report(t, findings, err)
}

func TestTraceKnown(t *testing.T) {
	file := os.Getenv("SALLYPORT_REQUIREMENTS")
	if file == "" {
		file = filepath.Join(root, "..", "shared", "REQUIREMENTS.md")
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no requirement catalogue beside the repository; set SALLYPORT_REQUIREMENTS")
	}
	if err != nil {
		t.Fatal(err)
	}
	ids := Catalogue(string(text))
	if len(ids) == 0 {
		t.Fatalf("%s has no requirement rows", file)
	}
	traced, err := Traced(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckKnown(ids, traced), nil)
	t.Log("\n" + Report(ids, traced))
}

func TestTraceKept(t *testing.T) {
	traced, err := Traced(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "traced.txt")
	if *update {
		ids := slices.Sorted(maps.Keys(traced))
		write(t, file, strings.Join(append(ids, ""), "\n"))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckTraced(strings.Fields(string(text)), traced), nil)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote %s", file)
}

package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const rootPath = "github.com/sallyport-auth/sallyport"

// repository makes a git repository of files, committed, and returns its
// folder.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	t.Setenv("GOWORK", "")
	t.Setenv("GOFLAGS", "")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, name := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+name+"_NAME", "test")
		t.Setenv("GIT_"+name+"_EMAIL", "test@example.com")
	}
	dir := t.TempDir()
	gitIn(t, dir, "init", "--quiet", "--initial-branch=main")
	for name, text := range files {
		write(t, dir, name, text)
	}
	gitIn(t, dir, "add", "--all")
	gitIn(t, dir, "commit", "--quiet", "--message", "start")
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

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t.Context(), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// state is what a release may change: the branch, the tags and the tree.
func state(t *testing.T, dir string) string {
	t.Helper()
	return gitIn(t, dir, "rev-parse", "HEAD") + "\n" + gitIn(t, dir, "tag", "--list") + "\n" +
		gitIn(t, dir, "status", "--porcelain", "--ignored") + "\n" + gitIn(t, dir, "worktree", "list")
}

func releaseIn(t *testing.T, dir string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = run(t.Context(), dir, args, &out, &out)
	return code, out.String()
}

// moduleFiles returns go.work and the go.mod and go.sum files of this
// repository.
func moduleFiles(t *testing.T) map[string]string {
	t.Helper()
	const tree = "../.."
	modules, err := readModules(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	names := []string{"go.work"}
	for _, m := range modules {
		names = append(names, filepath.ToSlash(filepath.Join(m.dir, "go.mod")), filepath.ToSlash(filepath.Join(m.dir, "go.sum")))
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name)))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err == nil {
			files[name] = string(text)
		}
	}
	return files
}

// The modules of this repository, released twice: first without, then with
// changes to the branch and the tags.
func TestRelease(t *testing.T) {
	files := moduleFiles(t)
	dir := repository(t, files)
	before := state(t, dir)

	code, out := releaseIn(t, dir, "-n", "v0.1.0")
	if code != 0 || !strings.Contains(out, "dry run: nothing was changed") || !strings.Contains(out, "benchmarks/go.mod") {
		t.Fatalf("dry run: exit code %d and\n%s", code, out)
	}
	if after := state(t, dir); after != before {
		t.Errorf("after a dry run\n%s\nbefore\n%s", after, before)
	}

	code, out = releaseIn(t, dir, "v0.1.0")
	if code != 0 || !strings.Contains(out, "git push --atomic origin HEAD v0.1.0 ") {
		t.Fatalf("exit code %d and\n%s", code, out)
	}
	checkReleased(t, dir, "v0.1.0", files)

	write(t, dir, "more.go", "package sallyport\n")
	gitIn(t, dir, "add", "--all")
	gitIn(t, dir, "commit", "--quiet", "--message", "more")
	if code, out := releaseIn(t, dir, "v0.2.0"); code != 0 {
		t.Fatalf("exit code %d and\n%s", code, out)
	}
	checkReleased(t, dir, "v0.2.0", files)
}

// checkReleased fails unless all modules at dir are released in a version.
func checkReleased(t *testing.T, dir, version string, before map[string]string) {
	t.Helper()
	if work := read(t, dir, "go.work"); work != before["go.work"] {
		t.Errorf("go.work is now\n%s", work)
	}
	if left := gitIn(t, dir, "status", "--porcelain", "--ignored"); left != "" {
		t.Errorf("left in the tree: %s", left)
	}
	if subject := gitIn(t, dir, "log", "-1", "--format=%s"); subject != "release: "+version {
		t.Errorf("the commit is called %q", subject)
	}
	head := gitIn(t, dir, "rev-parse", "HEAD")
	modules, err := readModules(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) < 2 || modules[0].dir != "." {
		t.Fatalf("modules %+v", modules)
	}
	for _, m := range modules {
		if tagged := gitIn(t, dir, "rev-parse", m.tag(version)+"^{commit}"); tagged != head {
			t.Errorf("%s is %s, not %s", m.tag(version), tagged, head)
		}
		mod := read(t, dir, m.dir+"/go.mod")
		if strings.Contains(mod, "replace") {
			t.Errorf("%s/go.mod has a replace:\n%s", m.dir, mod)
		}
		if m.dir == "." {
			if mod != before["go.mod"] {
				t.Errorf("go.mod is now\n%s", mod)
			}
			continue
		}
		if !strings.Contains(mod, "\t"+rootPath+" "+version+"\n") {
			t.Errorf("%s/go.mod does not require the root in %s:\n%s", m.dir, version, mod)
		}
		sum := read(t, dir, m.dir+"/go.sum")
		if strings.Count(sum, rootPath+" "+version+" h1:") != 1 || strings.Count(sum, rootPath+" "+version+"/go.mod h1:") != 1 || strings.Count(sum, rootPath+" ") != 2 {
			t.Errorf("%s/go.sum has not one pair of checksums of the root:\n%s", m.dir, sum)
		}
		if lines := strings.Fields(sum); !slices.IsSortedFunc(everyThird(lines), strings.Compare) {
			t.Errorf("%s/go.sum is not in order", m.dir)
		}
	}
}

// everyThird returns the module paths of a go.sum's fields.
func everyThird(fields []string) []string {
	var out []string
	for i := 0; i < len(fields); i += 3 {
		out = append(out, fields[i])
	}
	return out
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// family is a root with two nested modules, of which one requires the other.
func family() map[string]string {
	return map[string]string{
		"go.work":    "go 1.26.0\n\nuse (\n\t./a\n\t.\n\t./b/c\n)\n",
		"go.mod":     "module " + rootPath + "\n\ngo 1.26.0\n",
		"root.go":    "package sallyport\n",
		"a/go.mod":   "module " + rootPath + "/a\n\ngo 1.26.0\n\nrequire (\n\t" + rootPath + " v0.0.0\n\t" + rootPath + "/b/c v0.0.0\n)\n\nreplace " + rootPath + " => ..\n\nreplace " + rootPath + "/b/c => ../b/c\n",
		"a/a.go":     "package a\n\nimport (\n\t_ \"" + rootPath + "\"\n\t_ \"" + rootPath + "/b/c\"\n)\n",
		"b/c/go.mod": "module " + rootPath + "/b/c\n\ngo 1.26.0\n\nrequire " + rootPath + " v0.0.0\n\nreplace " + rootPath + " => ../..\n",
		"b/c/c.go":   "package c\n\nimport _ \"" + rootPath + "\"\n",
	}
}

// A module may require its siblings. The checksums are those that the go tool
// finds when the tags are public.
func TestReleaseSiblings(t *testing.T) {
	dir := repository(t, family())
	if code, out := releaseIn(t, dir, "v1.2.3-rc.1"); code != 0 {
		t.Fatalf("exit code %d and\n%s", code, out)
	}
	if tags := gitIn(t, dir, "tag", "--list"); tags != "a/v1.2.3-rc.1\nb/c/v1.2.3-rc.1\nv1.2.3-rc.1" {
		t.Errorf("tags %q", tags)
	}
	cache := t.TempDir()
	env := []string{
		"GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE=" + cache, "GOPROXY=direct", "GOPRIVATE=" + rootPath, "GOTOOLCHAIN=local",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + filepath.ToSlash(dir) + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + rootPath,
	}
	for _, args := range [][]string{{"mod", "tidy", "-diff"}, {"build", "./..."}} {
		if out, err := output(t.Context(), filepath.Join(dir, "a"), env, "go", args...); err != nil || out != "" {
			t.Errorf("go %q: %v\n%s", args, err, out)
		}
	}
}

// A replace directive may name a version, of which a module may have several.
func TestReleaseVersionedReplace(t *testing.T) {
	files := family()
	files["b/c/go.mod"] += "\nreplace " + rootPath + " v0.0.0 => ../../\n\nreplace " + rootPath + " v0.1.0 => ../../\n"
	dir := repository(t, files)
	if code, out := releaseIn(t, dir, "v1.2.3"); code != 0 {
		t.Fatalf("exit code %d and\n%s", code, out)
	}
	if mod := read(t, dir, "b/c/go.mod"); strings.Contains(mod, "replace") {
		t.Errorf("b/c/go.mod has a replace:\n%s", mod)
	}
}

// A replace directive that is not dropped, whatever the reason, is an error.
func TestPinReplaceLeft(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/go.mod", family()["a/go.mod"])
	for _, m := range []module{
		{dir: "a"},
		{dir: "a", requires: []string{rootPath}, replaces: []replaced{{Path: rootPath}}},
	} {
		if err := pin(t.Context(), dir, m, "v1.2.3"); err == nil || !strings.Contains(err.Error(), "a/go.mod still replaces "+rootPath) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		tags    []string
		changed map[string]string // committed
		dirty   string            // file that is not committed
		args    []string
		want    string
	}{
		{name: "no version", want: "want one version"},
		{name: "two versions", args: []string{"v1.2.3", "v1.2.4"}, want: "want one version"},
		{name: "no v", args: []string{"1.2.3"}, want: "no semantic version"},
		{name: "two numbers", args: []string{"v1.2"}, want: "no semantic version"},
		{name: "leading zero", args: []string{"v1.02.3"}, want: "no semantic version"},
		{name: "build metadata", args: []string{"v1.2.3+linux"}, want: "no semantic version"},
		{name: "option of git", args: []string{"--", "-d"}, want: "no semantic version"},
		{name: "major version of another path", args: []string{"v2.0.0"}, want: "end in its number"},
		{name: "changed file", dirty: "root.go", args: []string{"v1.2.3"}, want: "not committed"},
		{name: "new file", dirty: "new.go", args: []string{"v1.2.3"}, want: "not committed"},
		{name: "same version", tags: []string{"v1.2.3"}, args: []string{"v1.2.3"}, want: "the tag v1.2.3 exists"},
		{name: "tag of a nested module", tags: []string{"b/c/v1.2.3"}, args: []string{"v1.2.3"}, want: "the tag b/c/v1.2.3 exists"},
		{name: "lower version", tags: []string{"v1.2.3", "v1.10.0", "other"}, args: []string{"v1.9.0"}, want: "v1.9.0 is lower than the tag v1.10.0"},
		{name: "prerelease of a release", tags: []string{"v1.2.3"}, args: []string{"v1.2.3-rc.1"}, want: "lower than the tag v1.2.3"},
		{name: "replace of a third party", changed: map[string]string{"b/c/go.mod": family()["b/c/go.mod"] + "\nreplace example.com/x => ../x\n"}, args: []string{"v1.2.3"}, want: "replaces example.com/x"},
		{name: "replace of a version of a third party", changed: map[string]string{"b/c/go.mod": family()["b/c/go.mod"] + "\nreplace example.com/x v1.0.0 => ../x\n"}, args: []string{"v1.2.3"}, want: "replaces example.com/x@v1.0.0"},
		{name: "circle", changed: map[string]string{"b/c/go.mod": "module " + rootPath + "/b/c\n\ngo 1.26.0\n\nrequire " + rootPath + "/a v0.0.0\n"}, args: []string{"v1.2.3"}, want: "in a circle"},
		{name: "no root", changed: map[string]string{"go.work": "go 1.26.0\n\nuse ./b/c\n"}, args: []string{"v1.2.3"}, want: "does not use the root module"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := family()
			maps.Copy(files, tt.changed)
			dir := repository(t, files)
			for _, tag := range tt.tags {
				gitIn(t, dir, "tag", tag)
			}
			if tt.dirty != "" {
				write(t, dir, tt.dirty, "package changed\n")
			}
			before := state(t, dir)
			code, out := releaseIn(t, dir, tt.args...)
			if code == 0 || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d and %q, want %q", code, out, tt.want)
			}
			if after := state(t, dir); after != before {
				t.Errorf("a refusal changed\n%s\nto\n%s", before, after)
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	ascending := []string{
		"v0.9.0", "v1.0.0-1", "v1.0.0-2", "v1.0.0-10", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta",
		"v1.0.0-beta", "v1.0.0", "v1.0.1", "v1.2.0", "v1.10.0", "v2.0.0",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			v, errA := parseVersion(a)
			w, errB := parseVersion(b)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if c := v.compare(w); (c < 0) != (i < j) || (c > 0) != (i > j) {
				t.Errorf("%s compared with %s: %d", a, b, c)
			}
		}
	}
}

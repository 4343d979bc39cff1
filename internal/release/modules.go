package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// module is what is read of a go.mod.
type module struct {
	dir      string     // slash-separated, from the root of the repository; "." for the root module
	path     string     // module path
	requires []string   // paths of modules of this repository
	replaces []replaced // what it replaces
}

// replaced is what a replace directive replaces: one version of a module, or all of
// them if Version is empty.
type replaced struct{ Path, Version string }

// String returns path or path@version, as go mod edit -dropreplace wants it.
func (r replaced) String() string {
	if r.Version == "" {
		return r.Path
	}
	return r.Path + "@" + r.Version
}

// tag returns the name of the tag that publishes the module.
func (m module) tag(version string) string { return path.Join(m.dir, version) }

// readModules reads the modules that go.work names. A module stands behind
// those that it requires.
func readModules(ctx context.Context, dir string) ([]module, error) {
	var work struct {
		Use []struct{ DiskPath string }
	}
	if err := readJSON(ctx, dir, &work, "work", "edit", "-json"); err != nil {
		return nil, err
	}
	var found []module
	for _, use := range work.Use {
		m, err := readModule(ctx, dir, path.Clean(use.DiskPath))
		if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	if !slices.ContainsFunc(found, func(m module) bool { return m.dir == "." }) {
		return nil, errors.New("go.work does not use the root module")
	}
	for i := range found {
		found[i].requires = slices.DeleteFunc(found[i].requires, func(name string) bool {
			return !slices.ContainsFunc(found, func(m module) bool { return m.path == name })
		})
	}
	return inOrder(found)
}

func readModule(ctx context.Context, root, dir string) (module, error) {
	var mod struct {
		Module  struct{ Path string }
		Require []struct{ Path string }
		Replace []struct{ Old replaced }
	}
	if err := readJSON(ctx, filepath.Join(root, filepath.FromSlash(dir)), &mod, "mod", "edit", "-json"); err != nil {
		return module{}, err
	}
	m := module{dir: dir, path: mod.Module.Path}
	for _, r := range mod.Require {
		m.requires = append(m.requires, r.Path)
	}
	for _, r := range mod.Replace {
		m.replaces = append(m.replaces, r.Old)
	}
	return m, nil
}

// inOrder puts each module behind those that it requires.
func inOrder(modules []module) ([]module, error) {
	var out []module
	placed := func(name string) bool {
		return slices.ContainsFunc(out, func(m module) bool { return m.path == name })
	}
	for len(out) < len(modules) {
		before := len(out)
		for _, m := range modules {
			if !placed(m.path) && !slices.ContainsFunc(m.requires, func(name string) bool { return !placed(name) }) {
				out = append(out, m)
			}
		}
		if len(out) == before {
			return nil, errors.New("modules require each other in a circle")
		}
	}
	return out, nil
}

func readJSON(ctx context.Context, dir string, into any, args ...string) error {
	text, err := output(ctx, dir, nil, "go", args...)
	if err != nil {
		return err
	}
	return decode(text, into)
}

func decode(text string, into any) error { return json.Unmarshal([]byte(text), into) }

// pin makes m require the modules of this repository in version, without
// replacing them. It returns an error if a replace directive is left.
func pin(ctx context.Context, dir string, m module, version string) error {
	args := []string{"mod", "edit"}
	for _, name := range m.requires {
		args = append(args, "-require="+name+"@"+version)
	}
	for _, old := range m.replaces {
		if !slices.Contains(m.requires, old.Path) {
			return fmt.Errorf("%s/go.mod replaces %s, which it does not require or which is not of this repository", m.dir, old)
		}
		args = append(args, "-dropreplace="+old.String())
	}
	if len(args) > 2 {
		if _, err := output(ctx, filepath.Join(dir, filepath.FromSlash(m.dir)), nil, "go", args...); err != nil {
			return err
		}
	}
	pinned, err := readModule(ctx, dir, m.dir)
	if err != nil {
		return err
	}
	if len(pinned.replaces) > 0 {
		return fmt.Errorf("%s/go.mod still replaces %s", m.dir, pinned.replaces[0])
	}
	return nil
}

// addSums writes the two lines of a module's version into a go.sum, in order,
// and removes those of its other versions.
func addSums(file, name, version string, sums moduleSums) error {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, name+" ")
	})
	at := slices.IndexFunc(lines, func(line string) bool {
		other, _, _ := strings.Cut(line, " ")
		return other > name
	})
	if at < 0 {
		at = len(lines)
	}
	lines = slices.Insert(lines, at, name+" "+version+" "+sums.Sum+"\n", name+" "+version+"/go.mod "+sums.GoModSum+"\n")
	return os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644)
}

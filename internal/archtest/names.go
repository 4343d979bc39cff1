package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

var emptyNames = []string{"util", "utils", "common", "core", "types", "helper", "helpers", "misc", "shared", "base"}

// CheckPackages reports packages whose name says nothing, and packages without
// a comment that begins "Package name" or, for programs, "Command folder".
func CheckPackages(repo *Repo) []string {
	var out []string
	for _, pkg := range repo.Packages {
		if slices.Contains(emptyNames, pkg.Name) || slices.Contains(emptyNames, path.Base(pkg.Dir)) {
			out = append(out, fmt.Sprintf("%s: package %s: name a package for what it holds", pkg.Dir, pkg.Name))
		}
		want := "Package " + pkg.Name
		if pkg.Name == "main" {
			want = "Command " + path.Base(pkg.Dir)
		}
		documented := slices.ContainsFunc(pkg.Files, func(f File) bool {
			words := strings.Fields(f.AST.Doc.Text())
			return len(words) > 2 && words[0]+" "+words[1] == want
		})
		if !documented {
			out = append(out, fmt.Sprintf("%s: no package comment that begins %q", pkg.Dir, want))
		}
	}
	return out
}

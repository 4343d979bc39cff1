package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Repo is the parsed source of all modules of a repository. Paths are relative
// to its root and slash-separated.
type Repo struct {
	Modules  []Module // in order of their folders
	Packages []Package
	Work     Workspace
	fset     *token.FileSet
}

// Workspace is what is read of go.work.
type Workspace struct {
	Go       string
	Uses     []string // folders, "." for the root
	Replaces []Replace
}

// Module is what is read of a go.mod.
type Module struct {
	Dir      string // "." for the root
	Path     string
	Go       string
	Requires []string // direct and indirect
	Replaces []Replace
}

// Replace is one replace directive.
type Replace struct{ Old, New string }

// Package is the Go files of one folder, without those that end in _test.go.
type Package struct {
	Dir    string
	Name   string
	Module Module
	Files  []File
}

// File is one parsed Go file.
type File struct {
	Path string
	AST  *ast.File
	src  []byte
}

// Load reads go.work and every go.mod, and parses every package's non-test
// files. It skips what the go tool skips: testdata, vendor and folders that
// start with a dot or an underscore; and bin.
func Load(fsys fs.FS) (*Repo, error) {
	repo := &Repo{fset: token.NewFileSet()}
	work, err := fs.ReadFile(fsys, "go.work")
	if err != nil {
		return nil, err
	}
	repo.Work = parseWork(work)

	var sources []File
	err = walk(fsys, func(name string) error {
		isMod := path.Base(name) == "go.mod"
		if !isMod && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if isMod {
			repo.Modules = append(repo.Modules, parseMod(path.Dir(name), src))
			return nil
		}
		file, err := parser.ParseFile(repo.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		sources = append(sources, File{Path: name, AST: file, src: src})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(repo.Modules, func(a, b Module) int { return strings.Compare(a.Dir, b.Dir) })
	for _, file := range sources {
		if err := repo.add(file); err != nil {
			return nil, err
		}
	}
	return repo, nil
}

// add puts a file into its package. Files arrive in the order of their paths.
func (r *Repo) add(file File) error {
	dir, name := path.Dir(file.Path), file.AST.Name.Name
	for i := range r.Packages {
		if p := &r.Packages[i]; p.Dir == dir && p.Name == name {
			p.Files = append(p.Files, file)
			return nil
		}
	}
	module, ok := r.moduleOf(dir)
	if !ok {
		return fmt.Errorf("archtest: %s is in no module", file.Path)
	}
	r.Packages = append(r.Packages, Package{Dir: dir, Name: name, Module: module, Files: []File{file}})
	return nil
}

func (r *Repo) moduleOf(dir string) (Module, bool) {
	var best Module
	for _, m := range r.Modules {
		if within(dir, m.Dir) && len(m.Dir) >= len(best.Dir) {
			best = m
		}
	}
	return best, best.Dir != ""
}

// folder returns the folder of an import path that belongs to this repository.
func (r *Repo) folder(importPath string) (string, bool) {
	var best Module
	for _, m := range r.Modules {
		if within(importPath, m.Path) && len(m.Path) > len(best.Path) {
			best = m
		}
	}
	if best.Path == "" {
		return "", false
	}
	return path.Join(best.Dir, strings.TrimPrefix(importPath, best.Path)), true
}

// where renders a position as path:line.
func (r *Repo) where(pos token.Pos) string {
	p := r.fset.Position(pos)
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// within reports whether name is dir or lies below it.
func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// walk calls visit with every file that is part of the repository.
func walk(fsys fs.FS, visit func(name string) error) error {
	return fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case !entry.IsDir():
			return visit(name)
		case name == ".":
			return nil
		case base == "testdata", base == "vendor", base == "node_modules", name == "bin", base[0] == '.', base[0] == '_':
			return fs.SkipDir
		default:
			return nil
		}
	})
}

func parseMod(dir string, src []byte) Module {
	m := Module{Dir: dir}
	for _, d := range directives(src) {
		switch d[0] {
		case "module":
			m.Path = d[1]
		case "go":
			m.Go = d[1]
		case "require":
			m.Requires = append(m.Requires, d[1])
		case "replace":
			m.Replaces = append(m.Replaces, parseReplace(d))
		}
	}
	return m
}

func parseWork(src []byte) Workspace {
	var w Workspace
	for _, d := range directives(src) {
		switch d[0] {
		case "go":
			w.Go = d[1]
		case "use":
			w.Uses = append(w.Uses, path.Clean(d[1]))
		case "replace":
			w.Replaces = append(w.Replaces, parseReplace(d))
		}
	}
	return w
}

// parseReplace reads "replace old [version] => new [version]".
func parseReplace(d []string) Replace {
	r := Replace{Old: d[1]}
	if i := slices.Index(d, "=>"); i >= 0 && i+1 < len(d) {
		r.New = d[i+1]
	}
	return r
}

// directives splits a go.mod or go.work into its directives, with blocks
// flattened: each has its verb first and at least one argument.
func directives(src []byte) [][]string {
	var out [][]string
	block := ""
	for line := range bytes.Lines(src) {
		text, _, _ := strings.Cut(string(line), "//")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
		case fields[0] == ")":
			block = ""
		case block != "":
			out = append(out, append([]string{block}, fields...))
		case len(fields) == 2 && fields[1] == "(":
			block = fields[0]
		case len(fields) >= 2:
			out = append(out, fields)
		}
	}
	return out
}

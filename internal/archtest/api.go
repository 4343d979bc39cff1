package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxExported bounds the exported top-level names of the root module, counted
// as by [ExportedNames]: an API that a reviewer can hold in mind. A new room raises
// it on purpose; the words of the policy language are a quarter of it.
const MaxExported = 240

// ForeignTypes holds the third-party import path prefixes that may appear in
// an exported API, with the reason.
var ForeignTypes = map[string]string{
	"github.com/prometheus/client_golang/prometheus": "package metrics registers with the registerer of the program and is a collector",
}

// Public returns the packages of the root module that users can import.
func Public(repo *Repo) []Package {
	var out []Package
	for _, pkg := range repo.Packages {
		internal := slices.Contains(strings.Split(pkg.Dir, "/"), "internal")
		if pkg.Module.Dir == "." && pkg.Name != "main" && !internal {
			out = append(out, pkg)
		}
	}
	return out
}

// GoldenName is the name of the file that holds a package's exported API.
func GoldenName(pkg Package) string {
	if pkg.Dir == "." {
		return pkg.Name + ".txt"
	}
	return strings.ReplaceAll(pkg.Dir, "/", ".") + ".txt"
}

// API renders the exported declarations of a package: constants with their
// values, variables, types with their exported fields and methods, functions.
// It depends on neither comments nor layout nor the order of declarations.
func API(pkg Package) (string, error) {
	var entries []entry
	for _, file := range pkg.Files {
		f, fset, err := exported(file)
		if err != nil {
			return "", err
		}
		for _, decl := range f.Decls {
			more, err := render(fset, decl)
			if err != nil {
				return "", err
			}
			entries = append(entries, more...)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.kind != b.kind {
			return a.kind - b.kind
		}
		return strings.Compare(a.name+"\n"+a.text, b.name+"\n"+b.text)
	})
	var b strings.Builder
	for _, e := range slices.Compact(entries) {
		b.WriteString(e.text + "\n")
	}
	return b.String(), nil
}

// entry is one exported declaration. Methods sort behind their type.
type entry struct {
	kind       int // constants, variables, types with their methods, functions
	name, text string
}

// exported parses a file anew, without comments, and trims what is not
// exported. Constants are still whole, since iota counts the unexported too.
func exported(file File) (*ast.File, *token.FileSet, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file.Path, file.src, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	constants := map[*ast.GenDecl][]ast.Spec{}
	var order []*ast.GenDecl
	for _, decl := range f.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.CONST {
			constants[gen] = slices.Clone(gen.Specs)
			order = append(order, gen)
		}
	}
	ast.FileExports(f)
	f.Decls = slices.DeleteFunc(f.Decls, func(decl ast.Decl) bool {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			decl.Body = nil
			receiver := receiverName(decl)
			return receiver != "" && !ast.IsExported(receiver)
		case *ast.GenDecl:
			return decl.Tok == token.CONST
		default:
			return false
		}
	})
	for _, gen := range order {
		gen.Specs = constants[gen]
		f.Decls = append(f.Decls, gen)
	}
	return f, fset, nil
}

func render(fset *token.FileSet, decl ast.Decl) ([]entry, error) {
	if fn, ok := decl.(*ast.FuncDecl); ok {
		text, err := source(fset, fn)
		if receiver := receiverName(fn); receiver != "" {
			return []entry{{2, receiver + "." + fn.Name.Name, text}}, err
		}
		return []entry{{3, fn.Name.Name, text}}, err
	}
	gen, ok := decl.(*ast.GenDecl)
	if !ok {
		return nil, nil
	}
	var out []entry
	var repeated *ast.ValueSpec // the constant that those without a value repeat
	for i, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			text, err := source(fset, spec)
			if err != nil {
				return nil, err
			}
			out = append(out, entry{2, spec.Name.Name, "type " + text})
		case *ast.ValueSpec:
			if repeated == nil || gen.Tok == token.VAR || len(spec.Values) > 0 {
				repeated = spec
			}
			more, err := renderValues(fset, gen.Tok, spec.Names, repeated, i)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

var iotas = regexp.MustCompile(`\biota\b`)

// renderValues renders each name of a const or var specification as an entry,
// with the type and values of spec. The value of a variable is no part of the
// API, short of telling its type.
func renderValues(fset *token.FileSet, tok token.Token, names []*ast.Ident, spec *ast.ValueSpec, index int) ([]entry, error) {
	var out []entry
	for i, name := range names {
		if !name.IsExported() {
			continue
		}
		e := entry{name: name.Name, text: tok.String() + " " + name.Name}
		if tok == token.VAR {
			e.kind = 1
		}
		if spec.Type != nil {
			t, err := source(fset, spec.Type)
			if err != nil {
				return nil, err
			}
			e.text += " " + t
		}
		if i < len(spec.Values) && (tok == token.CONST || spec.Type == nil) {
			v, err := source(fset, spec.Values[i])
			if err != nil {
				return nil, err
			}
			if tok == token.CONST {
				v = iotas.ReplaceAllString(v, strconv.Itoa(index))
			}
			if first, _, cut := strings.Cut(v, "\n"); cut {
				v = first + "…"
			}
			e.text += " = " + v
		}
		out = append(out, e)
	}
	return out, nil
}

var spaces = regexp.MustCompile(`(\S)[ \t]+`)

// source formats a node with one space where gofmt aligns, and without blank
// lines.
func source(fset *token.FileSet, node any) (string, error) {
	var b bytes.Buffer
	if err := format.Node(&b, fset, node); err != nil {
		return "", err
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimRight(line, " \t\n"); line != "" {
			lines = append(lines, spaces.ReplaceAllString(line, "$1 "))
		}
	}
	return strings.Join(lines, "\n"), nil
}

func receiverName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// DiffAPI lists the declarations that differ between two renderings of [API],
// those of old with a minus and those of new with a plus.
func DiffAPI(old, updated string) string {
	was, is := declarations(old), declarations(updated)
	var b strings.Builder
	for _, d := range was {
		if !slices.Contains(is, d) {
			b.WriteString("- " + strings.ReplaceAll(d, "\n", "\n- ") + "\n")
		}
	}
	for _, d := range is {
		if !slices.Contains(was, d) {
			b.WriteString("+ " + strings.ReplaceAll(d, "\n", "\n+ ") + "\n")
		}
	}
	return b.String()
}

func declarations(api string) []string {
	var out []string
	for line := range strings.Lines(api) {
		line = strings.TrimSuffix(line, "\n")
		if len(out) > 0 && (strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "}")) {
			out[len(out)-1] += "\n" + line
		} else {
			out = append(out, line)
		}
	}
	return out
}

// ExportedNames counts the exported top-level names of a package. A const
// group of one named type counts as one name.
func ExportedNames(pkg Package) (int, error) {
	n := 0
	for _, file := range pkg.Files {
		f, _, err := exported(file)
		if err != nil {
			return 0, err
		}
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					n++
				}
			case *ast.GenDecl:
				n += exportedSpecs(decl)
			}
		}
	}
	return n, nil
}

func exportedSpecs(decl *ast.GenDecl) int {
	n, group := 0, ""
	oneType := decl.Tok == token.CONST
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			n++
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() {
					n++
				}
			}
			if spec.Type == nil && len(spec.Values) == 0 {
				continue // repeats the constant before it, with its type
			}
			typ := typeName(spec)
			oneType = oneType && typ != "" && (group == "" || group == typ)
			group = typ
		}
	}
	if oneType {
		return min(n, 1)
	}
	return n
}

// typeName is the type of a constant that says it, as in "A T = 1" or
// "A = T(1)".
func typeName(spec *ast.ValueSpec) string {
	if id, ok := spec.Type.(*ast.Ident); ok {
		return id.Name
	}
	if len(spec.Values) == 1 {
		if call, ok := spec.Values[0].(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok {
				return id.Name
			}
		}
	}
	return ""
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// CheckForeignTypes reports third-party packages that appear in the exported
// API of a package: their major versions would become ours.
func CheckForeignTypes(pkg Package, allowed map[string]string) ([]string, error) {
	var out []string
	for _, file := range pkg.Files {
		f, fset, err := exported(file)
		if err != nil {
			return nil, err
		}
		foreign := foreignImports(f, pkg.Module.Path, allowed)
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && !slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) {
				return false
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && foreign[id.Name] != "" {
				out = append(out, fmt.Sprintf("%s:%d: exported API mentions %s.%s of %s",
					file.Path, fset.Position(sel.Pos()).Line, id.Name, sel.Sel.Name, foreign[id.Name]))
			}
			return true
		})
	}
	return out, nil
}

// foreignImports maps the names of a file's third-party imports to their paths.
func foreignImports(f *ast.File, own string, allowed map[string]string) map[string]string {
	out := map[string]string{}
imports:
	for _, spec := range f.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		first, _, _ := strings.Cut(importPath, "/")
		if err != nil || !strings.Contains(first, ".") || within(importPath, own) {
			continue
		}
		for prefix := range allowed {
			if within(importPath, prefix) {
				continue imports
			}
		}
		name := path.Base(importPath)
		if version.MatchString(name) {
			name = path.Base(path.Dir(importPath))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = importPath
	}
	return out
}

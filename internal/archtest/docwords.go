package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"unicode"
)

// RetiredNames are names that were replaced, each with the name that says what
// the thing is.
var RetiredNames = map[string]string{
	"catch":   "fetchResult",
	"keeping": "storeState",
	"manner":  "responseStyle",
	"mercy":   "grace",
	"proven":  "everAccepted",
	"strays":  "lateRuns",
}

// CheckRetiredNames reports identifiers of [RetiredNames], each once a package.
func CheckRetiredNames(repo *Repo, pkg Package, retired map[string]string) []string {
	var out []string
	seen := map[string]bool{}
	for _, file := range pkg.Files {
		ast.Inspect(file.AST, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			if instead := retired[id.Name]; instead != "" && !seen[id.Name] {
				seen[id.Name] = true
				out = append(out, fmt.Sprintf("%s: %s is called %s", repo.where(id.Pos()), id.Name, instead))
			}
			return true
		})
	}
	return out
}

// CheckDocWords reports doc comments that do not start with the name that they
// document. It asks it of exported and unexported names alike:
//
//   - The comment of a function or method starts with its name.
//   - The comment of a type starts with its name, or with its name after "A",
//     "An" or "The".
//   - The comment of constants, variables, fields or interface methods starts
//     with one of their names.
//
// The comment of a group in parentheses is free, and so are those of generated
// files. A missing comment is no finding here; see [CheckDocComments].
func CheckDocWords(repo *Repo, pkg Package) []string {
	var out []string
	wrong := func(at ast.Node, of, name string) {
		out = append(out, fmt.Sprintf("%s: the comment of %s%s does not start with its name", repo.where(at.Pos()), of, name))
	}
	for _, file := range pkg.Files {
		if ast.IsGenerated(file.AST) {
			continue
		}
		for _, decl := range file.AST.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if first, _ := firstWord(decl.Doc.Text()); decl.Doc != nil && first != decl.Name.Name {
					wrong(decl, prefix(receiverName(decl)), decl.Name.Name)
				}
			case *ast.GenDecl:
				checkWordsOfSpecs(decl, wrong)
			}
		}
	}
	return out
}

func checkWordsOfSpecs(decl *ast.GenDecl, wrong func(at ast.Node, of, name string)) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			if doc := docOf(decl, spec.Doc); !startsWithOne(doc, spec.Names) {
				wrong(spec, "", spec.Names[0].Name)
			}
		case *ast.TypeSpec:
			name := spec.Name.Name
			doc := docOf(decl, spec.Doc).Text()
			first, rest := firstWord(doc)
			if slices.Contains([]string{"A", "An", "The"}, first) && name != first {
				first, _ = firstWord(rest)
			}
			if doc != "" && first != name {
				wrong(spec, "", name)
			}
			for _, field := range fieldsOf(spec) {
				if !startsWithOne(field.Doc, field.Names) {
					wrong(field, prefix(name), field.Names[0].Name)
				}
			}
		}
	}
}

// docOf returns the comment of a spec. Without parentheses it is the comment of
// the declaration.
func docOf(decl *ast.GenDecl, spec *ast.CommentGroup) *ast.CommentGroup {
	if decl.Lparen.IsValid() {
		return spec
	}
	return decl.Doc
}

// startsWithOne reports whether doc starts with one of names. It is true
// without a comment, and without names, as an embedded field is.
func startsWithOne(doc *ast.CommentGroup, names []*ast.Ident) bool {
	if doc.Text() == "" || len(names) == 0 {
		return true
	}
	first, _ := firstWord(doc.Text())
	return slices.ContainsFunc(names, func(name *ast.Ident) bool { return name.Name == first || name.Name == "_" })
}

// fieldsOf returns the fields of a struct or the methods of an interface.
func fieldsOf(spec *ast.TypeSpec) []*ast.Field {
	switch t := spec.Type.(type) {
	case *ast.StructType:
		return t.Fields.List
	case *ast.InterfaceType:
		return t.Methods.List
	default:
		return nil
	}
}

// firstWord splits text behind its first name or word.
func firstWord(text string) (first, rest string) {
	i := strings.IndexFunc(text, notInName)
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

func notInName(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }

package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"unicode"
)

// selfEvident are the methods whose contract is that of the interface which
// everyone knows.
var selfEvident = []string{"Error", "Is", "String", "Unwrap"}

// CheckDocComments reports exported names without a comment: top-level names,
// methods, struct fields and interface methods. A group's comment covers its
// constants and variables, and a type's comment the fields that it names;
// embedded fields and [selfEvident] methods need none.
func CheckDocComments(repo *Repo, pkg Package) []string {
	var out []string
	missing := func(name *ast.Ident, of string) {
		out = append(out, fmt.Sprintf("%s: %s%s has no comment", repo.where(name.Pos()), of, name.Name))
	}
	for _, file := range pkg.Files {
		for _, decl := range file.AST.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				receiver := receiverName(decl)
				reachable := decl.Recv == nil || token.IsExported(receiver)
				evident := decl.Recv != nil && slices.Contains(selfEvident, decl.Name.Name)
				if decl.Name.IsExported() && reachable && !evident && decl.Doc == nil {
					missing(decl.Name, prefix(receiver))
				}
			case *ast.GenDecl:
				checkSpecs(decl, missing)
			}
		}
	}
	return out
}

func checkSpecs(decl *ast.GenDecl, missing func(*ast.Ident, string)) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			if decl.Doc != nil || spec.Doc != nil || spec.Comment != nil {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					missing(name, "")
				}
			}
		case *ast.TypeSpec:
			if !spec.Name.IsExported() {
				continue
			}
			if spec.Doc == nil && (decl.Doc == nil || decl.Lparen.IsValid()) {
				missing(spec.Name, "")
			}
			doc := spec.Doc.Text()
			if !decl.Lparen.IsValid() {
				doc += decl.Doc.Text()
			}
			checkFields(spec, doc, missing)
		}
	}
}

func checkFields(spec *ast.TypeSpec, doc string, missing func(*ast.Ident, string)) {
	var fields *ast.FieldList
	switch t := spec.Type.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return
	}
	words := strings.FieldsFunc(doc, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, field := range fields.List {
		if field.Doc != nil || field.Comment != nil {
			continue
		}
		for _, name := range field.Names {
			if name.IsExported() && !slices.Contains(words, name.Name) {
				missing(name, prefix(spec.Name.Name))
			}
		}
	}
}

func prefix(typ string) string {
	if typ == "" {
		return ""
	}
	return typ + "."
}

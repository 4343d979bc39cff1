package audit_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// sites says of each function of package middleware that makes a Denial which test finds its record, or why there is none.
var sites = map[string]string{
	"deny":         "a helper of those below",
	"denialOf":     "a helper of those below",
	"missing":      "TestDenials: unlisted, method",
	"decide":       "TestRefusedElsewhere: a panic",
	"denyFound":    "TestDenials",
	"refuse":       "TestDenials: grammar, two credentials",
	"visit":        "TestHeldEnd",
	"ask":          "as visit: both end the Held, which is told",
	"Renew":        "TestRefusedElsewhere: renewal; none without a Held, which has no Guard",
	"answerable":   "repeats a Denial that was told, or is that of a zero value",
	"unrenewable":  "repeats the Denial of the end, which was told, or says that the handler has returned",
	"replace":      "TestRefusedElsewhere: renewal, with the record of Renew",
	"judge":        "none: a zero Route has no hooks",
	"hold":         "none: a zero Route has no hooks; a ctx that cannot be used has a record of its end",
	"EndWithToken": "none: a zero Guard has no hooks; a chain of handlers that is wired wrongly is no request of a caller",
	"ServeHTTP":    "none: zero values, and as EndWithToken",
	"Protect":      "none: a zero Route has no hooks",

	"ParseErrorInfo": "none: it reads the refusal of another server, which told it",
}

// TestDenialSites (A13): every function of package middleware that makes a Denial is in the table, so that no refusal without a record is added unseen.
func TestDenialSites(t *testing.T) {
	found := map[string]bool{}
	files, err := fs.Glob(os.DirFS("../middleware"), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), "../middleware/"+name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Body != nil && function.Name.Name != "newDenial" && makesDenial(function.Body) {
				found[function.Name.Name] = true
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(sites)); !slices.Equal(got, want) {
		t.Errorf("Denials are made in\n%q, and the table has\n%q", got, want)
	}
}

// makesDenial reports whether a function makes a Denial.
func makesDenial(body *ast.BlockStmt) (makes bool) {
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			name := ""
			switch function := node.Fun.(type) {
			case *ast.Ident:
				name = function.Name
			case *ast.SelectorExpr:
				if x, ok := function.X.(*ast.Ident); !ok || x.Name != "m" { // the missing of a Mux returns a Route
					name = function.Sel.Name
				}
			}
			makes = makes || name == "newDenial" || name == "denialOf" || name == "missing" || name == "deny"
		case *ast.CompositeLit:
			if ident, ok := node.Type.(*ast.Ident); ok && ident.Name == "Denial" {
				makes = true
			}
		}
		return true
	})
	return makes
}

// TestRefusedElsewhere (A13): a panic of a hook and a refused renewal are one record each.
func TestRefusedElsewhere(t *testing.T) {
	s := newScene(t, func(c *audit.Config) { c.RequestID = nil })
	panics, err := s.guard.Route("panics", scopes.Check("panic", 0, func(context.Context, *validator.Token, scopes.Operation) error { panic("x") }))
	if err != nil {
		t.Fatal(err)
	}
	read, err := s.guard.Route("read", scopes.All("read"))
	if err != nil {
		t.Fatal(err)
	}
	good := validator.Presentation{Scheme: validator.Bearer, Token: s.issuer.Sign(testissuer.Token{Scope: "read"})}
	panics.Check(t.Context(), good, scopes.Operation{})
	if all := s.written(t); len(all) != 1 || all[0]["outcome"] != "undetermined" || all[0]["route"] != "panics" {
		t.Errorf("%v", all)
	}
	held := read.Hold(t.Context(), read.Check(t.Context(), good, scopes.Operation{}), middleware.Holding{Presentation: good})
	defer held.Release()
	for i, token := range []testissuer.Token{{}, {Scope: "read", Claims: map[string]any{"sub": "another"}}} {
		before := len(s.written(t))
		denial := held.Renew(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: s.issuer.Sign(token)}, scopes.Operation{})
		if all := s.written(t)[before:]; denial == nil || len(all) != 1 || all[0]["reason"] != string(denial.Reason) || all[0]["route"] != "read" {
			t.Errorf("%d: %v, %v", i, denial, all)
		}
	}
}

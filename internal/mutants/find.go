package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mutant is one way to break a file. Text is inserted around a condition or
// around the body of a clause. The text holds the word true or false, whose
// opposite restores the original; see [instrument].
type mutant struct {
	file       string // slash-separated, from the working directory
	line       int
	function   string // "Name" or "Type.Name"; empty outside functions
	what       string // the code concerned, on one line; see find
	number     int    // number of mutants before it in the room
	repeat     int    // number of mutants before it with the same function and what
	src        []byte // of the original file
	start, end int    // the part of src that before and after enclose
	before     string
	after      string
	broken     bool // does not compile, so that no test can judge it
	alone      bool // does not compile as a switch, and is built on its own
}

// String is "file:line what".
func (m mutant) String() string { return m.file + ":" + strconv.Itoa(m.line) + " " + m.what }

// room is the folder of the mutant's package.
func (m mutant) room() string { return path.Dir(m.file) }

// key names the mutant by its room, its function and what it breaks, so that
// it stays the same when lines are added or a function moves to another file
// of its room.
func (m mutant) key() string {
	key := m.room() + "." + m.function + " | " + m.what
	if m.repeat > 0 {
		key += " #" + strconv.Itoa(m.repeat+1)
	}
	return key
}

// id names the mutant in the environment of instrumented code.
func (m mutant) id() string { return m.room() + " " + strconv.Itoa(m.number) }

// source returns the file with the mutant in it.
func (m mutant) source() []byte {
	return slices.Concat(m.src[:m.start], []byte(m.before), m.src[m.start:m.end], []byte(m.after), m.src[m.end:])
}

// find returns the mutants of a file. Each is described by what it breaks:
//
//	if COND              the guard's condition is never true
//	always COND          the condition of an if that accepts, or whose else refuses, is always true
//	drop X of COND       an operand of && or || has no influence
//	skip case X:         the body of a guarding clause is not executed
//
// A guard is an if or a clause whose body returns, branches, panics, or notes
// an error. Conditions of loops are left alone, since without them a loop may
// not end. All variables stay in use, so that nearly every mutant compiles.
// A condition that is an || is not deleted as a whole: a test that notices the
// loss of one operand notices the loss of all.
func find(file string, src []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	fd := finder{file: file, src: src, fset: fset, seen: map[ast.Expr]bool{}}
	for _, decl := range f.Decls {
		fd.function = functionName(decl)
		ast.Inspect(decl, fd.visit)
	}
	slices.SortStableFunc(fd.found, func(a, b mutant) int { return a.start - b.start })
	return fd.found, nil
}

// functionName returns "Name" or "Type.Name" for a function or method.
func functionName(decl ast.Decl) string {
	fn, ok := decl.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if fn.Recv == nil {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr:
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

type finder struct {
	file     string
	src      []byte
	fset     *token.FileSet
	function string            // that visit is in
	seen     map[ast.Expr]bool // operators that are done with or left alone
	found    []mutant
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		f.ifStmt(n)
	case *ast.ForStmt:
		f.leave(n.Cond)
	case *ast.SwitchStmt:
		f.clauses(n.Body, n.Tag == nil)
	case *ast.TypeSwitchStmt:
		f.clauses(n.Body, false)
	case *ast.BinaryExpr:
		f.operands(n)
	}
	return true
}

func (f *finder) ifStmt(n *ast.IfStmt) {
	otherwise, _ := n.Else.(*ast.BlockStmt)
	refusedElse := otherwise != nil && guards(otherwise.List)
	if !guards(n.Body.List) && !refusedElse {
		f.leave(n.Cond)
		return
	}
	if guards(n.Body.List) {
		f.never(n.Cond, "if "+f.text(n.Cond))
	}
	if refusedElse || accepts(n.Body.List) {
		f.add(n.Cond, "always "+f.text(n.Cond), "((", ") || true)")
	}
}

// never makes a condition false, short of an ||, whose operands are dropped.
func (f *finder) never(cond ast.Expr, what string) {
	if or, ok := ast.Unparen(cond).(*ast.BinaryExpr); ok && or.Op == token.LOR {
		return
	}
	f.add(cond, what, "((", ") && false)")
}

// clauses handles the clauses of a switch. Without a tag, their expressions are
// conditions.
func (f *finder) clauses(body *ast.BlockStmt, conditions bool) {
	for _, stmt := range body.List {
		clause, ok := stmt.(*ast.CaseClause)
		if !ok || len(clause.Body) == 0 {
			continue
		}
		if !guards(clause.Body) {
			for _, expr := range clause.List {
				f.leave(expr)
			}
			continue
		}
		if conditions && clause.List != nil {
			for _, expr := range clause.List {
				f.never(expr, "case "+f.text(expr))
			}
			continue
		}
		last := clause.Body[len(clause.Body)-1]
		start, end := f.offset(clause.Colon)+1, f.offset(last.End())
		m := mutant{
			file: f.file, function: f.function, src: f.src, line: f.fset.Position(clause.Pos()).Line,
			what:  "skip " + oneLine(string(f.src[f.offset(clause.Pos()):start])),
			start: start, end: end, before: " if false {", after: " }",
		}
		m.broken = typeErrors(m.source()) > typeErrors(m.src)
		f.found = append(f.found, m)
	}
}

// operands drops each operand of a chain of one operator in turn, by making it
// neutral: true in an &&, false in an ||.
func (f *finder) operands(n *ast.BinaryExpr) {
	if n.Op != token.LAND && n.Op != token.LOR || f.seen[n] {
		return
	}
	neutral := ") || true)"
	if n.Op == token.LOR {
		neutral = ") && false)"
	}
	var chain func(ast.Expr)
	chain = func(expr ast.Expr) {
		if b, ok := ast.Unparen(expr).(*ast.BinaryExpr); ok && b.Op == n.Op {
			f.seen[b] = true
			chain(b.X)
			chain(b.Y)
			return
		}
		f.add(expr, fmt.Sprintf("drop %s of %s", f.text(expr), f.text(n)), "((", neutral)
	}
	chain(n)
}

// leave marks all operators of an expression as not to be touched.
func (f *finder) leave(expr ast.Expr) {
	if expr == nil {
		return
	}
	ast.Inspect(expr, func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryExpr); ok {
			f.seen[b] = true
		}
		_, literal := n.(*ast.FuncLit)
		return !literal
	})
}

func (f *finder) add(expr ast.Expr, what, before, after string) {
	start, end := f.offset(expr.Pos()), f.offset(expr.End())
	f.found = append(f.found, mutant{
		file: f.file, function: f.function, line: f.fset.Position(expr.Pos()).Line, what: what,
		src: f.src, start: start, end: end, before: before, after: after,
	})
}

// typeErrors returns the number of errors that the type checker finds in a file
// alone. Names of other files and packages are errors too, so only a comparison
// of two versions of a file says something: a clause that is skipped may leave
// the end of the function without a return.
func typeErrors(src []byte) int {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
	if err != nil {
		return math.MaxInt
	}
	ast.Inspect(f, func(n ast.Node) bool { // the checker knows a panic only if it knows the argument
		if call, ok := n.(*ast.CallExpr); ok {
			if called, ok := call.Fun.(*ast.Ident); ok && called.Name == "panic" {
				call.Args = []ast.Expr{ast.NewIdent("nil")}
			}
		}
		return true
	})
	n := 0
	config := types.Config{Importer: noImports{}, Error: func(error) { n++ }}
	_, _ = config.Check("", fset, []*ast.File{f}, nil) // the errors are counted above
	return n
}

// noImports is an importer that finds no package.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, errors.New("no package " + path)
}

func (f *finder) offset(pos token.Pos) int { return f.fset.Position(pos).Offset }

func (f *finder) text(n ast.Node) string {
	return oneLine(string(f.src[f.offset(n.Pos()):f.offset(n.End())]))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// guards reports whether statements return, branch, panic, or note an error in
// a variable or by a call whose name says so.
func guards(stmts []ast.Stmt) bool {
	found := false
	for _, stmt := range stmts {
		ast.Inspect(stmt, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt, *ast.BranchStmt:
				found = true
			case *ast.AssignStmt:
				for _, target := range n.Lhs {
					found = found || saysError(target)
				}
			case *ast.CallExpr:
				found = found || saysError(n.Fun)
			}
			return !found
		})
	}
	return found
}

// saysError reports whether the last name of an expression, as in errs,
// t.Fatal or result.err, speaks of refusal.
func saysError(expr ast.Expr) bool {
	name := ""
	switch expr := expr.(type) {
	case *ast.Ident:
		name = expr.Name
	case *ast.SelectorExpr:
		name = expr.Sel.Name
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"err", "fault", "fail", "fatal", "panic", "refuse", "reject", "reason"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// accepts reports whether statements end by returning nil or true last: the
// way out of a function that refuses otherwise.
func accepts(stmts []ast.Stmt) bool {
	if len(stmts) == 0 {
		return false
	}
	ret, ok := stmts[len(stmts)-1].(*ast.ReturnStmt)
	if !ok || len(ret.Results) == 0 {
		return false
	}
	id, ok := ret.Results[len(ret.Results)-1].(*ast.Ident)
	return ok && (id.Name == "nil" || id.Name == "true")
}

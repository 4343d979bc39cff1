package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// mutant is one way to break a file: its bytes from start to end replaced.
type mutant struct {
	file       string // slash-separated, from the working directory
	line       int
	what       string // the code concerned, on one line; see find
	src        []byte // of the original file
	start, end int
	with       string
}

// String is "file:line what".
func (m mutant) String() string { return m.file + ":" + strconv.Itoa(m.line) + " " + m.what }

func (m mutant) source() []byte {
	return slices.Concat(m.src[:m.start], []byte(m.with), m.src[m.end:])
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
	ast.Inspect(f, fd.visit)
	slices.SortStableFunc(fd.found, func(a, b mutant) int { return a.start - b.start })
	return fd.found, nil
}

type finder struct {
	file  string
	src   []byte
	fset  *token.FileSet
	seen  map[ast.Expr]bool // operators that are done with or left alone
	found []mutant
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
		f.add(n.Cond, "always "+f.text(n.Cond), "(", ") || true")
	}
}

// never makes a condition false, short of an ||, whose operands are dropped.
func (f *finder) never(cond ast.Expr, what string) {
	if or, ok := ast.Unparen(cond).(*ast.BinaryExpr); ok && or.Op == token.LOR {
		return
	}
	f.add(cond, what, "(", ") && false")
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
		f.found = append(f.found, mutant{
			file: f.file, src: f.src, line: f.fset.Position(clause.Pos()).Line,
			what:  "skip " + oneLine(string(f.src[f.offset(clause.Pos()):start])),
			start: start, end: end,
			with: " if false {" + string(f.src[start:end]) + "\n}",
		})
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
		file: f.file, line: f.fset.Position(expr.Pos()).Line, what: what,
		src: f.src, start: start, end: end,
		with: before + string(f.src[start:end]) + after,
	})
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

package jq

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/itchyny/gojq"
)

// freeIndex is the largest index whose use costs nothing. A member that is set behind the end
// of an array fills the array up to it.
const freeIndex = 64

//go:embed prelude.jq
var preludeText string

// prelude returns the definitions of prelude.jq, by name and number of arguments. Each caller
// gets its own, because the rewriter changes them.
func prelude() map[string]*gojq.FuncDef {
	q, err := gojq.Parse(preludeText + ".")
	if err != nil {
		panic(err) // a test compiles it
	}
	defs := make(map[string]*gojq.FuncDef, len(q.FuncDefs))
	for _, def := range q.FuncDefs {
		defs[key(def.Name, len(def.Args))] = def
	}
	return defs
}

// taken returns the names that definitions of a program can't have.
var taken = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, keys := range [][]string{slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(with)), slices.Collect(maps.Keys(instead)), slices.Collect(maps.Keys(prelude())), slices.Collect(maps.Keys(refused)), {"setpath/2", "getpath/1", "type/0", "length/0"}} {
		for _, k := range keys {
			name, _, _ := strings.Cut(k, "/")
			names[name] = true
		}
	}
	return names
})

func key(name string, args int) string { return name + "/" + strconv.Itoa(args) }

// A rewriter changes a parsed program in place. Names that begin with a colon can't be written
// in a program; they are functions of guards.go and regex.go, and variables.
type rewriter struct {
	program *Program
	prelude map[string]*gojq.FuncDef
	used    []*gojq.FuncDef // of the prelude, each after those that it calls
	own     bool            // the text is of the prelude
	vars    int
	sets    int // above 0 in the path of an assignment
	errs    []string
}

func (w *rewriter) fail(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.errs, text) {
		w.errs = append(w.errs, text)
	}
}

// Building blocks.

func call(name string, args ...*gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}}}
}

func paren(q *gojq.Query) *gojq.Query { return &gojq.Query{Term: parenTerm(q)} }

func parenTerm(q *gojq.Query) *gojq.Term { return &gojq.Term{Type: gojq.TermTypeQuery, Query: q} }

func pipe(l, r *gojq.Query) *gojq.Query { return &gojq.Query{Left: l, Op: gojq.OpPipe, Right: r} }

func text(s string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeString, Str: &gojq.String{Str: s}}}
}

// then returns q | name.
func then(q *gojq.Query, name string) *gojq.Query { return paren(pipe(paren(q), call(name))) }

// bind returns q as $name | body, and makes the name.
func (w *rewriter) bind(q *gojq.Query, body func(name string) *gojq.Query) *gojq.Query {
	w.vars++
	name := "$:" + strconv.Itoa(w.vars)
	return paren(&gojq.Query{Left: paren(q), Op: gojq.OpPipe, Patterns: []*gojq.Pattern{{Name: name}}, Right: body(name)})
}

func (w *rewriter) query(q *gojq.Query) {
	if q == nil {
		return
	}
	if len(q.Imports) > 0 || q.Meta != nil {
		w.fail("import, include and module are not available: define functions in the program itself")
	}
	for _, def := range q.FuncDefs {
		w.def(def)
	}
	for _, p := range q.Patterns {
		w.pattern(p)
	}
	if q.Term != nil {
		w.term(q.Term)
		return
	}
	assigns := q.Op >= gojq.OpAssign && q.Op <= gojq.OpUpdateAlt
	if assigns {
		w.sets++
	}
	w.query(q.Left)
	if assigns {
		w.sets--
	}
	w.query(q.Right)
	w.operator(q)
}

// operator guards the operators that copy, compare or multiply.
func (w *rewriter) operator(q *gojq.Query) {
	replace := func(r *gojq.Query) { *q = gojq.Query{FuncDefs: q.FuncDefs, Term: r.Term} }
	switch q.Op {
	case gojq.OpAdd:
		q.Left, q.Right = copied(q.Left), copied(q.Right)
	case gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		if !isScalar(q.Left) && !isScalar(q.Right) {
			q.Left, q.Right = then(q.Left, ":walk"), then(q.Right, ":walk")
		}
	case gojq.OpSub, gojq.OpMul, gojq.OpDiv:
		if q.Op == gojq.OpSub && (isScalar(q.Left) || isScalar(q.Right)) {
			return
		}
		replace(w.binary(q.Op, q.Left, q.Right))
	case gojq.OpModify:
		// Members are deleted from a result that has all levels copied.
		q.Left = paren(pipe(call(":walk"), w.steps(q.Left)))
	case gojq.OpAssign, gojq.OpUpdateAlt, gojq.OpUpdateMod:
		q.Left = w.steps(q.Left)
	case gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv:
		// L op= R is R as $r | L |= . op $r.
		op := map[gojq.Operator]gojq.Operator{gojq.OpUpdateAdd: gojq.OpAdd, gojq.OpUpdateSub: gojq.OpSub, gojq.OpUpdateMul: gojq.OpMul, gojq.OpUpdateDiv: gojq.OpDiv}[q.Op]
		replace(w.bind(q.Right, func(name string) *gojq.Query {
			dot := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}
			update := &gojq.Query{Left: then(dot, ":copy"), Op: op, Right: then(call(name), ":copy")}
			if op != gojq.OpAdd {
				update = w.binary(op, dot, call(name))
			}
			return &gojq.Query{Left: w.steps(q.Left), Op: gojq.OpModify, Right: update}
		}))
	}
}

// binary returns l op r with a guard that sees both values.
func (w *rewriter) binary(op gojq.Operator, l, r *gojq.Query) *gojq.Query {
	guard := map[gojq.Operator]string{gojq.OpSub: ":product", gojq.OpMul: ":multiply", gojq.OpDiv: ":divide"}[op]
	return w.bind(r, func(name string) *gojq.Query {
		dot := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}
		return pipe(paren(l), pipe(call(guard, call(name)), &gojq.Query{Left: dot, Op: op, Right: call(name)}))
	})
}

// copied charges for the copy of a value, unless it is written in the program.
func copied(q *gojq.Query) *gojq.Query {
	if isScalar(q) {
		return q
	}
	return then(q, ":copy")
}

// isScalar reports whether q is a number, text or other constant without members.
func isScalar(q *gojq.Query) bool {
	if q.Term == nil || len(q.FuncDefs) > 0 || len(q.Term.SuffixList) > 0 {
		return false
	}
	switch t := q.Term; t.Type {
	case gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber, gojq.TermTypeUnary:
		return true
	case gojq.TermTypeString:
		return t.Str.Queries == nil
	case gojq.TermTypeFunc:
		return t.Func.Name == "type" || t.Func.Name == "length" || t.Func.Name == ":number"
	case gojq.TermTypeQuery:
		return isScalar(t.Query)
	}
	return false
}

// steps charges for the values on the way to those that a path names: an assignment copies
// each of them.
func (w *rewriter) steps(q *gojq.Query) *gojq.Query {
	if len(q.FuncDefs) > 0 || q.Term == nil && (q.Op != gojq.OpPipe && q.Op != gojq.OpComma || len(q.Patterns) > 0) {
		return paren(pipe(call(":copy"), paren(q)))
	}
	if q.Term == nil {
		return &gojq.Query{Left: w.steps(q.Left), Op: q.Op, Right: w.steps(q.Right)}
	}
	return &gojq.Query{Term: w.stepsTerm(q.Term)}
}

func (w *rewriter) stepsTerm(t *gojq.Term) *gojq.Term {
	n := len(t.SuffixList)
	if n == 0 {
		if t.Type == gojq.TermTypeQuery {
			return parenTerm(w.steps(t.Query))
		}
		return parenTerm(pipe(call(":copy"), &gojq.Query{Term: t}))
	}
	last := n - 1
	if t.SuffixList[last].Optional && n > 1 && !t.SuffixList[last-1].Optional {
		last-- // the question mark belongs to the suffix before it
	}
	inner := *t
	inner.SuffixList = t.SuffixList[:last:last]
	return &gojq.Term{Type: gojq.TermTypeQuery, Query: pipe(&gojq.Query{Term: w.stepsTerm(&inner)}, call(":copy")), SuffixList: t.SuffixList[last:]}
}

func (w *rewriter) def(def *gojq.FuncDef) {
	w.name(def.Name)
	for _, arg := range def.Args {
		w.name(strings.TrimPrefix(arg, "$"))
	}
	w.query(def.Body)
}

func (w *rewriter) name(name string) {
	if !w.own && taken()[name] {
		w.fail("%s is the name of a function of jq: give your definition or parameter another name", name)
	}
}

func (w *rewriter) pattern(p *gojq.Pattern) {
	if p == nil {
		return
	}
	for _, e := range p.Array {
		w.pattern(e)
	}
	for _, e := range p.Object {
		w.text(e.KeyString, ":text")
		if e.KeyQuery != nil {
			w.query(e.KeyQuery)
			e.KeyQuery = then(e.KeyQuery, ":key")
		}
		w.pattern(e.Val)
	}
}

package jq

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/itchyny/gojq"
)

func (w *rewriter) term(t *gojq.Term) {
	defer w.indexes(t)
	switch t.Type {
	case gojq.TermTypeFunc:
		w.function(t)
	case gojq.TermTypeObject:
		w.object(t.Object)
	case gojq.TermTypeArray:
		w.query(t.Array.Query)
	case gojq.TermTypeNumber:
		if !isExact(t.Number) {
			w.become(t, call(":number", text(t.Number)))
		}
	case gojq.TermTypeUnary:
		w.term(t.Unary.Term)
	case gojq.TermTypeFormat:
		format := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFormat, Format: t.Format}}
		switch {
		case t.Str != nil && t.Format == "@json":
			w.text(t.Str, ":json") // a text, which is inserted as it is
			*t = gojq.Term{Type: gojq.TermTypeString, Str: t.Str, SuffixList: t.SuffixList}
		case t.Str != nil && t.Format == "@text":
			w.text(t.Str, ":text")
		case t.Str != nil:
			w.text(t.Str, ":walk")
		case t.Format == "@json":
			w.become(t, call(":json"))
		default:
			w.become(t, pipe(call(":walk"), format))
		}
	case gojq.TermTypeString:
		w.text(t.Str, ":text")
	case gojq.TermTypeIf:
		w.query(t.If.Cond)
		w.query(t.If.Then)
		for _, e := range t.If.Elif {
			w.query(e.Cond)
			w.query(e.Then)
		}
		w.query(t.If.Else)
	case gojq.TermTypeTry:
		w.query(t.Try.Body)
		w.query(t.Try.Catch)
	case gojq.TermTypeReduce:
		w.query(t.Reduce.Query)
		for _, p := range t.Reduce.Patterns {
			w.pattern(p)
		}
		w.query(t.Reduce.Start)
		w.query(t.Reduce.Update)
	case gojq.TermTypeForeach:
		w.query(t.Foreach.Query)
		for _, p := range t.Foreach.Patterns {
			w.pattern(p)
		}
		w.query(t.Foreach.Start)
		w.query(t.Foreach.Update)
		w.query(t.Foreach.Extract)
	case gojq.TermTypeLabel:
		w.query(t.Label.Body)
	case gojq.TermTypeQuery:
		w.query(t.Query)
	}
}

// become makes q of a term, which keeps its suffixes.
func (w *rewriter) become(t *gojq.Term, q *gojq.Query) {
	*t = gojq.Term{Type: gojq.TermTypeQuery, Query: q, SuffixList: t.SuffixList}
}

// isExact reports whether gojq keeps a number of the program as it is written; what is not a
// number in JSON needs no care.
func isExact(literal string) bool {
	if !isNumber(literal) {
		return true
	}
	n, err := strconv.Atoi(literal)
	return err == nil && strconv.Itoa(n) == literal
}

// isNumber reports whether s is a number in JSON, and nothing else.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') && !strings.HasSuffix(s, " ") && jsontext.Value(s).IsValid() && s == strings.TrimSpace(s)
}

// text puts a function behind what is inserted into a text, which charges for it: the whole is
// as long as its parts.
func (w *rewriter) text(s *gojq.String, name string) {
	if s == nil {
		return
	}
	for i, q := range s.Queries {
		if q.Term != nil && q.Term.Str != nil && q.Term.Str.Queries == nil {
			continue // a piece of the text
		}
		w.query(q)
		s.Queries[i] = then(q, name)
	}
}

// indexes guards the indexes of a term that are computed or large. T[e] becomes
// e as $i | T | guard($i) | .[$i], which is what gojq does as well.
func (w *rewriter) indexes(t *gojq.Term) {
	for _, s := range t.SuffixList {
		w.index(s.Index)
	}
	if t.Type == gojq.TermTypeIndex {
		w.index(t.Index)
		if computed(t.Index) {
			suffixes := t.SuffixList
			w.become(t, w.at(&gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}, t.Index))
			t.SuffixList = suffixes
		}
	}
	for i := 0; i < len(t.SuffixList); i++ {
		if x := t.SuffixList[i].Index; x != nil && computed(x) {
			base := *t
			base.SuffixList = t.SuffixList[:i:i]
			*t = gojq.Term{Type: gojq.TermTypeQuery, Query: w.at(&gojq.Query{Term: &base}, x), SuffixList: t.SuffixList[i+1:]}
			i = -1
		}
	}
}

// at returns base indexed by x.
func (w *rewriter) at(base *gojq.Query, x *gojq.Index) *gojq.Query {
	return w.bind(x.Start, func(name string) *gojq.Query {
		last := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIndex, Index: &gojq.Index{Start: call(name)}}}
		return pipe(base, pipe(call(":at", call(name)), last))
	})
}

// index rewrites what is inside an index.
func (w *rewriter) index(x *gojq.Index) {
	if x == nil {
		return
	}
	w.text(x.Str, ":text")
	for _, q := range []*gojq.Query{x.Start, x.End} {
		if q != nil && !isConstant(q) {
			w.query(q)
		}
	}
}

// isConstant reports whether an index stands in the program.
func isConstant(q *gojq.Query) bool {
	if q.Term == nil || len(q.Term.SuffixList) > 0 || len(q.FuncDefs) > 0 {
		return false
	}
	switch t := q.Term; t.Type {
	case gojq.TermTypeNumber:
		return true
	case gojq.TermTypeUnary:
		return t.Unary.Term.Type == gojq.TermTypeNumber && len(t.Unary.Term.SuffixList) == 0
	case gojq.TermTypeString:
		return t.Str.Queries == nil
	}
	return false
}

// computed reports whether an index needs a guard.
func computed(x *gojq.Index) bool {
	if x.Start == nil || x.IsSlice {
		return false
	}
	if !isConstant(x.Start) {
		return true
	}
	if x.Start.Term.Type != gojq.TermTypeNumber {
		return false
	}
	n, err := strconv.ParseFloat(x.Start.Term.Number, 64)
	return err != nil || n > freeIndex
}

// object notes the order of its members, and guards names that are computed.
func (w *rewriter) object(o *gojq.Object) {
	var names []string
	for _, kv := range o.KeyVals {
		switch {
		case kv.Key != "":
			names = append(names, strings.TrimPrefix(kv.Key, "$"))
		case kv.KeyString != nil && kv.KeyString.Queries == nil:
			names = append(names, kv.KeyString.Str)
		}
		w.text(kv.KeyString, ":text")
		w.query(kv.KeyQuery)
		w.query(kv.Val)
	}
	if w.own {
		return
	}
	p := w.program
	for _, name := range names {
		if _, ok := p.places[name]; !ok {
			p.places[name] = len(p.places)
		}
	}
	if len(names) == len(o.KeyVals) && len(names) > 1 {
		p.objects = append(p.objects, names)
	}
}

// function guards or replaces a call, or refuses it.
func (w *rewriter) function(t *gojq.Term) {
	f := t.Func
	if w.own && strings.HasPrefix(f.Name, "hub_") {
		f.Name = ":" + strings.TrimPrefix(f.Name, "hub_")
	} else if why, ok := refused[f.Name]; ok {
		w.fail("%s is not available: %s", f.Name, why)
	} else if !w.own && strings.HasPrefix(f.Name, "_") {
		w.fail("%s is not a function: names that begin with _ are gojq's own", f.Name)
	}
	for _, arg := range f.Args {
		w.query(arg)
	}
	k := key(f.Name, len(f.Args))
	if at, ok := patterns[k]; ok && !w.own {
		w.regexps(f, at)
	}
	self := func() *gojq.Query { return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: f}} }
	switch {
	case w.prelude[k] != nil:
		w.use(k)
	case instead[k] != "":
		w.become(t, call(instead[k]))
	case before[k] != "":
		w.become(t, pipe(call(before[k]), self()))
	case with[k] != "":
		w.become(t, w.bind(f.Args[0], func(name string) *gojq.Query {
			return pipe(call(with[k], call(name)), call(f.Name, call(name)))
		}))
	case k == "getpath/1":
		guard := ":gaps"
		if w.sets > 0 {
			guard = ":along"
		}
		w.become(t, w.bind(f.Args[0], func(path string) *gojq.Query {
			return pipe(call(guard, call(path)), call("getpath", call(path)))
		}))
	case k == "setpath/2":
		w.become(t, w.bind(f.Args[1], func(value string) *gojq.Query {
			return w.bind(f.Args[0], func(path string) *gojq.Query {
				return pipe(call(":along", call(path)), call("setpath", call(path), call(value)))
			})
		}))
	}
}

// use adds a definition of the prelude, and before it those that it calls.
func (w *rewriter) use(k string) {
	def := w.prelude[k]
	for _, d := range w.used {
		if d == def {
			return
		}
	}
	delete(w.prelude, k) // it may call itself
	own := w.own
	w.own = true
	w.def(def)
	w.own = own
	w.prelude[k] = def
	w.used = append(w.used, def)
}

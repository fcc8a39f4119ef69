package schema

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
)

// Compiler makes schemas of the nodes of one document. What is wrong with them goes to its
// report.
type Compiler struct {
	*jsontree.Report
	V31     bool           // the schemas are of OpenAPI 3.1, else of 3.0
	root    *jsontree.Node // what references lead into
	schemas map[*jsontree.Node]*Schema
	pending []compiling // schemas to be compiled
	roots   []compiling // all schemas, in the order of the document
	regexps map[string]*pattern
	refCost int
}

// NewCompiler is a compiler for the schemas of a document.
func NewCompiler(root *jsontree.Node, v31 bool, r *jsontree.Report) *Compiler {
	return &Compiler{Report: r, root: root, V31: v31, schemas: map[*jsontree.Node]*Schema{}, regexps: map[string]*pattern{}}
}

// Compiled is all schemas, in the order of the document.
func (b *Compiler) Compiled() []*Schema {
	all := make([]*Schema, len(b.roots))
	for i, c := range b.roots {
		all[i] = c.Schema
	}
	return all
}

// compiling is one schema that is being read.
type compiling struct {
	*Compiler
	*Schema
	n  *jsontree.Node
	at *jsontree.Path
}

// SchemaAt is the schema at a node. It is compiled later, by CompileAll, so that references may
// lead anywhere.
func (b *Compiler) SchemaAt(n *jsontree.Node, at *jsontree.Path) *Schema {
	if s := b.schemas[n]; s != nil {
		return s
	}
	s := &Schema{Node: n}
	b.schemas[n] = s
	if len(b.schemas) > MaxSchemas {
		if len(b.schemas) == MaxSchemas+1 {
			b.Fail(at, "is one of more than %d schemas; split the API into several documents", MaxSchemas)
		}
		return s
	}
	c := compiling{b, s, n, at}
	b.pending = append(b.pending, c)
	b.roots = append(b.roots, c)
	return s
}

// CompileAll compiles what SchemaAt has promised.
func (b *Compiler) CompileAll() {
	for len(b.pending) > 0 && !b.Failed() {
		c := b.pending[len(b.pending)-1]
		b.pending = b.pending[:len(b.pending)-1]
		c.compile()
	}
	if !b.Failed() {
		b.findLoops()
	}
}

func (c *compiling) compile() {
	switch {
	case c.n.Kind == 't' && c.V31:
		return
	case c.n.Kind == 'f' && c.V31:
		c.never = true
		return
	case c.n.Kind != '{':
		c.Fail(c.at, "must be a schema, which is an object")
		return
	}
	if ref := c.n.Get("$ref"); ref != nil {
		at := c.at.Member("$ref")
		if ref.Kind != '"' {
			c.Fail(at, "must be a text")
			return
		}
		if n, place := c.Target(ref.Text, at); n != nil {
			c.ref, c.refName = c.SchemaAt(n, place), RefName(ref.Text)
		}
		if !c.V31 {
			for _, name := range c.n.Names {
				if name != "$ref" {
					c.Warn(c.at.Member(name), "stands beside a $ref, where OpenAPI 3.0 ignores it; put the $ref into allOf")
				}
			}
			return
		}
	}
	for i, name := range c.n.Names {
		c.keyword(name, c.n.Items[i], c.at.Member(name))
	}
	if c.isTrue("nullable") && c.types != 0 {
		c.types |= isNull
	}
	c.implicitMapping()
}

// isTrue is about a keyword that only OpenAPI 3.0 has.
func (c *compiling) isTrue(name string) bool { return !c.V31 && c.n.IsTrue(name) }

func (c *compiling) sub(v *jsontree.Node, at *jsontree.Path) *Schema {
	if v.Kind == '{' || c.V31 && (v.Kind == 't' || v.Kind == 'f') {
		return c.SchemaAt(v, at)
	}
	c.Fail(at, "must be a schema, which is an object")
	return nil
}

// subOrBool is sub where OpenAPI 3.0, too, allows true and false.
func (c *compiling) subOrBool(v *jsontree.Node, at *jsontree.Path) *Schema {
	switch v.Kind {
	case 't':
		return &Schema{Node: v, possible: anyKind}
	case 'f':
		return &Schema{Node: v, never: true}
	}
	return c.sub(v, at)
}

// list reads a list of schemas. In allOf, anyOf and oneOf, where each is applied to the same
// value, none may stand twice: it has no use, and comparing versions takes a time that doubles
// with each such list inside another.
func (c *compiling) list(v *jsontree.Node, at *jsontree.Path, twice bool) (all []*Schema) {
	if v.Kind != '[' || len(v.Items) == 0 {
		c.Fail(at, "must be a list of schemas that is not empty")
		return nil
	}
	refs := map[string]bool{}
	for i, item := range v.Items {
		if ref := item.Str("$ref"); ref != "" {
			if refs[ref] && !twice {
				c.Fail(at.At(i), "lists %s twice; keep one", jsontree.Quote(ref))
			}
			refs[ref] = true
		}
		if s := c.sub(item, at.At(i)); s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (c *compiling) mapOf(v *jsontree.Node, at *jsontree.Path) map[string]*Schema {
	if v.Kind != '{' {
		c.Fail(at, "must be an object of schemas")
		return nil
	}
	all := make(map[string]*Schema, len(v.Names))
	for i, name := range v.Names {
		if s := c.sub(v.Items[i], at.Member(name)); s != nil {
			all[name] = s
		}
	}
	return all
}

func (c *compiling) strings(v *jsontree.Node, at *jsontree.Path) (all []string) {
	if v.Kind != '[' {
		c.Fail(at, "must be a list of texts")
		return nil
	}
	for i, item := range v.Items {
		if item.Kind != '"' {
			c.Fail(at.At(i), "must be a text")
			return nil
		}
		all = append(all, item.Text)
	}
	if sorted := slices.Sorted(slices.Values(all)); len(slices.Compact(sorted)) != len(all) {
		c.Fail(at, "lists a text twice; keep one")
	}
	return all
}

func (c *compiling) number(v *jsontree.Node, at *jsontree.Path) *jsontree.Decimal {
	if v.Kind != '0' {
		c.Fail(at, "must be a number")
		return nil
	}
	d := jsontree.ParseDecimal(v.Text)
	return &d
}

func (c *compiling) count(v *jsontree.Node, at *jsontree.Path) *jsontree.Decimal {
	if v.Kind == '0' {
		if d := jsontree.ParseDecimal(v.Text); d.Sign() >= 0 && d.IsInteger() {
			return &d
		}
	}
	c.Fail(at, "must be a whole number that is not negative")
	return nil
}

func (c *compiling) boolean(v *jsontree.Node, at *jsontree.Path) bool {
	if v.Kind != 't' && v.Kind != 'f' {
		c.Fail(at, "must be true or false")
	}
	return v.Kind == 't'
}

// compilePattern compiles a regular expression (RE2).
func (c *compiling) compilePattern(text string, at *jsontree.Path) *pattern {
	if p, ok := c.regexps[text]; ok {
		if p == nil {
			c.Fail(at, "has the same pattern as one that is refused above")
		}
		return p
	}
	c.regexps[text] = nil
	if len(text) > MaxPattern {
		c.Fail(at, "has a pattern of more than %d bytes; split it", MaxPattern)
		return nil
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		c.Fail(at, "is not a regular expression that can be checked (RE2, without lookaheads and back-references): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(prog.Inst) > maxInstructions {
		c.Fail(at, "has a pattern that is too large; use fewer or smaller repetitions")
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.Fail(at, "is not a regular expression that can be checked: %s", err)
		return nil
	}
	p := &pattern{re, len(prog.Inst)}
	c.regexps[text] = p
	return p
}

func (c *compiling) discriminate(v *jsontree.Node, at *jsontree.Path) {
	property := v.Str("propertyName")
	if property == "" {
		c.Fail(at, "must be an object with propertyName")
		return
	}
	d := &discriminator{property: property, mapping: map[string]*Schema{}}
	if mapping := v.Get("mapping"); mapping != nil {
		if mapping.Kind != '{' {
			c.Fail(at.Member("mapping"), "must be an object of texts")
			return
		}
		for i, value := range mapping.Names {
			ref, at := mapping.Items[i].Text, at.Member("mapping").Member(value)
			if mapping.Items[i].Kind != '"' {
				c.Fail(at, "must be a text")
				continue
			}
			if named := c.root.Get("components").Get("schemas").Get(ref); named != nil {
				ref = "#/components/schemas/" + jsontree.Escape(ref)
			}
			if n, place := c.Target(ref, at); n != nil {
				d.mapping[value] = c.SchemaAt(n, place)
			}
		}
	}
	c.discriminator = d
}

// implicitMapping adds the names of components to a discriminator. Without oneOf or anyOf a
// discriminator can't choose anything: the schemas that it names include this one.
func (c *compiling) implicitMapping() {
	if c.discriminator == nil {
		return
	}
	if len(c.oneOf) == 0 && len(c.anyOf) == 0 {
		c.Warn(c.at.Member("discriminator"), "stands without oneOf or anyOf and has no effect")
		c.discriminator = nil
		return
	}
	for _, list := range []string{"oneOf", "anyOf"} {
		alternatives := c.n.Get(list)
		if alternatives == nil {
			continue
		}
		for i, item := range alternatives.Items {
			ref := item.Str("$ref")
			if ref == "" {
				c.Warn(c.at.Member(list).At(i), "can't be chosen by the discriminator; only references can")
			} else if name := RefName(ref); c.discriminator.mapping[name] == nil {
				c.discriminator.mapping[name] = c.SchemaAt(item, c.at.Member(list).At(i))
			}
		}
	}
}

// findLoops refuses schemas that apply themselves to the same value again, and finds the kinds
// of value that each schema can allow.
func (b *Compiler) findLoops() {
	const open, done = 1, 2
	state := make(map[*Schema]int, len(b.schemas))
	var looped *Schema
	var visit func(*Schema)
	visit = func(s *Schema) {
		if state[s] == done || looped != nil {
			return
		}
		if state[s] == open {
			looped = s
			return
		}
		state[s] = open
		s.inPlace(visit)
		s.possible = s.possibleKinds()
		state[s] = done
	}
	for _, c := range b.roots {
		if visit(c.Schema); looped != nil {
			b.Fail(c.at, "leads to itself through $ref, allOf, anyOf, oneOf or not, without a property or item between; no value could be checked against it")
			return
		}
	}
}

package openapi

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// compiling is one schema that is being read.
type compiling struct {
	*builder
	*schema
	n  *node
	at *path
}

// schemaAt is the schema at a node. It is compiled later, by compileAll, so that references may
// lead anywhere.
func (b *builder) schemaAt(n *node, at *path) *schema {
	if s := b.schemas[n]; s != nil {
		return s
	}
	s := &schema{node: n}
	b.schemas[n] = s
	if len(b.schemas) > MaxSchemas {
		if len(b.schemas) == MaxSchemas+1 {
			b.fail(at, "is one of more than %d schemas; split the API into several documents", MaxSchemas)
		}
		return s
	}
	c := compiling{b, s, n, at}
	b.pending = append(b.pending, c)
	b.roots = append(b.roots, c)
	return s
}

// compileAll compiles what schemaAt has promised.
func (b *builder) compileAll() {
	for len(b.pending) > 0 && !b.failed() {
		c := b.pending[len(b.pending)-1]
		b.pending = b.pending[:len(b.pending)-1]
		c.compile()
	}
	if !b.failed() {
		b.findLoops()
	}
}

func (c *compiling) compile() {
	switch {
	case c.n.kind == 't' && c.v31:
		return
	case c.n.kind == 'f' && c.v31:
		c.never = true
		return
	case c.n.kind != '{':
		c.fail(c.at, "must be a schema, which is an object")
		return
	}
	if ref := c.n.get("$ref"); ref != nil {
		at := c.at.member("$ref")
		if ref.kind != '"' {
			c.fail(at, "must be a text")
			return
		}
		if n, place := c.target(ref.text, at); n != nil {
			c.ref, c.refName = c.schemaAt(n, place), refName(ref.text)
		}
		if !c.v31 {
			for _, name := range c.n.names {
				if name != "$ref" {
					c.warn(c.at.member(name), "stands beside a $ref, where OpenAPI 3.0 ignores it; put the $ref into allOf")
				}
			}
			return
		}
	}
	for i, name := range c.n.names {
		c.keyword(name, c.n.items[i], c.at.member(name))
	}
	if c.isTrue("nullable") && c.types != 0 {
		c.types |= isNull
	}
	c.implicitMapping()
}

// isTrue is about a keyword that only OpenAPI 3.0 has.
func (c *compiling) isTrue(name string) bool { return !c.v31 && c.n.isTrue(name) }

func (c *compiling) sub(v *node, at *path) *schema {
	if v.kind == '{' || c.v31 && (v.kind == 't' || v.kind == 'f') {
		return c.schemaAt(v, at)
	}
	c.fail(at, "must be a schema, which is an object")
	return nil
}

// subOrBool is sub where OpenAPI 3.0, too, allows true and false.
func (c *compiling) subOrBool(v *node, at *path) *schema {
	switch v.kind {
	case 't':
		return &schema{node: v, possible: anyKind}
	case 'f':
		return &schema{node: v, never: true}
	}
	return c.sub(v, at)
}

// list reads a list of schemas. In allOf, anyOf and oneOf, where each is applied to the same
// value, none may stand twice: it has no use, and comparing versions takes a time that doubles
// with each such list inside another.
func (c *compiling) list(v *node, at *path, twice bool) (all []*schema) {
	if v.kind != '[' || len(v.items) == 0 {
		c.fail(at, "must be a list of schemas that is not empty")
		return nil
	}
	refs := map[string]bool{}
	for i, item := range v.items {
		if ref := item.str("$ref"); ref != "" {
			if refs[ref] && !twice {
				c.fail(at.at(i), "lists %s twice; keep one", short(ref))
			}
			refs[ref] = true
		}
		if s := c.sub(item, at.at(i)); s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (c *compiling) mapOf(v *node, at *path) map[string]*schema {
	if v.kind != '{' {
		c.fail(at, "must be an object of schemas")
		return nil
	}
	all := make(map[string]*schema, len(v.names))
	for i, name := range v.names {
		if s := c.sub(v.items[i], at.member(name)); s != nil {
			all[name] = s
		}
	}
	return all
}

func (c *compiling) strings(v *node, at *path) (all []string) {
	if v.kind != '[' {
		c.fail(at, "must be a list of texts")
		return nil
	}
	for i, item := range v.items {
		if item.kind != '"' {
			c.fail(at.at(i), "must be a text")
			return nil
		}
		all = append(all, item.text)
	}
	if sorted := slices.Sorted(slices.Values(all)); len(slices.Compact(sorted)) != len(all) {
		c.fail(at, "lists a text twice; keep one")
	}
	return all
}

func (c *compiling) number(v *node, at *path) *decimal {
	if v.kind != '0' {
		c.fail(at, "must be a number")
		return nil
	}
	d := parseDecimal(v.text)
	return &d
}

func (c *compiling) count(v *node, at *path) *decimal {
	if v.kind == '0' {
		if d := parseDecimal(v.text); !d.neg && d.isInteger() {
			return &d
		}
	}
	c.fail(at, "must be a whole number that is not negative")
	return nil
}

func (c *compiling) boolean(v *node, at *path) bool {
	if v.kind != 't' && v.kind != 'f' {
		c.fail(at, "must be true or false")
	}
	return v.kind == 't'
}

// compilePattern compiles a regular expression (RE2).
func (c *compiling) compilePattern(text string, at *path) *pattern {
	if p, ok := c.regexps[text]; ok {
		if p == nil {
			c.fail(at, "has the same pattern as one that is refused above")
		}
		return p
	}
	c.regexps[text] = nil
	if len(text) > MaxPattern {
		c.fail(at, "has a pattern of more than %d bytes; split it", MaxPattern)
		return nil
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		c.fail(at, "is not a regular expression that can be checked (RE2, without lookaheads and back-references): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(prog.Inst) > maxInstructions {
		c.fail(at, "has a pattern that is too large; use fewer or smaller repetitions")
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.fail(at, "is not a regular expression that can be checked: %s", err)
		return nil
	}
	p := &pattern{re, len(prog.Inst)}
	c.regexps[text] = p
	return p
}

func (c *compiling) discriminate(v *node, at *path) {
	property := v.str("propertyName")
	if property == "" {
		c.fail(at, "must be an object with propertyName")
		return
	}
	d := &discriminator{property: property, mapping: map[string]*schema{}}
	if mapping := v.get("mapping"); mapping != nil {
		if mapping.kind != '{' {
			c.fail(at.member("mapping"), "must be an object of texts")
			return
		}
		for i, value := range mapping.names {
			ref, at := mapping.items[i].text, at.member("mapping").member(value)
			if mapping.items[i].kind != '"' {
				c.fail(at, "must be a text")
				continue
			}
			if named := c.root.get("components").get("schemas").get(ref); named != nil {
				ref = "#/components/schemas/" + pointerToken.Replace(ref)
			}
			if n, place := c.target(ref, at); n != nil {
				d.mapping[value] = c.schemaAt(n, place)
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
		c.warn(c.at.member("discriminator"), "stands without oneOf or anyOf and has no effect")
		c.discriminator = nil
		return
	}
	for _, list := range []string{"oneOf", "anyOf"} {
		alternatives := c.n.get(list)
		if alternatives == nil {
			continue
		}
		for i, item := range alternatives.items {
			ref := item.str("$ref")
			if ref == "" {
				c.warn(c.at.member(list).at(i), "can't be chosen by the discriminator; only references can")
			} else if name := refName(ref); c.discriminator.mapping[name] == nil {
				c.discriminator.mapping[name] = c.schemaAt(item, c.at.member(list).at(i))
			}
		}
	}
}

// findLoops refuses schemas that apply themselves to the same value again, and finds the kinds
// of value that each schema can allow.
func (b *builder) findLoops() {
	const open, done = 1, 2
	state := make(map[*schema]int, len(b.schemas))
	var looped *schema
	var visit func(*schema)
	visit = func(s *schema) {
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
		if visit(c.schema); looped != nil {
			b.fail(c.at, "leads to itself through $ref, allOf, anyOf, oneOf or not, without a property or item between; no value could be checked against it")
			return
		}
	}
}

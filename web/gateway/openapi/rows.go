package openapi

import (
	"context"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// Row is one line of the table that shows a schema on a page.
type Row struct {
	Depth       int    // 0 for the members of the schema itself
	Name        string // of a property; "[ ]" for the items of a list, "*" for other members, "or" for an alternative
	Type        string // like string (date), list of Order, or one of 3
	Component   string // the component that it refers to; empty if none
	Required    bool
	ReadOnly    bool
	WriteOnly   bool
	Deprecated  bool
	Description string // Markdown
	Limits      string // like at most 40 characters; a, b or c
	Example     jobs.Value
	Again       bool // stands inside itself, or too deep: its members are not shown again
}

const (
	maxRows      = 500
	maxRowsDepth = 8
)

// Rows is a schema as lines for a page, 500 at most. A schema that is inside itself is shown
// once.
func (s *Schema) Rows() []Row {
	t := table{open: map[*schema]bool{}, doc: s.doc}
	t.members(s.s, 0)
	return t.rows
}

// Sample is an example of a value as JSON: the first that the document gives, else one made
// from the schema. request leaves out what the API alone sets (readOnly), else what only
// callers send (writeOnly).
func (s *Schema) Sample(ctx context.Context, request bool) jobs.Value {
	way := inResponse
	if request {
		way = inRequest
	}
	return newSampler(ctx, s.doc, way).value(nil, s.s, sampleDepth)
}

// Type is what kind of value a schema describes, in words.
func (s *Schema) Type() string { return typeText(s.s) }

// Limits is the limits of a schema, in words.
func (s *Schema) Limits() string { return limitsText(s.s) }

type table struct {
	rows []Row
	open map[*schema]bool
	doc  *Document
}

// members adds the rows of what is inside a schema.
func (t *table) members(s *schema, depth int) {
	if s == nil || t.open[s] || len(t.rows) >= maxRows {
		return
	}
	t.open[s] = true
	defer delete(t.open, s)
	t.members(s.ref, depth)
	for _, one := range s.allOf {
		t.members(one, depth)
	}
	if s.properties != nil {
		required := map[string]bool{}
		for _, name := range s.required {
			required[name] = true
		}
		for _, name := range s.node.get("properties").names {
			t.row(name, s.properties[name], depth, required[name])
		}
	}
	for _, p := range s.patterns {
		t.row(p.pattern.String(), p.schema, depth, false)
	}
	if s.additional != nil && s.additional.node.kind == '{' {
		t.row("*", s.additional, depth, false)
	}
	for _, one := range s.prefix {
		t.row("[ ]", one, depth, false)
	}
	if s.items != nil {
		t.row("[ ]", s.items, depth, false)
	}
	for _, list := range [][]*schema{s.oneOf, s.anyOf} {
		for _, one := range list {
			t.row("or", one, depth, false)
		}
	}
}

func (t *table) row(name string, s *schema, depth int, required bool) {
	if len(t.rows) >= maxRows || s == nil {
		return
	}
	r := Row{Depth: depth, Name: name, Type: typeText(s), Component: s.refName, Required: required, ReadOnly: s.flag(isReadOnly), WriteOnly: s.flag(isWriteOnly),
		Deprecated: s.node.isTrue("deprecated"), Description: s.node.str("description"), Limits: limitsText(s)}
	if r.Description == "" && s.ref != nil {
		r.Description = s.ref.node.str("description")
	}
	if example := s.node.get("example"); example != nil {
		r.Example = t.doc.raw(example)
	}
	inner := s
	for range maxRefChain {
		if inner.ref == nil {
			break
		}
		inner = inner.ref
	}
	r.Again = t.open[inner] || depth+1 == maxRowsDepth && inner.properties != nil
	t.rows = append(t.rows, r)
	if !r.Again && depth+1 < maxRowsDepth {
		t.members(s, depth+1)
	}
}

// typeText is the kind of a value in words.
func typeText(s *schema) string {
	for range maxRefChain {
		if s.ref == nil || s.types != 0 {
			break
		}
		s = s.ref
	}
	switch {
	case s.never:
		return "nothing"
	case len(s.oneOf) > 0:
		return "one of " + strconv.Itoa(len(s.oneOf))
	case len(s.anyOf) > 0:
		return "any of " + strconv.Itoa(len(s.anyOf))
	}
	var names []string
	for _, k := range kindNames {
		if s.types&k.kind != 0 {
			names = append(names, k.name)
		}
	}
	text := strings.Join(names, " or ")
	switch {
	case text == "" && (s.properties != nil || len(s.allOf) > 0):
		text = "object"
	case text == "":
		text = "any"
	}
	if format := s.node.str("format"); format != "" {
		text += " (" + clipName(format) + ")"
	}
	if s.items != nil {
		if s.items.refName != "" {
			text += " of " + s.items.refName
		} else if s.items.items == nil {
			text += " of " + typeText(s.items)
		}
	}
	return text
}

// limitsText is the limits of a schema in words.
func limitsText(s *schema) string {
	var all []string
	add := func(d *decimal, before, after string) {
		if d != nil {
			all = append(all, before+d.String()+after)
		}
	}
	if s.enum != nil {
		all = append(all, "one of "+enumText(s.node.get("enum")))
	}
	if s.constant != nil {
		all = append(all, "always "+kindText(s.node.get("const")))
	}
	add(s.minimum, "at least ", "")
	add(s.above, "above ", "")
	add(s.maximum, "at most ", "")
	add(s.below, "below ", "")
	add(s.multipleOf, "a multiple of ", "")
	add(s.minLength, "at least ", " characters")
	add(s.maxLength, "at most ", " characters")
	add(s.minItems, "at least ", " items")
	add(s.maxItems, "at most ", " items")
	if s.unique {
		all = append(all, "no item twice")
	}
	if s.pattern != nil {
		all = append(all, "matches "+s.pattern.String())
	}
	if v := s.node.get("default"); v != nil {
		all = append(all, "else "+kindText(v))
	}
	return strings.Join(all, "; ")
}

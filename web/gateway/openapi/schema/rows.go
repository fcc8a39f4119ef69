package schema

import (
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/web/clip"
	"jobhub/web/gateway/openapi/jsontree"
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
	MaxRows      = 500
	maxRowsDepth = 8
)

// Rows is a schema of the document data as lines for a page, 500 at most. A schema that is
// inside itself is shown once.
func (s *Schema) Rows(data []byte) []Row {
	t := table{open: map[*Schema]bool{}, data: data}
	t.members(s, 0)
	return t.all
}

type table struct {
	all  []Row
	open map[*Schema]bool
	data []byte // the document
}

// members adds the rows of what is inside a schema.
func (t *table) members(s *Schema, depth int) {
	if s == nil || t.open[s] || len(t.all) >= MaxRows {
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
		for _, name := range s.Node.Get("properties").Names {
			t.row(name, s.properties[name], depth, required[name])
		}
	}
	for _, p := range s.patterns {
		t.row(p.pattern.String(), p.schema, depth, false)
	}
	if s.additional != nil && s.additional.Node.Kind == '{' {
		t.row("*", s.additional, depth, false)
	}
	for _, one := range s.prefix {
		t.row("[ ]", one, depth, false)
	}
	if s.items != nil {
		t.row("[ ]", s.items, depth, false)
	}
	for _, list := range [][]*Schema{s.oneOf, s.anyOf} {
		for _, one := range list {
			t.row("or", one, depth, false)
		}
	}
}

func (t *table) row(name string, s *Schema, depth int, required bool) {
	if len(t.all) >= MaxRows || s == nil {
		return
	}
	r := Row{Depth: depth, Name: name, Type: s.TypeText(), Component: s.refName, Required: required, ReadOnly: s.flag(isReadOnly), WriteOnly: s.flag(isWriteOnly),
		Deprecated: s.Node.IsTrue("deprecated"), Description: s.Node.Str("description"), Limits: s.LimitsText()}
	if r.Description == "" && s.ref != nil {
		r.Description = s.ref.Node.Str("description")
	}
	if example := s.Node.Get("example"); example != nil {
		r.Example = example.Raw(t.data)
	}
	inner := s
	for range MaxRefChain {
		if inner.ref == nil {
			break
		}
		inner = inner.ref
	}
	r.Again = t.open[inner] || depth+1 == maxRowsDepth && inner.properties != nil
	t.all = append(t.all, r)
	if !r.Again && depth+1 < maxRowsDepth {
		t.members(s, depth+1)
	}
}

// TypeText is the kind of a value in words, like list of Order.
func (s *Schema) TypeText() string {
	for range MaxRefChain {
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
	if format := s.Node.Str("format"); format != "" {
		text += " (" + clip.Shorten(format, 100) + ")"
	}
	if s.items != nil {
		if s.items.refName != "" {
			text += " of " + s.items.refName
		} else if s.items.items == nil {
			text += " of " + s.items.TypeText()
		}
	}
	return text
}

// LimitsText is the limits of a schema in words.
func (s *Schema) LimitsText() string {
	var all []string
	add := func(d *jsontree.Decimal, before, after string) {
		if d != nil {
			all = append(all, before+d.String()+after)
		}
	}
	if s.enum != nil {
		all = append(all, "one of "+enumText(s.Node.Get("enum")))
	}
	if s.constant != nil {
		all = append(all, "always "+kindText(s.Node.Get("const")))
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
	if v := s.Node.Get("default"); v != nil {
		all = append(all, "else "+kindText(v))
	}
	return strings.Join(all, "; ")
}

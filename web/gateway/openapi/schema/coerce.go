package schema

import (
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/gateway/openapi/jsontree"
)

// This file turns the texts of parameters and forms into values of the type that their schema
// asks for.

// readings is what a text may stand for, as far as the schema allows it; the text itself last.
func readings(s *Schema, text string) []*jsontree.Node {
	possible := anyKind
	if s != nil {
		possible = s.possible
	}
	var all []*jsontree.Node
	switch {
	case possible&(isNumber|isInteger) != 0 && jsontree.IsPlainNumber(text):
		all = append(all, &jsontree.Node{Kind: '0', Text: text, End: len(text), Size: 1})
	case possible&isBoolean != 0 && (text == "true" || text == "false"):
		all = append(all, &jsontree.Node{Kind: jsontext.Kind(text[0]), Size: 1})
	case possible&isNull != 0 && (text == "null" || text == "" && possible&isString == 0):
		all = append(all, &jsontree.Node{Kind: 'n', Size: 1})
	}
	if len(all) == 0 || possible&isString != 0 {
		all = append(all, jsontree.TextNode(text))
	}
	return all
}

// Form is how the text of a value is split.
type Form int

const (
	ScalarForm Form = iota // not at all
	ListForm
	ObjectForm
)

// Form is how the text of a value of the schema is split; ScalarForm if s is nil.
func (s *Schema) Form() Form {
	switch {
	case s == nil || s.possible&(isString|isNumber|isInteger|isBoolean) != 0:
		return ScalarForm
	case s.possible&isArray != 0:
		return ListForm
	case s.possible&isObject != 0:
		return ObjectForm
	}
	return ScalarForm
}

// TakesList reports whether the schema allows lists but no texts; false if s is nil.
func (s *Schema) TakesList() bool {
	return s != nil && s.possible&isArray != 0 && s.possible&isString == 0
}

// TakesObject reports whether the schema allows objects but no texts; false if s is nil.
func (s *Schema) TakesObject() bool {
	return s != nil && s.possible&isObject != 0 && s.possible&isString == 0
}

// Scalar is the first reading of a text that its schema accepts, else the last one.
func (c *Check) Scalar(s *Schema, text string) *jsontree.Node {
	all := readings(s, text)
	if s == nil {
		return all[len(all)-1]
	}
	for _, v := range all[:len(all)-1] {
		if c.quietly(s, v) {
			return v
		}
	}
	if len(all) > 1 && s.possible&isString != 0 && !c.quietly(s, all[len(all)-1]) {
		return all[0] // neither fits; the fault about the number says more
	}
	return all[len(all)-1]
}

// quietly reports whether a value fits, without faults.
func (c *Check) quietly(s *Schema, v *jsontree.Node) bool {
	c.quiet++
	top := c.top
	c.top = s
	ok := c.eval(s, v, &jsontree.Path{}, nil)
	c.top = top
	c.quiet--
	return ok
}

// ItemsOf is the schema of the items of an array, through references; nil if there is none.
func ItemsOf(s *Schema) (items *Schema) {
	if s != nil {
		s.walk(func(one *Schema) bool {
			items = one.items
			return items != nil
		})
	}
	return items
}

// PropertyOf is the schema of a property, also by additionalProperties.
func PropertyOf(s *Schema, name string) (found *Schema) {
	if s == nil {
		return nil
	}
	if found = s.Property(name); found == nil {
		s.walk(func(one *Schema) bool {
			found = one.additional
			return found != nil
		})
	}
	return found
}

// List is a list of texts, each read as the items of the schema ask.
func (c *Check) List(s *Schema, texts []string) *jsontree.Node {
	items := ItemsOf(s)
	n := &jsontree.Node{Kind: '[', Size: 1 + len(texts)}
	for _, text := range texts {
		n.Items = append(n.Items, c.Scalar(items, text))
		n.End += len(text)
	}
	return n
}

// Pair is a name and a value of a query or form.
type Pair struct{ Name, Value string }

// ObjectOf makes an object of pairs; a name that comes several times makes a list.
func (c *Check) ObjectOf(s *Schema, pairs []Pair) *jsontree.Node {
	n := &jsontree.Node{Kind: '{', Size: 1}
	values := map[string][]string{}
	for _, p := range pairs {
		if values[p.Name] == nil {
			n.Names = append(n.Names, p.Name)
		}
		values[p.Name] = append(values[p.Name], p.Value)
		n.End += len(p.Name) + len(p.Value)
	}
	for _, name := range n.Names {
		one := PropertyOf(s, name)
		var v *jsontree.Node
		switch {
		case len(values[name]) > 1, one.TakesList():
			v = c.List(one, values[name])
		case one.TakesObject():
			if v, _ = jsontree.Read([]byte(values[name][0])); v == nil {
				v = jsontree.TextNode(values[name][0])
			}
		default:
			v = c.Scalar(one, values[name][0])
		}
		n.Items = append(n.Items, v)
		n.Size += v.Size
	}
	n.IndexNames()
	return n
}
